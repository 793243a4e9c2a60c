"""How long the ways take that are open for a kernel's code, beside one another: the samples of choices."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count

import numpy as np
from attrs import frozen
from xdsl.dialects.builtin import ModuleOp

from flowc.compiler.backends.llvm import KernelObject, Options, compile_kernels, kernels_of
from flowc.compiler.driver import Options as Compilation
from flowc.compiler.driver import check_text, kernels_module
from flowc.compiler.kernel_build import dense
from flowc.compiler.stopwatch import quickest_of
from flowc.compiler.tuning.fit import Tree, trees_of
from flowc.compiler.tuning.measure import Arrays, repeatable
from flowc.compiler.tuning.programs import FAMILIES, Trial, trial
from flowc.dialects.array.kernel import KernelOp
from flowc.passes.cost.forest import forest_of
from flowc.passes.cost.variant_features import difference, outline, row
from flowc.passes.cost.variant_model import VariantModel
from flowc.passes.fuse_array import prepare_to_fuse
from flowc.passes.kernel_alternatives import Way, alternatives, default_way
from flowc.passes.kernel_choices import choose
from flowc.passes.round_halves import round_halves
from flowc.passes.usual_sizes import sizes_of
from flowc.runtime.kernels import Kernel, load
from flowc.runtime.machine import this_machine
from flowc.runtime.native import set_threads, threads

SECONDS = 0.03
"""For which each way of a call is measured."""
QUANTILES = (0.1, 0.5, 0.9)
TREES = (40, 200, 40)
SHORTEST_CALL = 3e-6
"""Seconds: shorter calls are all call."""
MOST_RATIO = 3.0
"""Binary logarithm beyond which a ratio teaches nothing more."""
MOST_TIMES = 1000
"""A way that takes so many times as long, or as short, was not measured."""
LEAST_SAMPLES = 200
CALLS = 5
_PARAMETERS: Mapping[str, object] = {
    "num_leaves": 15, "learning_rate": 0.1, "min_data_in_leaf": 4, "feature_fraction": 0.7, "lambda_l2": 1.0,
}  # fmt: skip
_MIDDLE: Mapping[str, object] = {"objective": "huber", "alpha": 0.3, "num_leaves": 47}


@frozen
class WaySample:
    """A way of a kernel for some sizes, on one thread: its features, and its seconds beside those of the
    usual way in the same turns. Samples of one `call` of a text were measured together."""

    text: str
    call: int
    sizes: Mapping[str, int]
    choice: str
    name: str
    features: tuple[float, ...]
    seconds: float
    usual: float


def tune_ways(seconds: float, progress: Callable[[float, int], None]) -> VariantModel | None:
    """Measures the ways of kernels for about so many seconds, and fits a model; None where that gave too few
    samples to choose by. `progress` is that of `session.tune`. Needs LightGBM."""
    arrays, start, samples = Arrays(), time.monotonic(), list[WaySample]()
    for seed in count():
        for family in FAMILIES:
            samples += measure_ways(trial(family, seed, CALLS), arrays)
            over = (time.monotonic() - start) / seconds
            progress(min(over, 1.0), len(samples))
            if over >= 1:
                return fit_ways(samples) if len(_usable(samples)) >= LEAST_SAMPLES else None
    raise AssertionError("kernels without end have ended")


def measure_ways(trial: Trial, arrays: Arrays) -> Iterator[WaySample]:
    """Samples of all ways of a trial whose code differs from the usual, for all of its calls."""
    (kernel,) = kernels_of(kernels_module(check_text(trial.text, "trial.flow"), Compilation()))
    usual, others = ways_of(kernel)
    code = [(way, _compiled(kernel, way)) for way in (usual, *others)]
    first, rest = (
        code[0][1],
        [(way, own) for way, own in code[1:] if own.object_code != code[0][1].object_code],
    )
    if not rest:
        return
    kernels = [loaded(own) for own in (first, *(own for _, own in rest))]
    known, differences = outline(usual), [difference(usual, way) for way, _ in rest]
    before = threads()
    set_threads(1)
    try:
        for number, sizes in enumerate(trial.calls):
            arguments = arrays.of(kernels[0].signature, sizes, trial.positions)
            works = [repeatable(each, arguments) for each in kernels]
            taken = quickest_of(works, time.thread_time, SECONDS)
            extents = sizes_of([np.shape(argument) for argument in arguments])
            for (way, _), each, seconds in zip(rest, differences, taken[1:], strict=True):
                features = tuple(row(known, each, extents))
                yield WaySample(trial.text, number, sizes, way.choice, way.name, features, seconds, taken[0])
    finally:
        set_threads(before)


def _compiled(kernel: KernelOp, way: Way) -> KernelObject:
    copy = kernel.clone()
    choose(copy, way.choices)
    options = Options(layouts=dense(kernel), cached=False, decided=False)
    return compile_kernels(ModuleOp([copy]), options)


def loaded(compiled: KernelObject) -> Kernel:
    """The one kernel in some code, ready to be called."""
    (signature,) = compiled.signatures
    return load(compiled.object_code, [signature])[signature.name]


def ways_of(kernel: KernelOp) -> tuple[Way, Sequence[Way]]:
    """The usual way of a kernel as a program has it, and the others."""
    module = ModuleOp([kernel.clone()])
    round_halves(module)
    prepare_to_fuse(module)
    (ready,) = kernels_of(module)
    usual = default_way(ready)
    return usual, alternatives(ready, usual)


def _usable(samples: Sequence[WaySample]) -> list[WaySample]:
    """Without calls that are all call, and without times that a clock gives which jumps."""
    return [
        sample
        for sample in samples
        if sample.usual >= SHORTEST_CALL and 1 / MOST_TIMES < sample.seconds / sample.usual < MOST_TIMES
    ]


def fit_ways(samples: Sequence[WaySample]) -> VariantModel:
    """The model that samples teach; needs LightGBM."""
    used = _usable(samples)
    rows = np.array([sample.features for sample in used])
    ratios = np.clip(np.log2([sample.seconds / sample.usual for sample in used]), -MOST_RATIO, MOST_RATIO)
    functions: list[list[Tree]] = []
    for quantile, trees in zip(QUANTILES, TREES, strict=True):
        objective = _MIDDLE if quantile == 0.5 else {"objective": "quantile", "alpha": quantile}
        functions.append(trees_of(rows, ratios, {**_PARAMETERS, **objective}, trees))
    return VariantModel(this_machine(), forest_of(functions), rows.min(axis=0), rows.max(axis=0), len(used))
