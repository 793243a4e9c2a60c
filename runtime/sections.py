"""Sections of flowc.toml, read strictly: what is not known or not of its type is an error with its place."""

import math
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from flowc.runtime.errors import FlowError, fail

LARGEST = 2**63 - 1
"""The largest whole number that TOML promises."""
LONGEST = 10**1000
"""A number that messages still show."""


def parsed(text: str) -> dict[str, object]:
    """The members of a TOML text. Raises ValueError for what is none, and for numbers of more digits than
    Python writes: those with a prefix, as in `0xff`, are read however long they are. RecursionError where it
    nests too deep.
    """
    content = tomllib.loads(text)
    left: list[object] = [content]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)
        elif isinstance(value, int) and abs(value) > LONGEST:
            raise ValueError("a number has thousands of digits")
    return content


def shown(path: Path) -> str:
    """A path as a person would write it here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def wrong(message: str, path: Path) -> FlowError:
    """E0649: a setting has a wrong value."""
    return fail("E0649", message, why=f"read in {shown(path)}", help="correct the value in flowc.toml")


def table(value: object, place: str, path: Path) -> dict[str, object]:
    """The members of a section; raises E0649 for what is none."""
    if not isinstance(value, dict):
        raise wrong(f"{place} must be a section, not {value!r:.40}", path)
    return value


def known(members: Mapping[str, object], names: Iterable[str], place: str, path: Path) -> None:
    """Raises E0648 for a member that is none of `names`."""
    names = tuple(names)
    for name in members:
        if name not in names:
            raise fail(
                "E0648",
                f"flowc.toml has no setting `{name}`" + (f" in {place}" if place else ""),
                why=f"read in {shown(path)}",
                help="it knows: " + ", ".join(names),
            )


def typed(members: dict[str, object], keys: Mapping[str, type], place: str, path: Path) -> dict[str, object]:
    """The members, each of its type; raises E0648 and E0649."""
    known(members, keys, place, path)
    for name, value in members.items():
        wanted = keys[name]
        fits = isinstance(value, int | float) if wanted is float else isinstance(value, wanted)
        if not fits or isinstance(value, bool) != (wanted is bool):
            raise wrong(f"{name} in {place} must be of type {wanted.__name__}, not {value!r:.40}", path)
        if isinstance(value, int) and not -LARGEST <= value <= LARGEST:
            raise wrong(f"{name} in {place} must be a number of at most 64 bits", path)
        if isinstance(value, float) and not math.isfinite(value):
            raise wrong(f"{name} in {place} must be a finite number, not {value}", path)
    return members
