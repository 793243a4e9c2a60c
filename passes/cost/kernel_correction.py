"""What calls of one kernel took beside what the model says of them: by that it is corrected for this kernel.

How much longer than foretold calls of a kernel take depends on what is peculiar to it, so it holds at other
sizes too, the less the more they differ. From few calls, or from some that disagree, it is drawn towards one,
and the sooner believed the less sure the model is of itself: the estimate of James and Stein, as for calls of
models (`call_model`).
"""

import math
from collections.abc import Sequence

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from flowc.passes.array_account import Sizes
from flowc.passes.array_extents import Expression
from flowc.passes.cost.call_model import quantile
from flowc.passes.cost.kernel_amounts import KernelCounts
from flowc.passes.cost.kernel_model import KernelModel, Prediction, predict
from flowc.runtime.expectations import KernelCalls, KernelExpectation, Quantiles, bounded
from flowc.runtime.history.kernel_samples import KernelSample, sizes_of
from flowc.runtime.kernel_calls import sizer
from flowc.runtime.machine import this_machine

ALIKE = 2.0
"""By so many doublings of sizes calls differ that count half."""
EACH = 4.0
"""Calls of the same sizes count for so many at most: what they have in common is no chance."""
BEFORE, NOISE = 2.0, 0.1
"""How many calls the usual spread of a kernel counts for, and that as a logarithm."""
ABSURD = math.log(1000.0)
"""What took so many times more or less than foretold is left out: a machine slept, or a clock jumped."""
SUREST = 0.05
"""The least that the model is taken to be off by, as a logarithm."""
_TENTH = 1.2816
"""How many deviations the 90 percent point of a normal distribution is above its middle."""
_NOTHING: dict[str, int] = {}


def kernel_expectation(samples: Sequence[KernelSample]) -> KernelExpectation:
    """What calls of a kernel took on the one machine that the samples are of, by sizes and threads."""
    groups: dict[tuple[str, int], list[float]] = {}
    for each in samples:
        groups.setdefault((each.sizes, each.threads), []).append(each.seconds)
    calls = [KernelCalls(*group, _quantiles(taken)) for group, taken in groups.items()]
    return KernelExpectation(samples[-1].machine, tuple(calls))


def _quantiles(taken: Sequence[float]) -> Quantiles:
    low, middle, high = (quantile(taken, share) for share in (0.1, 0.5, 0.9))
    return bounded(low, middle, high, len(taken))


@frozen(eq=False)
class Correction:
    """How many times longer calls of a kernel took than the model says, as logarithms (`off`); `counted` is
    for how many calls each counts. `places` are the logarithms of their extents and threads.
    """

    places: NDArray[np.float64]
    off: NDArray[np.float64]
    counted: NDArray[np.float64]
    samples: int


def correction(model: KernelModel, counts: KernelCounts, seen: KernelExpectation) -> Correction | None:
    """What corrects the model for a kernel; None where no call says anything, as those on other machines."""
    if seen.machine != this_machine():
        return None
    rows: list[tuple[NDArray[np.float64], float, int]] = []
    for each in seen.calls:
        sizes = called_with(each.sizes)
        try:
            said = predict(model, counts, each.threads, sizes).seconds
            off = math.log(each.seconds.middle / said)
            place = _place(counts, each.threads, sizes)
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
            continue  # the sizes are none that this kernel can have been called with
        if abs(off) < ABSURD:
            rows.append((place, off, each.seconds.samples))
    if not rows:
        return None
    places, off_by, samples = zip(*rows, strict=True)
    counted = np.minimum(np.array(samples, np.float64), EACH)
    return Correction(np.array(places), np.array(off_by), counted, sum(samples))


def corrected(
    model: KernelModel, counts: KernelCounts, threads: int, sizes: Sizes, known: Correction | None
) -> Prediction:
    """The prediction for a call, corrected by what calls of this kernel took, where any are known."""
    found = predict(model, counts, threads, sizes)
    if known is None:
        return found
    away = known.places - _place(counts, threads, sizes)
    weights = known.counted / (1.0 + (away * away).sum(axis=1) / ALIKE**2)
    count = float(weights.sum())
    middle = float(weights @ known.off) / count
    spread = float(weights @ (known.off - middle) ** 2) + BEFORE * NOISE**2
    variance = spread / (count + BEFORE)
    own = max(math.log(found.high / found.low) / (2.0 * _TENTH), SUREST) ** 2
    share = count / (count + variance / own)
    factor = math.exp(share * middle)
    seconds = found.seconds * factor
    reach = math.exp(_TENTH * math.sqrt(variance + (1.0 - share) * own))
    return evolve(
        found,
        seconds=seconds,
        low=seconds / reach,
        high=seconds * reach,
        factor=factor,
        samples=known.samples,
    )


@frozen
class _Array:
    """An array of which only the shape is known."""

    shape: tuple[int, ...]


def called_with(text: str) -> Sizes:
    """The extents in a call with such sizes; they raise LookupError, TypeError or ValueError where these do
    not say them.
    """
    arguments = [_Array(each) if isinstance(each, tuple) else each for each in sizes_of(text) or ()]

    def size(extent: Expression) -> int:
        return max(int(sizer(extent)(_NOTHING, arguments)), 0)

    return size


def _place(counts: KernelCounts, threads: int, sizes: Sizes) -> NDArray[np.float64]:
    """Where a call lies among others: binary logarithms of its threads and extents."""
    known = (extent if isinstance(extent, int) else sizes(extent) for extent in counts.extents)
    return np.log2([float(max(each, 1)) for each in (threads, *known)])
