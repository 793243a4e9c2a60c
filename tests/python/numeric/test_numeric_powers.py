"""Whole numbers have no negative powers: NumPy raises ValueError, and compiled code an error with a code."""

from typing import Any

import numpy as np
import pytest

import flowc
from flowc.compiler.diagnostics.model import CompileError
from tests.python.numeric.agreement import agrees

WHOLE = (np.int8, np.int16, np.int32, np.int64)


def powers(x, y):
    return x**y


def in_place(x, y):
    x **= y
    return x


def one_by_one(x, y):
    total = 0
    for k in range(len(y)):
        total = total + x[k] ** y[k]
    return total


def where_it_exists(x, y):
    return x[y >= 0] ** y[y >= 0]


def of_two(y):
    return np.power(2, y)


@pytest.mark.alike(2)
@pytest.mark.parametrize("function", [powers, in_place, one_by_one])
@pytest.mark.parametrize("level", [0, 2])
def test_a_negative_exponent_ends_the_call(function: Any, level: int) -> None:
    compiled: Any = flowc.jit(level=level)(function)
    for dtype in WHOLE:
        bases = np.array([2, 3, -1], dtype)
        fine = np.array([3, 0, 1], dtype)
        np.testing.assert_array_equal(compiled(bases.copy(), fine), function(bases.copy(), fine))
        for place in range(3):
            exponents = fine.copy()
            exponents[place] = -1
            with pytest.raises(ValueError, match="negative integer powers"):
                function(bases.copy(), exponents)
            with pytest.raises(flowc.FlowError, match="E0768"):
                compiled(bases.copy(), exponents)


def test_an_exponent_that_no_mask_picks_may_be_negative() -> None:
    agrees(where_it_exists, [np.array([2, 3, 4]), np.array([3, -1, 0])])
    agrees(where_it_exists, [np.array([2, 3, 4]), np.array([-3, -1, -2])])


def test_numbers_and_narrow_dtypes_have_the_same_rule() -> None:
    with pytest.raises(flowc.FlowError, match="E0768"):
        flowc.jit(powers)(np.int8(2), np.int8(-1))
    with pytest.raises(flowc.FlowError, match="E0768"):
        flowc.jit(powers)(np.array([2, 3], np.uint8), np.array([1, -1], np.int8))
    agrees(powers, [np.array([2, 3], np.uint8), np.array([200, 2], np.uint8)])
    agrees(powers, [np.array([True, False]), np.array([3, 0], np.int8)])
    agrees(powers, [np.zeros(0, np.int64), np.zeros(0, np.int64)])
    agrees(powers, [np.array([2.0, 4.0]), np.array([-1, 2])])


def test_a_negative_exponent_that_is_known_is_no_program() -> None:
    with pytest.raises(CompileError, match="E0149"):
        flowc.jit(powers)(np.arange(3), -1)
    with pytest.raises(CompileError, match="E0149"):
        flowc.jit(of_two)(-1)  # Python has 2**-1, NumPy's function has it not
    assert flowc.jit(powers)(2, -1) == 0.5
