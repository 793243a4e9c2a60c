"""Programs as trees that are rewritten: walking, naming, replacing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any, TypeGuard, TypeVar

from attrs import evolve

from flowc.compiler import syntax as s
from flowc.testing.strategies.trees import PLACE, fields_of, is_node, with_parts

T = TypeVar("T")


def copied(node: T) -> T:
    """The same tree of new nodes, none of which stands at two places."""
    return rebuilt(node, lambda each: each)


def rebuilt(node: T, change: Callable[[Any], Any]) -> T:
    """A tree of new nodes, each changed after those inside it."""
    made: T = _rebuilt(node, change)
    return made


def _rebuilt(node: Any, change: Callable[[Any], Any]) -> Any:
    made = with_parts(node, lambda each: _rebuilt(each, change))
    return change(made) if is_node(made) else made


def replaced(node: T, new: Mapping[int, Any]) -> T:
    """The tree with other nodes, or other blocks, in the place of those with these ids."""
    made: T = _replaced(node, new)
    return made


def _replaced(node: Any, new: Mapping[int, Any]) -> Any:
    if id(node) in new:
        return new[id(node)]
    return with_parts(node, lambda each: _replaced(each, new))


def walk(node: Any) -> Iterator[Any]:
    """All nodes of a tree, outer ones first."""
    if isinstance(node, tuple):
        for each in node:
            yield from walk(each)
    elif is_node(node):
        yield node
        for each in fields_of(node).values():
            yield from walk(each)


def flows(program: s.Program) -> list[s.Callable]:
    """The flows of a program."""
    return [each for each in program.declarations if _is_flow(each)]


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


def with_names(node: T, new: Mapping[str, str]) -> T:
    """The tree with other names for its variables, where they are read and where they are given."""

    def renamed(each: Any) -> Any:
        match each:
            case s.Name(id=name) if name in new:
                return evolve(each, id=new[name])
            case s.Assign(targets=targets) | s.For(targets=targets) | s.Generator(targets=targets):
                return evolve(each, targets=tuple(new.get(name, name) for name in targets))
        return each

    return rebuilt(node, renamed)


def shuffled(things: Sequence[T], chance: Random) -> list[T]:
    """The same things in another order."""
    return chance.sample(list(things), len(things))


def with_flow(program: s.Program, flow: s.Callable) -> s.Program:
    """The program with one more flow, before all others."""
    first = next(place for place, each in enumerate(program.declarations) if _is_flow(each))
    before, behind = program.declarations[:first], program.declarations[first:]
    return evolve(program, declarations=(*before, flow, *behind))


def _is_flow(declaration: s.Declaration) -> TypeGuard[s.Callable]:
    return isinstance(declaration, s.Callable) and declaration.kind == "flow"


def assign(target: str, value: s.Expression, annotation: s.TypeRef | None = None) -> s.Assign:
    """`target = value`."""
    return s.Assign((target,), value, annotation, span=PLACE)
