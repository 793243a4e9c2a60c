"""Grids of positions, diagonals and triangles."""

from typing import Any

import numpy as np

from flowc.compiler.python.numeric.library.conditions import require


def meshgrid(*xi: Any, indexing: Any = "xy") -> Any:
    """The coordinates of a grid, an array for each axis; "xy" has the second axis first."""
    if indexing == "ij" or len(xi) == 1:
        return tuple([_along(x, place, xi) for place, x in enumerate(xi)])
    turned = (xi[1], xi[0], *xi[2:])
    made = [_along(x, place, turned) for place, x in enumerate(turned)]
    return (made[1], made[0], *made[2:])


def _along(x: Any, place: Any, axes: Any) -> Any:
    standing = x.reshape([1] * place + [-1] + [1] * (len(axes) - 1 - place))
    return np.broadcast_to(standing, tuple([len(axis) for axis in axes])).copy()


def indices(dimensions: Any) -> Any:
    """The position along each axis, for each place of a grid."""
    for extent in dimensions:
        require(extent >= 0, "extent")
    return np.stack(meshgrid(*[np.arange(extent) for extent in dimensions], indexing="ij"))


def ix_(*args: Any) -> Any:
    """Positions for each axis, so that a subscript picks all that cross."""
    found = [np.asarray(each) for each in args]
    found = [np.flatnonzero(each) if each.dtype == np.bool_ else each for each in found]
    rank = len(found)
    return tuple(
        [each.reshape([1] * place + [-1] + [1] * (rank - 1 - place)) for place, each in enumerate(found)]
    )


def unravel_index(indices: Any, shape: Any) -> Any:
    """Positions in the flat array as a position for each axis."""
    rest = np.asarray(indices)
    found: tuple[Any, ...] = ()
    for extent in reversed(shape if isinstance(shape, tuple | list) else (shape,)):
        found = (rest % extent, *found)
        rest = rest // extent
    require(np.all(rest == 0), "position")
    return found


def ravel_multi_index(multi_index: Any, dims: Any) -> Any:
    """A position for each axis as positions in the flat array."""
    place = 0
    for position, extent in zip(multi_index, dims, strict=True):
        require(np.all((position >= 0) & (position < extent)), "position")
        place = place * extent + position
    return place


def tri(N: Any, M: Any = None, k: Any = 0, dtype: Any = None) -> Any:
    """Ones on and below a diagonal."""
    columns = N if M is None else M
    return (np.arange(columns) <= np.arange(N)[:, None] + k).astype(np.float64 if dtype is None else dtype)


def tril_indices(n: Any, k: Any = 0, m: Any = None) -> Any:
    """Where the lower triangle of a matrix lies."""
    return np.nonzero(tri(n, m, k, bool))


def triu_indices(n: Any, k: Any = 0, m: Any = None) -> Any:
    """Where the upper triangle of a matrix lies."""
    return np.nonzero(~tri(n, m, k - 1, bool))


def diagonal(a: Any, offset: Any = 0) -> Any:
    """The diagonal of a matrix, or one beside it."""
    down, across = max(-offset, 0), max(offset, 0)
    length = max(min(a.shape[0] - down, a.shape[1] - across), 0)
    made = np.empty(length, a.dtype)
    for i in range(length):
        made[i] = a[i + down, i + across]
    return made


def diag(v: Any, k: Any = 0) -> Any:
    """The diagonal of a matrix, or a matrix with a diagonal."""
    if np.ndim(v) == 2:
        return diagonal(v, k)
    made = np.zeros((len(v) + abs(k), len(v) + abs(k)), v.dtype)
    for i in range(len(v)):
        made[i + max(-k, 0), i + max(k, 0)] = v[i]
    return made


def trace(a: Any, offset: Any = 0) -> Any:
    """The sum of the diagonal."""
    return diagonal(a, offset).sum()


def fill_diagonal(a: Any, val: Any) -> None:
    """Sets the diagonal of a matrix, in place."""
    for i in range(min(a.shape[0], a.shape[1])):
        a[i, i] = val


def apply_along_axis(func1d: Any, axis: Any, arr: Any) -> Any:
    """What a function gives of each row or column of a matrix."""
    made = np.array([func1d(line) for line in np.moveaxis(arr, axis, -1)])
    return made if np.ndim(made) == 1 else np.moveaxis(made, -1, axis)
