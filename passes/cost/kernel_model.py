"""What a call of a kernel is expected to take: the roofline, corrected by a forest that measurements taught.

The forest gives the logarithm of how much longer than the roofline a call takes. It is asked only about what
it knows: for a kind of work that no measured kernel did the roofline stands alone, since forests do not
extrapolate. Beyond the sizes that were measured a call is taken to be as much longer than its roofline as at
the farthest of them. Either answer says so.
"""

import json
import math
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from flowc.passes.array_account import Sizes
from flowc.passes.cost.forest import Forest, ForestError, as_data, evaluate, from_data
from flowc.passes.cost.kernel_amounts import KernelCounts
from flowc.passes.cost.kernel_features import (
    CLASSES,
    COMBINATIONS,
    FEATURES,
    Features,
    combinations,
    combinations_of,
    features,
)
from flowc.passes.cost.kernel_roofline import Machine
from flowc.runtime.json_members import MISREAD

VERSION = 2
MOST_BYTES = 8 << 20
"""Of a model's file."""
MARGIN = 1.0
"""How far beyond what was measured a feature may lie; most are logarithms to base 2."""
MOST_VECTOR = 1 << 12
"""Bytes of a vector."""
SPEEDS, SECONDS = (1e3, 1e18), (1e-15, 1e3)
"""Between what bytes and operations a second lie, and the seconds of a call and of a row."""
MOST_CORRECTION = 64
"""Of a leaf: so many times by two more or less than the roofline."""
LEAST_ERROR = 0.04
"""By how much the number of the least relative error lies below the median, as binary logarithms, for the
square of what lies between the 10 and 90 percent points (Gneiting, "Making and evaluating point forecasts",
JASA 2011). It would be 0.11 if times were log-normal, but more of them are near the median: of kernels held
out 0.02 to 0.04 has the least error."""
UNSURE = 4.0
"""How many times more or less a call may take of which nothing but the roofline is known."""
_BY_MEMORY = FEATURES.index("by memory")
_FIRST_KIND = FEATURES.index(f"{CLASSES[0]} an element")
_NEVER = "no kernel with"


class ModelError(ValueError):
    """Data that is no model of this version; the message says why."""


