"""What may become of something written: JSON with a place of it changed, bytes that are damaged."""

import copy
from collections.abc import Iterator
from typing import Any

from flowc.runtime.plan import Json
from flowc.testing.strategies.choices import Choices

ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2, 10**400, 0.5, float("inf"), float("nan"), "", "x", "tool0", "speculate", [],
    [0], [[]], [[0, 0]], [-1, -1], {}, {"a": 1}, {"list": "int"}, {"plan": [1]}, {"$bytes": "?"},
    {"array": "f32", "dims": [True]}, {"array": "f32", "dims": [[]]},
)  # fmt: skip
"""JSON values that few places expect."""


def changed_json(choices: Choices, value: Json) -> Any:
    """A JSON value with one or two places of it changed."""
    changed = copy.deepcopy(value)
    for _ in range(choices.number(1, 2)):
        places = list(_places(changed))
        if places:
            _change(choices, *choices.one(places), places)
    return changed


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each container in a value, with each key or index of it."""
    pending = [value]
    for each in pending:
        keys = list(each) if isinstance(each, dict) else range(len(each)) if isinstance(each, list) else ()
        for key in keys:
            yield each, key
            pending.append(each[key])


def _change(choices: Choices, holder: Any, key: Any, places: list[tuple[Any, Any]]) -> None:
    match choices.number(0, 3):
        case 0:
            holder[key] = copy.deepcopy(choices.one(ODD))  # it is changed in its turn
        case 1:
            del holder[key]
        case 2:
            other, at = choices.one(places)
            holder[key] = copy.deepcopy(other[at])
        case _ if isinstance(holder, list):
            holder.insert(choices.number(0, len(holder)), copy.deepcopy(holder[key]))
        case _:
            name = choices.one(["", "x", "settings", "after", "regions", "rank"])
            holder[name] = copy.deepcopy(choices.one(ODD))


def damaged(choices: Choices, content: bytes) -> bytes:
    """Bytes with some of them flipped, cut off, left out, doubled or moved."""
    start, stop = sorted(choices.number(0, len(content)) for _ in range(2))
    match choices.number(0, 4):
        case 0:
            flipped = bytearray(content)
            for _ in range(choices.number(1, 3) if content else 0):
                flipped[choices.number(0, len(content) - 1)] ^= 1 << choices.number(0, 7)
            return bytes(flipped)
        case 1:
            return content[:start]
        case 2:
            return content[:start] + content[stop:]
        case 3:
            return content[:stop] + content[start:]
    to = choices.number(0, len(content))
    return content[:to] + content[start:stop] + content[to:]
