"""The LALR(1) tables of the language, as committed beside the grammar."""

import functools
import json
from pathlib import Path

from attrs import frozen

TABLES_FILE = Path(__file__).with_name("flow.tables.json")

RESERVED = frozenset(
    [
        "and",
        "break",
        "continue",
        "elif",
        "else",
        "false",
        "for",
        "from",
        "if",
        "import",
        "in",
        "is",
        "none",
        "not",
        "or",
        "pass",
        "return",
        "true",
        "try",
        "while",
        "with",
    ]
)
"""Keywords everywhere. The grammar's other keywords may be names where no keyword fits."""


@frozen
class Production:
    """A grammar rule: how many symbols become `origin`, and which action makes its value from which of them.

    `kept` holds pairs of a child's position (-1: an absent optional child, None) and whether that child is a
    list to splice in. An empty action gives the list of children; one that begins with "?" gives the only
    child as it is, and the action's value where there are more.
    """

    origin: str
    size: int
    action: str
    kept: tuple[tuple[int, bool], ...]


@frozen(eq=False)
class Tables:
    """`actions[s][terminal]` is the state to shift to, or -1 - r to reduce by production r.

    Terminals stand as written; `gotos[s][origin]` is the state after a reduction.
    """

    start: int
    end: int
    name: str
    number: str
    productions: tuple[Production, ...]
    actions: tuple[dict[str, int], ...]
    gotos: tuple[dict[str, int], ...]

    def keywords(self) -> frozenset[str]:
        """All words with a meaning of their own somewhere in the grammar."""
        return frozenset(symbol for row in self.actions for symbol in row if symbol.islower())

    def operators(self) -> tuple[str, ...]:
        """All marks of the grammar, longer ones before their beginnings."""
        marks = {symbol for row in self.actions for symbol in row if not symbol[0].isalpha()} - {"$END"}
        return tuple(sorted(marks, key=lambda mark: (-len(mark), mark)))


@functools.cache
def load() -> Tables:
    """Reads the tables, once a process."""
    data = json.loads(TABLES_FILE.read_text(encoding="utf-8"))
    return Tables(
        start=data["start"],
        end=data["end"],
        name=data["name"],
        number=data["number"],
        productions=tuple(
            Production(origin, size, action, tuple((child, bool(splice)) for child, splice in kept))
            for origin, size, action, kept in data["rules"]
        ),
        actions=tuple(data["actions"]),
        gotos=tuple(data["gotos"]),
    )
