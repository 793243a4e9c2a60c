"""Many drawn kernels in one module, compiled once and run between guard pages in one child process."""

import gc
import mmap
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from attrs import field, frozen
from xdsl.dialects.builtin import ModuleOp, StringAttr

from flowc.compiler.backends import llvm
from flowc.dialects.array import KernelOp
from flowc.dialects.array.faults import KernelFault
from flowc.dialects.array.types import ShapeError
from flowc.runtime.errors import FlowError
from flowc.runtime.kernels import Kernel, load
from flowc.testing.oracles.roundings import disagreement
from flowc.testing.strategies.choices import Choices, replayed, shrunk
from flowc.testing.strategies.kernels import Program
from tests.kernels.children import in_child
from tests.kernels.differential import assembled, wanted_of
from tests.kernels.guarded import Layout, contiguous, guarded, repeated

STEPS = (1, 1, 1, 2, 3, -1, -2)
ATTEMPTS = 40
"""How often a kernel that fails is made simpler."""

Draw = Callable[[Choices], Program]


@frozen
class How:
    """At which level kernels are compiled, with LLVM's optimiser or not, and for one layout or for all."""

    level: int = 1
    optimised: bool = False
    word: str | None = None


@frozen
class Example:
    """A kernel, the numbers that it is given and how they lie, and what the reference makes of them.

    `wanted` is None where the kernel must fail; where that is `open` it may. `kept` makes the example again.
    """

    program: Program
    values: tuple[Any, ...]
    given: tuple[Layout, ...]
    results: tuple[Layout, ...]
    wanted: tuple[Any, ...] | None
    open: bool = False
    kept: tuple[int, ...] = field(default=())


def drawn_layout(choices: Choices, rank: int, word: str | None, with_repeats: bool) -> Layout:
    """Any layout that code for this word takes; plain C order half of the time."""
    if word == "contiguous" or choices.flag():
        return contiguous(rank)
    if word == "rows":
        return Layout(
            tuple(range(rank)), tuple([choices.one(STEPS) for _ in range(rank - 1)] + [1] * (rank > 0))
        )
    steps = (*STEPS, 0) if with_repeats else STEPS
    return Layout(tuple(choices.order(rank)), tuple(choices.one(steps) for _ in range(rank)))


def example(choices: Choices, draw: Draw, word: str | None = None) -> Example:
    """A kernel with everything that is drawn for it."""
    program = draw(choices)
    arguments = [np.asarray(argument) for argument in program.arguments]
    given = tuple(drawn_layout(choices, each.ndim, word, True) for each in arguments)
    values = tuple(repeated(each, layout) for each, layout in zip(arguments, given, strict=True))
    try:
        with np.errstate(all="ignore"):
            wanted, open = wanted_of(program.kernel, values)
    except (KernelFault, ValueError):
        return Example(program, values, given, (), None)
    results = tuple(drawn_layout(choices, np.ndim(each), None, False) for each in wanted)
    return Example(program, values, given, results, wanted, open)


def compiled(kernels: Sequence[KernelOp], how: How) -> Iterator[llvm.KernelObject]:
    """The code of the kernels, together as far as they can be compiled; those of which nobody can know the
    extents of the results ahead are left out.
    """
    try:
        with assembled(how.optimised):
            options = llvm.Options(how.level, cached=False, layouts=how.word)
            yield llvm.compile_kernels(ModuleOp([kernel.clone() for kernel in kernels]), options)
    except ShapeError:
        if len(kernels) > 1:
            middle = len(kernels) // 2
            yield from compiled(kernels[:middle], how)
            yield from compiled(kernels[middle:], how)


