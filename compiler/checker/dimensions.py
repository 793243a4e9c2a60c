"""Named extents across a call: `f32[n, d]` of a parameter takes its `n` and `d` from the argument."""

from collections.abc import Mapping

from attrs import frozen

from flowc.compiler.builtins.dtypes import Extent, shape_text
from flowc.compiler.checker.context import Context, shown_type
from flowc.compiler.syntax import Span
from flowc.runtime.types import Array, Dict, List, Optional, Tuple, Type


@frozen
class Bound:
    """What a name stands for in one call, and the argument that said so."""

    extent: Extent
    span: Span
    parameter: str


Bindings = dict[str, Bound]


def bind_extents(
    context: Context, bindings: Bindings, want: Type, have: Type, parameter: str, span: Span
) -> bool:
    """Reads off the extents that an argument gives to a parameter's names; reports contradictions."""
    match want, have:
        case Array(dims=names), Array(dims=extents) if len(names) == len(extents):
            return all(
                _bind(context, bindings, want, have, axis, parameter, span) for axis in range(len(names))
            )
        case (List(a), List(b)) | (Dict(a), Dict(b)) | (Optional(a), Optional(b)):
            return bind_extents(context, bindings, a, b, parameter, span)
        case Optional(a), _:
            return bind_extents(context, bindings, a, have, parameter, span)
        case Tuple(a), Tuple(b) if len(a) == len(b):
            return all(
                bind_extents(context, bindings, x, y, parameter, span) for x, y in zip(a, b, strict=True)
            )
    return True


def _bind(
    context: Context, bindings: Bindings, want: Array, have: Array, axis: int, parameter: str, span: Span
) -> bool:
    name, extent = want.dims[axis], have.dims[axis]
    if not isinstance(name, str) or name == "":
        return True
    known = bindings.get(name)
    if known is None or known.extent == "":
        bindings[name] = Bound(extent, span, parameter)
        return True
    if extent in ("", known.extent):
        return True
    context.report.error(
        "E0202",
        f"`{name}` is {known.extent} for `{known.parameter}` and {extent} for `{parameter}`",
        span,
        f"axis {axis} of this `{shown_type(context, have)}` makes `{name}` {extent}",
        why=f"`{name}` is one extent; `{parameter}` is declared `{want.dtype}{shape_text(want.dims)}`",
        help="transpose, slice or reshape one of the arguments",
        causes=((known.span, f"this makes `{name}` {known.extent}"),),
    )
    return False


def substitute(type_: Type, extents: Mapping[str, Extent]) -> Type:
    """The type with its names replaced; a name that nothing is known about becomes unknown."""
    match type_:
        case Array(dtype, dims):
            return Array(dtype, tuple(extents.get(dim, "") if isinstance(dim, str) else dim for dim in dims))
        case List(inner):
            return List(substitute(inner, extents))
        case Dict(inner):
            return Dict(substitute(inner, extents))
        case Optional(inner):
            return Optional(substitute(inner, extents))
        case Tuple(items, names):
            return Tuple(tuple(substitute(item, extents) for item in items), names)
    return type_
