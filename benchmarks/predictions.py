"""How well the cost model foretells kernels: trained from scratch, judged on what it was not shown."""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import Row, Table
from benchmarks.rounds import Options
from flowc.compiler.tuning.ceilings import ceilings
from flowc.compiler.tuning.fit import fit, margin_of
from flowc.compiler.tuning.measure import Arrays, Sample, measure, ready
from flowc.compiler.tuning.programs import FAMILIES, trial
from flowc.passes.cost.kernel_features import Features
from flowc.passes.cost.kernel_model import KernelModel, predict, predict_features
from flowc.runtime.kernel_calls import sizer

SECONDS, QUICK_SECONDS = 240.0, 20.0
FOLDS = 5
CALLS = 5
"""Calls of each kernel where kernels are held out."""
SHAPE_KERNELS, SHAPE_CALLS, QUICK_SHAPE_CALLS, SHAPE_VISITS = 2, 200, 20, 3
"""Kernels of each family, and calls of each, where calls are held out."""

NOTE = (
    "One forest a fold, fitted to the others. `shapes`: of a few kernels single calls are held out, with one "
    "thread; `kernels`: of many kernels whole ones, with their own compositions of operators; `families`: "
    "all kernels of a family, of which what was never measured falls back to the roofline. `width regret`: "
    "time with the number of threads that the model prefers over time with the better one. `inside` is the "
    "share of calls within the interval that should hold 80 %. Bars: shapes at most 6 % in the mean with "
    "rank correlation 0.995, kernels 20 %, families no worse than the roofline, a prediction 50 us."
)

Floats = NDArray[np.float64]
Split = Callable[[Sequence[Sample]], Sequence[object]]


def run(options: Options) -> Table:
    """Measures kernels, fits, and compares with the roofline and with the mean of each family."""
    threads = sorted(set(options.threads))
    shapes = _shapes(QUICK_SHAPE_CALLS if options.quick else SHAPE_CALLS)
    rows = list(_rows("shapes", shapes, _held_out(shapes, _calls(shapes), threads[:1])))
    samples = list(_gathered(QUICK_SECONDS if options.quick else SECONDS, threads))
    splits: Mapping[str, Split] = {"kernels": _texts, "families": _families}
    for name, split in splits.items():
        rows += _rows(name, samples, _held_out(samples, split(samples), threads))
    model = fit(samples, [ceilings(each) for each in threads])
    note = f"{len(shapes):,} and {len(samples):,} calls. A prediction takes {_price(model):.0f} us. {NOTE}"
    return Table("predictions", "What calls of kernels were expected to take", tuple(rows), note)


def _shapes(calls: int) -> Sequence[Sample]:
    """Many calls of few kernels, with one thread."""
    arrays, machine = Arrays(), ceilings(1)
    found: list[Sample] = []
    for family in FAMILIES:
        trials = [trial(family, seed, calls) for seed in range(SHAPE_KERNELS)]
        found += measure(trials, [machine], arrays, SHAPE_VISITS)
    return found


def _gathered(seconds: float, threads: Sequence[int]) -> Iterator[Sample]:
    """A few calls of as many kernels as there is time for."""
    arrays, machines = Arrays(), [ceilings(each) for each in threads]
    start = time.monotonic()
    for seed in count():
        yield from measure([trial(family, seed, CALLS) for family in FAMILIES], machines, arrays)
        if time.monotonic() - start > seconds:
            return


def _calls(samples: Sequence[Sample]) -> Sequence[object]:
    """Folds by call: the same sizes with other threads are held out together."""
    numbers: dict[object, int] = {}
    calls = [(sample.text, tuple(sample.sizes.items())) for sample in samples]
    return [numbers.setdefault(call, len(numbers)) % FOLDS for call in calls]


def _texts(samples: Sequence[Sample]) -> Sequence[object]:
    numbers: dict[str, int] = {}
    return [numbers.setdefault(sample.text, len(numbers)) % FOLDS for sample in samples]


def _families(samples: Sequence[Sample]) -> Sequence[object]:
    return [sample.family for sample in samples]


