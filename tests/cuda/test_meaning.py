"""Kernels nobody wrote, on the emulated device, against the reference semantics."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import ModuleOp, StringAttr

from flowc.compiler.backends import cuda
from flowc.compiler.backends.cuda import emulated
from flowc.dialects.array.faults import KernelFault
from flowc.dialects.array.reference import evaluate_kernel
from flowc.dialects.array.types import ShapeError, dtype_of
from flowc.passes.array_to_gpu import Unsupported
from flowc.runtime.errors import FlowError
from flowc.testing.oracles.tolerance import assert_close
from flowc.testing.strategies.kernels import Program, programs
from tests.kernels.differential import examples

TOGETHER = 8
"""Kernels in one module: the compiler of the emulation is slow to start."""


@given(
    st.lists(programs(special=True), min_size=TOGETHER, max_size=TOGETHER),
    st.sampled_from(("forward", "reverse", "shuffled")),
    st.sampled_from((0, 2)),
)
@settings(examples(0.03), phases=[Phase.generate])  # to shrink one takes minutes of compilers
def test_the_device_means_what_the_reference_means(drawn: list[Program], order: str, level: int) -> None:
    kernels, asked = [], []
    for number, program in enumerate(drawn):
        kernel = program.kernel.clone()
        kernel.properties["sym_name"] = StringAttr(f"k{number}")
        if _has_code(kernel, level):
            kernels.append(kernel)
            asked.append((program, emulated.Call(f"k{number}", tuple(map(_given, program.arguments)))))
    if not kernels:
        return
    options = cuda.Options(level=level, architectures=(), cached=False)
    code = cuda.compile_kernels(ModuleOp(kernels), options).code
    results = emulated.run(code, [call for _, call in asked], order=order, seed=len(kernels))
    for (program, _), got in zip(asked, results, strict=True):
        _compare(program, got)


def _given(argument: Any) -> Any:
    return argument if np.ndim(argument) else argument[()]


def _has_code(kernel: Any, level: int) -> bool:
    """Whether extents can be known ahead of a call, and a device has code for all operators."""
    try:
        cuda.compile_kernels(
            ModuleOp([kernel.clone()]), cuda.Options(level=level, architectures=(), cached=False)
        )
    except (ShapeError, Unsupported):
        return False
    return True


def _compare(program: Program, got: Any) -> None:
    try:
        wanted: Sequence[Any] | None = evaluate_kernel(
            program.kernel, list(map(np.asarray, program.arguments))
        )
    except (KernelFault, ValueError):
        wanted = None
    if wanted is None:
        assert isinstance(got, FlowError), program.module
        return
    assert not isinstance(got, FlowError), (got, str(program.module))
    found = got if isinstance(got, tuple) else (got,)
    for value, array, reference in zip(program.kernel.returned, found, wanted, strict=True):
        assert_close(array, reference, dtype_of(value.type), factor=4)
