"""Statements and blocks."""

from attrs import frozen

from flowc.compiler.spans import Span, span_field
from flowc.compiler.syntax.expressions import Call, Expression
from flowc.compiler.syntax.types import TypeRef


@frozen
class Assign:
    """`x = e`, `x: T = e`, `a, b = e`, and `x += e` (`operator` is then "+")."""

    targets: tuple[str, ...]
    value: Expression
    annotation: TypeRef | None = None
    operator: str | None = None
    span: Span = span_field()


@frozen
class Return:
    """`return e`."""

    value: Expression | None
    span: Span = span_field()


@frozen
class Break:
    """`break`."""

    span: Span = span_field()


@frozen
class Continue:
    """`continue`."""

    span: Span = span_field()


@frozen
class Pass:
    """`pass`."""

    span: Span = span_field()


@frozen
class ExpressionStatement:
    """A call made for its effect."""

    value: Expression
    span: Span = span_field()


@frozen
class If:
    """`if`/`elif` branches in order, and the `else` block (empty when there is none)."""

    branches: "tuple[tuple[Expression, Block], ...]"
    otherwise: "Block" = ()
    span: Span = span_field()


@frozen
class For:
    """`for a, b in iterable:`."""

    targets: tuple[str, ...]
    iterable: Expression
    body: "Block"
    span: Span = span_field()


@frozen
class While:
    """`while test up to bound:`."""

    test: Expression
    bound: Expression
    body: "Block"
    span: Span = span_field()


@frozen
class With:
    """`with timeout(30s), budget($1):`, each limit a `Call`; or `with transaction:`, which has none."""

    limits: tuple[Call, ...]
    body: "Block"
    transaction: bool = False
    span: Span = span_field()


@frozen
class Try:
    """`try:` block, `else:` block: the second runs when the first fails."""

    body: "Block"
    otherwise: "Block"
    span: Span = span_field()


Statement = Assign | Return | Break | Continue | Pass | ExpressionStatement | If | For | While | With | Try
Block = tuple[Statement, ...]
