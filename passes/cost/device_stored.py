"""What `flowc tune` measured of this machine's GPU, on disk; where there is nothing, its data sheet."""

import json
import math
from functools import lru_cache
from pathlib import Path
from typing import Any

from attrs import evolve

from flowc.passes.cost.device_card import Card, card_of
from flowc.passes.cost.place import folder
from flowc.runtime.device.protocol import Properties
from flowc.runtime.whole_files import write_whole

VERSION = 1
MOST_BYTES = 1 << 16
"""Of the file."""
MEASURED = {
    "bandwidth": (1e9, 1e15),
    "bus": (1e7, 1e13),
    "pageable": (1e7, 1e13),
    "read": (1e-8, 1e-1),
}
"""What is measured, and between what it lies; rates of arithmetic are those of the data sheet."""

SOURCE = "`flowc tune` and its data sheet"


def path() -> Path:
    """Where `flowc tune` leaves what it measured."""
    return folder() / "device.json"


def store(card: Card, properties: Properties) -> Path:
    """Stores what was measured of a card, whole or not at all; gives its place."""
    data = {
        "version": VERSION,
        "device": _identity(properties),
        "figures": {name: getattr(card, name) for name in MEASURED},
    }
    write_whole(path(), json.dumps(data).encode())
    return path()


def card_of_device(properties: Properties) -> Card:
    """The card that a driver describes, with what was measured of it. What is damaged, or another card's, is
    left alone."""
    try:
        changed = path().stat().st_mtime_ns
    except OSError:
        changed = 0
    return _card(properties, path(), changed)


@lru_cache(4)
def _card(properties: Properties, where: Path, changed: int) -> Card:
    card = card_of(properties)
    figures = _figures(properties, where) if changed else None
    if figures is None:
        return card
    return evolve(card, **figures)


def _figures(properties: Properties, where: Path) -> dict[str, Any] | None:
    """The fields of a card that a file gives, None where it has none for this card and driver."""
    try:
        if where.stat().st_size > MOST_BYTES:
            return None
        data = json.loads(where.read_text(encoding="utf-8"))
        if data["version"] != VERSION or data["device"] != _identity(properties):
            return None
        found = {name: _bounded(data["figures"][name], *MEASURED[name]) for name in MEASURED}
        return {**found, "reached": 1.0, "measured": True, "source": SOURCE}
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None


def _identity(properties: Properties) -> list[object]:
    """What tells cards apart that were measured, and the drivers that they were measured with."""
    return [properties.name, properties.architecture, properties.multiprocessors, properties.driver]


def _bounded(value: object, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("a figure is a number")
    if not least <= value <= most:
        raise ValueError("no card is like that")
    return float(value)
