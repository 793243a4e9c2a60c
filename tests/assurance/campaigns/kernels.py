"""Kernels nobody wrote: compiled at every level, after each pass, and on the emulated device, against the
reference."""

from collections.abc import Callable
from random import Random

import numpy as np
from attrs import evolve
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr, UnitAttr

from flowc.compiler.backends import cuda
from flowc.compiler.backends.cuda import emulated
from flowc.dialects.array.faults import KernelFault
from flowc.dialects.array.kernel import PRECISE, REPRODUCIBLE
from flowc.dialects.array.reference import evaluate_kernel
from flowc.dialects.array.types import ShapeError
from flowc.passes.array_memory import settle_reads
from flowc.passes.array_to_gpu import Unsupported
from flowc.passes.kernel_choices import CHOICES, NOTHING, choose
from flowc.passes.kernel_choices import Choices as OpenChoices
from flowc.passes.kernel_passes import KERNEL_PASSES
from flowc.runtime.errors import FlowError
from flowc.testing.oracles import reached
from flowc.testing.oracles.roundings import disagreement
from flowc.testing.strategies.choices import Choices, from_random
from flowc.testing.strategies.kernels import AXES, EVERY, SORTS, Program, drawn_kernel
from tests.assurance.campaign import Campaign, Tally
from tests.assurance.lowered import CountedLowering, count_loops
from tests.kernels.all_families import FAMILIES, IDIOMS
from tests.kernels.batches import Draw, Example, How, check, example
from tests.kernels.sketch import Sketch

MANY, SOME, FEW = 100, 40, 12
"""Kernels in a module: to start a child costs as much as two of them; fewer where each pass is checked, and
where LLVM's optimiser works, which takes most of the time."""
OPEN = (4, NOTHING, 1000), (128, 16, 1 << 14), (1 << 16, 0, 1 << 40), (100, 0, 10_000)
"""What is chosen from where code can be made in several ways."""
SHAPES = (*FAMILIES.values(), *list(IDIOMS.values()) * 2)
"""Kernels of the forms of real ones."""
LOOKED_INTO = 3
"""Kernels of a module of which it is counted what they become."""
ON_DEVICE = 10
"""The compiler of the emulation is slow to start, and as slow as all that a device does."""
SIZES = (1, 2, 3, 0, 5, 9, 17, 33)
WAYS = (
    *[How(1, False, word) for word in ("contiguous", "contiguous", "rows", "any")] * 8,
    How(0, False, "contiguous"), How(0), How(1), How(1), How(2, False, "any"),
    How(1, True, "contiguous"), How(2, True), How(3, True, "rows"),
)  # fmt: skip
"""How the kernels of a module are compiled, mostly as quickly as can be."""


def drawing(chance: Random) -> Draw:
    """A way to draw kernels: of any operators, of a few, or those of a family, on numbers of one sort.

    A kernel of few operators, of one array, or of axes that are alike has more to do with itself (Groce et
    al., Swarm Testing, 2012).
    """
    sort, most = chance.choice(SORTS), chance.choice((2, 3, 5, 8))
    if chance.random() < 0.8:
        steps = tuple(chance.choices(EVERY, k=chance.choice((2, 3, 5)))) if chance.random() < 0.5 else EVERY
        count, axes = chance.choice((None, 1)), chance.choice((AXES, AXES, ("n", 3), ("n",)))
        return lambda choices: ordered(choices, drawn_kernel(choices, steps, sort, SIZES, count, most, axes))
    return of_shape(chance.choice(SHAPES), sort == "special")


def with_idioms(chance: Random) -> Draw:
    """A way to draw kernels of which every other has a form that a pass looks for."""
    usual, special = drawing(chance), chance.random() < 0.2
    idioms = [of_shape(each, special) for each in IDIOMS.values()]
    return lambda choices: choices.one(idioms)(choices) if choices.flag() else usual(choices)


def of_shape(family: Callable[[Sketch], Program], special: bool) -> Draw:
    """A way to draw kernels of a family, on special numbers or others."""

    def of_family(choices: Choices) -> Program:
        for _ in range(50):
            try:
                return ordered(choices, family(Sketch(choices, special)))
            except ShapeError:
                continue
        raise ShapeError("no kernel of the family fits together")

    return of_family


def ordered(choices: Choices, program: Program) -> Program:
    """The program; now and then its order of operations is bound, or what is open about its code chosen."""
    bound = choices.one((None,) * 6 + (PRECISE, REPRODUCIBLE))
    if bound is not None:
        program.kernel.attributes[bound] = UnitAttr()
    if choices.seldom(4):
        choose(program.kernel, OpenChoices(*map(choices.one, OPEN)))
    return program


