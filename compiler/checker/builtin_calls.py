"""Calls of built-in functions: the table's type rules at work."""

from collections.abc import Sequence
from typing import Literal

from flowc.compiler.builtins import Builtin, Given, Outcome, RuleError
from flowc.compiler.builtins.dtypes import Extent
from flowc.compiler.builtins.model import Parameter
from flowc.compiler.checker.arguments import Slot, match_arguments
from flowc.compiler.checker.context import ERROR, CallMade, Context, infer, resolve, shown_type
from flowc.compiler.checker.convert import coerce, join, literal_value
from flowc.compiler.checker.model import BoundCall
from flowc.compiler.syntax import (
    Argument,
    Attribute,
    Call,
    Constant,
    Expression,
    ListDisplay,
    Span,
    Subscript,
)
from flowc.runtime.types import BOOL, FLOAT, INT, NONE, STR, Array, Optional, Tuple, Type

_KERNEL_GROUPS = ("Numbers", "Arrays")
_TYPES: dict[type, tuple[Literal["bool", "int", "float", "str", "none"], Type]] = {
    bool: ("bool", BOOL),
    int: ("int", INT),
    float: ("float", FLOAT),
    str: ("str", STR),
    type(None): ("none", NONE),
}


def builtin_type(context: Context, node: Call, builtin: Builtin, receiver: Expression | None) -> Type:
    """The type of a call of a built-in; `receiver` is the x of `x.f(a)`."""
    arguments = node.arguments
    if receiver is not None:
        arguments = (Argument(None, receiver, span=receiver.span), *arguments)
    if context.kind == "kernel" and not _in_kernel(builtin):
        _refuse_in_kernel(context, node, builtin)
    match_ = _match_variadic if builtin.variadic else _match
    matched = match_(context, builtin, arguments, node.span)
    if matched is None:
        for argument in arguments:
            infer(context, argument.value)
        return ERROR
    values, named = matched
    return _apply(context, node, builtin, values, named)


def _in_kernel(builtin: Builtin) -> bool:
    return builtin.name == "len" or (builtin.group in _KERNEL_GROUPS and builtin.name != "str")


def _refuse_in_kernel(context: Context, node: Call, builtin: Builtin) -> None:
    context.report.error(
        "E0138",
        f"`{builtin.name}` cannot be computed in a kernel",
        node.span,
        why="a kernel holds numbers and arrays alone",
        help="do it in the flow that calls the kernel",
    )


Values = list[tuple[Parameter, Expression | None]]


def _match(
    context: Context, builtin: Builtin, arguments: Sequence[Argument], span: Span
) -> tuple[Values, dict[str, Expression]] | None:
    slots = [Slot(parameter.name, parameter.required) for parameter in builtin.parameters]
    bound = match_arguments(context, f"`{builtin.name}`", slots, arguments, span)
    if bound is None:
        return None
    return [(p, bound.get(p.name)) for p in builtin.parameters if not p.fixed], bound


def _match_variadic(
    context: Context, builtin: Builtin, arguments: Sequence[Argument], span: Span
) -> tuple[Values, dict[str, Expression]] | None:
    first, *rest = builtin.parameters
    positional = [argument for argument in arguments if argument.name is None]
    keywords = [argument for argument in arguments if argument.name is not None]
    if not positional:
        context.report.error("E0115", f"`{builtin.name}` needs at least one value", span)
        return None
    slots = [Slot(parameter.name, parameter.required) for parameter in rest]
    bound = match_arguments(context, f"`{builtin.name}`", slots, keywords, span)
    if bound is None:
        return None
    return [(first, argument.value) for argument in positional], {**bound, first.name: positional[0].value}


def _apply(
    context: Context, node: Call, builtin: Builtin, values: Values, named: dict[str, Expression]
) -> Type:
    arguments = tuple(
        _default(context, parameter, node.span) if value is None else value for parameter, value in values
    )
    types = []
    for (parameter, value), argument in zip(values, arguments, strict=True):
        types.append(NONE if value is None else _argument(context, builtin, parameter, argument))
    fixed = _fixed(context, builtin, named)
    if ERROR in types or fixed is None:
        return ERROR
    known = {name: value.value for name, value in named.items() if isinstance(value, Constant)} | fixed
    known |= {name: number for name, value in named.items() if (number := literal_value(value)) is not None}
    if "shape" in named:
        known["shape"] = _extents(context, named["shape"])
    given = Given(
        tuple(types), known, frozenset(named), context.world.fields, lambda a, b: join(context, a, b)
    )
    try:
        outcome = builtin.rule(given)
    except RuleError as problem:
        _report(context, node, arguments, types, problem)
        return ERROR
    return _note(context, node, builtin, arguments, types, outcome)


