"""What numeric code must know of a call beyond its types; the compiler finds out by trying."""

from typing import Any

from attrs import frozen


@frozen
class Facts:
    """Parameters whose value the code is made for; whole numbers that may be equal to an extent; extents, by
    parameter and axis, whose number the code is made for; and how long an extent must be for the code to
    take it as
    it comes: a shorter one has code of its own."""

    values: frozenset[str] = frozenset()
    matches: frozenset[str] = frozenset()
    extents: frozenset[tuple[str, int]] = frozenset()
    least: frozenset[tuple[str, int, int]] = frozenset()

    def __or__(self, other: "Facts") -> "Facts":
        return Facts(
            self.values | other.values,
            self.matches | other.matches,
            self.extents | other.extents,
            self.least | other.least,
        )

    def __bool__(self) -> bool:
        return bool(self.values or self.matches or self.extents or self.least)


class NeedsFacts(Exception):
    """The code cannot be made without these facts."""

    def __init__(self, facts: Facts) -> None:
        super().__init__(str(facts))
        self.facts = facts


def facts_to_json(facts: Facts) -> dict[str, Any]:
    """A plain JSON value that `facts_from_json` reads back."""
    return {
        "values": sorted(facts.values),
        "matches": sorted(facts.matches),
        "extents": sorted(map(list, facts.extents)),
        "least": sorted(map(list, facts.least)),
    }


def facts_from_json(value: dict[str, Any]) -> Facts:
    """Reads what `facts_to_json` gives."""
    extents = frozenset((str(name), int(axis)) for name, axis in value["extents"])
    least = frozenset((str(name), int(axis), int(number)) for name, axis, number in value["least"])
    return Facts(frozenset(value["values"]), frozenset(value["matches"]), extents, least)
