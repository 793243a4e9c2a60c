"""Reductions of rows of a few elements become operators on columns."""

from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

from flowc.dialects.array import build, ops
from flowc.dialects.array.kernel import KernelOp
from flowc.dialects.array.reference import evaluate_kernel
from flowc.dialects.array.types import array_type
from flowc.passes.unroll_rows import unroll_rows
from flowc.runtime.dtypes import numpy_dtype
from flowc.testing.strategies.kernels import Add, array_of, as_module, make_kernel


def reduction(
    kind: str, columns: int | str, dtype: str = "f32", axis: int = 1, keep: bool = False
) -> tuple[ModuleOp, KernelOp]:
    def body(add: Add, x: SSAValue) -> SSAValue:
        return add(build.reduce(kind, add(build.elementwise("mul", [x, x])), [axis], keep))

    kernel = make_kernel({"x": array_type(dtype, ("n", columns))}, body)
    return as_module(kernel), kernel


def position(kind: str, columns: int, dtype: str) -> tuple[ModuleOp, KernelOp]:
    kernel = make_kernel(
        {"x": array_type(dtype, ("n", columns))}, lambda add, x: add(build.argreduce(kind, x, 1))
    )
    return as_module(kernel), kernel


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("columns", [2, 3, 4, 5, 7, 8])
@pytest.mark.parametrize("kind", ["sum", "mean", "max", "min", "prod"])
def test_short_rows_are_unrolled_to_the_same_numbers(kind: str, columns: int, keep: bool) -> None:
    x: Any = array_of("f32", (7, columns), 1, False)
    x[3, 1] = np.nan
    module, kernel = reduction(kind, columns, keep=keep)
    wanted = evaluate_kernel(kernel, [x])
    assert unroll_rows(module) == 1
    module.verify()
    assert not any(isinstance(op, ops.ReduceOp) for op in module.walk())
    np.testing.assert_allclose(evaluate_kernel(kernel, [x]), wanted, rtol=1e-6)


@pytest.mark.parametrize("kind", ["sum", "mean", "max", "prod", "any", "all"])
@pytest.mark.parametrize("dtype", ["bool", "u8", "i32", "i64"])
def test_short_rows_of_whole_numbers_have_the_dtype_that_reductions_have(kind: str, dtype: str) -> None:
    x = array_of(dtype, (9, 5), 1, False)
    module, kernel = reduction(kind, 5, dtype)
    wanted = evaluate_kernel(kernel, [x])
    assert unroll_rows(module) == 1
    module.verify()
    np.testing.assert_array_equal(evaluate_kernel(kernel, [x]), wanted, strict=True)


@pytest.mark.parametrize("kind", ["argmax", "argmin"])
@pytest.mark.parametrize("dtype", ["f32", "i16", "bool"])
def test_the_position_of_an_extreme_is_that_of_the_first_and_nan_is_before_all(kind: str, dtype: str) -> None:
    x: Any = np.array([*np.ndindex(3, 3, 3)]).astype(numpy_dtype(dtype))
    if dtype == "f32":
        x[x == 2] = np.nan
    module, kernel = position(kind, 3, dtype)
    wanted = evaluate_kernel(kernel, [x])
    assert unroll_rows(module) == 1
    module.verify()
    np.testing.assert_array_equal(evaluate_kernel(kernel, [x]), wanted, strict=True)


def test_columns_are_added_by_halves() -> None:
    module, kernel = reduction("sum", 5)
    unroll_rows(module)
    first, *others = (np.float32(v) for v in (0.1, 1e8, 0.3, -1e8, 0.7))
    root = np.array([[first, *others]], np.float32)
    c = (root * root)[0]
    wanted = ((c[0] + c[4]) + c[2]) + (c[1] + c[3])
    assert evaluate_kernel(kernel, [root])[0][0] == wanted


@pytest.mark.parametrize("kind", ["sum", "mean"])
def test_nothing_but_negative_zeros_sum_to_zero_as_a_loop_has_it(kind: str) -> None:
    kernel = make_kernel(
        {"x": array_type("f32", ("n", 3))}, lambda add, x: add(build.reduce(kind, x, [1], False))
    )
    assert unroll_rows(as_module(kernel)) == 1
    x: Any = np.full((2, 3), -0.0, np.float32)
    assert not np.signbit(evaluate_kernel(kernel, [x])[0]).any()


@pytest.mark.parametrize(
    ("kind", "columns", "dtype", "axis"),
    [("sum", 9, "f32", 1), ("sum", "m", "f32", 1), ("sum", 1, "f32", 1), ("sum", 3, "f32", 0),
     ("sum", 3, "f16", 1)],
)  # fmt: skip
def test_other_reductions_are_left(kind: str, columns: int | str, dtype: str, axis: int) -> None:
    assert unroll_rows(reduction(kind, columns, dtype, axis)[0]) == 0
