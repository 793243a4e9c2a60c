"""Rows of columns that the run counts, reduced over the rows: of few columns the last vector has a mask."""

import pytest
from xdsl.ir import SSAValue

from flowc.compiler.backends import llvm
from flowc.dialects.array import KernelOp, build
from flowc.dialects.array.types import array_type
from flowc.runtime import processor
from flowc.runtime.kernels import Kernel, load
from flowc.testing.oracles.roundings import assert_agrees
from flowc.testing.strategies.kernels import Add, array_of, as_module, make_kernel
from tests.kernels.guarded import contiguous, guarded

COLUMNS = (1, 2, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65)


def made(dtype: str) -> KernelOp:
    def body(add: Add, x: SSAValue) -> list[SSAValue]:
        own = add(build.elementwise("erf", [x])) if dtype != "i32" else x
        return [add(build.reduce(kind, own, (0,))) for kind in ("sum", "max")]

    return make_kernel({"x": array_type(dtype, ("n", "m"))}, body)


def compiled(kernel: KernelOp) -> Kernel:
    code = llvm.compile_kernels(as_module(kernel), llvm.Options(cached=False))
    return load(code.object_code, code.signatures)["k"]


@pytest.mark.alike(2)
@pytest.mark.parametrize("dtype", ["f32", "f64", "f16", "i32"])
def test_any_number_of_columns_is_reduced_and_nothing_beside_them_is_read(dtype: str) -> None:
    kernel = made(dtype)
    call = compiled(kernel)
    for columns in COLUMNS:
        array = array_of(dtype, (37, columns), columns)
        for at_end in (True, False):
            given = guarded(array, contiguous(2), at_end)
            assert_agrees(kernel, [array], call(given.array))


@pytest.mark.skipif(processor.host().vector_bits < 512, reason="vectors of this processor have no masks")
def test_few_columns_have_vectors_with_masks() -> None:
    options = llvm.Options(cached=False, listing=True)
    assert "llvm.masked.load.v16f32" in llvm.compile_kernels(as_module(made("f32")), options).llvm_ir
