"""Times of similar tasks, weighted: kernel regression (Nadaraya and Watson, 1964) on logarithms.

- Times are first brought to one size. On a logarithmic scale time grows with the bytes read by a slope, that
  of the medians of the runs, shrunk towards a half by ridge regression (Hoerl and Kennard, 1970): of a
  category whose runs all read as much, only what is usual is known.
- The distance of two tasks is |d log bytes| + |d log largest file| / 2 + |d log tasks beside| / 20. A sample
  weighs exp(-distance / reach), more where it has read the same files, and runs with many tasks of the
  category weigh as the root of how many.
- The likely time is the median of the densest factor of two (Venter, "On estimation of the mode", 1967). Many
  times are those of a quick and a slow way, as with the disk cached or crowded; few lie between.
- Reach and the weight of the same files are chosen for each category by leaving its configurations out, one
  after the other (Stone, "Cross-validatory choice and assessment of statistical predictions", 1974).
"""

import math

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

QUANTILES = (0.1, 0.5, 0.9)
USUAL_SLOPE = 0.5
DENSEST = math.log(2)
_WEIGHTS = (1.0, 0.5, 0.05)
FEATURES = len(_WEIGHTS)
"""Columns of the features: bytes read, the largest file, how many tasks of the category there are."""
_ASKED, _SAMPLES = 32, 2_000
"""Tasks of each run that settings are judged by, and samples that they are forecast from."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Words = NDArray[np.str_]


@frozen
class Setting:
    """How far a sample may be to count, how much more it counts for the same files, and how wide (on the
    logarithmic scale) the densest times are.
    """

    reach: float
    same: float
    densest: float = DENSEST


SETTINGS = (Setting(0.05, 30.0), Setting(1.0, 30.0), Setting(0.05, 1.0), Setting(1.0, 1.0))
ELSEWHERE = Setting(1.0, 30.0, math.inf)
"""For tasks of a category that was never seen, by samples of all others: the likely time is the median."""


@frozen(eq=False)
class Neighbours:
    """Samples in the order of `times`, the logarithms of their seconds brought to the size `usual`."""

    features: Floats
    times: Floats
    inputs: Words
    runs: Integers
    slope: float
    usual: float


def scaled(rows: list[tuple[float, float, float]]) -> Floats:
    """Features, so that distances are sums of differences."""
    return np.array(rows, np.float64).reshape(-1, FEATURES) * _WEIGHTS


def neighbours(
    features: Floats, logarithms: Floats, inputs: Words, runs: Integers, slope: float | None = None
) -> Neighbours:
    """Samples to be asked; the slope is learned where it is not given."""
    each = [runs == run for run in np.unique(runs)]
    sizes = np.array([np.median(features[own, 0]) for own in each])
    middles = np.array([np.median(logarithms[own]) for own in each])
    sized = sizes > 0
    usual = float(np.median(sizes[sized])) if sized.any() else 0.0
    if slope is None:
        slope = _slope(sizes[sized], middles[sized])
    times = logarithms - _moved(features, slope, usual)
    order = np.argsort(times, kind="stable")
    return Neighbours(features[order], times[order], inputs[order], runs[order], slope, usual)


def _moved(features: Floats, slope: float, usual: float) -> Floats:
    """By how much the logarithms of such tasks exceed those of the usual size; 0 where nothing is read."""
    moved: Floats = np.where(features[:, 0] > 0, slope * (features[:, 0] - usual), 0.0)
    return moved


def _slope(sizes: Floats, times: Floats) -> float:
    """Between none and proportional, however few runs there are."""
    if not len(sizes):
        return USUAL_SLOPE
    x, y = sizes - np.median(sizes), times - np.median(times)
    return min(max((float(x @ y) + USUAL_SLOPE) / (float(x @ x) + 1.0), 0.0), 1.0)


def quantiles(rows: Neighbours, setting: Setting, features: Floats, inputs: Words) -> Floats:
    """For each task the logarithms of the three quantiles and of the likely time, in this order."""
    weight = _weights(_distances(features, rows.features), _same(inputs, rows.inputs), rows.runs, setting)
    below = np.cumsum(weight, axis=1)
    last = below.shape[1] - 1
    places = [np.minimum((below < level * below[:, -1:]).sum(axis=1), last) for level in QUANTILES]
    found = np.column_stack([rows.times[np.stack(places, axis=1)], _likely(rows.times, weight, setting)])
    logarithms: Floats = found + _moved(features, rows.slope, rows.usual)[:, None]
    return logarithms


def best_setting(rows: Neighbours, groups: Integers) -> Setting:
    """The setting of the least mean error, where no sample is told by its own group; runs count alike.

    `groups` are the configurations of the runs.
    """
    if len(np.unique(groups[rows.runs])) < 2:
        return SETTINGS[0]
    told = _spread(np.arange(len(rows.times)), _SAMPLES)
    asked = np.concatenate(
        [_spread(np.flatnonzero(rows.runs == run), _ASKED) for run in np.unique(rows.runs)]
    )
    group = groups[rows.runs]
    distance = _distances(rows.features[asked], rows.features[told])
    distance[group[asked][:, None] == group[told][None, :]] = math.inf
    answered = np.isfinite(distance).any(axis=1)
    asked, distance = asked[answered], distance[answered]
    if not len(asked):
        return SETTINGS[0]
    same = _same(rows.inputs[asked], rows.inputs[told])
    _, runs, counts = np.unique(rows.runs[asked], return_inverse=True, return_counts=True)
    share = 1.0 / counts[runs]

    def error(setting: Setting) -> float:
        weight = _weights(distance, same, rows.runs[told], setting)
        found = _likely(rows.times[told], weight, setting)
        return float(share @ np.abs(found - rows.times[asked]))

    return min(SETTINGS, key=error)


def _spread(places: Integers, most: int) -> Integers:
    """At most so many of them, evenly."""
    if len(places) <= most:
        return places
    chosen: Integers = places[np.arange(most) * len(places) // most]
    return chosen


def _distances(asked: Floats, told: Floats) -> Floats:
    distance = np.zeros((len(asked), len(told)))
    for column in range(FEATURES):
        distance += np.abs(asked[:, column, None] - told[None, :, column])
    return distance


def _same(asked: Words, told: Words) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (asked[:, None] == told[None, :]) & (asked != "")[:, None]
    return found


def _weights(distance: Floats, same: NDArray[np.bool_], runs: Integers, setting: Setting) -> Floats:
    """The nearest sample weighs one, so that far tasks have neighbours, too."""
    _, run, counts = np.unique(runs, return_inverse=True, return_counts=True)
    nearest = distance.min(axis=1, keepdims=True)
    weight: Floats = np.exp((nearest - distance) / setting.reach) / np.sqrt(counts[run])
    weight[same] *= setting.same
    return weight


def _likely(times: Floats, weight: Floats, setting: Setting) -> Floats:
    """For each row of weights the median of the window of times in which they are densest."""
    ends = np.searchsorted(times, times + setting.densest, side="right")
    before = np.pad(np.cumsum(weight, axis=1), ((0, 0), (1, 0)))
    inside = before[:, ends] - before[:, :-1]
    begin, row = inside.argmax(axis=1), np.arange(len(weight))
    middle = before[row, begin] + inside[row, begin] / 2
    places = np.minimum((before[:, 1:] < middle[:, None]).sum(axis=1), len(times) - 1)
    found: Floats = times[places]
    return found
