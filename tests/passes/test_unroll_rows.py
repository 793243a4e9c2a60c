"""Reductions of rows of a few elements become operators on columns, where no order is asked for."""

from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp, UnitAttr
from xdsl.ir import SSAValue

from flowc.dialects.array import build, ops
from flowc.dialects.array.kernel import PRECISE, REPRODUCIBLE, KernelOp
from flowc.dialects.array.reference import evaluate_kernel
from flowc.dialects.array.types import array_type
from flowc.passes.unroll_rows import unroll_rows
from tests.array_programs import Add, array_of, as_module, make_kernel


def reduction(
    kind: str, columns: int | str, dtype: str = "f32", axis: int = 1, keep: bool = False
) -> tuple[ModuleOp, KernelOp]:
    def body(add: Add, x: SSAValue) -> SSAValue:
        return add(build.reduce(kind, add(build.elementwise("mul", [x, x])), [axis], keep))

    kernel = make_kernel({"x": array_type(dtype, ("n", columns))}, body)
    return as_module(kernel), kernel


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("columns", [2, 3, 4])
@pytest.mark.parametrize("kind", ["sum", "mean", "max", "min"])
def test_short_rows_are_unrolled_to_the_same_numbers(kind: str, columns: int, keep: bool) -> None:
    x: Any = array_of("f32", (7, columns), 1, False)
    x[3, 1] = np.nan
    module, kernel = reduction(kind, columns, keep=keep)
    wanted = evaluate_kernel(kernel, [x])
    assert unroll_rows(module) == 1
    module.verify()
    assert not any(isinstance(op, ops.ReduceOp) for op in module.walk())
    np.testing.assert_allclose(evaluate_kernel(kernel, [x]), wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "columns", "dtype", "axis"),
    [("sum", 5, "f32", 1), ("sum", "m", "f32", 1), ("sum", 1, "f32", 1), ("sum", 3, "f32", 0),
     ("prod", 3, "f32", 1), ("sum", 3, "f16", 1), ("sum", 3, "i32", 1)],
)  # fmt: skip
def test_other_reductions_are_left(kind: str, columns: int | str, dtype: str, axis: int) -> None:
    assert unroll_rows(reduction(kind, columns, dtype, axis)[0]) == 0


@pytest.mark.parametrize("flag", [PRECISE, REPRODUCIBLE])
def test_kernels_that_ask_for_an_order_are_left(flag: str) -> None:
    module, kernel = reduction("sum", 3)
    kernel.attributes[flag] = UnitAttr()
    assert unroll_rows(module) == 0
