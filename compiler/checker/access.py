"""Names, attributes and subscripts: reading what is there."""

from flowc.compiler.builtins import BUILTINS, SPECIAL_FORMS
from flowc.compiler.builtins.dtypes import INTEGERS, Extent, array, dtype, shape_text
from flowc.compiler.checker.context import ERROR, Context, a_type, infer, is_hole, resolve, shown_type
from flowc.compiler.checker.convert import axes, coerce, literal_value
from flowc.compiler.checker.names import did_you_mean, listed
from flowc.compiler.checker.narrowing import path_of
from flowc.compiler.checker.scope import lookup, names_in_sight, shown
from flowc.compiler.syntax import Attribute, Constant, Expression, Name, Slice, Span, Subscript
from flowc.runtime.types import (
    INT,
    JSON,
    STR,
    Array,
    Dict,
    Enum,
    List,
    Optional,
    Record,
    Scalar,
    Tuple,
    Type,
)

_ARRAY_ATTRIBUTES = ("T", "shape", "size", "ndim")


def name_type(context: Context, node: Name) -> Type:
    """The type of a variable, narrowed by the tests before it."""
    variable = lookup(context.scope, node.id)
    if variable is None:
        _unknown(context, node)
        return ERROR
    context.used.add(node.id)
    if variable.other is not None:
        have, other = shown_type(context, variable.type), shown_type(context, variable.other.type)
        context.report.error(
            "E0107",
            f"`{node.id}` is `{have}` or `{other}` here, depending on the path",
            node.span,
            help="give both branches the same type, or use two names",
            causes=((variable.span, f"`{have}` here"), (variable.other.span, f"`{other}` here")),
        )
        return ERROR
    if not variable.definite:
        context.report.error(
            "E0106",
            f"`{node.id}` may have no value here",
            node.span,
            "not every path gives it one",
            why="a branch or a loop that does not run leaves it undefined",
            help=f"give `{node.id}` a value before the branch or loop",
            causes=((variable.span, "it gets a value only here"),),
        )
        return resolve(context, variable.type)
    return resolve(context, shown(context.scope, node.id).get(node.id, variable.type))


def _unknown(context: Context, node: Name) -> None:
    name, world = node.id, context.world
    if name in world.broken:
        return
    kind = declared_kind(context, name)
    if kind is not None:
        context.report.error(
            "E0143",
            f"`{name}` is {kind}, not a value",
            node.span,
            why="callables and types are no values; they cannot be stored or passed on",
            help=f"call it: `{name}(...)`"
            if kind != "an enum"
            else f"name a member: `{name}.{world.enums[name][0]}`",
        )
        return
    if name in context.later:
        context.report.error(
            "E0106",
            f"`{name}` is used before it has a value",
            node.span,
            help=f"give `{name}` a value first",
            causes=((context.later[name], "it gets one only here"),),
        )
        return
    known = [] if context.report.is_full else [*names_in_sight(context.scope), *world.callables, *world.enums]
    spelled = {"True": "true", "False": "false", "None": "none"}
    hint = f"write `{spelled[name]}`" if name in spelled else did_you_mean(name, known)
    context.report.error("E0101", f"there is no `{name}` here", node.span, "not defined", help=hint)


def declared_kind(context: Context, name: str) -> str | None:
    """What a name is when it is no variable: "a tool", "an enum", "a built-in function"."""
    world = context.world
    if name in world.callables:
        kind = world.callables[name].kind
        return f"an {kind}" if kind == "llm" else f"a {kind}"
    if name in world.records:
        return "a record"
    if name in world.enums:
        return "an enum"
    if name in BUILTINS or name in SPECIAL_FORMS:
        return "a built-in function"
    return None


def attribute_type(context: Context, node: Attribute) -> Type:
    """The type of `value.name`."""
    match node.value:
        case Name(id=name) if name in context.world.enums and lookup(context.scope, name) is None:
            return _member(context, node, name)
    found = resolve(context, infer(context, node.value))
    path = path_of(node)
    if path is not None:
        narrowed = shown(context.scope, path.partition(".")[0]).get(path)
        if narrowed is not None:
            return narrowed
    return _attribute(context, node, found)


