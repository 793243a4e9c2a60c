"""What checking a body carries along: the world around it, the scope, and the facts found so far."""

from collections.abc import Callable, Mapping
from typing import Literal

from attrs import Factory, define, frozen

from flowc.compiler.checker.model import BoundCall, FieldInfo, Signature
from flowc.compiler.checker.report import Report
from flowc.compiler.checker.scope import Scope
from flowc.compiler.syntax import Expression, Span
from flowc.runtime.plan import Limits
from flowc.runtime.types import Dict, List, Optional, Scalar, Tuple, Type, text

ERROR = Scalar("?")
"""The type of an expression with an error in it; it fits everywhere, so that one mistake is told once."""


@define
class World:
    """The declarations of a program, by name. Flows get their effects when all bodies are checked."""

    records: dict[str, tuple[FieldInfo, ...]] = Factory(dict)
    enums: dict[str, tuple[str, ...]] = Factory(dict)
    callables: dict[str, Signature] = Factory(dict)
    chains: tuple[tuple[str, ...], ...] = ()
    fields: dict[str, Mapping[str, Type]] = Factory(dict)
    tools: tuple[str, ...] = ()
    broken: set[str] = Factory(set)


@define
class Facts:
    """What is known about expressions and statements, by id. Shared by all bodies.

    `made` keeps alive the expressions that checking made up, so that no other gets their ids.
    """

    types: dict[int, Type] = Factory(dict)
    calls: dict[int, BoundCall] = Factory(dict)
    coercions: dict[int, Type] = Factory(dict)
    limits: dict[int, Limits] = Factory(dict)
    made: list[Expression] = Factory(list)


@frozen
class CallMade:
    """A call that a body makes of something with an effect of its own: a callable's name, `embed`, `sleep`.

    `planned` where a plan may make it, as one of its steps.
    """

    callee: str
    span: Span
    planned: bool = False


@frozen
class Region:
    """A piece of a body whose calls must obey a rule: they stand in `calls[first:last]`."""

    kind: Literal["race", "vote", "retry", "transaction"]
    first: int
    last: int
    span: Span


@define
class Context:
    """The state of checking one body. `dispatch` infers an expression's type: it ties the rules together."""

    world: World
    report: Report
    facts: Facts
    owner: str
    kind: str
    scope: Scope
    dispatch: "Callable[[Context, Expression, Type | None], Type]"
    result: Type | None = None
    result_span: Span | None = None
    loops: int = 0
    limits: tuple[Limits, ...] = ()
    calls: list[CallMade] = Factory(list)
    regions: list[Region] = Factory(list)
    holes: dict[str, Type | None] = Factory(dict)
    hole_spans: dict[str, Span] = Factory(dict)
    open_types: list[int] = Factory(list)
    used: set[str] = Factory(set)
    defined: dict[str, Span] = Factory(dict)
    later: dict[str, Span] = Factory(dict)
    returned: list[Type] = Factory(list)
    blocks: dict[int, frozenset[str]] = Factory(dict)


def infer(context: Context, expression: Expression, expected: Type | None = None) -> Type:
    """The type of an expression. `expected` helps where the expression alone does not tell (`[]`)."""
    found = context.dispatch(context, expression, expected)
    context.facts.types[id(expression)] = found
    if context.holes and has_hole(found):
        context.open_types.append(id(expression))
    return found


def new_hole(context: Context, span: Span) -> Type:
    """A type that a later use of the value will tell."""
    hole = Scalar(f"?{len(context.holes)}")
    context.holes[hole.name] = None
    context.hole_spans[hole.name] = span
    return hole


def is_hole(type_: Type) -> bool:
    """Whether the type is still to be told."""
    return isinstance(type_, Scalar) and type_.name[0] == "?" and type_ != ERROR


def has_hole(type_: Type) -> bool:
    """Whether a part of the type is, or was when it was written down, still to be told."""
    match type_:
        case Scalar(name):
            return name[0] == "?" and len(name) > 1
        case List(inner) | Dict(inner) | Optional(inner):
            return has_hole(inner)
        case Tuple(items):
            return any(map(has_hole, items))
    return False


def resolve(context: Context, type_: Type) -> Type:
    """The type with every hole that has been filled replaced."""
    if not context.holes:
        return type_
    match type_:
        case Scalar(name):
            filled = context.holes.get(name)
            return type_ if filled is None else resolve(context, filled)
        case List(inner):
            return List(resolve(context, inner))
        case Dict(inner):
            return Dict(resolve(context, inner))
        case Optional(inner):
            return Optional(resolve(context, inner))
        case Tuple(items, names):
            return Tuple(tuple(resolve(context, item) for item in items), names)
    return type_


def shown_type(context: Context, type_: Type) -> str:
    """A type as a message has it; what is not known yet shows as `_`."""
    resolved = resolve(context, type_)
    return text(_blanked(resolved)) if has_hole(resolved) else text(resolved)


def a_type(context: Context, type_: Type) -> str:
    """A type with its article: "an `int`"."""
    shown = shown_type(context, type_)
    vowel = shown[0] in "aeioAEIO" or (shown[0] == "f" and shown[1:2].isdigit())
    return f"{'an' if vowel else 'a'} `{shown}`"


def _blanked(type_: Type) -> Type:
    match type_:
        case Scalar(name):
            return Scalar("_") if name[0] == "?" else type_
        case List(inner):
            return List(_blanked(inner))
        case Dict(inner):
            return Dict(_blanked(inner))
        case Optional(inner):
            return Optional(_blanked(inner))
        case Tuple(items, names):
            return Tuple(tuple(map(_blanked, items)), names)
    return type_
