"""Short ways to build syntax trees in tests; every node stands at the same place."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import attrs

from flowc.compiler import syntax as s

PLACE = s.Span(1, 1, 1, 2)
"""Trees are not read from a text, so every node stands at the same place."""


def ref(name: str, *arguments: s.TypeRef | s.Dimension, optional: bool = False) -> s.TypeRef:
    """A type as written."""
    return s.TypeRef(name, arguments, (), optional, span=PLACE)


def name(text: str) -> s.Name:
    """A name."""
    return s.Name(text, span=PLACE)


def constant(value: int | float | str | bool | None) -> s.Expression:
    """A constant; a negative number is a sign and a number, as the parser reads it."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value < 0:
        return s.Unary("-", constant(-value), span=PLACE)
    kinds: dict[type, Any] = {bool: "bool", int: "int", float: "float", str: "str", type(None): "none"}
    return s.Constant(kinds[type(value)], value, span=PLACE)


def call(function: str, *values: s.Expression, **named: s.Expression) -> s.Call:
    """A call of a name."""
    arguments = [s.Argument(None, value, span=PLACE) for value in values]
    arguments += [s.Argument(key, value, span=PLACE) for key, value in named.items()]
    return s.Call(name(function), tuple(arguments), span=PLACE)


def binary(operator: str, left: s.Expression, right: s.Expression) -> s.Binary:
    """`left operator right`."""
    return s.Binary(operator, left, right, span=PLACE)


def compare(operator: str, left: s.Expression, right: s.Expression) -> s.Compare:
    """`left operator right`."""
    return s.Compare((operator,), (left, right), span=PLACE)


def assign(target: str, value: s.Expression, annotation: s.TypeRef | None = None) -> s.Assign:
    """`target = value`."""
    return s.Assign((target,), value, annotation, span=PLACE)


def parameters(**types: s.TypeRef) -> tuple[s.Parameter, ...]:
    """Parameters without defaults."""
    return tuple(s.Parameter(key, type_, span=PLACE) for key, type_ in types.items())


def declared(
    kind: Any, called: str, takes: Mapping[str, s.TypeRef], gives: s.TypeRef, **more: Any
) -> s.Callable:
    """A callable."""
    return s.Callable(kind, called, parameters(**takes), gives, span=PLACE, header=PLACE, **more)


Node = TypeVar("Node")


def placed(node: Node) -> Node:
    """A tree that was read from a text, with every node at the one place of trees that were not."""
    made: Node = _placed(node)
    return made


def _placed(node: Any) -> Any:
    return PLACE if isinstance(node, s.Span) else with_parts(node, _placed)


def is_node(value: Any) -> bool:
    """Whether something in a tree is a node: no tuple of them, no place, no name or number."""
    return attrs.has(type(value)) and not isinstance(value, s.Span)


def with_parts(node: Any, change: Callable[[Any], Any]) -> Any:
    """A new node, or tuple, whose parts are changed; what has no parts is as it was."""
    if isinstance(node, tuple):
        return tuple(map(change, node))
    if not is_node(node):
        return node
    return type(node)(**{key: change(value) for key, value in fields_of(node).items()})


def fields_of(node: Any) -> dict[str, Any]:
    """The fields of a node by name."""
    return {key: getattr(node, key) for key in _names_of(type(node))}


_NAMES: dict[type, tuple[str, ...]] = {}


def _names_of(kind: type) -> tuple[str, ...]:
    if kind not in _NAMES:
        _NAMES[kind] = tuple(each.name for each in attrs.fields(kind))
    return _NAMES[kind]