def _argument(context: Context, builtin: Builtin, parameter: Parameter, argument: Expression) -> Type:
    found = resolve(context, infer(context, argument, parameter.expected))
    if parameter.name == "shape":
        return _shape_type(context, builtin, argument, found)
    if parameter.expected is None or found == ERROR:
        return found
    optional = not parameter.required and parameter.default is None
    wanted = Optional(parameter.expected) if optional and found == NONE else parameter.expected
    headline = f"`{parameter.name}` of `{builtin.name}` is `{{want}}`, found `{{have}}`"
    if not coerce(context, argument, found, wanted, headline):
        return ERROR
    return resolve(context, found)


def _shape_type(context: Context, builtin: Builtin, argument: Expression, found: Type) -> Type:
    match found:
        case Tuple(items) if all(item == INT for item in items):
            return found
    fine = found == ERROR or join(context, found, INT) == INT
    if isinstance(argument, ListDisplay):
        fine = all(context.facts.types.get(id(item), INT) == INT for item in argument.items)
    if not fine:
        context.report.error(
            "E0105",
            f"a shape is an `int` or a list of them, found `{shown_type(context, found)}`",
            argument.span,
            help=f"`{builtin.name}([rows, columns])`",
        )
        return ERROR
    return found


def _fixed(context: Context, builtin: Builtin, named: dict[str, Expression]) -> dict[str, object] | None:
    found: dict[str, object] = {p.name: p.default for p in builtin.parameters if p.fixed}
    for parameter in builtin.parameters:
        value = named.get(parameter.name)
        if not parameter.fixed or value is None:
            continue
        infer(context, value)
        number = literal_value(value)
        if number is not None:
            found[parameter.name] = number
        elif isinstance(value, Constant):
            found[parameter.name] = value.value
        elif isinstance(value, ListDisplay) and None not in (items := [*map(literal_value, value.items)]):
            found[parameter.name] = tuple(items)
        else:
            context.report.error(
                "E0148",
                f"`{parameter.name}` of `{builtin.name}` must be written out",
                value.span,
                "known only at run time",
                why="the shape of the result depends on it",
                help=f"write a constant: `{parameter.name}=0`",
            )
            return None
    return found


def _default(context: Context, parameter: Parameter, span: Span) -> Constant:
    kind, type_ = _TYPES[type(parameter.default)]
    made = Constant(kind, parameter.default, span=span)
    context.facts.types[id(made)] = type_
    return made


def _extents(context: Context, shape: Expression) -> object:
    if isinstance(shape, ListDisplay):
        return tuple(_extent(context, item) for item in shape.items)
    if isinstance(shape, Attribute) and shape.name == "shape":
        source = context.facts.types.get(id(shape.value))
        if isinstance(source, Array):
            return source.dims
    return (_extent(context, shape),)


def _extent(context: Context, expression: Expression) -> Extent:
    value = literal_value(expression)
    if isinstance(value, int):
        return value
    match expression:
        case Subscript(
            value=Attribute(value=array, name="shape"), indices=(Constant(kind="int", value=int(axis)),)
        ):
            source = context.facts.types.get(id(array))
            if isinstance(source, Array) and axis < len(source.dims):
                return source.dims[axis]
    return ""


def _note(
    context: Context,
    node: Call,
    builtin: Builtin,
    arguments: tuple[Expression, ...],
    types: list[Type],
    outcome: Outcome,
) -> Type:
    for index, type_ in outcome.coercions.items():
        if resolve(context, types[index]) != resolve(context, type_):
            coerce(context, arguments[index], types[index], type_)
    if builtin.effect != "pure":
        context.calls.append(CallMade(builtin.name, node.span))
    operator = outcome.operator or builtin.name
    context.facts.calls[id(node)] = BoundCall(
        "builtin", builtin.name, arguments, dict(outcome.options), outcome.form, operator
    )
    return resolve(context, outcome.type)


def _report(
    context: Context, node: Call, arguments: tuple[Expression, ...], types: list[Type], problem: RuleError
) -> None:
    code, why, hint = problem.code, problem.why, problem.help
    span, label = node.span, ""
    if problem.argument is not None and problem.argument < len(arguments):
        span = arguments[problem.argument].span
        found = types[problem.argument]
        label = f"this is `{shown_type(context, found)}`"
        if isinstance(found, Optional) and code in ("E0105", "E0109"):
            code, why = "E0120", "the value may be `none` here"
            hint = "test it (`if x is none: ...`) or say `x.or_else(...)`"
    context.report.error(code, problem.message, span, label, why=why, help=hint)
