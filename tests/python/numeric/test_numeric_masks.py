"""What a mask picks is an array like any other: to operators, to functions, and beside another mask's."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import flowc
from tests.python.numeric.agreement import agrees

X = np.array([3.0, 1.0, 2.0, 7.0, 5.0, 0.0, 4.0, 6.0])
ROWS = np.arange(24.0).reshape(8, 3)
HIGH, LOW, ONE, NONE = X > 4, X < 3, X == 7, X > 9


def added(x, m, n):
    return x[m] + 10 * x[n]


def reduced(x, m, n):
    return (x[m] * x[n]).sum(), np.dot(x[m], x[n]), x[m] @ x[n], np.linalg.norm(x[m] - x[n])


def chosen(x, m, n):
    return np.where(x[m] > x[n], x[m], x[n])


def stored(x, m, n):
    y, z = x.copy(), x.copy()
    y[m] = x[n]
    z[m] += x[n]
    return y, z, np.maximum(y[m], z[n]) * x[m]


def beside_an_array(x, m, n):
    y = np.zeros(3)
    y[:] = x[m]
    return x[m] + np.arange(3.0), x[m] - x[:3], x[n] * x[m][::-1], y


def by_positions(x, m, n):
    return x[np.flatnonzero(m)] - x[np.nonzero(n)[0]]


@pytest.mark.alike(2)
@pytest.mark.parametrize("function", [added, reduced, chosen, stored, beside_an_array, by_positions])
def test_what_two_masks_pick_stands_beside_each_other_where_it_is_as_long(function: Any) -> None:
    agrees(function, [X, HIGH, LOW])
    agrees(function, [X, HIGH, HIGH])
    with pytest.raises(flowc.FlowError, match="E0753"):
        flowc.jit(function)(X, HIGH, X < 2)


def test_rows_that_two_masks_pick_stand_beside_each_other() -> None:
    def apart(x, m, n):
        return x[m] - x[n], (x[m] * x[n]).sum(axis=1)

    agrees(apart, [ROWS, HIGH, LOW])
    with pytest.raises(flowc.FlowError, match="E0753"):
        flowc.jit(apart)(ROWS, HIGH, X < 2)


def test_one_element_is_stretched_beside_what_another_mask_picks() -> None:
    def apart(x, m, n):
        return x[m] - x[n]

    agrees(apart, [X, HIGH, ONE])
    agrees(apart, [ROWS, HIGH, ONE])


def test_in_a_loop_the_run_compares_too() -> None:
    def rounds(x, m, n):
        total = 0.0
        for k in range(3):
            total += ((x[m] + k) * x[n]).sum()
        return total

    agrees(rounds, [X, HIGH, LOW])
    with pytest.raises(flowc.FlowError, match="E0753"):
        flowc.jit(rounds)(X, HIGH, X < 2)


def products(x, m):
    return np.dot(x[m], x[m]), x[m].dot(x[m] - 1), np.inner(x[m], x[m]), np.add.outer(x[m], x[m])


def pythons_functions(x, m):
    return max(x[m]), min(x[m]), sum(x[m]), len(x[m])


def shapes(x, m):
    return (
        np.ndim(x[m]),
        x[m].ndim,
        np.size(x[m]),
        x[m].shape[0],
        np.atleast_2d(x[m]),
        np.expand_dims(x[m], 0),
    )


def kept_axes(x, m):
    return x[m].sum(keepdims=True), x[m].mean(keepdims=True), x[m].max(keepdims=True), x[m].var(keepdims=True)


def rounded(x, m):
    return x[m].round(1), np.round(x[m] / 3, 2), np.nan_to_num(x[m]), np.clip(x[m], 4, 6)


def sets(x, m):
    return np.unique(x[m]), np.setdiff1d(x[m], x[:2]), np.unique(x[m], return_counts=True)[1]


def stretched(x, m):
    return np.broadcast_to(x[m], (2, 5)), np.outer(x[m], x[m]), np.tile(x[m], 2)


FUNCTIONS: list[Callable[..., Any]] = [
    products, pythons_functions, shapes, kept_axes, rounded, sets, stretched,
]  # fmt: skip


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_takes_what_a_mask_picks_as_the_array_that_it_is(function: Any) -> None:
    agrees(function, [X, X > 2])


@pytest.mark.parametrize("kind", ["sum", "mean", "prod", "var", "std"])
def test_what_a_mask_picks_is_reduced_in_the_dtype_that_is_asked_for(kind: str) -> None:
    reduction = getattr(np, kind)

    def single(x, m):
        return reduction(x[m], dtype=np.float32)

    found = flowc.jit(single)(X, HIGH)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, single(X, HIGH), rtol=1e-6)


@pytest.mark.parametrize("kind", ["max", "min", "ptp"])
def test_nothing_that_a_mask_picks_has_no_extreme(kind: str) -> None:
    reduction = getattr(np, kind)

    def extreme(x, m):
        return reduction(x[m])

    agrees(extreme, [X, ONE])
    with pytest.raises(flowc.FlowError, match="E0754"):
        flowc.jit(extreme)(X, NONE)


@flowc.jit
def sums_of_repeats(x, counts):
    return np.repeat(x, counts).sum(), np.repeat(ROWS[:5], counts, axis=0).sum(axis=0), x.repeat(counts).size


@given(st.lists(st.integers(0, 4), min_size=5, max_size=5), st.sampled_from([np.int64, np.int8, np.bool_]))
def test_each_element_is_repeated_as_often_as_an_array_says(counts: list[int], dtype: Any) -> None:
    arrays = X[:5], np.array(counts).astype(dtype)
    for have, want in zip(sums_of_repeats(*arrays), sums_of_repeats.function(*arrays), strict=True):
        np.testing.assert_array_equal(have, want)


def test_repeats_that_are_written_out_say_the_extent() -> None:
    def repeated(x, a):
        return (
            np.repeat(x, [2, 0, 3]),
            np.repeat(a, (1, 0, 2), axis=1),
            np.repeat(x, [2]),
            np.repeat(x, [0, 0, 0]),
            np.repeat(x, [20_000, 1, 0]),
        )

    agrees(repeated, [X[:3], ROWS])


def test_repeats_are_one_for_each_place_and_not_negative() -> None:
    too_many = [2**63 - 1, 2**63 - 1, 5, 0, 0]  # of which NumPy makes three
    for counts, code in (([1, 2, 3], "E0753"), ([1, 2, -1, 0, 0], "E0765"), (too_many, "E0765")):
        with pytest.raises(flowc.FlowError, match=code):
            sums_of_repeats(X[:5], np.array(counts))


def stored_everywhere(x, m, z):
    z[:] = x[m]


def stored_in_a_part(x, m, z):
    z[1:] = x[m]


def stored_at_positions(x, m, z):
    z[np.array([2, 0, 1])] = x[m]


def stretched_to_a_shape(x, m, z):
    return np.broadcast_to(x[m], z.shape) + 0


def added_in_place(x, m, z):
    z += x[m]


@pytest.mark.alike(3)
@pytest.mark.parametrize(
    "function",
    [stored_everywhere, stored_in_a_part, stored_at_positions, stretched_to_a_shape, added_in_place],
)
@pytest.mark.parametrize("level", [0, 2])
def test_one_picked_element_is_stored_in_every_place_and_others_must_be_as_many(
    function: Callable[..., Any], level: int
) -> None:
    x = np.array([3.0, -0.0, 2.0, 7.0])
    compiled: Any = flowc.jit(level=level)(function)
    for mask in (x == 7, x == 0, x > 2, x > 0, x < 0, x < 9):
        for place in (np.ones(3), np.ones(4), np.ones(1), np.ones((2, 3)), np.ones(3, np.int32)):
            if place.shape == (1,) and function is stored_at_positions:
                continue
            want, have = place.copy(), place.copy()
            try:
                expected = function(x, mask, want)
            except (ValueError, IndexError, TypeError):
                with pytest.raises((flowc.FlowError, flowc.CompileError), match=r"E0753|E0751|E0201|E0094"):
                    compiled(x, mask, have)
                continue
            np.testing.assert_array_equal(compiled(x, mask, have), expected)
            np.testing.assert_array_equal(have, want)
            np.testing.assert_array_equal(np.signbit(have), np.signbit(want))