def _member(context: Context, node: Attribute, enum: str) -> Type:
    members = context.world.enums[enum]
    if node.name not in members:
        context.report.error(
            "E0112",
            f"`{enum}` has no member `{node.name}`",
            name_span(node),
            help=did_you_mean(node.name, members, f"its members are {listed(members)}"),
        )
    return Enum(enum)


def _attribute(context: Context, node: Attribute, found: Type) -> Type:
    match found:
        case Record(name):
            fields = context.world.fields.get(name, {})
            if node.name in fields:
                return fields[node.name]
            _no_attribute(context, node, found, list(fields))
        case Scalar("json"):
            return JSON
        case Array(_, dims):
            kinds: dict[str, Type] = {
                "T": Array(found.dtype, dims[::-1]),
                "shape": Tuple((INT,) * len(dims)),
                "size": INT,
                "ndim": INT,
            }
            if node.name in kinds:
                return kinds[node.name]
            _no_attribute(context, node, found, list(_ARRAY_ATTRIBUTES))
        case Tuple(items, names):
            if node.name in names:
                return items[names.index(node.name)]
            _no_attribute(context, node, found, list(names))
        case Optional(inner):
            context.report.error(
                "E0120",
                f"`.{node.name}` needs a value, and this may be `none`",
                node.value.span,
                f"this is `{shown_type(context, found)}`",
                help="test it first: `if x is none: ...`",
            )
            return _attribute(context, node, inner)
        case _:
            if found != ERROR:
                _no_attribute(context, node, found, [])
    return ERROR


def name_span(node: Attribute) -> Span:
    """Where the name after the dot stands."""
    end = node.span
    return Span(end.end_line, end.end_column - len(node.name), end.end_line, end.end_column)


def _no_attribute(context: Context, node: Attribute, found: Type, known: list[str]) -> None:
    type_ = shown_type(context, found)
    if node.name in BUILTINS and BUILTINS[node.name].method:
        hint = f"it is a function; call it: `.{node.name}(...)`"
    else:
        otherwise = f"it has {listed(known)}" if known else ""
        hint = did_you_mean(node.name, known, otherwise)
    context.report.error(
        "E0111",
        f"`{type_}` has no field `{node.name}`",
        name_span(node),
        help=hint,
        causes=((node.value.span, f"this is `{type_}`"),),
    )


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
        if bound is not None and not (isinstance(bound, Constant) and bound.kind == "none"):
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
        if isinstance(index, Constant) and index.kind == "none":
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
            dims.append(_sliced(extent, index))
            continue
        type_ = resolve(context, infer(context, index))
        if isinstance(type_, Array) and type_.dtype in INTEGERS and position == 0 and len(node.indices) == 1:
            return Array(found.dtype, type_.dims + found.dims[1:])
        _array_position(context, index, type_, extent)
    return array(found.dtype, (*dims, *found.dims[axis:]))


def _array_position(context: Context, index: Expression, type_: Type, extent: Extent) -> None:
    if type_ != ERROR and (isinstance(type_, Array) or dtype(type_) not in INTEGERS):
        hint = (
            "select with `where(test, x, 0)`; the number of hits is not known"
            if dtype(type_) == "bool"
            else ""
        )
        message = (
            f"a position in an array is an `int` or an array of them, not `{shown_type(context, type_)}`"
        )
        context.report.error("E0114", message, index.span, help=hint)
    value = literal_value(index)
    if isinstance(value, int) and isinstance(extent, int) and not -extent <= value < extent:
        context.report.error("E0211", f"there is no position {value}: the axis has {extent}", index.span)


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
    if bound is None or (isinstance(bound, Constant) and bound.kind == "none"):
        return None
    value = literal_value(bound)
    return value if isinstance(value, int) else ""
