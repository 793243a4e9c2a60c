"""Programs as trees that are rewritten: walking, replacing, and what must be known before that."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any, TypeVar

import attrs
from attrs import evolve, frozen

from flowc.compiler import syntax as s
from flowc.testing.strategies.trees import PLACE

T = TypeVar("T")
Effects = frozenset[tuple[str, str | None]]
"""Kinds of effects and their resources."""


def copied(node: T) -> T:
    """The same tree of new nodes, none of which stands at two places."""
    return rebuilt(node, lambda each: each)


def rebuilt(node: T, change: Callable[[Any], Any]) -> T:
    """A tree of new nodes, each changed after those inside it."""
    made: T = _rebuilt(node, change)
    return made


def _rebuilt(node: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(node, tuple):
        return tuple(_rebuilt(each, change) for each in node)
    if not attrs.has(type(node)) or isinstance(node, s.Span):
        return node
    fields = {name: _rebuilt(each, change) for name, each in _fields(node).items()}
    return change(type(node)(**fields))


def replaced(node: T, new: Mapping[int, Any]) -> T:
    """The tree with other nodes, or other blocks, in the place of those with these ids."""
    made: T = _replaced(node, new)
    return made


def _replaced(node: Any, new: Mapping[int, Any]) -> Any:
    if id(node) in new:
        return new[id(node)]
    if isinstance(node, tuple):
        return tuple(_replaced(each, new) for each in node)
    if not attrs.has(type(node)) or isinstance(node, s.Span):
        return node
    return type(node)(**{name: _replaced(each, new) for name, each in _fields(node).items()})


def _fields(node: Any) -> dict[str, Any]:
    return {each.name: getattr(node, each.name) for each in attrs.fields(type(node))}


def walk(node: Any) -> Iterator[Any]:
    """All nodes of a tree, outer ones first."""
    if isinstance(node, tuple):
        for each in node:
            yield from walk(each)
    elif attrs.has(type(node)) and not isinstance(node, s.Span):
        yield node
        for each in _fields(node).values():
            yield from walk(each)


def flows(program: s.Program) -> list[s.Callable]:
    """The flows of a program."""
    return [each for each in program.declarations if isinstance(each, s.Callable) and each.kind == "flow"]


def blocks(flow: s.Callable) -> list[s.Block]:
    """All blocks of a flow that hold statements."""
    found = [flow.body or ()]
    for node in walk(flow.body):
        match node:
            case s.If(branches=branches, otherwise=otherwise):
                found += [*(body for _, body in branches), otherwise]
            case s.For(body=body) | s.While(body=body) | s.With(body=body):
                found.append(body)
            case s.Try(body=body, otherwise=otherwise):
                found += [body, otherwise]
    return [each for each in found if each]


def bound(node: Any) -> set[str]:
    """The names that are given values somewhere inside."""
    found: set[str] = set()
    for each in walk(node):
        if isinstance(each, s.Assign | s.For | s.Generator):
            found |= {*each.targets}
    return found


def used(node: Any) -> set[str]:
    """The names that are read somewhere inside; `x += 1` reads x."""
    found = {each.id for each in walk(node) if isinstance(each, s.Name)}
    for each in walk(node):
        if isinstance(each, s.Assign) and each.operator is not None:
            found |= {*each.targets}
    return found


def leaves(node: Any) -> bool:
    """Whether something inside goes elsewhere than to the next statement."""
    return any(isinstance(each, s.Return | s.Break | s.Continue) for each in walk(node))


def fresh(program: s.Program, letter: str) -> Iterator[str]:
    """Names that stand nowhere in a program."""
    taken = {each.id for each in walk(program) if isinstance(each, s.Name)} | bound(program)
    taken |= {each.name for each in walk(program) if isinstance(each, s.Callable | s.Parameter)}
    number = 0
    while True:
        number += 1
        if f"{letter}{number}" not in taken:
            yield f"{letter}{number}"


def shuffled(things: Sequence[T], chance: Random) -> list[T]:
    """The same things in another order."""
    return chance.sample(list(things), len(things))


# ---- effects and failures


UNKNOWN = ("unknown", None)
"""What somebody else decides: the steps of a plan."""

STEADY = frozenset(
    ("len", "str", "abs", "sign", "float", "upper", "lower", "strip", "startswith", "min", "max", "range")
)
"""Built-in functions that do not fail for what generated programs give them."""


@frozen(eq=False)
class Facts:
    """What is known of the callables of a program. `failing` are tools that may fail."""

    effects: Mapping[str, Effects]
    declared: Mapping[str, s.Callable]
    failing: frozenset[str] = frozenset({"falter"})

    @staticmethod
    def of(program: s.Program) -> "Facts":
        """Reads the declarations; flows do what their bodies do."""
        declared = {each.name: each for each in program.declarations if isinstance(each, s.Callable)}
        known: dict[str, Effects] = {
            "sleep": frozenset({("sleep", None)}),
            "embed": frozenset({("llm", None)}),
            "execute": frozenset({UNKNOWN}),
        }
        facts = Facts(known, declared)
        for name, each in declared.items():
            if each.kind != "flow":
                known[name] = _declared(each)
        for name in declared:
            facts._learn(name, known)
        return facts

    def _learn(self, name: str, known: dict[str, Effects]) -> None:
        if name not in known:
            called = {each for each in used(self.declared[name].body) if each in self.declared} - {name}
            for each in called:
                self._learn(each, known)
            known[name] = self.of_node(self.declared[name].body)

    def of_node(self, node: Any) -> Effects:
        """The effects of all that is called inside."""
        return frozenset(effect for name in used(node) for effect in self.effects.get(name, ()))

    def writes(self, node: Any) -> bool:
        """Whether something outside changes, or somebody is asked."""
        return any(kind in ("writes", "human", "unknown") for kind, _ in self.of_node(node))

    def apart(self, one: Any, other: Any) -> bool:
        """Whether two parts may change places: neither writes what the other reads or writes, nor does one
        write and the other fail.
        """
        mine, theirs = self.of_node(one), self.of_node(other)
        if UNKNOWN in mine | theirs or _clash(mine, theirs) or _clash(theirs, mine):
            return False
        return (self.steady(other) or not self.writes(one)) and (self.steady(one) or not self.writes(other))

    def steady(self, node: Any) -> bool:
        """Whether it surely does not fail."""
        return all(self._one_is_steady(each) for each in walk(node))

    def _one_is_steady(self, node: Any) -> bool:
        match node:
            case s.Call(function=s.Name(id=name)):
                if name in self.declared and self.declared[name].kind != "flow":
                    return name not in self.failing and not self.declared[name].decorators
                return name in STEADY
            case s.Binary(operator=operator, right=right):
                safe = operator in ("+", "-", "and", "or")
                return safe or (isinstance(right, s.Constant) and operator in "*//%" and right.value != 0)
            case s.Subscript(indices=indices):
                return all(isinstance(each, s.Slice) for each in indices)
            case s.Call() | s.With() | s.While() | s.Try() | s.TryElse() | s.Attribute():
                return False
        return True


def _declared(each: s.Callable) -> Effects:
    if each.kind in ("llm", "human", "event"):
        return frozenset({("llm" if each.kind == "llm" else "human", None)})
    found = {(effect.kind, effect.resource) for effect in each.effects or ()} - {("pure", None)}
    return frozenset(found)


def _clash(one: Effects, other: Effects) -> bool:
    return any(
        kind == "writes" and (beside, resource) in other
        for kind, resource in one
        for beside in ("reads", "writes")
    )


# ---- programs, changed


def with_flow(program: s.Program, flow: s.Callable) -> s.Program:
    """The program with one more flow, before all others."""
    first = next(place for place, each in enumerate(program.declarations) if _is_flow(each))
    before, behind = program.declarations[:first], program.declarations[first:]
    return evolve(program, declarations=(*before, flow, *behind))


def _is_flow(declaration: s.Declaration) -> bool:
    return isinstance(declaration, s.Callable) and declaration.kind == "flow"


def assign(target: str, value: s.Expression, annotation: s.TypeRef | None = None) -> s.Assign:
    """`target = value`."""
    return s.Assign((target,), value, annotation, span=PLACE)
