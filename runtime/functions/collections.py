"""Lists, dicts and json: reductions, search, order, and the votes that agentic programs take."""

import json
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from flowc.runtime.values import as_text, canonical, equal, to_json

LONGEST_RANGE = 10_000_000
"""Elements that a range may have."""


def _key(value: object) -> Hashable:
    """Equal values have equal keys. Values that cannot be hashed are told apart by their JSON."""
    return value if isinstance(value, str | int | float | None) else canonical(value)


def _range(*bounds: int) -> list[int]:
    numbers = range(*bounds)
    if len(numbers) > LONGEST_RANGE:
        raise ValueError(f"a range of {len(numbers):,} numbers is longer than {LONGEST_RANGE:,}")
    return list(numbers)


def _sorted(values: Sequence[Any], by: str | None = None, reverse: bool = False) -> list[Any]:
    if by is None:
        return sorted(values, reverse=reverse)
    return sorted(values, key=lambda value: getattr(value, by), reverse=reverse)


def _not_empty(values: Sequence[Any], name: str) -> None:
    if not len(values):
        raise ValueError(f"`{name}` of an empty list")


def _extreme(name: str, pick: Callable[[Sequence[Any]], Any]) -> Callable[..., Any]:
    def apply(*values: Any) -> Any:
        chosen = values[0] if len(values) == 1 else values
        _not_empty(chosen, name)
        return pick(chosen)

    return apply


def _sum(values: Sequence[Any]) -> Any:
    if values and isinstance(values[0], float):
        return math.fsum(values) if all(map(math.isfinite, values)) else sum(values)
    return sum(values)


def _mean(values: Sequence[Any]) -> Any:
    _not_empty(values, "mean")
    return _sum(values) / len(values)


def _position(name: str, better: Callable[[Any, Any], bool]) -> Callable[[Sequence[Any]], int]:
    def apply(values: Sequence[Any]) -> int:
        _not_empty(values, name)
        best = 0
        for index, value in enumerate(values):
            if better(value, values[best]):
                best = index
        return best

    return apply


def _first(values: Sequence[Any]) -> Any:
    _not_empty(values, "first")
    return values[0]


def _last(values: Sequence[Any]) -> Any:
    _not_empty(values, "last")
    return values[-1]


def _unique(values: Sequence[Any]) -> list[Any]:
    seen: dict[Hashable, Any] = {}
    for value in values:
        seen.setdefault(_key(value), value)
    return list(seen.values())


def _count(values: Any, value: Any) -> int:
    if isinstance(values, str):
        return values.count(value)
    return sum(equal(value, other) for other in values)


def _index(values: Any, value: Any) -> int:
    for position, other in enumerate(values):
        if equal(value, other):
            return position
    raise ValueError(f"{as_text(value):.60} is not in the list")


def _contains(values: Any, value: Any) -> bool:
    return value in values if isinstance(values, str) else any(equal(value, other) for other in values)


def _tally(values: Sequence[Any]) -> dict[Hashable, list[Any]]:
    tally: dict[Hashable, list[Any]] = {}
    for value in values:
        tally.setdefault(_key(value), []).append(value)
    return tally


def _majority(values: Sequence[Any]) -> Any:
    _not_empty(values, "majority")
    return max(_tally(values).values(), key=len)[0]


def _agreement(values: Sequence[Any]) -> float:
    _not_empty(values, "agreement")
    return max(map(len, _tally(values).values())) / len(values)


def _members(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{as_text(value):.60} is no json object")
    return value


def _get(values: Any, key: Any, default: Any = None) -> Any:
    if isinstance(values, list):
        return values[key] if isinstance(key, int) and -len(values) <= key < len(values) else default
    return values.get(key, default) if isinstance(values, Mapping) else default


def _elements(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{as_text(value):.60} is no json array")
    return value


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{text!r:.60} is not JSON: {error}") from None


COLLECTIONS: Mapping[str, Callable[..., Any]] = {
    "len": len,
    "range": _range,
    "sorted": _sorted,
    "reversed": lambda values: list(values)[::-1],
    "zip": lambda *lists: list(zip(*lists, strict=False)),
    "enumerate": lambda values: list(enumerate(values)),
    "append": lambda values, value: [*values, value],
    "concat": lambda *lists: [value for values in lists for value in values],
    "flatten": lambda lists: [value for values in lists for value in values],
    "unique": _unique,
    "first": _first,
    "last": _last,
    "count": _count,
    "index": _index,
    "contains": _contains,
    "sum": _sum,
    "prod": math.prod,
    "mean": _mean,
    "min": _extreme("min", min),
    "max": _extreme("max", max),
    "any": any,
    "all": all,
    "argmax": _position("argmax", lambda value, best: value > best),
    "argmin": _position("argmin", lambda value, best: value < best),
    "majority": _majority,
    "agreement": _agreement,
    "keys": lambda values: list(_members(values)),
    "values": lambda values: list(_members(values).values()),
    "items": lambda values: list(_members(values).items()),
    "get": _get,
    "put": lambda values, key, value: {**_members(values), key: value},
    "or_else": lambda value, default: default if value is None else value,
    "parse_json": _parse_json,
    "to_json": lambda value: to_json(value, limit=None),
    "elements": _elements,
}
"""Functions of lists, dicts and json."""
