"""`order=`: how an array that a program makes or copies lies in memory."""

from typing import Any

import numpy as np
import pytest

import flowc
from flowc.compiler.diagnostics.model import CompileError

ROWS = np.arange(6.0).reshape(2, 3)
CUBE = np.arange(24, dtype=np.int32).reshape(2, 3, 4)


def made(x):
    return (
        np.zeros(x.shape, order="F"),
        np.ones(x.shape, np.int32, "F"),
        np.full(x.shape, 2.5, order="F"),
        np.zeros(x.shape, order="C"),
        np.zeros(4, order="F"),
    )


def made_alike(x):
    return (
        np.zeros_like(x, order="F"),
        np.ones_like(x, order="C"),
        np.full_like(x, 3, order="F"),
        np.zeros_like(x),
        np.ones_like(x, dtype=np.float32, order="A"),
    )


def copied(x):
    return (
        x.copy(),
        x.copy(order="F"),
        x.copy("K"),
        np.copy(x, "F"),
        np.copy(x),
        np.array(x, order="C"),
        np.array(x, order="F"),
        np.array([[1, 2], [3, 4]], order="F"),
    )


def converted(x):
    return (
        x.astype(np.float32, order="F"),
        x.astype(np.float64, "C"),
        np.asfortranarray(x) + 0,
        np.asarray(x, order="F") * 2,
        np.ascontiguousarray(x) * 2,
    )


def changed(x):
    y = x.copy(order="F")
    y[0] += 1
    y[:, 1] *= 2
    z = np.empty(x.shape, order="F")
    z[...] = y
    return y, z, z.sum()


@pytest.mark.parametrize("function", [made, made_alike, copied, converted, changed])
@pytest.mark.parametrize("level", [0, 2])
def test_an_order_is_that_of_numpy(function: Any, level: int) -> None:
    compiled: Any = flowc.jit(level=level)(function)
    for x in (ROWS, np.asfortranarray(ROWS), CUBE, np.asfortranarray(CUBE), ROWS[::-1], np.zeros((2, 0))):
        if function is changed and not x.size:
            continue
        for have, want in zip(compiled(x), function(x), strict=True):
            np.testing.assert_array_equal(have, want)
            assert have.dtype == want.dtype
            assert have.strides == want.strides or have.size < 2


def test_an_array_that_is_given_for_the_result_decides_how_it_lies() -> None:
    def in_columns(x):
        return x.copy(order="F")

    for order in ("C", "F"):
        out = np.empty_like(ROWS, order=order)
        assert flowc.jit(in_columns)(ROWS, out=out) is out
        np.testing.assert_array_equal(out, ROWS)


def test_what_is_no_order_here_is_refused() -> None:
    def follows_nothing(x):
        return np.zeros(x.shape, order="K")

    def no_order(x):
        return x.copy(order="Q")

    for function in (follows_nothing, no_order):
        with pytest.raises(CompileError, match="E0094: `order="):
            flowc.jit(function)(ROWS)


def test_a_copy_that_numpy_may_not_make_is_not_changed() -> None:
    def through_another(x):
        y = np.asfortranarray(x)
        y[0] = 1
        return x.sum()

    with pytest.raises(CompileError, match="seen through another array"):
        flowc.jit(through_another)(ROWS)
