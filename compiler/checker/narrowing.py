"""What a test shows about optional values: `if note is none: ...` leaves a note that is there."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from flowc.compiler.checker.context import Context, resolve
from flowc.compiler.checker.scope import child, narrow
from flowc.compiler.syntax import Attribute, Binary, Compare, Constant, Expression, Name, Unary
from flowc.runtime.types import Optional, Type


def path_of(expression: Expression) -> str | None:
    """`x` or `x.field.field` as a text; None for what a test cannot narrow."""
    match expression:
        case Name(id=name):
            return name
        case Attribute(value=value, name=name):
            inner = path_of(value)
            return None if inner is None else f"{inner}.{name}"
    return None


def facts_of(context: Context, test: Expression, truth: bool) -> Mapping[str, Type]:
    """The types that hold where `test`, already checked, came out as `truth`."""
    match test:
        case Unary(operator="not", operand=operand):
            return facts_of(context, operand, not truth)
        case Binary(operator="and", left=left, right=right):
            return _both(context, left, right, truth) if truth else {}
        case Binary(operator="or", left=left, right=right):
            return {} if truth else _both(context, left, right, truth)
        case Compare(
            operators=(("is" | "==" | "is not" | "!=") as operator,), operands=(value, Constant(kind="none"))
        ):
            if truth == (operator in ("is not", "!=")):
                return _present(context, value)
    return {}


def _both(context: Context, left: Expression, right: Expression, truth: bool) -> Mapping[str, Type]:
    return {**facts_of(context, left, truth), **facts_of(context, right, truth)}


def _present(context: Context, value: Expression) -> Mapping[str, Type]:
    path = path_of(value)
    known = context.facts.types.get(id(value))
    found = None if known is None else resolve(context, known)
    if path is None or not isinstance(found, Optional):
        return {}
    return {path: found.inner}


@contextmanager
def with_facts(context: Context, facts: Mapping[str, Type]) -> Iterator[None]:
    """Checks an expression in the light of what a test has shown."""
    outer = context.scope
    if facts:
        context.scope = child(outer)
        narrow(context.scope, facts)
    try:
        yield
    finally:
        context.scope = outer
