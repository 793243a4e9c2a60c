"""Python values that a function sees from outside, as literals of the language."""

import enum
from typing import Any

from flowc.compiler.python.scope import Cast, known_function
from flowc.compiler.syntax import (
    Argument,
    Call,
    Constant,
    DictDisplay,
    Expression,
    ListDisplay,
    Name,
    Span,
    Unary,
)


def literal(value: object, span: Span) -> Expression | None:
    """A Python value as a constant, or None when the language has no such constant."""
    match value:
        case enum.Enum():
            return None
        case None:
            return Constant("none", None, span=span)
        case bool():
            return Constant("bool", value, span=span)
        case int():
            return _negative(Constant("int", abs(value), span=span), value < 0)
        case float():
            return _negative(Constant("float", abs(value), span=span), value < 0)
        case str():
            return Constant("str", value, span=span)
        case list() | tuple() if not hasattr(value, "_fields"):
            items = [literal(item, span) for item in value]
            return ListDisplay(tuple(item for item in items if item), span=span) if all(items) else None
        case dict():
            pairs = [(literal(key, span), literal(item, span)) for key, item in value.items()]
            found = tuple((key, item) for key, item in pairs if key and item)
            return DictDisplay(found, span=span) if len(found) == len(pairs) else None
    return None


def _negative(constant: Constant, negative: bool) -> Expression:
    return Unary("-", constant, span=constant.span) if negative else constant


def scalar(value: Any, span: Span) -> Expression:
    """A NumPy scalar: a number with a dtype, which a cast of its literal says."""
    cast = known_function(type(value))
    assert isinstance(cast, Cast)
    number = literal(value.item(), span) or Constant("none", None, span=span)
    return Call(Name(cast.dtype, span=span), (Argument(None, number, span=span),), span=span)
