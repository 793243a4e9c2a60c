"""Tuning the cost model to this machine: measure for a while, fit, judge the fit by what was kept back."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count

import numpy as np
from attrs import frozen

from flowc.compiler.tuning.ceilings import ceilings
from flowc.compiler.tuning.fit import LEAST_SAMPLES, fit, margin_of, require_lightgbm
from flowc.compiler.tuning.measure import Arrays, Sample, measure
from flowc.compiler.tuning.programs import FAMILIES, trial
from flowc.passes.cost.forest import evaluate
from flowc.passes.cost.kernel_model import KernelModel
from flowc.passes.cost.kernel_roofline import Machine
from flowc.runtime.errors import fail

CALLS = 5
"""Calls of each kernel, of different sizes."""
KEPT_BACK = 5
"""One kernel in so many is kept back when the fit is judged."""


@frozen(eq=False)
class Tuned:
    """A model; how far off a model fitted to the other kernels is on those kept back, and the
    roofline alone on the same, as medians of the relative error; quarantined samples."""

    model: KernelModel
    error: float
    roofline_error: float
    left_out: int


def tune(seconds: float, threads: Sequence[int], progress: Callable[[float, int], None]) -> Tuned:
    """Measures kernels for about so many seconds in all, with each number of threads, and fits a model.

    `progress` hears how much of the time is over, from 0 to 1, and how many samples there are. Raises E0653
    without LightGBM, and E0654 where the time is too short to learn anything.
    """
    require_lightgbm()
    start = time.monotonic()
    machines = [ceilings(each) for each in threads]
    samples: list[Sample] = []
    for some in _samples(machines):
        over = (time.monotonic() - start) / seconds
        samples += some
        progress(min(over, 1.0), len(samples))
        if over >= 1:
            break
    usable = [sample for sample in samples if 0 < sample.seconds < float("inf")]
    if len(usable) < 2 * LEAST_SAMPLES:
        raise fail(
            "E0654",
            f"{seconds:g} seconds gave {len(usable)} measurements, and {2 * LEAST_SAMPLES} are needed",
            help="give it longer: flowc tune --seconds 120",
        )
    judged = _judged(usable, machines)
    model = fit(usable, machines, judged.margin)
    return Tuned(model, judged.error, judged.roofline_error, len(samples) - len(usable))


def _samples(machines: Sequence[Machine]) -> Iterator[list[Sample]]:
    """Samples of a kernel of each family, then of another of each, without end."""
    arrays = Arrays()
    for seed in count():
        yield list(measure([trial(family, seed, CALLS) for family in FAMILIES], machines, arrays))


@frozen
class _Judgement:
    """What kernels kept back say of a model of the others: medians of relative errors, and what its intervals
    lack."""

    error: float
    roofline_error: float
    margin: float


def _judged(samples: Sequence[Sample], machines: Sequence[Machine]) -> _Judgement:
    """How good a model is on kernels that it was not fitted to."""
    number: Mapping[str, int] = {
        text: place for place, text in enumerate(dict.fromkeys(sample.text for sample in samples))
    }
    kept = [sample for sample in samples if number[sample.text] % KEPT_BACK == 0]
    model = fit([sample for sample in samples if number[sample.text] % KEPT_BACK], machines)
    seconds = np.array([sample.seconds for sample in kept])
    roofs = np.array([sample.roofline for sample in kept])
    found = roofs * np.exp2([evaluate(model.forest, np.array(sample.features))[1] for sample in kept])
    return _Judgement(
        float(np.median(abs(found / seconds - 1))),
        float(np.median(abs(roofs / seconds - 1))),
        margin_of(model, kept),
    )
