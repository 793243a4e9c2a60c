"""Calls of what a program declares: callables, records and enums."""

from flowc.compiler.builtins import BUILTINS, SPECIAL_FORMS
from flowc.compiler.checker.access import declared_kind, name_span
from flowc.compiler.checker.arguments import Slot, match_arguments
from flowc.compiler.checker.builtin_calls import builtin_type
from flowc.compiler.checker.context import ERROR, CallMade, Context, a_type, infer, resolve, shown_type
from flowc.compiler.checker.convert import coerce, literal_value, require
from flowc.compiler.checker.dimensions import Bindings, bind_extents, substitute
from flowc.compiler.checker.forms import form_type
from flowc.compiler.checker.model import BoundCall, Signature
from flowc.compiler.checker.names import did_you_mean
from flowc.compiler.checker.scope import lookup, names_in_sight
from flowc.compiler.syntax import Attribute, Call, Expression, Name
from flowc.runtime.types import INT, JSON, STR, Enum, Record, Type, text


def call_type(context: Context, node: Call, expected: Type | None) -> Type:
    """The type of a call, whatever is called."""
    match node.function:
        case Name(id=name):
            return _call_name(context, node, name, expected)
        case Attribute(value=receiver, name=name) as function:
            return _call_method(context, node, function, receiver, name)
    found = infer(context, node.function)
    return _not_callable(context, node, found)


def _call_name(context: Context, node: Call, name: str, expected: Type | None) -> Type:
    world = context.world
    variable = lookup(context.scope, name)
    if variable is not None:
        context.used.add(name)
        return _not_callable(context, node, variable.type)
    if name in SPECIAL_FORMS and name not in world.callables:
        return form_type(context, node, name, expected)
    if name in world.callables:
        return _call_declared(context, node, world.callables[name])
    if name in world.records:
        return _make_record(context, node, name)
    if name in world.enums:
        return _make_enum(context, node, name)
    if name in BUILTINS:
        return builtin_type(context, node, BUILTINS[name], None)
    infer_all(context, node)
    if name not in world.broken:
        known = [] if context.report.is_full else _callable_names(context)
        context.report.error(
            "E0101",
            f"there is no `{name}` to call",
            node.function.span,
            "not defined",
            help=did_you_mean(name, known, f"declare it: `tool {name}(...) -> ... pure`"),
        )
    return ERROR


def _callable_names(context: Context) -> list[str]:
    world = context.world
    return [*world.callables, *world.records, *BUILTINS, *SPECIAL_FORMS, *names_in_sight(context.scope)]


def infer_all(context: Context, node: Call) -> None:
    """Checks the arguments of a call that is wrong itself."""
    for argument in node.arguments:
        infer(context, argument.value)


def _not_callable(context: Context, node: Call, found: Type) -> Type:
    infer_all(context, node)
    found = resolve(context, found)
    if found == ERROR:
        return ERROR
    name = node.function.id if isinstance(node.function, Name) else ""
    kind = declared_kind(context, name) if name else None
    context.report.error(
        "E0113",
        f"{a_type(context, found)} cannot be called",
        node.function.span,
        f"this is `{shown_type(context, found)}`",
        why=f"the variable `{name}` hides {kind} of the same name" if kind else "",
        help="rename the variable" if kind else "",
    )
    return ERROR


def _call_method(context: Context, node: Call, function: Attribute, receiver: Expression, name: str) -> Type:
    if name in BUILTINS and BUILTINS[name].method:
        return builtin_type(context, node, BUILTINS[name], receiver)
    found = resolve(context, infer(context, receiver))
    infer_all(context, node)
    if found == ERROR:
        return ERROR
    known = [row.name for row in BUILTINS.values() if row.method]
    world = context.world
    if name in world.callables:
        hint = f"callables of the program are called by name: `{name}(...)`"
    else:
        hint = did_you_mean(name, known, "`flowc explain E0111` lists what can stand behind a dot")
    context.report.error(
        "E0111",
        f"`{shown_type(context, found)}` has no function `{name}`",
        name_span(function),
        help=hint,
        causes=((receiver.span, f"this is `{shown_type(context, found)}`"),),
    )
    return ERROR


def _call_declared(context: Context, node: Call, signature: Signature) -> Type:
    if context.kind == "kernel" and signature.kind != "kernel":
        infer_all(context, node)
        context.report.error(
            "E0404",
            f"a kernel cannot call the {signature.kind} `{signature.name}`",
            node.span,
            why="a kernel is pure arithmetic that becomes machine code",
            help="make the call in a flow and pass its result to the kernel",
        )
        return signature.result
    slots = [Slot(p.name, p.default is None, p.span) for p in signature.parameters]
    what = f"the {signature.kind} `{signature.name}`"
    bound = match_arguments(context, what, slots, node.arguments, node.span)
    if bound is None:
        infer_all(context, node)
        return substitute(signature.result, {})
    bindings: Bindings = {}
    arguments = []
    for parameter in signature.parameters:
        value = bound.get(parameter.name)
        if value is None:
            assert parameter.default is not None
            arguments.append(parameter.default)
            continue
        _pass(context, signature, bindings, parameter.name, parameter.type, value)
        arguments.append(value)
    context.calls.append(CallMade(signature.name, node.span))
    context.facts.calls[id(node)] = BoundCall(signature.kind, signature.name, tuple(arguments))
    extents = {name: known.extent for name, known in bindings.items()}
    for parameter, argument in zip(signature.parameters, arguments, strict=True):
        value_of = literal_value(argument)
        if parameter.type == INT and isinstance(value_of, int):
            extents.setdefault(parameter.name, value_of)
    return substitute(signature.result, extents)


def _pass(
    context: Context, signature: Signature, bindings: Bindings, name: str, want: Type, value: Expression
) -> None:
    extents = {each: known.extent for each, known in bindings.items()}
    have = resolve(context, infer(context, value, substitute(want, extents)))
    before = dict(bindings)
    if not bind_extents(context, bindings, want, have, name, value.span):
        bindings.update(before)
        return
    wanted = substitute(want, {each: known.extent for each, known in bindings.items()})
    declared = next(p.span for p in signature.parameters if p.name == name)
    headline = f"`{name}` of `{signature.name}` is `{text(want)}`, found `{{have}}`"
    coerce(context, value, have, wanted, headline, ((declared, "declared here"),))


def _make_record(context: Context, node: Call, name: str) -> Type:
    fields = context.world.records[name]
    slots = [Slot(field.name, True, field.span) for field in fields]
    bound = match_arguments(context, f"the record `{name}`", slots, node.arguments, node.span)
    if bound is None:
        infer_all(context, node)
        return Record(name)
    for field in fields:
        headline = f"`{name}.{field.name}` is `{{want}}`, found `{{have}}`"
        require(context, bound[field.name], field.type, headline, ((field.span, "declared here"),))
    arguments = tuple(bound[field.name] for field in fields)
    context.facts.calls[id(node)] = BoundCall("record", name, arguments)
    return Record(name)


def _make_enum(context: Context, node: Call, name: str) -> Type:
    bound = match_arguments(context, f"the enum `{name}`", [Slot("text", True)], node.arguments, node.span)
    if bound is None:
        infer_all(context, node)
        return Enum(name)
    value = bound["text"]
    found = resolve(context, infer(context, value, STR))
    if found not in (STR, JSON, ERROR):
        coerce(context, value, found, STR)
    context.facts.calls[id(node)] = BoundCall("enum", name, (value,))
    return Enum(name)
