"""Generated kernels: what is compiled equals the reference, at every level and in every layout."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from flowc.compiler.backends.llvm import Options, compile_kernels
from flowc.dialects.array.faults import KernelFault
from flowc.dialects.array.reference import evaluate_kernel
from flowc.dialects.array.types import ShapeError, dtype_of
from flowc.runtime.errors import FlowError
from flowc.runtime.kernels import load
from flowc.testing.oracles.tolerance import assert_close
from flowc.testing.strategies.kernels import Program, programs


def examples(share: float) -> settings:
    number = int(share * settings.default.max_examples)
    return settings(max_examples=number, deadline=None, suppress_health_check=list(HealthCheck))


def compiled(program: Program, level: int) -> Any:
    code = compile_kernels(program.module, Options(level=level, cached=False))
    return load(code.object_code, code.signatures)["k"]


def check(program: Program, level: int) -> None:
    try:
        wanted = evaluate_kernel(program.kernel, program.arguments)
    except (KernelFault, ValueError):
        with pytest.raises(FlowError):
            compiled(program, level)(*program.arguments)
        return
    try:
        kernel = compiled(program, level)
    except ShapeError:
        return
    got = kernel(*program.arguments)
    got = got if isinstance(got, tuple) else (got,)
    for value, array, reference in zip(program.kernel.returned, got, wanted, strict=True):
        assert_close(array, reference, dtype_of(value.type), factor=4)


@examples(1)
@given(programs())
def test_a_compiled_kernel_gives_what_the_reference_gives(program: Program) -> None:
    check(program, 0)


@examples(0.4)
@given(programs())
def test_an_optimised_kernel_gives_what_the_reference_gives(program: Program) -> None:
    check(program, 2)


@examples(0.4)
@given(programs(special=True))
def test_nan_and_infinity_pass_through_kernels_as_through_numpy(program: Program) -> None:
    check(program, 0)
