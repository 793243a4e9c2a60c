"""Extents are compared as in Python, those that a number or an array from outside has made among them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import flowc
from flowc.compiler.diagnostics.model import CompileError
from tests.python.numeric.agreement import agrees

TABLE = np.zeros(3)


def as_written(x: Any) -> Any:
    return np.array_equal(x, np.zeros(3))


def as_outside(x: Any) -> Any:
    return np.array_equal(x, TABLE)


def as_counted(x: Any, n: int) -> Any:
    return np.array_equal(x, np.zeros(n))


def as_cut(x: Any, y: Any) -> Any:
    return np.array_equal(x[1:], y), np.array_equal(x[1:], np.zeros(1))


def as_picked(x: Any, y: Any) -> Any:
    return np.array_equal(x[x > 0], y)


def guarded(x: Any, y: Any) -> Any:
    if x.shape != y.shape:
        return -1.0
    return (x * y).sum()


def multiplied_or_added(x: Any, y: Any) -> Any:
    if x.shape[1] == y.shape[0]:
        return x @ y
    return x + y


def chosen(x: Any, y: Any) -> Any:
    return x.sum() if len(x) != len(y) else y.sum()


O, I = np.zeros, np.ones  # noqa: E741
CASES: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    *((function, (O(n),)) for function in (as_written, as_outside) for n in (0, 1, 3, 4)),
    *((as_counted, (O(3), n)) for n in (0, 1, 3, 4)),
    *((as_cut, (O(n), O(m))) for n, m in [(4, 3), (4, 4), (2, 1), (3, 1), (1, 0)]),
    *((guarded, (I(n), I(m))) for n, m in [(3, 3), (3, 4), (1, 3), (0, 0)]),
    *((multiplied_or_added, (I(s), I(t))) for s, t in [((2, 3), (3, 2)), ((2, 3), (2, 3)), ((3, 3), (3, 3))]),
    *((chosen, (I(n), I(m))) for n, m in [(3, 3), (3, 4), (1, 3)]),
]


@pytest.mark.parametrize(("function", "arguments"), CASES)
def test_extents_are_compared_as_python_compares_them(
    function: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    agrees(function, arguments)


def test_one_function_compares_arrays_of_every_length() -> None:
    function = flowc.jit(as_outside)
    assert [bool(function(np.zeros(n))) for n in (2, 3, 4, 3)] == [False, True, False, True]


def test_how_many_a_mask_picks_is_not_taken_for_another_extent() -> None:
    with pytest.raises(CompileError, match="mask"):
        flowc.jit(as_picked)(np.ones(4), np.ones(4))


def counted(n: Any) -> Any:
    return np.arange(n) * 2, np.zeros((n, 2)) + 1


@pytest.mark.parametrize("kind", [int, np.int8, np.uint8, np.int16, np.int32, np.int64])
def test_an_extent_may_be_any_whole_number(kind: Any) -> None:
    function = flowc.jit(counted)
    for n in (4, 0, 7):
        (row, rows), (wanted_row, wanted_rows) = function(kind(n)), counted(int(n))
        np.testing.assert_array_equal(row, wanted_row)
        np.testing.assert_array_equal(rows, wanted_rows)
