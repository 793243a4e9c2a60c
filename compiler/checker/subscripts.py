"""Subscripts: positions, keys and slices of lists, texts, dicts, json and arrays."""

from typing import TypeGuard

from flowc.compiler.builtins.dtypes import INTEGERS, Extent, array, dtype, shape_text
from flowc.compiler.checker.context import ERROR, Context, a_type, infer, is_hole, resolve, shown_type
from flowc.compiler.checker.convert import axes, check_range, coerce, literal_value
from flowc.compiler.syntax import Constant, Expression, Slice, Subscript
from flowc.runtime.types import (
    INT,
    JSON,
    STR,
    Array,
    Dict,
    List,
    Optional,
    Record,
    Scalar,
    Tuple,
    Type,
)

I64 = Scalar("i64")
"""What positions in arrays are."""
_ARRAY_ATTRIBUTES = ("T", "shape", "size", "ndim")


def subscript_type(context: Context, node: Subscript) -> Type:
    """The type of `value[indices]`."""
    found = resolve(context, infer(context, node.value))
    if isinstance(found, Array):
        return _array_subscript(context, node, found)
    if found == ERROR or len(node.indices) != 1:
        for index in node.indices:
            _index_type(context, index)
        if found != ERROR:
            context.report.error(
                "E0114", f"`{shown_type(context, found)}` takes one index, not {len(node.indices)}", node.span
            )
        return ERROR
    return _subscript(context, node, found, node.indices[0])


def _subscript(context: Context, node: Subscript, found: Type, index: Expression | Slice) -> Type:
    match found, index:
        case ((List() | Scalar("str" | "bytes")), Slice()):
            _slice_bounds(context, index)
            return found
        case ((List() | Scalar("str" | "bytes")), _):
            _want_integer(context, index)
            return found.element if isinstance(found, List) else (STR if found == STR else INT)
        case Dict(value), _ if not isinstance(index, Slice):
            _want_key(context, index)
            return value
        case Tuple(items, _), _ if not isinstance(index, Slice):
            return _item(context, found, items, index)
        case Scalar("json"), _ if not isinstance(index, Slice):
            key = resolve(context, infer(context, index))
            if key not in (STR, INT, ERROR):
                _bad_index(
                    context, index, f"json is indexed by `str` or `int`, not `{shown_type(context, key)}`"
                )
            return JSON
    _index_type(context, index)
    if isinstance(found, Optional):
        context.report.error(
            "E0120",
            "`[...]` needs a value, and this may be `none`",
            node.value.span,
            f"this is `{shown_type(context, found)}`",
            help="test it first: `if x is none: ...`",
        )
        return ERROR
    context.report.error(
        "E0114",
        f"{a_type(context, found)} cannot be indexed",
        node.value.span,
        f"this is `{shown_type(context, found)}`",
        help="read a field: `x.name`" if isinstance(found, Record) else "",
    )
    return ERROR


def _index_type(context: Context, index: Expression | Slice) -> Type | None:
    if isinstance(index, Slice):
        _slice_bounds(context, index)
        return None
    return resolve(context, infer(context, index))


def _slice_bounds(context: Context, index: Slice) -> None:
    for bound in (index.start, index.stop, index.step):
        if bound is not None and not _is_none(bound):
            _want_integer(context, bound)
    if index.step is not None and literal_value(index.step) == 0:
        _bad_index(context, index.step, "the step of a slice cannot be 0")


def _want_integer(context: Context, index: Expression | Slice) -> None:
    if isinstance(index, Slice):
        return
    found = resolve(context, infer(context, index, INT))
    if found in (INT, ERROR):
        return
    if is_hole(found) or (dtype(found) in INTEGERS and not isinstance(found, Array)):
        coerce(context, index, found, INT)
        return
    _bad_index(context, index, f"a position is an `int`, not `{shown_type(context, found)}`")


def _want_key(context: Context, index: Expression) -> None:
    found = resolve(context, infer(context, index, STR))
    if found not in (STR, ERROR):
        _bad_index(context, index, f"the keys of a dict are `str`, not `{shown_type(context, found)}`")


