"""Names and records of an imported graph: the given names where the language leaves them free."""

import re
import unicodedata

from attrs import define, field

from flowc.compiler.builtins import RESERVED as BUILT_IN
from flowc.compiler.checker.annotations import TYPE_NAMES
from flowc.compiler.importers.halo.answers import Fields, Leaf, Sequence, Shape
from flowc.compiler.parser.lexer import FOREIGN
from flowc.grammar.tables import RESERVED

_WORDS = RESERVED | FOREIGN
"""Words that are no names anywhere."""
_TAKEN = BUILT_IN | frozenset(TYPE_NAMES)
"""Names that no declaration may take."""


def legal(name: str) -> str:
    """A name as the language writes one: other characters become `_`.

    >>> legal("2nd-step"), legal("if"), legal("größe")
    ('n_2nd_step', 'if_', 'größe')
    """
    found = unicodedata.normalize("NFKC", name)
    found = re.sub(r"\W+", "_", found)[:120] or "unnamed"
    if not (found[0] == "_" or found[0].isalpha()) or not found.isidentifier():
        found = "n_" + re.sub(r"[^0-9A-Za-z_]+", "_", found)
    return f"{found}_" if found in _WORDS else found


def capitals(name: str) -> str:
    """A name as records have it.

    >>> capitals("tpch_params")
    'TpchParams'
    """
    return "".join(part[:1].upper() + part[1:] for part in legal(name).split("_")) or "Unnamed"


@define
class Names:
    """Names given out in one place of the program, so that no two things share one."""

    taken: set[str] = field(factory=lambda: {"main", *_TAKEN})

    def free(self, name: str, instead: str = "") -> str:
        """`name`, or with `_instead` or a number behind it where that is taken."""
        base = legal(name)
        found = base
        if found in self.taken and instead:
            found = f"{base}_{instead}"
        number = 1
        while found in self.taken:
            number += 1
            found = f"{base}_{number}"
        self.taken.add(found)
        return found


@define
class Records:
    """The records of the program, by name; equal ones asked for under one name are one."""

    names: Names
    fields: dict[str, tuple[tuple[str, str], ...]] = field(factory=dict)
    keys: dict[str, dict[str, str]] = field(factory=dict)

    def add(self, name: str, members: dict[str, str]) -> str:
        """A record of these fields and types; gives its name."""
        own = Names(set())
        keys = {key: own.free(key) for key in members}
        fields = tuple((keys[key], type_) for key, type_ in members.items())
        wanted = capitals(name)
        if self.fields.get(wanted) == fields:
            return wanted
        found = self.names.free(wanted)
        self.fields[found], self.keys[found] = fields, keys
        return found

    def type_of(self, shape: Shape, name: str) -> str:
        """The type of an answer; objects inside it become records."""
        match shape:
            case Leaf(type_):
                return type_
            case Sequence(element):
                return f"list[{self.type_of(element, name)}]"
            case Fields(fields):
                return self.add(name, {key: self.type_of(each, f"{name}_{key}") for key, each in fields})

    def at(self, type_: str, key: str) -> tuple[str, str] | None:
        """How a field of a value of that type is written, and its type; None where there is none."""
        if type_ == "json":
            return (f'["{key}"]' if key in _WORDS else f".{key}"), "json"
        written = self.keys.get(type_, {}).get(key)
        return (f".{written}", dict(self.fields[type_])[written]) if written is not None else None
