"""Functions that put arrays together, take them apart and count positions give what NumPy gives."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import flowc

rng = np.random.default_rng(5)
X, V, S, Y = rng.normal(size=(4, 5)), rng.normal(size=5), rng.normal(size=(4, 4)), rng.normal(size=(6, 5, 3))
K, L = rng.integers(0, 20, 50), rng.integers(0, 20, 30)
HOLES = rng.normal(size=(6, 5))
HOLES[1, 2] = HOLES[3] = np.nan


def joined(x, v):
    return (
        np.append(v, 3.0),
        np.append(v, [1.0, 2.0]),
        np.append(x, x, axis=0),
        np.insert(v, 0, 9.0),
        np.insert(v, 2, [1.0, 2.0]),
        np.insert(v, -1, 7.0),
        np.insert(x, 1, v, axis=0),
        np.insert(x, 2, 5.0, axis=1),
        np.delete(v, 1),
        np.delete(v, -1),
        np.delete(v, [0, 3]),
        np.delete(x, 3, axis=1),
        np.dstack((x, x)),
        np.dstack([v, v]),
        np.atleast_2d(v),
        np.hstack(([1.0, 2.0], [3.0, 4.0])),
        np.r_[0, v, 3.0],
        np.r_[0:5, 9],
        np.c_[v, v],
    )


def taken_apart(x, v, y):
    return (
        np.split(y, 3)[1],
        np.split(x, [1, 3], axis=1)[1],
        np.array_split(v, 3)[0],
        np.hsplit(x, [2])[1],
        np.vsplit(x, 2)[0],
        np.rot90(x),
        np.rot90(x, 2),
        np.rot90(x, -1),
        np.broadcast_arrays(x, v)[1],
        np.lib.stride_tricks.sliding_window_view(v, 3),
        np.lib.stride_tricks.sliding_window_view(x, (2, 3)),
    )


def grids(x, v, s):
    return (
        *np.meshgrid(v, x[:, 0]),
        *np.meshgrid(v, x[:, 0], indexing="ij"),
        *np.meshgrid(v, x[0], x[:, 1]),
        np.indices((3, 4)),
        np.mgrid[0:3, 1:5],
        *np.ogrid[0:3, 0:4],
        np.mgrid[0:10:2],
        *np.unravel_index(np.argmax(x), x.shape),
        np.ravel_multi_index((np.arange(3), np.arange(3)), (4, 5)),
        x[np.ix_(np.array([0, 2]), np.array([1, 4]))],
        np.tri(3),
        np.tri(4, 3, 1),
        *np.tril_indices(4),
        s[np.triu_indices(4, 1)],
        np.diag(v),
        np.diag(v, 1),
        np.diag(s),
        np.diag(x, -1),
        np.diag(x, 2),
        np.diagonal(x, offset=1),
        np.trace(x),
        x.trace(),
        x.diagonal(),
        np.apply_along_axis(lambda r: r.max() - r.min(), 1, x),
        np.apply_along_axis(lambda r: r / np.sum(r), 0, x),
    )


def reduced(x, v):
    return (
        np.add.reduce(x),
        np.multiply.reduce(x, axis=1),
        np.maximum.reduce(x),
        np.add.accumulate(x),
        np.multiply.accumulate(x, axis=1),
        np.logical_or.reduce([v > 1, v < 0, v == 0.5]),
        np.logical_and.reduce((v > -1, v < 1)),
        np.partition(v, 2)[2],
        x[np.argpartition(x[:, 0], 1)[0]],
        np.lexsort((v, v > 0)),
        any([v[0] > 0, v[1] > 0]),
        all(a > -10 for a in v),
        any(v > 5),
        sorted((3, 1, 2))[0],
        isinstance(x, np.ndarray) and not isinstance(v[0], int),
        x.shape == (4, 5),
        x.shape != v.shape,
    )


def sets(a, b):
    return (
        np.intersect1d(a, b),
        np.union1d(a, b),
        np.setdiff1d(a, b),
        np.setxor1d(a, b),
        *np.unique(a, return_index=True),
        *np.unique(a, return_inverse=True),
        *np.unique(b, return_index=True, return_inverse=True, return_counts=True),
        np.isin(a, [1, 2, 3]),
    )


def without_nan(m):
    return (
        np.nanmedian(m[:3], axis=1),
        np.nanmedian(m),
        np.nanpercentile(m, 30, axis=0),
        np.nanquantile(m, 0.7),
        np.nanquantile(m, 0.25, axis=0, keepdims=True),
        np.nanargmax(m[0]),
        np.nanargmin(m[:3], axis=1),
        np.nancumsum(m),
        np.nancumsum(m, axis=0),
    )


def spreads(x, y, m):
    return (
        np.cov(x, y),
        np.cov(m),
        np.cov(m.T, rowvar=False),
        np.cov(m, x),
        np.cov(m, bias=True),
        np.cov(m, ddof=0),
        np.corrcoef(x, y),
        np.corrcoef(m, x),
    )


def chosen(x, y, k):
    t, u, w = x.copy(), x.copy(), x.copy()
    np.putmask(t, x > 0, 0.0)
    np.copyto(u, y)
    np.copyto(w, y, where=x > 0)
    return (
        np.choose(k % 3, [x, y, x * y]),
        np.choose(k, [1, 2, 3], mode="clip"),
        np.choose(k, [1, 2, 3], mode="wrap"),
        (k % 2).choose([x, y]),
        np.fmod(x, y),
        np.fmod(k - 4, 3),
        np.copysign(x, y),
        np.signbit(x * 0.0),
        np.extract(x > 0, y),
        t,
        u,
        w,
    )


def named_axes(a, b, t, v):
    return (
        np.einsum("ij,jk,kl->il", a, b, b.T),
        np.einsum("i,ij,j->", v, a, a[0]),
        np.einsum("bii->b", t),
        np.einsum("bii->bi", t),
        np.einsum("ii", t[0]),
        np.einsum("...ij,jk->...ik", t, a[:3]),
        np.einsum("...j->...", t),
        np.einsum("i,j,k->ijk", v, v, a[0]),
        np.einsum("iji->j", t[:, :, :2]),
    )


def lengths_of_picks(x, m, k):
    some = x[x > 0]
    return (
        np.append(x[x > 1], 3.0),
        some[some < 1],
        some[::2],
        some[1:] - some[:-1],
        np.concatenate([x[x > 1], x[x < -1]]),
        np.array([v * 2 for v in x[x > 0]]),
        m[m[:, 0] > 0][:, m[0] > 0],
        np.diff(np.flatnonzero(np.diff(k))),
        np.repeat(some, 2),
        np.vstack([some, some * 2]),
        np.insert(some, 0, 1.0),
    )


CASES: list[tuple[Callable[..., Any], Sequence[Any]]] = [
    (joined, (X, V)),
    (taken_apart, (X, V, Y)),
    (grids, (X, V, S)),
    (reduced, (X, V)),
    (sets, (K, L)),
    (without_nan, (HOLES,)),
    (spreads, (V, V * V, X)),
    (chosen, (V, V[::-1].copy(), K[:5])),
    (named_axes, (S[:3], X.T[:4], rng.normal(size=(2, 3, 3)), V[:3])),
    (lengths_of_picks, (rng.normal(size=60), rng.normal(size=(6, 7)), K)),
]


@pytest.mark.parametrize(("function", "arguments"), CASES, ids=lambda item: getattr(item, "__name__", ""))
@pytest.mark.filterwarnings("ignore:All-NaN")
def test_a_function_gives_what_it_gives_in_numpy(
    function: Callable[..., Any], arguments: Sequence[Any]
) -> None:
    for want, have in zip(function(*arguments), flowc.jit(function)(*arguments), strict=True):
        assert np.shape(have) == np.shape(want)
        assert np.asarray(have).dtype == np.asarray(want).dtype
        np.testing.assert_allclose(have, want, rtol=1e-12, atol=1e-14)


def window(x):
    seen = np.lib.stride_tricks.sliding_window_view(x, 2)
    x[0] = 5.0
    return seen


def test_a_change_that_a_window_would_show_is_refused() -> None:
    from flowc.compiler.diagnostics.model import CompileError

    with pytest.raises(CompileError):
        flowc.jit(window)(np.ones(4))


def mean_of_windows(x, width):
    return np.lib.stride_tricks.sliding_window_view(x, width).mean(axis=-1)


def windows_of_a_matrix(x):
    return np.lib.stride_tricks.sliding_window_view(x, (3, 2)).sum(axis=(2, 3))


@pytest.mark.parametrize("size", [0, 3, 4])
def test_a_window_longer_than_the_vector_is_an_error_as_in_numpy(size: int) -> None:
    for x, width in ((np.ones(size), 5), (np.ones(size), size + 1)):
        with pytest.raises(ValueError, match="larger"):
            mean_of_windows(x, width)
        with pytest.raises(flowc.FlowError, match="E0751"):
            flowc.jit(mean_of_windows)(x, width)
    np.testing.assert_array_equal(flowc.jit(mean_of_windows)(np.ones(5), 5), [1.0])


@pytest.mark.parametrize("shape", [(2, 2), (3, 1), (0, 0), (5, 0)])
def test_a_window_that_is_no_part_of_a_matrix_is_an_error_as_in_numpy(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="larger"):
        windows_of_a_matrix(np.ones(shape))
    with pytest.raises(flowc.FlowError, match="E0751"):
        flowc.jit(windows_of_a_matrix)(np.ones(shape))


@pytest.mark.alike(4)
@pytest.mark.parametrize("mode", ["edge", "reflect", "symmetric", "wrap"])
@pytest.mark.parametrize("shape", [(5,), (1,), (4, 3), (2, 1, 3)])
def test_a_border_goes_on_as_in_numpy(mode: Any, shape: tuple[int, ...]) -> None:
    def bordered(x):
        return np.pad(x, 1, mode=mode), np.pad(x, (2, 7), mode=mode), np.pad(x, 0, mode=mode)

    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    for want, have in zip(bordered(x), flowc.jit(bordered)(x), strict=True):
        np.testing.assert_array_equal(have, want)


def test_a_border_of_no_width_is_a_copy() -> None:
    def changed(x):
        y, z = np.pad(x, 0), np.pad(x, 0, mode="edge")
        y[0], z[0] = 7.0, 8.0
        return y, z

    x = np.zeros(2)
    y, z = flowc.jit(changed)(x)
    assert (x.tolist(), y.tolist(), z.tolist()) == ([0.0, 0.0], [7.0, 0.0], [8.0, 0.0])


def edge(x):
    return np.pad(x, 1, mode="edge")


def reflect(x):
    return np.pad(x, 1, mode="reflect")


def symmetric(x):
    return np.pad(x, 1, mode="symmetric")


def wrap(x):
    return np.pad(x, 1, mode="wrap")


@pytest.mark.parametrize("function", [edge, reflect, symmetric, wrap])
def test_an_empty_axis_has_no_border_of_its_own(function: Any) -> None:
    for x in (np.zeros(0), np.zeros((0, 3)), np.zeros((3, 0))):
        with pytest.raises(ValueError, match="empty axis"):
            function(x)
        with pytest.raises(flowc.FlowError, match="E0754"):
            flowc.jit(function)(x)


def beyond(x, k):
    return np.insert(x, k, 1.0)


def too_many(k):
    return np.choose(k, [1, 2])


def uneven(x):
    return np.split(x, 2)[0]


def test_a_position_that_is_not_there_is_an_error_of_the_call() -> None:
    with pytest.raises(flowc.FlowError):
        flowc.jit(beyond)(V, 7)
    with pytest.raises(flowc.FlowError):
        flowc.jit(too_many)(np.array([0, 2]))
    with pytest.raises(flowc.FlowError):
        flowc.jit(uneven)(V)
