"""Actions that build types and effects."""

import itertools
from typing import Any

from flowc.compiler.parser.problem import problem, span_of
from flowc.compiler.syntax import Dimension, Effect, TypeRef
from flowc.grammar.lalr import Action
from flowc.grammar.tokens import Token

ARRAY_TYPES = frozenset(["f16", "f32", "f64", "bf16", "i8", "u8", "i16", "i32", "i64", "bool"])
"""The types that may be an array's elements: in their brackets stand extents, not types."""


def _type(children: list[Any], first: Token, last: Token) -> TypeRef:
    *words, arguments, optional = children
    *labels, name = words
    made = tuple(_argument(name, argument) for argument in arguments or ())
    return TypeRef(
        name.text,
        made,
        tuple(label.text for label in labels),
        optional is not None,
        span=span_of(first, last),
    )


def _argument(name: Token, argument: TypeRef | Token) -> TypeRef | Dimension:
    if isinstance(argument, Token):
        span = span_of(argument, argument)
        if name.text not in ARRAY_TYPES:
            raise problem(
                "E0028",
                f"`{name.text}` takes types, not numbers",
                span,
                help="only arrays have extents: `f32[n, 384]`",
            )
        if not argument.text.replace("_", "").isdigit() or len(argument.text) > 18:
            raise problem(
                "E0028", f"`{argument.text}` is no extent", span, help="an extent is a whole number or a name"
            )
        return Dimension(int(argument.text), span=span)
    if name.text not in ARRAY_TYPES:
        return argument
    if argument.arguments or argument.labels or argument.optional:
        raise problem(
            "E0028",
            f"`{name.text}[...]` takes extents, not types",
            argument.span,
            help="an extent is a whole number or a name, as in `f32[n, 384]`",
        )
    return Dimension(argument.name, span=argument.span)


def _arguments(children: list[Any], first: Token, last: Token) -> list[Any]:
    return children


def _none(children: list[Any], first: Token, last: Token) -> Token:
    return first


def _effects(children: list[Any], first: Token, last: Token) -> tuple[Effect, ...]:
    return tuple(children)


def _plain_effect(children: list[Any], first: Token, last: Token) -> Effect:
    return Effect(children[0].text, span=span_of(first, last))


def _reads(children: list[Any], first: Token, last: Token) -> Effect:
    return Effect("reads", children[1].text, span=span_of(first, last))


def _writes(children: list[Any], first: Token, last: Token) -> Effect:
    _, resource, *words = children
    idempotent = any(word.kind == "idempotent" for word in words)
    undo = next((word.text for before, word in itertools.pairwise(words) if before.kind == "undo"), None)
    return Effect("writes", resource.text, idempotent, undo, span=span_of(first, last))


ACTIONS: dict[str, Action] = {
    "type": _type,
    "type_arguments": _arguments,
    "none": _none,
    "effects": _effects,
    "plain_effect": _plain_effect,
    "reads": _reads,
    "writes": _writes,
}
