"""Names, attributes and subscripts: reading what is there."""

from flowc.compiler.builtins import BUILTINS, SPECIAL_FORMS
from flowc.compiler.checker.context import ERROR, Context, infer, resolve, shown_type
from flowc.compiler.checker.names import did_you_mean, listed
from flowc.compiler.checker.narrowing import path_of
from flowc.compiler.checker.scope import lookup, names_in_sight, shown
from flowc.compiler.syntax import Attribute, Name, Span
from flowc.runtime.types import (
    INT,
    JSON,
    Array,
    Enum,
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
