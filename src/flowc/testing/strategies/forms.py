"""Forms of expressions, read from their text: what builds them, what they need, where they may stand."""

from collections.abc import Callable, Mapping
from functools import cache
from itertools import accumulate
from typing import Any

from attrs import frozen

from flowc.compiler import syntax as s
from flowc.compiler.parser import parse
from flowc.testing.strategies.answers import declarations
from flowc.testing.strategies.phrases import CONSTANTS, FORMS, TYPES
from flowc.testing.strategies.trees import fields_of, is_node, placed

Fill = Callable[[str], s.Expression]
"""The expression for a hole."""

Build = Callable[[Fill], s.Expression]
"""A form that waits for what fills its holes."""


@frozen
class Form:
    """One line. `writes` names the tools that write in it, `uses` all declarations that it names; `asks` says
    whether a person is asked, `calls` whether anybody is.
    """

    build: Build
    weight: int
    writes: frozenset[str]
    uses: frozenset[str]
    asks: bool
    calls: bool


HOLES = frozenset({*TYPES, *CONSTANTS, *FORMS, "TAG", "MAP_INT", "MAP_STR", "MAP_FLOAT", "MAP_ITEM"})


def form(text: str) -> Form:
    """A line as a form."""
    number, _, rest = text.partition(" ")
    weight, text = (int(number), rest) if rest and number.isdigit() else (1, text)
    tree = read(text)
    uses = mentioned(tree)
    calls = bool(_called(uses) - {"flow"})
    return Form(_builder(tree, HOLES), weight, writes_of(uses), uses, asks(uses), calls)


def asks(uses: frozenset[str]) -> bool:
    """Whether what names these declarations asks a person."""
    return not _called(uses).isdisjoint({"human", "event"})


def _called(uses: frozenset[str]) -> set[str]:
    """The kinds of what is called by what names these declarations."""
    return {each.kind for each in needed(uses) if isinstance(each, s.Callable)}


def read(text: str) -> s.Expression:
    """The tree of an expression."""
    match parse(f"flow main() -> int:\n    return {text}\n", "forms.flow").declarations:
        case (s.Callable(body=(s.Return(value=value),)),) if value is not None:
            return placed(value)
    raise ValueError(text)


def template(text: str, holes: frozenset[str]) -> Build:
    """An expression with holes of these names."""
    return _builder(read(text), holes)


def _builder(tree: Any, holes: frozenset[str]) -> Callable[[Fill], Any]:
    """A function that builds the tree anew, each hole filled: no node stands at two places."""
    if isinstance(tree, s.Name) and tree.id in holes:
        return lambda fill: fill(tree.id)
    if isinstance(tree, tuple):
        parts = tuple(_builder(each, holes) for each in tree)
        return lambda fill: tuple([part(fill) for part in parts])
    if not is_node(tree):
        return lambda fill: tree
    kind, values = type(tree), fields_of(tree)
    fixed = {name: value for name, value in values.items() if _is_fixed(value)}
    builders = [(name, _builder(value, holes)) for name, value in values.items() if name not in fixed]
    return lambda fill: kind(**fixed, **{name: build(fill) for name, build in builders})


def _is_fixed(value: Any) -> bool:
    return not (isinstance(value, tuple) or is_node(value))


def mentioned(tree: Any) -> frozenset[str]:
    """The declarations of the environment that a tree names: callables, types and labels."""
    return words(tree) & declarations().keys()


def words(tree: Any) -> frozenset[str]:
    """All names and texts in a tree; the order of labels is called `labels`."""
    found: set[str] = set()
    pending = [tree]
    while pending:
        each = pending.pop()
        if isinstance(each, tuple):
            pending += each
        elif isinstance(each, str):
            found.add("labels" if each in ("low", "mid", "high") else each)
        elif is_node(each):
            pending += fields_of(each).values()
    return frozenset(found)


@cache
def needs() -> Mapping[str, frozenset[str]]:
    """What each declaration of the environment names itself."""
    return {name: mentioned(each) - {name} for name, each in declarations().items()}


def needed(names: frozenset[str]) -> tuple[s.Declaration, ...]:
    """The declarations of these names and of all that they name in turn."""
    found: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += needs()[name]
    return tuple(each for name, each in declarations().items() if name in found)


def writes_of(names: frozenset[str]) -> frozenset[str]:
    """The tools that write among these and in the flows among these."""
    found: set[str] = set()
    for name in names:
        each = declarations()[name]
        if isinstance(each, s.Callable) and each.kind == "tool":
            found |= {name} if any(effect.kind == "writes" for effect in each.effects or ()) else set()
        elif isinstance(each, s.Callable) and each.kind == "flow":
            found |= writes_of(mentioned(each.body))
    return frozenset(found)


@cache
def lines(hole: str) -> tuple[Form, ...]:
    """All forms for a hole."""
    return tuple(form(line.strip()) for line in FORMS[hole].strip().splitlines())


@frozen
class Choices:
    """Forms to choose from, with their weights added up."""

    forms: tuple[Form, ...]
    weights: tuple[int, ...]


@cache
def choices(hole: str, writable: frozenset[str], asks: bool) -> Choices:
    """The forms for a hole that write nothing else than this, and ask a person only where that may be."""
    fit = tuple(each for each in lines(hole) if each.writes <= writable and (asks or not each.asks))
    return Choices(fit, tuple(accumulate(each.weight for each in fit)))


@cache
def constants(hole: str) -> tuple[Form, ...]:
    """The constants for a hole."""
    return tuple(form(text.strip()) for text in CONSTANTS[hole].split("; "))
