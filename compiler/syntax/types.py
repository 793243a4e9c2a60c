"""Types as they are written."""

from attrs import frozen

from flowc.compiler.spans import Span, span_field


@frozen
class Dimension:
    """An array extent: a number, or a name that unifies (`f32[n, 384]`)."""

    extent: int | str
    span: Span = span_field()


@frozen
class TypeRef:
    """A type as written: `untrusted list[Passage]?` has labels, a name, arguments and the question mark.

    Arguments of a numeric type are `Dimension`s, of `list`, `dict` and `tuple` are types, of `plan` are tool
    names as `TypeRef`s.
    """

    name: str
    arguments: "tuple[TypeRef | Dimension, ...]" = ()
    labels: tuple[str, ...] = ()
    optional: bool = False
    span: Span = span_field()
