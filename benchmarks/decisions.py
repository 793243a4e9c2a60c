"""What decisions about kernels are worth: the time of the way that is chosen over that of the best there is.

Every open way of many kernels is measured, side by side on one thread, for a spread of sizes; the number of
threads with all of them. A model that was not shown the kernel chooses, and beside it the roofline alone and
the fixed prices that hold where nothing is decided.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, cycle

import numpy as np
from attrs import frozen
from xdsl.dialects.builtin import ModuleOp

from benchmarks.measure import Row, Table
from benchmarks.rounds import Options
from flowc.compiler.backends.llvm import KernelObject, compile_kernels, kernels_of
from flowc.compiler.backends.llvm import Options as Code
from flowc.compiler.driver import Options as Compilation
from flowc.compiler.driver import check_text, kernels_module
from flowc.compiler.kernel_build import build, dense
from flowc.compiler.stopwatch import quickest_of
from flowc.compiler.tuning.ceilings import ceilings
from flowc.compiler.tuning.measure import Arrays, repeatable
from flowc.compiler.tuning.programs import FAMILIES, Trial, trial
from flowc.compiler.tuning.ways import SECONDS as TURNS
from flowc.compiler.tuning.ways import SHORTEST_CALL, WaySample, fit_ways, loaded, measure_ways, ways_of
from flowc.dialects.array.kernel import KernelOp
from flowc.dialects.array.types import shape_of
from flowc.passes.array_to_loops.kernel import lower_kernel
from flowc.passes.array_to_loops.width import AS_IT_IS
from flowc.passes.cost.kernel_amounts import KernelCounts, kernel_counts
from flowc.passes.cost.kernel_features import features
from flowc.passes.cost.kernel_roofline import Machine
from flowc.passes.cost.kernel_work import kernel_work
from flowc.passes.cost.variant_model import UNKNOWN, VariantModel, change, chosen
from flowc.passes.decide_kernels import CAUTION, LEAST_GAIN
from flowc.passes.decide_width import decided_work, width
from flowc.passes.kernel_alternatives import QUESTIONS, Way
from flowc.passes.kernel_choices import Choices, choose
from flowc.passes.launches import launches
from flowc.passes.usual_sizes import Sizes, sizes_of
from flowc.runtime import processor
from flowc.runtime.native import set_threads, threads

SECONDS, QUICK_SECONDS = 240.0, 14.0
WIDTH_SECONDS, QUICK_WIDTH_SECONDS = 60.0, 8.0
WIDTH_TURNS = 0.04
FOLDS = 5
CALLS = 4
UNSEEN = 1_000_000
"""The first seed: no tuning, which counts from 0, comes so far, and so `shipped` was fitted to others."""
CHOOSERS = ("model", "shipped", "roofline", "as usual")
ALWAYS = 10_000
"""Percent of the work that is enough for all threads."""

NOTE = (
    "Regret: time of the way chosen over that of the best, geometric mean and worst. `model` was fitted to "
    "the other kernels of this run, `shipped` (or tuned) to others before, drawn from other seeds. "
    "`as usual` is what happens where nothing is decided: its distance to the model is what deciding is "
    "worth. `asked` are calls with more than one way, `other` those for which another than the usual is "
    "taken. The best of several measured times is below the time of any: {floor:.1%} of regret is the noise "
    "of measuring the same code three times. Bars: 3 % and 20 %."
)


@frozen
class Call:
    """Ways of a kernel for some sizes, the usual one first: seconds, and what each chooser expects."""

    question: str
    seconds: Sequence[float]
    expected: Mapping[str, Sequence[float]]


def run(options: Options) -> Table:
    """Measures the ways of many kernels, and compares those who choose."""
    seconds, width_seconds = (
        (QUICK_SECONDS, QUICK_WIDTH_SECONDS) if options.quick else (SECONDS, WIDTH_SECONDS)
    )
    samples = list(_gathered(seconds))
    calls = [*_calls(samples), *_widths(width_seconds, max(options.threads))]
    rows = [
        _row(question, chooser, [call for call in calls if call.question == question])
        for question in dict.fromkeys(call.question for call in calls)
        for chooser in CHOOSERS
    ]
    rows += [_row("all", chooser, calls) for chooser in CHOOSERS]
    return Table(
        "decisions",
        "What is decided about kernels",
        tuple(rows),
        NOTE.format(floor=_floor(min(seconds / 10, 10))),
    )


def _trials() -> Iterator[Trial]:
    """Kernels of one family after the other, without end."""
    for seed, family in zip(count(UNSEEN), cycle(FAMILIES)):
        yield trial(family, seed, CALLS)


def _gathered(seconds: float) -> Iterator[WaySample]:
    arrays, start = Arrays(), time.monotonic()
    for drawn in _trials():
        yield from measure_ways(drawn, arrays)
        if time.monotonic() - start > seconds:
            return


def _calls(samples: Sequence[WaySample]) -> Iterator[Call]:
    """The calls that were measured, judged by models of the other kernels."""
    numbers = {text: place for place, text in enumerate(dict.fromkeys(sample.text for sample in samples))}
    machine, shipped = ceilings(1), chosen().model
    for fold in range(FOLDS):
        held_out = [sample for sample in samples if numbers[sample.text] % FOLDS == fold]
        model = fit_ways([sample for sample in samples if numbers[sample.text] % FOLDS != fold])
        groups: dict[tuple[str, float, str], list[WaySample]] = {}
        for sample in held_out:
            if sample.usual >= SHORTEST_CALL:
                groups.setdefault((sample.text, sample.usual, QUESTIONS[sample.choice]), []).append(sample)
        roofs = _Roofs(machine)
        for (_, _, question), ways in groups.items():
            yield Call(
                question,
                [ways[0].usual, *(way.seconds for way in ways)],
                {
                    "model": [-LEAST_GAIN, *(_score(model, way) for way in ways)],
                    "shipped": [-LEAST_GAIN, *(_score(shipped, way) for way in ways)],
                    "roofline": roofs.of(ways),
                },
            )


def _score(model: VariantModel | None, way: WaySample) -> float:
    found = UNKNOWN if model is None else change(model, way.features)
    return found.middle + CAUTION * (found.high - found.middle)


class _Roofs:
    """What the roofline says of the ways of kernels."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._ways: dict[str, dict[tuple[str, str], KernelCounts]] = {}
        self._kernels: dict[str, KernelOp] = {}

    def of(self, ways: Sequence[WaySample]) -> list[float]:
        """Seconds of the usual way, then of these, for their sizes."""
        text = ways[0].text
        if text not in self._ways:
            self._kernels[text] = _kernel(text)
            usual, others = ways_of(self._kernels[text])
            self._ways[text] = {(way.choice, way.name): _counts(way) for way in (usual, *others)}
        sizes = _sizes(self._kernels[text], ways[0].sizes)
        found = self._ways[text]
        counts = [found["", "as usual"], *(found[way.choice, way.name] for way in ways)]
        return [features(each, self._machine, sizes).roofline for each in counts]