@frozen(eq=False)
class KernelModel:
    """Machines by their threads; a forest of three functions, the 10, 50 and 90 percent points of the binary
    logarithm of time over roofline; between what values the measured features lay, and which of COMBINATIONS
    were among them."""

    machines: Mapping[int, Machine]
    forest: Forest
    lowest: NDArray[np.float64]
    highest: NDArray[np.float64]
    combinations: NDArray[np.bool_]
    samples: int
    never: NDArray[np.bool_] = field(init=False)
    bounds: tuple[NDArray[np.float64], NDArray[np.float64]] = field(init=False)

    @bounds.default
    def _beyond(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Between what the forest is sure: a little beyond what was measured, but for kinds of work."""
        least, most = self.lowest - MARGIN, self.highest + MARGIN
        most[self.never] = 0
        return least, most

    @never.default
    def _unmeasured(self) -> NDArray[np.bool_]:
        """Which features are kinds of work that no measured kernel did."""
        never: NDArray[np.bool_] = self.highest == 0
        never[:_FIRST_KIND] = False
        return never


@frozen
class Prediction:
    """Seconds expected, with the least relative error, and between which they lie in four cases of five; what
    the roofline alone says, and the share of it that is by memory; `why` there is nothing else to go by,
    where that is so. Where so many `samples` of this very kernel's calls are known, the model is corrected by
    a `factor` that follows from them.
    """

    seconds: float
    low: float
    high: float
    roofline: float
    by_memory: float
    why: str = ""
    factor: float = 1.0
    samples: int = 0


def predict(model: KernelModel, counts: KernelCounts, threads: int, sizes: Sizes) -> Prediction:
    """The prediction for a call with so many threads, or with as near a number as was measured."""
    if threads not in model.machines:
        threads = min(model.machines, key=lambda measured: abs(measured - threads))
    found = features(counts, model.machines[threads], sizes)
    return _foretold(model, found, _unlike(model, counts))


def predict_features(model: KernelModel, found: Features) -> Prediction:
    """The prediction for a call with these features."""
    return _foretold(model, found, _new(model, combinations(found.row)))


def _foretold(model: KernelModel, found: Features, unlike: str) -> Prediction:
    """What the forest says; the roofline alone of what is `unlike` all that was measured. Of sizes beyond
    those that were, what the forest says of the farthest, unsurely and no less than the roofline.
    """
    roof, by_memory = found.roofline, float(found.row[_BY_MEMORY])
    outside = _outside(model, found.row)
    why = unlike or outside
    if unlike or outside.startswith(_NEVER):
        return Prediction(roof, roof / UNSURE, roof * UNSURE, roof, by_memory, why)
    least, median, most = evaluate(model.forest, found.row).tolist()
    middle = max(min(least, median), median - LEAST_ERROR * (most - least) ** 2)
    low, middle, high = [
        roof * 2.0 ** min(max(c, -MOST_CORRECTION), MOST_CORRECTION) for c in (least, middle, most)
    ]
    if why:
        middle = max(middle, roof)
        low, high = middle / UNSURE, middle * UNSURE
    return Prediction(middle, min(low, middle), max(middle, high), roof, by_memory, why)


def _outside(model: KernelModel, row: NDArray[np.float64]) -> str:
    """Which feature of a row lies beyond those that were measured, or which kind of work never was."""
    least, most = model.bounds
    above, below = row > most, row < least
    if not (np.count_nonzero(above) or np.count_nonzero(below)):
        return ""
    outside = above | below
    never = outside & model.never
    if np.count_nonzero(never):
        return f"{_NEVER} {FEATURES[int(never.argmax())].removesuffix(' an element')} was measured"
    return f"{FEATURES[int(outside.argmax())]} lies outside what was measured"


@lru_cache(256)
def _unlike(model: KernelModel, counts: KernelCounts) -> str:
    """What a kernel does in a way in which no measured one did, if anything."""
    return _new(model, combinations_of(counts))


def _new(model: KernelModel, found: NDArray[np.bool_]) -> str:
    new = found & ~model.combinations
    return f"{_NEVER} {COMBINATIONS[int(new.argmax())]} was measured" if np.count_nonzero(new) else ""


def as_json(model: KernelModel) -> str:
    """The model as text."""
    machines = [
        {
            "name": machine.name,
            "threads": machine.threads,
            "sizes": machine.sizes.tolist(),
            "bandwidths": machine.bandwidths.tolist(),
            "operations": machine.operations,
            "multiplications": machine.multiplications,
            "call": machine.call,
            "row": machine.row,
            "vector": machine.vector,
        }
        for machine in model.machines.values()
    ]
    data = {
        "version": VERSION,
        "features": list(FEATURES),
        "machines": machines,
        "samples": model.samples,
        "lowest": model.lowest.tolist(),
        "highest": model.highest.tolist(),
        "combinations": [name for name, had in zip(COMBINATIONS, model.combinations, strict=True) if had],
        "forest": as_data(model.forest),
    }
    return json.dumps(data, separators=(",", ":"))


def from_json(text: str) -> KernelModel:
    """The model in a text; raises ModelError where it is none, or one of another version."""
    if len(text) > MOST_BYTES:
        raise ModelError(f"more than {MOST_BYTES:,} bytes")
    try:
        data = json.loads(text)
        if data["version"] != VERSION or data["features"] != list(FEATURES):
            raise ModelError("it was made by another version")
        machines = {machine.threads: machine for machine in map(_machine, data["machines"])}
        lowest, highest = (_numbers(data[name], len(FEATURES)) for name in ("lowest", "highest"))
        measured = data["combinations"]
        if not isinstance(measured, list) or not set(measured) <= set(COMBINATIONS):
            raise ModelError("it was made by another version")
        known = np.array([name in measured for name in COMBINATIONS])
        forest, samples = from_data(data["forest"]), data["samples"]
        if len(forest.ends) != 3 or not machines or type(samples) is not int:
            raise ModelError("it is incomplete")
        if forest.width > len(FEATURES):
            raise ModelError("it asks for features that there are not")
        if abs(forest.leaves).max() > MOST_CORRECTION:
            raise ModelError("it says that kernels take no time, or for ever")
        return KernelModel(machines, forest, lowest, highest, known, samples)
    except ModelError:
        raise
    except MISREAD as error:
        raise ModelError(str(error) if isinstance(error, ForestError) else "it is incomplete") from error


def _machine(data: Mapping[str, Any]) -> Machine:
    sizes = _numbers(data["sizes"], len(data["bandwidths"]))
    speeds = _numbers(data["bandwidths"], len(sizes))
    names = ("operations", "multiplications", "call", "row")
    rates = _numbers([data[name] for name in names], len(names))
    threads, vector = data["threads"], data["vector"]
    if type(threads) is not int or threads < 1 or not len(sizes) or (np.diff(sizes) <= 0).any():
        raise ModelError("a machine has no threads, or sizes that do not ascend")
    for values, least, most in ((speeds, *SPEEDS), (rates[:2], *SPEEDS), (rates[2:], *SECONDS)):
        if (values < least).any() or (values > most).any():
            raise ModelError("a machine has a speed or a price that none has")
    if type(vector) is not int or not 4 <= vector <= MOST_VECTOR:
        raise ModelError("a machine has no vectors")
    operations, multiplications, call, row = map(float, rates)
    return Machine(
        str(data["name"])[:200], threads, sizes, speeds, operations, multiplications, call, row, vector
    )


def _numbers(values: object, count: int) -> NDArray[np.float64]:
    if not isinstance(values, list) or len(values) != count:
        raise ModelError(f"a list that should have {count} numbers has not")
    if not all(type(value) in (int, float) and math.isfinite(value) for value in values):
        raise ModelError("something that is no finite number")
    return np.array(values, np.float64)


@cache
def shipped() -> KernelModel:
    """The model that comes with the package."""
    text = files("flowc.passes.cost").joinpath("kernels.json").read_text(encoding="utf-8")
    return from_json(text)
