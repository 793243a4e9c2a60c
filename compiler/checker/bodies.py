"""Bodies and prompts: each is checked in a context of its own."""

from flowc.compiler.checker.context import ERROR, Context, Facts, World, has_hole, infer, resolve
from flowc.compiler.checker.convert import require
from flowc.compiler.checker.displays import template_type
from flowc.compiler.checker.effects import Body
from flowc.compiler.checker.expressions import expression_type
from flowc.compiler.checker.model import ParameterInfo, Signature
from flowc.compiler.checker.report import Report
from flowc.compiler.checker.scope import Scope, Variable, define_variable, target_span
from flowc.compiler.checker.statements import check_block
from flowc.compiler.syntax import (
    Assign,
    Attribute,
    Block,
    Constant,
    DictDisplay,
    Expression,
    For,
    If,
    ListDisplay,
    Name,
    Span,
    Statement,
    Template,
    Try,
    Unary,
    While,
    With,
)
from flowc.runtime.types import NONE, Optional, Scalar


def check_body(world: World, report: Report, facts: Facts, signature: Signature) -> Body:
    """Checks the prompt or the statements of a callable, and gives the calls it makes."""
    context = _context(world, report, facts, signature)
    for parameter in signature.parameters:
        if parameter.default is not None:
            _check_default(context, parameter)
    for parameter in signature.parameters:
        variable = Variable(parameter.name, parameter.type, parameter.span, parameter=True)
        define_variable(context.scope, variable)
    declaration = signature.declaration
    if declaration.prompt is not None:
        facts.types[id(declaration.prompt)] = template_type(context, declaration.prompt)
    if declaration.body is not None:
        context.later = _later(declaration.body)
        check_block(context, declaration.body)
        _check_end(context, signature)
        _warn_unused(context)
    _fill_holes(context)
    return Body(signature.name, tuple(context.calls), tuple(context.regions))


def _context(world: World, report: Report, facts: Facts, signature: Signature) -> Context:
    return Context(
        world, report, facts, signature.name, signature.kind, Scope(), expression_type,
        result=signature.result, result_span=signature.declaration.result.span,
        limits=(signature.limits,),
    )  # fmt: skip


def _check_default(context: Context, parameter: ParameterInfo) -> None:
    assert parameter.default is not None
    if not _is_constant(context, parameter.default):
        infer(context, parameter.default)
        context.report.error(
            "E0124",
            f"the default of `{parameter.name}` is not a constant",
            parameter.default.span,
            why="defaults are part of the signature and cost nothing to know",
            help="write a constant, or make the parameter optional and choose in the body",
        )
        return
    headline = f"the default of `{parameter.name}` is `{{have}}`, its type `{{want}}`"
    require(context, parameter.default, parameter.type, headline)


def _is_constant(context: Context, expression: Expression) -> bool:
    match expression:
        case Constant():
            return True
        case Unary(operand=Constant()):
            return True
        case ListDisplay(items=items):
            return all(_is_constant(context, item) for item in items)
        case DictDisplay(items=pairs):
            return all(_is_constant(context, part) for pair in pairs for part in pair)
        case Attribute(value=Name(id=name)):
            return name in context.world.enums
        case Template(parts=parts):
            return all(isinstance(part, str) for part in parts)
    return False


def _check_end(context: Context, signature: Signature) -> None:
    if not context.scope.alive or signature.result in (NONE, ERROR):
        return
    context.report.error(
        "E0122",
        f"`{signature.name}` can end without returning a value",
        signature.declaration.header,
        why="a path through the body reaches its end",
        help="return a value at the end" + (", or `none`" if isinstance(signature.result, Optional) else ""),
        causes=((signature.declaration.result.span, "promised here"),),
    )


def _later(body: Block) -> dict[str, Span]:
    found: dict[str, Span] = {}
    pending: list[Statement] = list(reversed(body))
    while pending:
        statement = pending.pop()
        match statement:
            case Assign(targets=targets):
                for name in targets:
                    found.setdefault(name, target_span(targets, statement.span))
            case For(targets=targets, body=inner):
                for name in targets:
                    found.setdefault(name, statement.span)
                pending.extend(reversed(inner))
            case While(body=inner) | With(body=inner):
                pending.extend(reversed(inner))
            case If(branches=branches, otherwise=otherwise):
                pending.extend(reversed([s for _, block in branches for s in block] + list(otherwise)))
            case Try(body=inner, otherwise=otherwise):
                pending.extend(reversed([*inner, *otherwise]))
    return found


def _warn_unused(context: Context) -> None:
    for name, span in context.defined.items():
        if name not in context.used and not name.startswith("_"):
            context.report.warning(
                "E0131",
                f"`{name}` is never used",
                span,
                help=f"remove it, or call it `_{name}` if only the call matters",
            )


def _fill_holes(context: Context) -> None:
    for name, filled in context.holes.items():
        if filled is None or has_hole(resolve(context, Scalar(name))):
            context.report.error(
                "E0119",
                "the type of what this holds is not known",
                context.hole_spans[name],
                "empty, and nothing tells of what",
                help="write it: `xs: list[str] = []`",
            )
    for key in context.open_types:
        context.facts.types[key] = resolve(context, context.facts.types[key])
    if context.holes:
        for key, type_ in list(context.facts.coercions.items()):
            if has_hole(type_):
                context.facts.coercions[key] = resolve(context, type_)