def _held_out(samples: Sequence[Sample], folds: Sequence[object], threads: Sequence[int]) -> Floats:
    """Low, middle and high seconds for each sample, by a model of the other folds."""
    machines = [ceilings(each) for each in threads]
    found = np.zeros((len(samples), 3))
    for fold in dict.fromkeys(folds):
        others = [sample for sample, its in zip(samples, folds, strict=True) if its != fold]
        judged = fit(others[::2], machines)
        model = fit(others, machines, margin_of(judged, others[1::2]))
        for place, (sample, its) in enumerate(zip(samples, folds, strict=True)):
            if its == fold:
                found[place] = _predicted(model, sample)
    return found


def _predicted(model: KernelModel, sample: Sample) -> Floats:
    found = predict_features(model, Features(np.array(sample.features), sample.roofline))
    return np.array([found.low, found.seconds, found.high])


def _rows(name: str, samples: Sequence[Sample], found: Floats) -> Iterator[Row]:
    seconds = np.array([sample.seconds for sample in samples])
    roofs = np.array([sample.roofline for sample in samples])
    families = np.array([sample.family for sample in samples])
    threads = np.array([sample.threads for sample in samples])
    ratios = {each: np.median((seconds / roofs)[families == each]) for each in FAMILIES}
    means = roofs * np.array([ratios[family] for family in families])
    by_name = {"model": found[:, 1], "roofline": roofs, "roofline x family": means}
    several = len(set(threads)) > 1
    for which, predicted in by_name.items():
        inside = (found[:, 0] <= seconds) & (seconds <= found[:, 2])
        regrets = _regrets(samples, predicted)
        yield {
            "held out": name,
            "by": which,
            **_errors(predicted, seconds),
            "inside": f"{inside.mean():.0%}" if which == "model" else "",
            "width regret": f"{np.exp(np.mean(np.log(regrets))) - 1:.1%}" if several else "",
            "worst": f"{max(regrets) - 1:.0%}" if several else "",
        }
    parts = {f"{each} threads" if each > 1 else "1 thread": threads == each for each in sorted(set(threads))}
    parts = (parts if several else {}) | {family: families == family for family in FAMILIES}
    for part, here in parts.items():
        alone = abs(roofs / seconds - 1)[here].mean()
        errors = _errors(found[here, 1], seconds[here])
        yield {"held out": name, "by": f"model, {part}", **errors, "roofline's": f"{alone:.1%}"}


def _errors(predicted: Floats, seconds: Floats) -> Mapping[str, object]:
    error = abs(predicted / seconds - 1)
    return {
        "calls": len(seconds),
        "mean error": f"{error.mean():.1%}",
        "median error": f"{np.median(error):.1%}",
        "rank correlation": f"{_rank_correlation(predicted, seconds):.4f}",
    }


def _rank_correlation(one: Floats, other: Floats) -> float:
    """Spearman's, of values without ties."""
    ranks = [np.argsort(np.argsort(values)) for values in (one, other)]
    return float(np.corrcoef(*ranks)[0, 1])


def _regrets(samples: Sequence[Sample], predicted: Floats) -> list[float]:
    """For each call that was measured with several numbers of threads: time of the chosen over the best."""
    calls: dict[object, list[tuple[float, float]]] = {}
    for sample, expected in zip(samples, predicted, strict=True):
        key = sample.text, tuple(sample.sizes.items())
        calls.setdefault(key, []).append((float(expected), sample.seconds))
    return [min(each)[1] / min(taken for _, taken in each) for each in calls.values()]


def _price(model: KernelModel) -> float:
    """Microseconds of a prediction, the median of many."""
    drawn = trial("rows", 0, 1)
    kernel = ready(drawn)
    arguments: list[Any] = Arrays().of(kernel.signature, drawn.calls[0], drawn.positions)
    sizes = {extent: sizer(extent)(drawn.calls[0], arguments) for extent in kernel.counts.extents}
    taken = []
    for _ in range(2000):
        start = time.perf_counter()
        predict(model, kernel.counts, 1, sizes.__getitem__)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1e6
