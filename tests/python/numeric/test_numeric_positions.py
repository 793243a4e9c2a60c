"""Positions that the run computes: checked whether or not what they pick is wanted, by several threads."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import flowc
from tests.python.numeric.agreement import agrees

X = np.random.default_rng(0).standard_normal(7)


def unused_sorted(x: Any) -> Any:
    order = np.argsort(x)
    x[order]
    return x.sum()


def unused_greatest(x: Any) -> Any:
    best = np.argmax(x)
    x[best]
    return x * 2


def unused_in_a_loop(x: Any) -> Any:
    steps = np.cumsum(np.abs(x).astype(np.int64) * 0)
    for _ in range(3):
        x[steps]
    return x + 1


@pytest.mark.parametrize("function", [unused_sorted, unused_greatest, unused_in_a_loop])
def test_what_is_picked_by_computed_positions_may_stay_unused(function: Callable[..., Any]) -> None:
    agrees(function, (X,))


def unused_beyond(x: Any) -> Any:
    beyond = np.cumsum(np.ones(x.shape[0], np.int64))
    x[beyond]
    return x.sum()


def picked(x: Any, i: Any) -> Any:
    return x[i]


def picked_rows(x: Any, i: Any) -> Any:
    return x[i].sum(axis=2)


def test_a_position_outside_is_an_error_even_if_what_it_picks_is_unused() -> None:
    with pytest.raises(flowc.FlowError, match="E0751"):
        flowc.jit(unused_beyond)(X)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("at", [0, 70_000, 199_999])
def test_one_position_outside_is_found_wherever_it_stands(threads: int, at: int) -> None:
    positions = np.random.default_rng(1).integers(-7, 7, 200_000)
    native, before = flowc.jit(picked), flowc.threads()
    flowc.set_threads(threads)
    try:
        np.testing.assert_array_equal(native(X, positions), X[positions])
        for outside in (7, -8, 2**62, -(2**63)):
            positions[at] = outside
            with pytest.raises(flowc.FlowError, match="E0751"):
                native(X, positions)
    finally:
        flowc.set_threads(before)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (2, 3), (400, 500)])
def test_positions_may_have_several_axes(shape: tuple[int, int]) -> None:
    rows = np.random.default_rng(2).standard_normal((9, 4))
    positions = np.random.default_rng(3).integers(-9, 9, shape)
    native = flowc.jit(picked_rows)
    np.testing.assert_allclose(native(rows, positions), picked_rows(rows, positions), rtol=1e-12)
    if positions.size:
        positions[-1, -1] = 9
        with pytest.raises(flowc.FlowError, match="E0751"):
            native(rows, positions)
