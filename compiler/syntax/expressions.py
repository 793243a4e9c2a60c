"""Expressions."""

from decimal import Decimal
from typing import Literal

from attrs import frozen

from flowc.compiler.spans import Span, span_field


@frozen
class Name:
    """A variable, or a callable."""

    id: str
    span: Span = span_field()


@frozen
class Constant:
    """A constant. `kind` tells apart what Python does not: 30s is seconds, $0.02 is dollars, 2GB is bytes."""

    kind: Literal["int", "float", "str", "bool", "none", "duration", "money", "size"]
    value: int | float | str | bool | Decimal | None
    span: Span = span_field()


@frozen
class Hole:
    """A `{expression}` in a template."""

    expression: "Expression"
    span: Span = span_field()


@frozen
class Template:
    """A prompt, or an f-string: text and holes in order. Two texts never stand side by side."""

    parts: "tuple[str | Hole, ...]"
    span: Span = span_field()


@frozen
class ListDisplay:
    """`[a, b]`."""

    items: "tuple[Expression, ...]"
    span: Span = span_field()


@frozen
class DictDisplay:
    """`{"a": 1}`."""

    items: "tuple[tuple[Expression, Expression], ...]"
    span: Span = span_field()


@frozen
class Unary:
    """`-x`, `+x`, `not x`, `~x`."""

    operator: Literal["-", "+", "not", "~"]
    operand: "Expression"
    span: Span = span_field()


@frozen
class Binary:
    """Arithmetic `+ - * / // % ** @`, bitwise `& | ^`, and short-circuit `and or`."""

    operator: str
    left: "Expression"
    right: "Expression"
    span: Span = span_field()


@frozen
class Compare:
    """`a < b <= c`: one more operand than operators. Operators: == != < <= > >= in, not in, is, is not."""

    operators: tuple[str, ...]
    operands: "tuple[Expression, ...]"
    span: Span = span_field()


@frozen
class Conditional:
    """`then if test else otherwise`."""

    test: "Expression"
    then: "Expression"
    otherwise: "Expression"
    span: Span = span_field()


@frozen
class TryElse:
    """`try attempt else otherwise`: the second value when the first fails."""

    attempt: "Expression"
    otherwise: "Expression"
    span: Span = span_field()


@frozen
class Argument:
    """A positional (`name` is None) or keyword argument."""

    name: str | None
    value: "Expression"
    span: Span = span_field()


@frozen
class Call:
    """`function(arguments)`. `x.f(a)` has an `Attribute` as its function and means the built-in `f(x, a)`.

    `race`, `vote`, `execute`, `endorse` and `declassify` are calls here and special forms to the checker.
    """

    function: "Expression"
    arguments: tuple[Argument, ...]
    span: Span = span_field()


@frozen
class Slice:
    """`start:stop:step` inside a subscript."""

    start: "Expression | None" = None
    stop: "Expression | None" = None
    step: "Expression | None" = None
    span: Span = span_field()


@frozen
class Subscript:
    """`value[indices]`; several indices for arrays."""

    value: "Expression"
    indices: "tuple[Expression | Slice, ...]"
    span: Span = span_field()


@frozen
class Attribute:
    """`value.name`: a record's field, an enum's member (`Verdict.yes`), or `.T` and `.shape` of an array."""

    value: "Expression"
    name: str
    span: Span = span_field()


@frozen
class Generator:
    """`for targets in iterable if conditions` of a comprehension."""

    targets: tuple[str, ...]
    iterable: "Expression"
    conditions: "tuple[Expression, ...]" = ()
    span: Span = span_field()


@frozen
class Comprehension:
    """`[element for x in xs if p]`: a parallel map, results in order."""

    element: "Expression"
    generators: tuple[Generator, ...]
    span: Span = span_field()


Expression = (
    Name
    | Constant
    | Template
    | ListDisplay
    | DictDisplay
    | Unary
    | Binary
    | Compare
    | Conditional
    | TryElse
    | Call
    | Subscript
    | Attribute
    | Comprehension
)
