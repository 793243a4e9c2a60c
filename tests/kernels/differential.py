"""Compiling a program and running it between guard pages, on arrays of any layout, against the reference.

Each program is compiled and run in a child process, once with every buffer against the end of its pages and
once against the start, so that an access out of bounds is a crash and a crash is a failing example.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from unittest import mock

import numpy as np
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from flowc.compiler.backends import llvm
from flowc.compiler.backends.llvm.target import Target, assemble
from flowc.dialects.array import KernelOp
from flowc.dialects.array.faults import KernelFault, UnsaidExtent
from flowc.dialects.array.reference import evaluate_kernel
from flowc.dialects.array.types import ShapeError
from flowc.runtime.errors import FlowError
from flowc.runtime.kernel_arguments import layout_of
from flowc.runtime.kernels import load
from flowc.testing.oracles.roundings import disagreement, stretching
from flowc.testing.strategies.kernels import Draw, Program
from tests.kernels.children import in_child
from tests.kernels.guarded import Layout, contiguous, guarded, repeated

QUICK = 1
"""The level that fuses as 2 does and leaves LLVM's optimiser off, which takes most of the time."""
STEPS = (1, 1, 1, 2, 3, -1, -2)


@st.composite
def layouts(draw: Draw, rank: int, with_repeats: bool) -> Layout:
    """Any order of the axes and any step of each; plain C order half of the time."""
    if draw(st.booleans()):
        return contiguous(rank)
    steps = (*STEPS, 0) if with_repeats else STEPS
    order = tuple(draw(st.permutations(range(rank))))
    return Layout(order, tuple(draw(st.sampled_from(steps)) for _ in range(rank)))


def run(
    program: Program,
    level: int,
    argument_layouts: Sequence[Layout],
    result_layouts: Any,
    alone: bool = False,
) -> None:
    """Compiles and runs the kernel on guarded arguments into guarded results, and compares.

    `alone` makes code for these layouts and no others, as for a call of a function under `@flowc.jit`.
    """
    values = [
        repeated(np.asarray(argument), layout)
        for argument, layout in zip(program.arguments, argument_layouts, strict=True)
    ]
    wanted, open = None, False
    with suppress(KernelFault, ValueError):
        wanted, open = wanted_of(program.kernel, values)
    words = None
    if alone:
        pairs = zip(values, argument_layouts, strict=True)
        words = tuple(layout_of(guarded(value, layout, True).array) for value, layout in pairs)
    options = llvm.Options(level=level, cached=False, layouts=words)
    in_child(lambda: _compare(program, options, values, argument_layouts, wanted, open, result_layouts))


def wanted_of(kernel: KernelOp, values: Sequence[Any]) -> tuple[tuple[Any, ...], bool]:
    """What the reference makes of arguments, and whether the kernel may fail instead.

    Raises KernelFault where it must.
    """
    try:
        return evaluate_kernel(kernel, values), False
    except UnsaidExtent:
        return evaluate_kernel(kernel, values, stretching), True


def _compare(
    program: Program,
    options: llvm.Options,
    values: Sequence[Any],
    argument_layouts: Sequence[Layout],
    wanted: Sequence[Any] | None,
    open: bool,
    result_layouts: Any,
) -> None:
    try:
        with assembled(options.level != QUICK):
            code = llvm.compile_kernels(program.module, options)
    except ShapeError:
        return
    kernel = load(code.object_code, code.signatures)["k"]
    for at_end in (True, False):
        given_ = [
            guarded(value, layout, at_end) for value, layout in zip(values, argument_layouts, strict=True)
        ]
        arguments = [each.array if each.array.ndim else each.array[()] for each in given_]
        try:
            results = kernel(*arguments)
        except FlowError:
            assert open or wanted is None
            continue
        assert wanted is not None, "the kernel went on where the reference fails"
        _agree(program, values, results if isinstance(results, tuple) else (results,), wanted)
        if all(np.ndim(value) for value in wanted):
            places = [
                guarded(np.zeros_like(value), result_layouts[np.ndim(value)], at_end) for value in wanted
            ]
            out = tuple(each.array for each in places)
            kernel(*arguments, out=out if len(out) > 1 else out[0])
            _agree(program, values, out, wanted)
            assert all(each.is_unharmed() for each in places)
        assert all(each.is_unharmed() for each in given_)
        for each, value in zip(given_, values, strict=True):
            assert each.array.tobytes() == value.tobytes()


def _agree(program: Program, values: Sequence[Any], got: Sequence[Any], wanted: Sequence[Any]) -> None:
    problem = disagreement(program.kernel, values, got, wanted)
    assert not problem, problem


@contextmanager
def assembled(optimised: bool) -> Iterator[None]:
    """LLVM's optimiser works where it is asked for only; at level 0 it never does."""

    def plainly(text: str, target: Target, _: int = 0, listing: bool = False, finished: str = "") -> object:
        return assemble(text, target, 0, listing, finished)

    if optimised:
        yield
        return
    with mock.patch.object(llvm, "assemble", plainly):
        yield


def examples(share: float) -> settings:
    """Settings for this share of the examples of the profile."""
    whole = settings.default.max_examples if settings.default is not None else 100
    number = max(int(share * whole), 1)
    phases = [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]
    quiet = list(HealthCheck)
    return settings(max_examples=number, deadline=None, suppress_health_check=quiet, phases=phases)


def drawn(data: st.DataObject, program: Program, level: int) -> None:
    """Runs the program on arguments and results in layouts that are drawn too."""
    arguments = [data.draw(layouts(np.ndim(argument), True)) for argument in program.arguments]
    results = {rank: data.draw(layouts(rank, False)) for rank in range(1, 7)}
    run(program, level, arguments, results, data.draw(st.booleans()))
