"""How long a task will take: quantiles, and the likely time, of the most similar tasks in recorded runs.

A task is told by the recorded tasks of its category (`task_neighbours`), and where its category was never
seen, by the medians of all others: those that read as much, and those of categories that begin with the same
word, weigh most. Tasks of one unseen category are forecast alike, so that among themselves they keep the
order of their arrival. On recorded workflows this beats boosted trees (`python -m benchmarks task_times`).

A model is plain tables.
"""

import math
import re
from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from flowc.passes.cost.task_neighbours import (
    ELSEWHERE,
    USUAL_SLOPE,
    Floats,
    Integers,
    Neighbours,
    Setting,
    Words,
    best_setting,
    neighbours,
    quantiles,
    scaled,
)
from flowc.passes.cost.task_samples import Origin, Sample, Traits, groups, usable

MOST_SAMPLES = 5_000
"""Samples kept of a category, spread over its runs; the others are left out."""
FEW = 5
"""A forecast from fewer samples of its category is marked as uncertain."""
_ROWS = 512
_WORD = re.compile(r"[A-Za-z]+")


@frozen(eq=False)
class Category:
    """The samples of a category, a row each: features, the logarithm of seconds, digest of inputs, run."""

    features: Floats
    logarithms: Floats
    inputs: Words
    origins: Integers


@frozen(eq=False)
class TaskModel:
    """What was learned: samples by category, and the runs they are of."""

    categories: Mapping[str, Category]
    origins: tuple[Origin, ...]


@frozen
class Forecast:
    """Quantiles of the seconds of a task, its likely seconds, and from how many samples of its category."""

    low: float
    median: float
    high: float
    likely: float
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
    return scaled(
        [
            (math.log1p(each.input_bytes), math.log1p(each.largest_input), math.log(max(each.beside, 1)))
            for each in traits
        ]
    )


def forecasts(
    model: TaskModel, traits: Sequence[Traits], origin: Origin | None = None
) -> list[Forecast | None]:
    """A forecast for each task, None where nothing was learned.

    Runs of the configuration of `origin` are taken as if they had never been.
    """
    closed = np.array([origin is not None and each.related(origin) for each in model.origins], np.bool_)
    open_ = {name: _open(table, closed) for name, table in model.categories.items()}
    tables = {name: table for name, table in open_.items() if len(table.logarithms)}
    configurations = np.array(groups(model.origins), np.int64)
    elsewhere: Neighbours | None = None
    found: list[Forecast | None] = [None] * len(traits)
    wanted: dict[str, list[int]] = {}
    for place, each in enumerate(traits):
        wanted.setdefault(each.category, []).append(place)
    for name, places in wanted.items():
        asked = [traits[place] for place in places]
        told: Sequence[Forecast | None] = [None] * len(asked)
        if name in tables:
            table = tables[name]
            rows = neighbours(table.features, table.logarithms, table.inputs, table.origins)
            setting, words = best_setting(rows, configurations), [each.inputs for each in asked]
            told = _asked(rows, setting, _features(asked), words, len(table.logarithms))
        elif tables:
            elsewhere = elsewhere or _elsewhere(tables)
            middle = np.median(_features(asked), axis=0, keepdims=True)
            told = _asked(elsewhere, ELSEWHERE, middle, [_word(name)], 0) * len(asked)
        for place, forecast in zip(places, told, strict=True):
            found[place] = forecast
    return found


def _open(table: Category, closed: NDArray[np.bool_]) -> Category:
    kept = ~closed[table.origins]
    return Category(table.features[kept], table.logarithms[kept], table.inputs[kept], table.origins[kept])


def _elsewhere(tables: Mapping[str, Category]) -> Neighbours:
    """A sample for each run of each category, the median of its tasks, known by its first word."""
    features, logarithms, words, runs = [], [], [], []
    for name, table in tables.items():
        for run in np.unique(table.origins):
            own = table.origins == run
            features.append(np.median(table.features[own], axis=0))
            logarithms.append(np.median(table.logarithms[own]))
            words.append(_word(name))
            runs.append(run)
    return neighbours(
        np.array(features),
        np.array(logarithms),
        np.array(words, np.str_),
        np.array(runs, np.int64),
        USUAL_SLOPE,
    )


def _word(category: str) -> str:
    """The first word of a category: `SAMTOOLS_SORT` and `SAMTOOLS_INDEX` are of one tool."""
    found = _WORD.search(category)
    return found[0].lower() if found else ""


def _asked(
    rows: Neighbours, setting: Setting, features: Floats, words: Sequence[str], samples: int
) -> list[Forecast]:
    inputs = np.array(words, np.str_)
    found: list[Forecast] = []
    for begin in range(0, len(features), _ROWS):
        some = slice(begin, begin + _ROWS)
        logarithms = quantiles(rows, setting, features[some], inputs[some])
        for low, median, high, likely in np.exp(logarithms).tolist():
            found.append(Forecast(low, median, high, likely, samples))
    return found