def drawn(chance: Random, draw: Draw, count: int, word: str | None, tally: Tally) -> list[Example]:
    """So many examples, each with what makes it again."""
    found = []
    for _ in range(count):
        kept: list[int] = []
        made = example(from_random(chance, kept), draw, word)
        found.append(evolve(made, kept=tuple(kept)))
        tally.operations += reached.operations(made.program.module)
        tally.pairs += reached.pairs(made.program.module)
        if CHOICES in made.program.kernel.attributes:
            tally.passes["choose-kernels"] += 1
    return found


def compiled(chance: Random, tally: Tally) -> None:
    """A module of kernels, compiled in one way and run between guard pages."""
    how, draw = chance.choice(WAYS), drawing(chance)
    examples = drawn(chance, draw, FEW if how.optimised else MANY, how.word, tally)
    tally.tried["kernels"] += check(examples, how, draw)
    tally.tried["modules"] += 1
    tally.passes["array-to-loops"] += 1  # the compiler itself calls what these passes call
    count_loops(together(examples[:LOOKED_INTO]), how.level, how.word or "any", tally)


def passed(chance: Random, tally: Tally) -> None:
    """A module of kernels after each pass over kernels but the last: valid, and of the same meaning."""
    examples = drawn(chance, with_idioms(chance), SOME, None, tally)
    module = together(examples)
    settle_reads(module)
    for name, made in KERNEL_PASSES.items():
        if name in ("array-to-loops", "outline-launches", "choose-kernels"):
            continue
        before = str(module)
        made().apply(Context(), module)
        module.verify()
        if str(module) != before:
            tally.passes[name] += 1
            for each, kernel in zip(examples, module.ops, strict=True):
                problem = meaning_lost(each, kernel)
                assert not problem, f"after {name}: {problem}\n{each.program.module}\nbecame\n{kernel}"
    tally.tried["kernels"] += len(examples)
    tally.tried["modules"] += 1


def together(examples: list[Example]) -> ModuleOp:
    """The kernels of the examples in one module, as k0, k1, and so on."""
    kernels = [each.program.kernel.clone() for each in examples]
    for number, kernel in enumerate(kernels):
        kernel.properties["sym_name"] = StringAttr(f"k{number}")
    return ModuleOp(kernels)


def meaning_lost(each: Example, kernel: object) -> str:
    """What is other about a kernel than about that of the example."""
    try:
        with np.errstate(all="ignore"):
            found = evaluate_kernel(kernel, each.values)  # type: ignore[arg-type]
    except (KernelFault, ValueError) as error:
        return "" if each.wanted is None or each.open else f"it fails: {error}"
    if each.wanted is None:
        return "it goes on where the kernel fails"
    return disagreement(each.program.kernel, each.values, found, each.wanted)


def on_device(chance: Random, tally: Tally) -> None:
    """A few kernels as a GPU runs them, emulated with a sanitizer and any order of threads."""
    draw, level = drawing(chance), chance.choice((0, 2))
    examples = drawn(chance, draw, ON_DEVICE, "contiguous", Tally())
    examples = [each for each in examples if has_device_code(each, level, tally)]
    if not examples:
        return
    options = cuda.Options(level=level, architectures=(), cached=False)
    module = together(examples)
    calls = [
        emulated.Call(f"k{number}", tuple(value if value.ndim else value[()] for value in each.values))
        for number, each in enumerate(examples)
    ]
    order, seed = chance.choice(("forward", "reverse", "shuffled")), chance.getrandbits(16)
    found = emulated.run(cuda.compile_kernels(module, options).code, calls, order=order, seed=seed)
    for each, got in zip(examples, found, strict=True):
        problem = device_problem(each, got)
        assert not problem, f"{problem}\n{each.program.module}\non {each.values}\nin order {order}"
    tally.passes["outline-launches"] += 1
    for each in examples:
        tally.operations += reached.operations(each.program.module)
        tally.pairs += reached.pairs(each.program.module)
    tally.tried["kernels"] += len(examples)
    tally.tried["modules"] += 1


def has_device_code(each: Example, level: int, tally: Tally) -> bool:
    """Whether extents can be known ahead of a call, and a device has code for all operators; counts what that
    consists of.
    """
    alone = ModuleOp([each.program.kernel.clone()])
    try:
        options = cuda.Options(level=level, architectures=(), cached=False)
        cuda.compile_lowered(alone, options, CountedLowering(tally))
    except (ShapeError, Unsupported):
        return False
    return True


def device_problem(each: Example, got: object) -> str:
    """What is wrong with results, or with an error in their place."""
    if each.wanted is None:
        return "" if isinstance(got, FlowError) else "it goes on where the kernel fails"
    if isinstance(got, FlowError):
        return "" if each.open else f"it fails: {got}"
    results = got if isinstance(got, tuple) else (got,)
    return disagreement(each.program.kernel, each.values, results, each.wanted)


CAMPAIGNS = (
    Campaign("kernels", compiled, share=3.0, limit=300.0),
    Campaign("kernel-passes", passed, share=0.5),
    Campaign("kernels-on-device", on_device, share=0.5, limit=300.0),
)