def _bad_index(context: Context, index: Expression, message: str) -> None:
    context.report.error("E0114", message, index.span)


def _item(context: Context, found: Type, items: tuple[Type, ...], index: Expression) -> Type:
    infer(context, index)
    position = literal_value(index)
    if isinstance(position, int) and -len(items) <= position < len(items):
        return items[position]
    if len(set(items)) == 1 and not isinstance(position, int):
        _want_integer(context, index)
        return items[0]
    last = len(items) - 1
    _bad_index(
        context, index, f"`{shown_type(context, found)}` has the positions 0 to {last}, written as a number"
    )
    return ERROR


def _array_subscript(context: Context, node: Subscript, found: Array) -> Type:
    dims: list[Extent] = []
    axis = 0
    for position, index in enumerate(node.indices):
        if _is_none(index):
            infer(context, index)
            dims.append(1)
            continue
        if axis >= len(found.dims):
            _too_many(context, node, found)
            return ERROR
        extent = found.dims[axis]
        axis += 1
        if isinstance(index, Slice):
            _slice_bounds(context, index)
            for bound in (index.start, index.stop, index.step):
                if bound is not None:
                    check_range(context, bound, I64)
            dims.append(_sliced(extent, index))
            continue
        type_ = resolve(context, infer(context, index))
        if isinstance(type_, Array) and type_.dtype in INTEGERS and _others_are_slices(node, position):
            dims += type_.dims
            continue
        _array_position(context, index, type_, extent)
    return array(found.dtype, (*dims, *found.dims[axis:]))


def _others_are_slices(node: Subscript, position: int) -> bool:
    """Whether an array of positions stands alone among slices: NumPy's rule for more of them is another."""
    others = (*node.indices[:position], *node.indices[position + 1 :])
    return all(isinstance(each, Slice) or _is_none(each) for each in others)


def _is_none(index: Expression | Slice | None) -> TypeGuard[Constant]:
    return isinstance(index, Constant) and index.kind == "none"


def _array_position(context: Context, index: Expression, type_: Type, extent: Extent) -> None:
    if type_ != ERROR and (isinstance(type_, Array) or dtype(type_) not in INTEGERS):
        hint = (
            "select with `where(test, x, 0)`; the number of hits is not known"
            if dtype(type_) == "bool"
            else "take one axis after the other: `x[i][:, j]`"
            if isinstance(type_, Array) and type_.dtype in INTEGERS
            else ""
        )
        message = (
            f"a position in an array is an `int` or an array of them, not `{shown_type(context, type_)}`"
            if dtype(type_) not in INTEGERS
            else "an array of positions stands alone among slices"
        )
        context.report.error("E0114", message, index.span, help=hint)
    value = literal_value(index)
    if isinstance(value, int) and isinstance(extent, int) and not -extent <= value < extent:
        context.report.error("E0211", f"there is no position {value}: the axis has {extent}", index.span)
    else:
        check_range(context, index, I64)


def _too_many(context: Context, node: Subscript, found: Array) -> None:
    context.report.error(
        "E0207",
        f"too many positions: `{shape_text(found.dims)}` has {axes(len(found.dims))}",
        node.span,
        causes=((node.value.span, f"this is `{shown_type(context, found)}`"),),
    )


def _sliced(extent: Extent, index: Slice) -> Extent:
    """The extent that a slice leaves; unknown unless the bounds are written out."""
    start, stop, step = (_written_bound(bound) for bound in (index.start, index.stop, index.step))
    if start in (None, 0) and stop is None and step in (None, 1):
        return extent
    if start is None and stop is None and step == -1:
        return extent
    if not isinstance(extent, int) or "" in (start, stop, step) or step == 0:
        return ""
    return len(range(*slice(start, stop, step).indices(extent)))


def _written_bound(bound: Expression | None) -> int | str | None:
    """A bound's value; None for one left out, "" for one that only the run knows."""
    if bound is None or _is_none(bound):
        return None
    value = literal_value(bound)
    return value if isinstance(value, int) else ""
