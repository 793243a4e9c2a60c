"""The functions of NumPy that are written as programs give under `@jit` what NumPy gives."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import flowc

rng = np.random.default_rng(0)
x, y = rng.normal(size=9), rng.normal(size=9)
a, b = rng.normal(size=(5, 4)), rng.normal(size=(5, 4, 6))
k = rng.integers(0, 6, 20)
nan = x.copy()
nan[[2, 5]] = np.nan
sq = rng.normal(size=(4, 4))
s = np.sort(x)


def middle(x):
    return np.median(x)


def middle_down(x):
    return np.median(x, axis=0)


def middle_kept(x):
    return np.median(x, axis=1, keepdims=True)


def middle_of_nan(x):
    return np.median(x)


def middle_of_single(x):
    return np.median(x)


def middle_of_whole(x):
    return np.median(x)


def percentile_of(x):
    return np.percentile(x, 30)


def percentiles(x):
    return np.percentile(x, [10, 50, 99.0])


def quantiles(x, q):
    return np.quantile(x, q, axis=1)


def correlated(x):
    return np.corrcoef(x)


def variance_of_numbers(x):
    return np.nanvar(x)


def deviation_of_numbers(x):
    return np.nanstd(x, ddof=1)


def product_of_numbers(x):
    return np.nanprod(x)


def distinct(x):
    return np.unique(x)


def distinct_nan(x):
    return np.unique(x)


def distinct_of_none(x):
    return np.unique(x)


def among(x, t):
    return np.isin(x, t)


def bins(x, t):
    return np.digitize(x, t)


def falling_bins(x, t):
    return np.digitize(x, t, right=True)


def line(x, p, f):
    return np.interp(x, p, f)


def line_with_ends(x, p, f):
    return np.interp(x, p, f, left=-1.0, right=9.0)


def line_at_one(x, p, f):
    return np.interp(0.1, p, f)


def integral(x):
    return np.trapezoid(x)


def integral_at(y, x):
    return np.trapezoid(y, x)


def integral_down(y):
    return np.trapezoid(y, dx=0.5, axis=0)


def slope(y):
    return np.gradient(y)


def slope_apart(y):
    return np.gradient(y, 0.5)


def slopes(y):
    return np.gradient(y)


def slope_across(y):
    return np.gradient(y, axis=1)


def convolved_whole(a, v):
    return np.convolve(a, v)


def polynomial(p, x):
    return np.polyval(p, x)


def blocks(a, b):
    return np.kron(a, b)


def blocks_of_vectors(a, b):
    return np.kron(a, b)


def solved(a, b):
    return np.linalg.solve(a, b)


def solved_for_many(a, b):
    return np.linalg.solve(a, b)


def inverse(a):
    return np.linalg.inv(a)


def determinant(a):
    return np.linalg.det(a)


def lower_triangle(a):
    return np.linalg.cholesky(a)


def near(a, b):
    return np.isclose(a, b)


def all_near(a, b):
    return np.allclose(a, b)


def all_near_or_nan(a, b):
    return np.allclose(a, b, equal_nan=True)


def selected(a):
    return np.select([a > 1, a > 0], [a, a * 2], -1)


def step(a):
    return np.heaviside(a, 0.5)


def sine_cardinal(a):
    return np.sinc(a)


def greater_number(a, b):
    return np.fmax(a, b)


def lesser_number(a, b):
    return np.fmin(a, b)


def most_frequent(k):
    return np.bincount(k).max()


def same(a, b):
    return np.array_equal(a, b)


def of_another_extent(a, b):
    return np.array_equal(a, b)


def of_another_rank(a, b):
    return np.array_equal(a, b)


def convolved(a, v, mode):
    return np.convolve(a, v, mode)


def correlated_at(a, v, mode):
    return np.correlate(a, v, mode)


def bins_written_out(x):
    return np.digitize(x, [-0.5, 0.0, 0.5]), np.interp(x, [-1, 0, 1], [0.0, 5.0, 6.0])


def convolved_with_a_list(x):
    return np.convolve(x, [0.5, 0.25], "same"), np.correlate(x, [1.0, -1.0]), np.trapezoid([1.0, 2.0, 4.0])


def quantiles_of_numbers(x):
    return np.nanpercentile(x, [0, 30, 100]), np.nanquantile(x, np.array([0.5]))


def quantiles_of_lines(x, q):
    by_column = np.nanquantile(x, q, axis=0, keepdims=True)
    return by_column, np.nanpercentile(x, [10.0, 75.0], axis=1)


CASES: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (middle, (x,)),
    (middle_down, (b,)),
    (middle_kept, (b,)),
    (middle_of_nan, (nan,)),
    (middle_of_single, (x.astype(np.float32),)),
    (middle_of_whole, (k,)),
    (percentile_of, (x,)),
    (percentiles, (x,)),
    (quantiles, (a, np.array([0.1, 0.7]))),
    (correlated, (a,)),
    (variance_of_numbers, (nan,)),
    (deviation_of_numbers, (nan,)),
    (product_of_numbers, (nan,)),
    (bins_written_out, (x,)),
    (convolved_with_a_list, (x,)),
    (quantiles_of_numbers, (nan,)),
    (quantiles_of_lines, (np.where(a > 0.5, np.nan, a), np.array([0.0, 0.1, 0.7]))),
    (distinct, (k,)),
    (distinct_nan, (np.concatenate([nan, nan]),)),
    (distinct_of_none, (x[:0],)),
    (among, (k, k[:3])),
    (bins, (x, s[::2])),
    (falling_bins, (x, s[::-2].copy())),
    (line, (x * 2, s, y)),
    (line_with_ends, (np.r_[x * 2, s], s, y)),
    (line_at_one, (x, s, y)),
    (integral, (x,)),
    (integral_at, (y, s)),
    (integral_down, (a,)),
    (slope, (x,)),
    (slope_apart, (x,)),
    (slopes, (a,)),
    (slope_across, (a,)),
    (convolved_whole, (k, k[:3])),
    (polynomial, (y[:4], x)),
    (blocks, (a, sq)),
    (blocks_of_vectors, (x, y)),
    (solved, (sq, x[:4])),
    (solved_for_many, (sq, a[:4, :3])),
    (inverse, (sq,)),
    (determinant, (sq,)),
    (lower_triangle, (sq @ sq.T,)),
    (lower_triangle, (np.array([[2, 1], [1, 3]]),)),
    (solved, (sq.astype(np.float32), x[:4])),
    (solved, (sq, x[:4].astype(np.float32))),
    (solved, (np.array([[2, 1], [1, 3]]), np.array([1, 2]))),
    (inverse, (np.array([[2, 1], [1, 3]]),)),
    (determinant, (np.array([[2, 1], [1, 3]]),)),
    (near, (nan, nan + 1e-09)),
    (all_near, (x, x + 1e-09)),
    (all_near_or_nan, (nan, nan)),
    (selected, (x,)),
    (step, (np.array([-1, 0.0, 2, np.nan]),)),
    (sine_cardinal, (np.r_[x, 0.0],)),
    (greater_number, (nan, x[::-1])),
    (lesser_number, (nan, x[::-1])),
    (most_frequent, (k,)),
    (same, (x, x)),
    (of_another_extent, (x, y[:3])),
    (of_another_rank, (x, a)),
]
CASES += [
    (function, (x[:p], y[:q], mode))
    for function in (convolved, correlated_at)
    for mode in ("full", "same", "valid")
    for p, q in ((9, 3), (9, 4), (3, 9), (4, 9), (4, 4), (1, 1), (1, 5), (9, 1))
]
CASES += [
    (function, (given[:p], given[3 : q + 3] * 0.5, mode))
    for function in (convolved, correlated_at)
    for mode in ("full", "same", "valid")
    for given in (np.arange(200) * 7 % 11 - 5, (np.arange(200) * 7 % 11).astype(np.float32))
    for p, q in ((150, 17), (17, 150))
]


@pytest.mark.alike(66)
@pytest.mark.parametrize(("function", "arguments"), CASES)
def test_a_function_written_as_a_program_agrees_with_numpy(
    function: Callable[..., Any], arguments: Sequence[Any]
) -> None:
    expected = function(*copy.deepcopy(arguments))
    got = flowc.jit(function)(*copy.deepcopy(arguments))
    for want, have in zip(_parts(expected), _parts(got), strict=True):
        assert np.shape(want) == np.shape(have)
        assert np.asarray(want).dtype == np.asarray(have).dtype
        np.testing.assert_allclose(have, want, rtol=1e-10)


@pytest.mark.parametrize("function", [convolved, correlated_at])
@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_nothing_has_no_convolution_as_in_numpy(function: Callable[..., Any], mode: str) -> None:
    for a, v in ((x[:0], x[:3]), (x[:3], x[:0]), (x[:0], x[:0])):
        with pytest.raises(ValueError, match="empty"):
            function(a, v, mode)
        with pytest.raises(flowc.FlowError, match="E0751"):
            flowc.jit(function)(a, v, mode)


@pytest.mark.parametrize("size", [1, 31, 32, 33, 64, 97])
def test_a_triangle_of_several_blocks_of_columns_depends_on_the_lower_half_alone(size: int) -> None:
    drawn = np.random.default_rng(size).random((size, size))
    matrix = drawn @ drawn.T + np.eye(size)
    given = np.where(np.tri(size, dtype=bool), matrix, np.nan)
    got = flowc.jit(lower_triangle)(given)
    np.testing.assert_allclose(got, np.linalg.cholesky(matrix), rtol=1e-9, atol=1e-12)
    given[-1, -1] = -1
    with pytest.raises(flowc.FlowError, match="E0763"):
        flowc.jit(lower_triangle)(given)


SINGULAR = np.array([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0], [0.0, 0.0, 1.0]])


@pytest.mark.parametrize("matrix", [SINGULAR, SINGULAR.astype(np.float32), np.zeros((1, 1))])
def test_a_matrix_that_cannot_be_decomposed_is_an_error_as_in_numpy(matrix: Any) -> None:
    for function in (inverse, lower_triangle):
        with pytest.raises(np.linalg.LinAlgError):
            function(matrix)
        with pytest.raises(flowc.FlowError, match="E0763"):
            flowc.jit(function)(matrix)
    with pytest.raises(flowc.FlowError, match="E0763"):
        flowc.jit(solved)(matrix, matrix[0])
    got = flowc.jit(determinant)(matrix)
    assert got == determinant(matrix) == 0
    assert got.dtype == matrix.dtype


def _parts(value: Any) -> Sequence[Any]:
    return value if isinstance(value, tuple | list) else (value,)
