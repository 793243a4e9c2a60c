"""Assignments: a variable keeps the type of its first value."""

from flowc.compiler.checker.annotations import resolve_annotation
from flowc.compiler.checker.context import ERROR, Context, a_type, infer, resolve, shown_type
from flowc.compiler.checker.convert import fits, require
from flowc.compiler.checker.declarations import is_numeric
from flowc.compiler.checker.displays import unpack
from flowc.compiler.checker.operators import binary_type
from flowc.compiler.checker.scope import (
    Variable,
    define_variable,
    lookup,
    target_span,
)
from flowc.compiler.syntax import (
    Assign,
    Binary,
    Call,
    Name,
    Span,
)
from flowc.runtime.types import NONE, Optional, Tuple, Type


def assign(context: Context, statement: Assign) -> None:
    """Checks an assignment of any form."""
    if statement.operator is not None:
        _augment(context, statement, statement.targets[0])
    elif statement.annotation is not None:
        _annotated(context, statement)
    elif len(statement.targets) == 1:
        _assign_name(context, statement, statement.targets[0])
    else:
        found = infer(context, statement.value)
        for name, type_ in unpack(context, statement.targets, found, statement.span):
            give(context, name, type_, statement.span)


def _assign_name(context: Context, statement: Assign, name: str) -> None:
    known = lookup(context.scope, name)
    if known is None or known.other is not None:
        found = infer(context, statement.value)
        if found == NONE and not isinstance(statement.value, Call):
            context.report.error(
                "E0119",
                f"the type of `{name}` is not known",
                statement.value.span,
                "`none` of what?",
                help=f"write it: `{name}: str? = none`",
            )
            found = ERROR
        _define(context, name, found, target_span(statement.targets, statement.span))
        return
    require(
        context,
        statement.value,
        known.type,
        _rebinding(name),
        ((known.span, "its type comes from here"),),
        "E0107",
    )
    _redefine(context, known, context.facts.types[id(statement.value)])


def _rebinding(name: str) -> str:
    return f"`{name}` is `{{want}}` and cannot become `{{have}}`"


def _define(context: Context, name: str, type_: Type, span: Span) -> None:
    context.defined.setdefault(name, span)
    if context.kind == "kernel" and not (is_numeric(type_) or isinstance(type_, Tuple)):
        context.report.error(
            "E0138",
            f"`{name}` is {a_type(context, type_)}, which a kernel cannot hold",
            span,
            why="a kernel holds numbers and arrays alone",
            help="pass it in as an array",
        )
    define_variable(context.scope, Variable(name, resolve(context, type_), span))


def _redefine(context: Context, known: Variable, value: Type) -> None:
    variable = Variable(known.name, resolve(context, known.type), known.span, parameter=known.parameter)
    value = resolve(context, value)
    shows = None
    if isinstance(variable.type, Optional) and not isinstance(value, Optional) and value != NONE:
        shows = variable.type.inner
    define_variable(context.scope, variable, shows)


def give(context: Context, name: str, type_: Type, span: Span) -> None:
    """Gives a variable a value that has no expression of its own: a part of a tuple, an element."""
    known = lookup(context.scope, name)
    if known is None or known.other is not None:
        _define(context, name, type_, span)
        return
    type_ = resolve(context, type_)
    if fits(context, type_, known.type) is not None or (
        ERROR not in (type_, known.type) and type_ != resolve(context, known.type)
    ):
        context.report.error(
            "E0107",
            _rebinding(name).format(want=shown_type(context, known.type), have=shown_type(context, type_)),
            span,
            help="use another name",
            causes=((known.span, "its type comes from here"),),
        )
    _redefine(context, known, type_)


def _annotated(context: Context, statement: Assign) -> None:
    assert statement.annotation is not None
    name = statement.targets[0]
    wanted = resolve_annotation(context.world, context.report, statement.annotation).type
    known = lookup(context.scope, name)
    if known is not None and ERROR not in (wanted, known.type) and resolve(context, known.type) != wanted:
        context.report.error(
            "E0107",
            _rebinding(name).format(want=shown_type(context, known.type), have=shown_type(context, wanted)),
            statement.annotation.span,
            help="use another name",
            causes=((known.span, "its type comes from here"),),
        )
    headline = f"`{name}` is declared `{{want}}`, found `{{have}}`"
    value = require(
        context, statement.value, wanted, headline, ((statement.annotation.span, "declared here"),)
    )
    place = target_span(statement.targets, statement.span)
    context.defined.setdefault(name, place)
    _redefine(context, Variable(name, wanted, place), value)


def _augment(context: Context, statement: Assign, name: str) -> None:
    target = Name(name, span=target_span(statement.targets, statement.span))
    combined = Binary(statement.operator or "+", target, statement.value, span=statement.span)
    context.facts.made.append(combined)
    found = binary_type(context, combined)
    known = lookup(context.scope, name)
    if known is None or found == ERROR:
        return
    if fits(context, found, known.type) is not None or not _same_kind(context, found, known.type):
        context.report.error(
            "E0107",
            _rebinding(name).format(want=shown_type(context, known.type), have=shown_type(context, found)),
            statement.span,
            help="convert the right side, or use another name",
            causes=((known.span, "its type comes from here"),),
        )
    _redefine(context, known, found)


def _same_kind(context: Context, found: Type, known: Type) -> bool:
    """Whether the result of `x += e` is what x was; a value in between cannot be converted."""
    return isinstance(known, Optional) or fits(context, known, found) is None
