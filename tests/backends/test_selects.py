"""What no processor foresees is selected, not branched on."""

import numpy as np
from xdsl.dialects.builtin import ModuleOp

import flowc
from flowc.compiler.backends.llvm import Options, compile_kernels
from flowc.compiler.python.native import kernel_of


def places(ordered, values):
    return np.searchsorted(ordered, values)


def test_a_search_selects_its_half_without_a_branch() -> None:
    compiled = flowc.jit(places)
    found = compiled.specialisation((np.arange(9), np.arange(50)))
    module = kernel_of(compiled, compiled.names, found.types, compiled.options)
    kernels = ModuleOp([op.detach() or op for op in module.ops])
    text = compile_kernels(kernels, Options(listing=True)).llvm_ir
    selects = [line for line in text.splitlines() if "!unpredictable" in line]
    assert selects
    assert all(" select i1 " in line for line in selects)
