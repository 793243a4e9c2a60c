"""How long a task will take: quantiles of the most similar tasks of its category in recorded runs.

Similar are tasks that read as much: the distance of two tasks is |d log bytes| + |d log largest file| / 2 +
|d log tasks beside| / 20. A recorded task weighs exp(-distance / h), where h is the distance of the sixth
nearest, thirty times as much where it has read the same files, and runs with many tasks of the category weigh
as the root of how many. The quantiles are those of the weighted times. This is the kernel regression of
Nadaraya and Watson (1964) with a bandwidth by nearest neighbours, for quantiles in place of means; on
recorded workflows it beats gradient-boosted trees (`python -m benchmarks wfinstances`).

A model is plain tables. It forecasts nothing for a category that it has not seen.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from flowc.passes.cost.task_samples import Origin, Sample, Traits, usable

MOST_SAMPLES = 5_000
"""Samples kept of a category, spread over its runs; the others are left out."""
FEW = 5
"""A forecast from fewer samples is marked as uncertain."""
QUANTILES = (0.1, 0.5, 0.9)
NEIGHBOUR = 5
SAME_INPUTS = 30.0
_SMALLEST = 0.02
_WEIGHTS = (1.0, 0.5, 0.05)
_ROWS = 512
FEATURES = len(_WEIGHTS)
"""Columns of the features: bytes read, the largest file, how many tasks of the category there are."""

Floats = NDArray[np.float64]


@frozen(eq=False)
class Category:
    """The samples of a category, a row each: features, the logarithm of seconds, digest of inputs, run."""

    features: Floats
    logarithms: Floats
    inputs: NDArray[np.str_]
    origins: NDArray[np.int64]


@frozen(eq=False)
class TaskModel:
    """What was learned: samples by category, and the runs they are of."""

    categories: Mapping[str, Category]
    origins: tuple[Origin, ...]


@frozen
class Forecast:
    """Quantiles of the seconds of a task, and from how many samples they come."""

    low: float
    median: float
    high: float
    samples: int

    @property
    def uncertain(self) -> bool:
        """Whether there were too few samples to speak of."""
        return self.samples < FEW


def learn(samples: Sequence[Sample]) -> TaskModel:
    """The model of samples; those without a usable time are left out."""
    kept = usable(samples)
    origins = tuple(dict.fromkeys(sample.origin for sample in kept))
    places = {origin: place for place, origin in enumerate(origins)}
    ordered = sorted(kept, key=lambda sample: sample.traits.category)
    return TaskModel(
        {
            name: _table(list(group), places)
            for name, group in groupby(ordered, key=lambda sample: sample.traits.category)
        },
        origins,
    )


def _table(samples: list[Sample], places: Mapping[Origin, int]) -> Category:
    if len(samples) > MOST_SAMPLES:
        step = len(samples) / MOST_SAMPLES
        samples = [samples[int(step * place)] for place in range(MOST_SAMPLES)]
    return Category(
        _features([sample.traits for sample in samples]),
        np.log([sample.seconds for sample in samples]),
        np.array([sample.traits.inputs for sample in samples], np.str_),
        np.array([places[sample.origin] for sample in samples], np.int64),
    )


def _features(traits: Sequence[Traits]) -> Floats:
    """A row for each task, scaled so that distances are sums of differences."""
    rows = [
        (math.log1p(each.input_bytes), math.log1p(each.largest_input), math.log(max(each.beside, 1)))
        for each in traits
    ]
    return np.array(rows, np.float64).reshape(-1, FEATURES) * _WEIGHTS


def forecasts(
    model: TaskModel, traits: Sequence[Traits], origin: Origin | None = None
) -> list[Forecast | None]:
    """A forecast for each task, None where its category was never seen.

    Runs of the configuration of `origin` are taken as if they had never been.
    """
    closed = np.array([origin is not None and each.related(origin) for each in model.origins], np.bool_)
    found: list[Forecast | None] = [None] * len(traits)
    wanted: dict[str, list[int]] = {}
    for place, each in enumerate(traits):
        wanted.setdefault(each.category, []).append(place)
    for name, places in wanted.items():
        table = model.categories.get(name)
        open_ = ~closed[table.origins] if table is not None else np.zeros(0, np.bool_)
        if table is None or not open_.any():
            continue
        chosen = np.flatnonzero(open_)
        chosen = chosen[np.argsort(table.logarithms[chosen], kind="stable")]
        rows = Category(
            table.features[chosen], table.logarithms[chosen], table.inputs[chosen], table.origins[chosen]
        )
        for begin in range(0, len(places), _ROWS):
            some = places[begin : begin + _ROWS]
            quantiles = _quantiles(rows, [traits[place] for place in some])
            for place, (low, median, high) in zip(some, quantiles, strict=True):
                found[place] = Forecast(low, median, high, len(chosen))
    return found


def _quantiles(table: Category, traits: Sequence[Traits]) -> list[list[float]]:
    """The quantiles in seconds for each task, from samples in the order of their times."""
    wanted = _features(traits)
    distance = np.zeros((len(wanted), len(table.logarithms)))
    for column in range(FEATURES):
        distance += np.abs(wanted[:, column, None] - table.features[None, :, column])
    neighbour = min(NEIGHBOUR, distance.shape[1] - 1)
    bandwidth = np.maximum(np.partition(distance, neighbour, axis=1)[:, neighbour], _SMALLEST)
    _, runs, counts = np.unique(table.origins, return_inverse=True, return_counts=True)
    weight = np.exp(-distance / bandwidth[:, None]) / np.sqrt(counts[runs])
    inputs = np.array([each.inputs for each in traits], np.str_)
    same = (inputs[:, None] == table.inputs[None, :]) & (inputs != "")[:, None]
    weight[same] *= SAME_INPUTS
    below = np.cumsum(weight, axis=1)
    last = distance.shape[1] - 1
    places = [np.minimum((below < level * below[:, -1:]).sum(axis=1), last) for level in QUANTILES]
    seconds: list[list[float]] = np.exp(table.logarithms[np.stack(places, axis=1)]).tolist()
    return seconds
