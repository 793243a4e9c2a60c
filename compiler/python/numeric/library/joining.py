"""Arrays put together of others, and taken apart."""

from typing import Any

import numpy as np

from flowc.compiler.python.numeric.library.conditions import require


def append(arr: Any, values: Any, axis: Any = None) -> Any:
    """An array with others behind it; all elements in a row without an axis."""
    if axis is None:
        return np.concatenate((np.ravel(arr), np.ravel(np.atleast_1d(values))))
    return np.concatenate((arr, values), axis=axis)


def insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    """An array with a value, or a row, or several in a row, ahead of a position."""
    moved = np.ravel(arr) if axis is None else np.moveaxis(arr, axis, 0)
    place = obj + len(moved) if obj < 0 else obj
    given = np.atleast_1d(values)
    rows = given[None] if given.ndim < moved.ndim else given
    made = np.empty((len(moved) + len(rows), *moved.shape[1:]), moved.dtype)
    made[:place] = moved[:place]
    made[place : place + len(rows)] = rows
    made[place + len(rows) :] = moved[place:]
    return made if axis is None else np.moveaxis(made, 0, axis)


def delete(arr: Any, obj: Any, axis: Any = None) -> Any:
    """An array without what is at a position, or at some."""
    moved = np.ravel(arr) if axis is None else np.moveaxis(arr, axis, 0)
    if np.ndim(obj) == 0:
        place = obj + len(moved) if obj < 0 else obj
        made = np.empty((max(len(moved) - 1, 0), *moved.shape[1:]), moved.dtype)
        made[:place] = moved[:place]
        made[place:] = moved[place + 1 :]
    else:
        kept = np.ones(len(moved), np.bool_)
        kept[obj] = False
        made = moved[kept]
    return made if axis is None else np.moveaxis(made, 0, axis)


def split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> Any:
    """Parts of equal length along an axis, or the parts between positions."""
    moved = np.moveaxis(ary, axis, 0)
    if np.ndim(indices_or_sections) == 0:
        length = len(moved) // indices_or_sections
        rows = moved.reshape(indices_or_sections, length, *moved.shape[1:])
        return [np.moveaxis(rows[k], 0, axis) for k in range(indices_or_sections)]
    return _between(moved, indices_or_sections, axis)


def array_split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> Any:
    """Parts along an axis, the first longer by one where they cannot be equal."""
    moved = np.moveaxis(ary, axis, 0)
    if np.ndim(indices_or_sections) == 0:
        length, longer = divmod(len(moved), indices_or_sections)
        cuts = [k * length + min(k, longer) for k in range(1, indices_or_sections)]
        return _between(moved, cuts, axis)
    return _between(moved, indices_or_sections, axis)


def _between(moved: Any, cuts: Any, axis: Any) -> Any:
    starts, ends = (0, *cuts), (*cuts, len(moved))
    return [np.moveaxis(moved[low:high], 0, axis) for low, high in zip(starts, ends, strict=True)]


def hsplit(ary: Any, indices_or_sections: Any) -> Any:
    """Parts side by side."""
    return split(ary, indices_or_sections, 0 if ary.ndim == 1 else 1)


def vsplit(ary: Any, indices_or_sections: Any) -> Any:
    """Parts below each other."""
    return split(ary, indices_or_sections, 0)


def dstack(tup: Any) -> Any:
    """Arrays joined along a third axis."""
    return np.concatenate([_at_least_3d(part) for part in tup], axis=2)


def _at_least_3d(part: Any) -> Any:
    if np.ndim(part) == 3:
        return part
    return np.atleast_2d(part)[:, :, None]


def atleast_2d(a: Any) -> Any:
    """An array with at least two axes; a vector is a row."""
    row = np.atleast_1d(a)
    return row[None, :] if row.ndim == 1 else row


def broadcast_arrays(*args: Any) -> Any:
    """Arrays stretched to one shape."""
    total = args[0] * 0
    for each in args[1:]:
        total = total + each * 0
    return tuple([np.broadcast_to(each, total.shape) for each in args])


def rot90(m: Any, k: Any = 1) -> Any:
    """A matrix turned by quarters, against the clock."""
    if k % 4 == 1:
        return np.swapaxes(m, 0, 1)[::-1]
    if k % 4 == 2:
        return m[::-1, ::-1]
    if k % 4 == 3:
        return np.swapaxes(m[::-1], 0, 1)
    return m[:]


def sliding_window_view(x: Any, window_shape: Any) -> Any:
    """All windows of a vector, or of a matrix; to be read only."""
    if np.ndim(x) == 1:
        width = window_shape if np.ndim(window_shape) == 0 else window_shape[0]
        require(len(x) >= width, "position")
        return x[np.arange(len(x) - width + 1)[:, None] + np.arange(width)]
    height, width = window_shape
    require(x.shape[0] >= height and x.shape[1] >= width, "position")
    down = np.arange(x.shape[0] - height + 1)[:, None] + np.arange(height)
    across = np.arange(x.shape[1] - width + 1)[:, None] + np.arange(width)
    return x[down[:, None, :, None], across[None, :, None, :]]
