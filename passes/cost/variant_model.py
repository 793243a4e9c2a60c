"""What a choice about a kernel's code is expected to change: the time of a way over that of the usual way.

Ways are compared, not foretold one by one: two of one kernel differ by less than a prediction of either is
off. Boosted trees give the 10, 50 and 90 percent points of the binary logarithm of the ratio. Where nothing
like it was measured, the usual way stays.
"""

import json
import math
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from flowc.passes.cost.fingerprint import fingerprint
from flowc.passes.cost.forest import Forest, ForestError, as_data, evaluate, from_data
from flowc.passes.cost.place import folder
from flowc.passes.cost.variant_features import FEATURES
from flowc.runtime.json_members import MISREAD
from flowc.runtime.machine import this_machine
from flowc.runtime.whole_files import write_whole

VERSION = 2
MOST_BYTES = 8 << 20
"""Of a model's file."""
MOST_CHANGE = 64
"""Of a leaf: so many times by two more or less."""
MARGIN = 1.0
"""How far beyond what was measured a feature may lie; most are binary logarithms."""


class VariantModelError(ValueError):
    """Data that is no model of this version; the message says why."""


@frozen(eq=False)
class VariantModel:
    """A forest of three functions, the machine that was measured and by how many samples, and between what
    its features lay."""

    machine: str
    forest: Forest
    lowest: NDArray[np.float64]
    highest: NDArray[np.float64]
    samples: int


@frozen
class Change:
    """Binary logarithms of time over that of the usual way: between which two it lies in four cases of five,
    and the middle. `known` says whether anything like it was measured."""

    low: float
    middle: float
    high: float
    known: bool = True


UNKNOWN = Change(-1.0, 0.0, 1.0, known=False)


def change(model: VariantModel, row: Sequence[float]) -> Change:
    """What a way with these features is expected to change."""
    features = np.array(row, np.float64)
    if ((features > model.highest + MARGIN) | (features < model.lowest - MARGIN)).any():
        return UNKNOWN
    found = np.clip(evaluate(model.forest, features), -MOST_CHANGE, MOST_CHANGE)
    low, middle, high = map(float, found)
    return Change(min(low, middle), middle, max(middle, high))


def as_json(model: VariantModel) -> str:
    """The model as text."""
    data = {
        "version": VERSION,
        "features": list(FEATURES),
        "machine": model.machine,
        "samples": model.samples,
        "lowest": model.lowest.tolist(),
        "highest": model.highest.tolist(),
        "forest": as_data(model.forest),
    }
    return json.dumps(data, separators=(",", ":"))


def from_json(text: str) -> VariantModel:
    """The model in a text; raises VariantModelError where it is none, or one of another version."""
    if len(text) > MOST_BYTES:
        raise VariantModelError(f"more than {MOST_BYTES:,} bytes")
    try:
        data = json.loads(text)
        if data["version"] != VERSION or data["features"] != list(FEATURES):
            raise VariantModelError("it was made by another version")
        lowest, highest = (_numbers(data[name]) for name in ("lowest", "highest"))
        forest = from_data(data["forest"])
        if len(forest.ends) != 3 or forest.width > len(FEATURES):
            raise VariantModelError("it is incomplete")
        if abs(forest.leaves).max() > MOST_CHANGE:
            raise VariantModelError("it says that a way takes no time, or for ever")
        if type(data["samples"]) is not int:
            raise VariantModelError("it does not say by how many samples it was made")
        return VariantModel(str(data["machine"])[:200], forest, lowest, highest, data["samples"])
    except VariantModelError:
        raise
    except MISREAD as error:
        reason = str(error) if isinstance(error, ForestError) else "it is incomplete"
        raise VariantModelError(reason) from error


def _numbers(values: object) -> NDArray[np.float64]:
    if not isinstance(values, list) or len(values) != len(FEATURES):
        raise VariantModelError("a list of numbers has another length")
    if not all(type(value) in (int, float) and math.isfinite(value) for value in values):
        raise VariantModelError("something that is no finite number")
    return np.array(values, np.float64)


@frozen(eq=False)
class ChosenVariants:
    """The model to decide by, None where there is none for this machine, and then why."""

    model: VariantModel | None
    problem: str = ""


def path() -> Path:
    """Where `flowc tune` leaves it, beside the model of times."""
    return folder() / "choices.json"


def chosen() -> ChosenVariants:
    """The model to decide by: this machine's own, or that of the package if it is this machine's too; of two
    the one made by more samples. Another machine's decides nothing."""
    return _chosen(fingerprint())


@lru_cache(1)
def _chosen(_: str) -> ChosenVariants:
    """`chosen`, as long as the fingerprint of the models is this one: code is kept under it."""
    own, problem, found = path(), "", shipped()
    if found is not None and found.machine != this_machine():
        found = None
    try:
        if own.is_file():
            tuned = _read(own)
            if tuned.machine != this_machine():
                problem = f"{own} was measured on another machine"
            elif found is None or tuned.samples >= found.samples:
                found = tuned
    except (OSError, UnicodeDecodeError, VariantModelError) as error:
        problem = f"{own} is no model that can be used: {error}"
    return ChosenVariants(found, problem)


def store(text: str) -> None:
    """Stores a model for later runs, whole or not at all."""
    write_whole(path(), text.encode())


@cache
def shipped() -> VariantModel | None:
    """The model that comes with the package; None where it is one of another version."""
    try:
        return from_json(files("flowc.passes.cost").joinpath("choices.json").read_text(encoding="utf-8"))
    except (OSError, VariantModelError):
        return None


def _read(file: Path) -> VariantModel:
    if file.stat().st_size > MOST_BYTES:
        raise VariantModelError(f"more than {MOST_BYTES:,} bytes")
    return from_json(file.read_text(encoding="utf-8"))