def check(examples: Sequence[Example], how: How, draw: Draw) -> int:
    """Compiles the examples together and compares each with the reference; gives how many there was code for.

    Raises AssertionError with the kernel that fails, as simple as it was found.
    """
    kernels = [each.program.kernel.clone() for each in examples]
    for number, kernel in enumerate(kernels):
        kernel.properties["sym_name"] = StringAttr(f"k{number}")
    place = mmap.mmap(-1, 8)
    gc.disable()  # to look for garbage in the graphs of a compiler takes a sixth of the time
    try:
        codes = list(compiled(kernels, how))
    except Exception as error:
        alone = [(each, problem) for each in examples if (problem := problem_of(each, how))]
        found, said = alone[0] if alone else (examples[0], f"only together: {error!r}")
        raise AssertionError(_report(found, how, draw, said)) from error
    finally:
        gc.enable()
    try:
        in_child(lambda: _run_all(codes, examples, place))
    except AssertionError as error:
        found = examples[int.from_bytes(place[:], "little")]
        raise AssertionError(_report(found, how, draw, str(error))) from None
    return sum(len(code.signatures) for code in codes)


def problem_of(each: Example, how: How) -> str:
    """What is wrong with an example that is compiled and run alone."""
    try:
        codes = list(compiled([each.program.kernel], how))
        in_child(lambda: [run(load(c.object_code, c.signatures)["k"], each) for c in codes])
    except AssertionError as error:
        return str(error)
    except Exception:
        return traceback.format_exc(limit=-4)
    return ""


def _run_all(codes: Sequence[llvm.KernelObject], examples: Sequence[Example], place: mmap.mmap) -> None:
    for code in codes:
        for name, kernel in load(code.object_code, code.signatures).items():
            number = int(name[1:])
            place[:] = number.to_bytes(8, "little")
            run(kernel, examples[number])


def run(kernel: Kernel, each: Example) -> None:
    """Calls a kernel with its arguments at the end of their pages, then at the start, and compares."""
    for at_end in (True, False):
        given = [
            guarded(value, layout, at_end) for value, layout in zip(each.values, each.given, strict=True)
        ]
        arguments = [one.array if one.array.ndim else one.array[()] for one in given]
        if each.wanted is None or each.open:
            try:
                kernel(*arguments)
            except FlowError:
                continue
            assert each.wanted is not None, "the kernel went on where the reference fails"
        if at_end or not all(np.ndim(value) for value in each.wanted):
            found = kernel(*arguments)
            _agree(each, found if isinstance(found, tuple) else (found,))
        else:
            places = [
                guarded(np.zeros_like(value), layout, at_end)
                for value, layout in zip(each.wanted, each.results, strict=True)
            ]
            out = tuple(one.array for one in places)
            kernel(*arguments, out=out if len(out) > 1 else out[0])
            _agree(each, out)
            assert all(one.is_unharmed() for one in places), "the kernel wrote beside a result"
        assert all(one.is_unharmed() for one in given), "the kernel wrote beside an argument"
        for one, value in zip(given, each.values, strict=True):
            assert one.array.tobytes() == value.tobytes(), "the kernel changed an argument"


def _agree(each: Example, found: Sequence[Any]) -> None:
    assert each.wanted is not None
    problem = disagreement(each.program.kernel, each.values, found, each.wanted)
    assert not problem, problem


def _report(found: Example, how: How, draw: Draw, said: str) -> str:
    """What is wrong with an example, or with the simplest that is still wrong."""
    last = [found, said]

    def fails(kept: Sequence[int]) -> bool:
        try:
            simpler = example(replayed(kept), draw, how.word)
        except Exception:  # there is no such kernel
            return False
        if problem := problem_of(simpler, how):
            last[:] = [simpler, problem]
        return bool(problem)

    kept = shrunk(found.kept, fails, ATTEMPTS) if found.kept else found.kept
    simplest, said = last
    assert isinstance(simplest, Example)
    values = "\n".join(f"  {value.dtype}{list(value.shape)} {value.tolist()}" for value in simplest.values)
    layouts = f"arguments {simplest.given}, results {simplest.results}"
    return f"{said}\n{how}\n{simplest.program.module}\non\n{values[:4000]}\n{layouts}\nchoices {list(kept)}"
