"""Arguments at and beyond the bounds of what functions take: as NumPy has them, or an error with a code."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flowc
from tests.python.numeric.agreement import agrees

NOTHING = np.zeros(0)
LINES = np.zeros((2, 0))
MATRIX = np.arange(12.0).reshape(3, 4)
CUBE = np.random.default_rng(1).random((3, 4, 5))
ODD = np.array([1.5, np.nan, -2.5, np.inf, -np.inf, 0.0, -0.0])
NARROW = np.array([-128, 127, 0, -1, 5], np.int8)


def zeros(n):
    return np.zeros((2, n))


def summed_ones(n):
    return np.ones(n).sum()


def unset(n):
    made = np.empty(n)
    made[:] = 1.0
    return made


def unit(n):
    return np.eye(n)


def spaced(n):
    return np.linspace(0.0, 1.0, n)


def repeated(n):
    return np.repeat(np.ones(3), n)


def tiled(n):
    return np.tile(np.ones(3), n)


def stretched(n):
    return np.broadcast_to(np.ones(3), (n, 3))


def counted(n):
    return np.bincount(np.zeros(0, np.int64), minlength=n)


def grid(n):
    return np.indices((n, 2))


def computed(n):
    return np.zeros(int(np.sum(np.full(3, n)))).sum()


@pytest.mark.parametrize(
    "function",
    [zeros, summed_ones, unset, unit, spaced, repeated, tiled, stretched, counted, grid, computed],
)
def test_a_negative_extent_is_an_error_and_none_is_fine(function: Any) -> None:
    for n in (0, 2):
        np.testing.assert_array_equal(flowc.jit(function)(n), function(n))
    with pytest.raises(flowc.FlowError, match="E0765"):
        flowc.jit(function)(-1)


def test_a_negative_extent_that_is_written_out_is_the_same_error() -> None:
    def nothing(x):
        return np.zeros(-1) + x

    with pytest.raises(flowc.FlowError, match="E0765"):
        flowc.jit(nothing)(1.0)


def test_a_range_that_ends_before_it_begins_is_empty() -> None:
    def rising(n):
        return np.arange(n)

    assert flowc.jit(rising)(-3).shape == (0,)


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_lies_between_0_and_1(share: float) -> None:
    def one(x, q):
        return np.quantile(x, q)

    def missing(x, q):
        return np.nanquantile(x, q)

    for function in (one, missing):
        with pytest.raises(flowc.FlowError, match="E0766"):
            flowc.jit(function)(np.arange(5.0), share)

    def several(x, q):
        return np.percentile(x, q)

    def several_missing(x, q):
        return np.nanpercentile(x, [50.0, 100 * q])

    with pytest.raises(flowc.FlowError, match="E0766"):
        flowc.jit(several_missing)(np.arange(5.0), share)
    with pytest.raises(flowc.FlowError, match="E0766"):
        flowc.jit(several)(np.arange(5.0), np.array([5.0, 100 * share]))


def test_medians_and_histograms_of_nothing_are_numpys() -> None:
    def median(x):
        return np.median(x)

    def missing(x):
        return np.nanmedian(x)

    def lines(x):
        return np.median(x, axis=1), np.nanmedian(x, axis=1)

    def histogram(x):
        return np.histogram(x)

    assert np.isnan(flowc.jit(median)(NOTHING))
    assert np.isnan(flowc.jit(median)(np.zeros(0, np.int64)))
    assert np.isnan(flowc.jit(missing)(NOTHING))
    assert all(np.isnan(each).all() and each.shape == (2,) for each in flowc.jit(lines)(LINES))
    for one, other in zip(flowc.jit(histogram)(NOTHING), np.histogram(NOTHING), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_quantile_of_nothing_is_a_position_outside() -> None:
    def quantile(x):
        return np.quantile(x, 0.5)

    with pytest.raises(flowc.FlowError, match="E0751"):
        flowc.jit(quantile)(NOTHING)


@flowc.jit
def middle(x):
    return np.median(x), np.nanmedian(x)


@flowc.jit
def part(x, q):
    return np.quantile(x, q)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(width=32) | st.sampled_from([0.0, np.inf, np.nan]), min_size=1, max_size=300),
    st.sampled_from(["float64", "float32"]),
    st.floats(0, 1),
)
def test_order_statistics_are_numpys(values: list[float], dtype: str, q: float) -> None:
    x = np.array(values, dtype)
    with np.errstate(all="ignore"):
        wanted = np.median(x), np.nanmedian(x) if not np.isnan(x).all() else np.nan
        spread = np.quantile(x, q)
    np.testing.assert_allclose(middle(x), wanted, rtol=1e-6)
    if np.isfinite(x).all():
        scale = max(np.abs(x).max(), 1e-30)
        np.testing.assert_allclose(float(part(x, q)) / scale, float(spread) / scale, rtol=1e-5, atol=1e-6)


@pytest.mark.alike(3)
@pytest.mark.parametrize("axis", [0, -1, (0, 2), (1, -1), (0, 1, 2)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_order_statistics_go_along_several_axes(axis: Any, keepdims: bool) -> None:
    def along(x):
        first = np.median(x, axis=axis, keepdims=keepdims)
        second = np.percentile(x, 30, axis=axis, keepdims=keepdims)
        third = np.quantile(x, [0.1, 0.9], axis=axis, keepdims=keepdims)
        return first, second, third, np.nanmedian(x, axis=axis, keepdims=keepdims)

    agrees(along, [CUBE])


def test_a_mask_is_as_long_as_what_it_picks_from() -> None:
    @flowc.jit
    def picked(x, mask):
        return x[mask].sum()

    @flowc.jit
    def column(x, mask):
        return x[mask, 1]

    @flowc.jit
    def shifted(x):
        return x[1:][x > 1.0]

    @flowc.jit
    def emptied(x, mask):
        x[mask] = 0.0
        return x

    x = np.arange(4.0)
    for function, arguments in (
        (picked, (x, np.array([True, False]))),
        (picked, (x, np.ones(7, bool))),
        (column, (MATRIX, np.ones(2, bool))),
        (emptied, (x, np.ones(3, bool))),
    ):
        with pytest.raises(flowc.CompileError, match="E0201"):
            function(*arguments)
    with pytest.raises((flowc.CompileError, flowc.FlowError), match=r"E0201|E0753"):
        shifted(x)


T, F = True, False


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        ([T, F, T], [T, F, T, F]),
        ([T, F, F], [T, T, T, F]),
        ([T, T, T], [F, F, T, F]),
        ([F, F, F], [F, T, F, F]),
        ([F, F, F], [F, F, F, F]),
    ],
)
def test_two_masks_side_by_side_pick_pairs(rows: list[bool], columns: list[bool]) -> None:
    def pairs(x, p, q):
        y = x.copy()
        y[p, q] += 5.0
        return x[p, q], x[p, q].sum(), y

    agrees(pairs, [MATRIX, np.array(rows), np.array(columns)])


def test_masks_stand_beside_positions_too() -> None:
    def beside(x, p, k):
        return x[p, k], x[p, :2], x[..., x[0] > 1.0]

    agrees(beside, [MATRIX, np.array([T, F, T]), np.array([3, -1])])
    agrees(beside, [MATRIX, np.array([T, F, T]), np.array([2])])


def test_masks_that_pick_different_numbers_do_not_stand_side_by_side() -> None:
    @flowc.jit
    def pairs(x, p, q):
        return x[p, q]

    with pytest.raises(flowc.FlowError, match="E0753"):
        pairs(MATRIX, np.array([T, F, T]), np.array([T, T, T, F]))


def test_a_number_is_an_array_without_axes() -> None:
    def seen(x):
        return x[None, None], x.ravel(), x.reshape(1, 1), np.repeat(x, 3), np.median(x), np.cumsum(x)

    agrees(seen, [np.array(3.5)])


def test_axes_come_and_go_several_at_once() -> None:
    def moved(x):
        return (
            np.expand_dims(x, (0, -1)),
            np.moveaxis(x, (0, 1), (-1, -2)),
            np.roll(x, (1, 2), axis=(0, 2)),
            np.roll(x, 1, axis=(0, 1)),
        )

    agrees(moved, [CUBE])


def test_whole_numbers_at_their_bounds_are_numpys() -> None:
    def bounded(x):
        return np.clip(x, -300, 300), np.clip(x, None, 3), np.fmod(x, 3), np.fmod(x, -3)

    agrees(bounded, [NARROW])

    def inverted(x):
        return np.reciprocal(x)

    agrees(inverted, [np.array([1, -1, 2, -7], np.int16)])


def test_odd_floats_are_numpys() -> None:
    def odd(x):
        return x**0.5, np.isin(x, x), np.conj(x), np.real(x)

    with np.errstate(invalid="ignore"):
        agrees(odd, [ODD])


def test_positions_of_the_flat_array_lie_inside() -> None:
    @flowc.jit
    def unravelled(k):
        return np.unravel_index(k, (3, 4))

    @flowc.jit
    def flat(k):
        return np.ravel_multi_index((k, k), (3, 4))

    @flowc.jit
    def parted(x, k):
        return np.partition(x, k)[k]

    assert [each.tolist() for each in unravelled(np.array([11, 0]))] == [[2, 0], [3, 0]]
    assert flat(np.array([2, 0])).tolist() == [10, 0]
    assert parted(np.array([3.0, 1.0]), -1) == 3.0
    for call in (
        lambda: unravelled(np.array([12])),
        lambda: unravelled(np.array([-1])),
        lambda: flat(np.array([3])),
        lambda: parted(np.array([3.0, 1.0]), 2),
    ):
        with pytest.raises(flowc.FlowError, match="E0751"):
            call()


def test_an_inverse_has_the_dtype_of_its_matrix() -> None:
    @flowc.jit
    def inverse(x):
        return np.linalg.inv(x)

    assert inverse(np.array([[2, 1], [1, 3]], np.float32)).dtype == np.float32
    assert inverse(np.array([[2, 1], [1, 3]])).dtype == np.float64


def test_complex_numbers_are_refused_with_what_to_do_instead() -> None:
    def turned(x):
        return x * 1j

    def made(x):
        return np.zeros(3, complex) + x

    def converted(x):
        return x.astype(np.complex128)

    def combined(x):
        return complex(x[0], x[1])

    x = np.arange(3.0)
    for function in (turned, made, converted, combined):
        assert "the imaginary parts" in flowc.jit(function).check(x)
    for argument in (x + 1j, 2j):
        with pytest.raises(flowc.FlowError, match="E0093") as caught:
            flowc.jit(turned)(argument)
        assert "the imaginary parts" in caught.value.problem.help


def test_borders_are_not_negative() -> None:
    def padded(x):
        return np.pad(x, (1, -1))

    assert "a border is 0 or more wide" in flowc.jit(padded).check(np.arange(3.0))