def _kernel(text: str) -> KernelOp:
    (kernel,) = kernels_of(kernels_module(check_text(text, "decisions.flow"), Compilation()))
    return kernel


def _counts(way: Way) -> KernelCounts:
    kernel, host = way.kernel.clone(), processor.host()
    _, checks = lower_kernel(kernel, "k", host.vector_bits, dense(kernel))
    return kernel_counts(kernel_work(kernel, checks.groups))


def _sizes(kernel: KernelOp, named: Mapping[str, int]) -> Sizes:
    shapes = [shape_of(argument.type) for argument in kernel.body.block.args]
    return sizes_of([tuple(named[dim] if isinstance(dim, str) else dim for dim in shape) for shape in shapes])


def _widths(seconds: float, most: int) -> Iterator[Call]:
    """Calls with one thread and with all, where their loops have more than one chunk."""
    if most < 2:
        return
    arrays, start, before = Arrays(), time.monotonic(), threads()
    set_threads(most)
    try:
        for drawn in _trials():
            yield from _width_calls(drawn, arrays, most)
            if time.monotonic() - start > seconds:
                return
    finally:
        set_threads(before)


def _width_calls(drawn: Trial, arrays: Arrays, most: int) -> Iterator[Call]:
    kernel = _kernel(drawn.text)
    built = build(kernel, dense(kernel), decided=False)
    percent = decided_work(built.kernel, built.function, built.checks.groups)
    ways = [loaded(_code(kernel, Choices(work=work))) for work in (0, ALWAYS)]
    counts, machines = built.counts(), [ceilings(1), ceilings(most)]
    for named in drawn.calls:
        sizes = _sizes(built.kernel, named)
        if any(each.chunks > 1 for each in launches(built.function, sizes)):
            arguments = arrays.of(ways[0].signature, named, drawn.positions)
            works = [repeatable(way, arguments) for way in ways]
            several = width(built.function, sizes, percent, most) > 1
            set_threads(most)
            yield Call(
                "width",
                quickest_of(works, time.perf_counter, WIDTH_TURNS),
                {
                    "model": _preferred(several),
                    "shipped": _preferred(several),
                    "as usual": _preferred(width(built.function, sizes, AS_IT_IS, most) > 1),
                    "roofline": [features(counts, machine, sizes).roofline for machine in machines],
                },
            )


def _preferred(several: bool) -> list[float]:
    """Expectations by which one thread is chosen, or all."""
    return [1.0, 0.0] if several else [0.0, 1.0]


def _code(kernel: KernelOp, choices: Choices) -> KernelObject:
    copy = kernel.clone()
    choose(copy, choices)
    return compile_kernels(ModuleOp([copy]), Code(layouts=dense(kernel), cached=False, decided=False))


def _row(question: str, chooser: str, calls: Sequence[Call]) -> Row:
    chosen = [_chosen(call, chooser) for call in calls]
    regrets = [call.seconds[place] / min(call.seconds) for call, place in zip(calls, chosen, strict=True)]
    usual = [_chosen(call, "as usual") for call in calls]
    return {
        "question": question,
        "by": chooser,
        "asked": len(calls),
        "other": sum(one != other for one, other in zip(chosen, usual, strict=True)),
        "regret": f"{np.exp(np.mean(np.log(regrets))) - 1:.1%}" if regrets else "",
        "nine of ten": f"{np.quantile(regrets, 0.9) - 1:.0%}" if regrets else "",
        "worst": f"{max(regrets) - 1:.0%}" if regrets else "",
    }


def _chosen(call: Call, chooser: str) -> int:
    """The place of the way that one takes: the first of the best it expects."""
    expected = call.expected.get(chooser)
    return 0 if expected is None else min(range(len(expected)), key=expected.__getitem__)


def _floor(seconds: float) -> float:
    """The regret that measuring the same code several times shows."""
    arrays, start, found = Arrays(), time.monotonic(), list[float]()
    set_threads(1)
    for drawn in _trials():
        kernel = _kernel(drawn.text)
        own = loaded(_code(kernel, Choices()))
        for named in drawn.calls:
            work = repeatable(own, arrays.of(own.signature, named, drawn.positions))
            taken = quickest_of([work] * 3, time.thread_time, TURNS)
            found.append(np.log(taken[0] / min(taken)))
        if time.monotonic() - start > seconds:
            return float(np.exp(np.mean(found)) - 1)
    raise AssertionError("kernels without end have ended")
