"""Statements: assignments, control flow and the blocks that limits stand around."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from flowc.compiler.checker.assignments import assign, give
from flowc.compiler.checker.context import ERROR, Context, Region, infer, resolve, shown_type
from flowc.compiler.checker.convert import literal_value, require
from flowc.compiler.checker.displays import element_type, unpack
from flowc.compiler.checker.limits import BLOCK_LIMITS, OPTIONS, Value, check_nesting, read_limit, with_values
from flowc.compiler.checker.names import did_you_mean, listed
from flowc.compiler.checker.narrowing import facts_of
from flowc.compiler.checker.operators import require_condition
from flowc.compiler.checker.scope import (
    Scope,
    after_loop,
    assigned_names,
    child,
    forget,
    merge,
    narrow,
)
from flowc.compiler.syntax import (
    Assign,
    Block,
    Break,
    Continue,
    ExpressionStatement,
    For,
    If,
    Name,
    Pass,
    Return,
    Span,
    Statement,
    Try,
    While,
    With,
)
from flowc.runtime.plan import Limits
from flowc.runtime.types import INT, NONE, Type

_NOT_IN_KERNELS = {
    For: ("a `for`", "work on whole arrays: `sum(x, axis=0)`, `x @ y`"),
    While: ("a `while`", "work on whole arrays"),
    If: ("an `if`", "choose with `where(test, a, b)`"),
    With: ("a `with`", "put the limit around the call of the kernel"),
    Try: ("a `try`", "put it around the call of the kernel"),
    ExpressionStatement: ("a value that nobody takes", "give it a name or return it"),
}


def check_block(context: Context, block: Block) -> None:
    """Checks the statements of a block in order."""
    dead = False
    for statement in block:
        if not context.scope.alive and not dead:
            dead = True
            context.report.warning(
                "E0133",
                "this is never reached",
                statement.span,
                why="every path before it has left",
                help="remove it",
            )
            context.scope.alive = True
        _check(context, statement)
    if dead:
        context.scope.alive = False


def _check(context: Context, statement: Statement) -> None:
    if context.kind == "kernel" and type(statement) in _NOT_IN_KERNELS:
        what, instead = _NOT_IN_KERNELS[type(statement)]
        context.report.error(
            "E0138",
            f"{what} cannot stand in a kernel",
            statement.span,
            why="a kernel is straight-line arithmetic over whole arrays",
            help=instead,
        )
    match statement:
        case Assign():
            assign(context, statement)
        case ExpressionStatement():
            _expression(context, statement)
        case Return():
            _return(context, statement)
        case If():
            _if(context, statement)
        case For():
            _for(context, statement)
        case While():
            _while(context, statement)
        case With():
            _with(context, statement)
        case Try():
            _branches(context, [(statement.body, {}), (statement.otherwise, {})])
        case Break() | Continue():
            _leave(context, statement)
        case Pass():
            pass


def _expression(context: Context, statement: ExpressionStatement) -> None:
    infer(context, statement.value)
    known = context.facts.calls.get(id(statement.value))
    effect = known is not None and known.kind not in ("record", "enum", "kernel") and known.name not in _PURE
    if effect and not (known is not None and known.kind == "builtin" and known.form != "embed"):
        return
    if context.facts.types.get(id(statement.value)) != ERROR:
        context.report.warning(
            "E0139", "this value is not used", statement.span, help="give it a name, return it or remove it"
        )


_PURE = ("endorse", "declassify")


def _return(context: Context, statement: Return) -> None:
    if statement.value is None:
        if context.result not in (NONE, ERROR, None):
            context.report.error(
                "E0105",
                f"`{context.owner}` returns `{shown_type(context, context.result or NONE)}`, this nothing",
                statement.span,
                help="return a value",
            )
    elif context.result is None:
        context.returned.append(resolve(context, infer(context, statement.value)))
    else:
        headline = f"`{context.owner}` returns `{{want}}`, found `{{have}}`"
        causes = () if context.result_span is None else ((context.result_span, "declared here"),)
        require(context, statement.value, context.result, headline, causes)
    context.scope.alive = False


def _leave(context: Context, statement: Break | Continue) -> None:
    if context.loops == 0:
        word = "break" if isinstance(statement, Break) else "continue"
        context.report.error(
            "E0134", f"`{word}` stands outside a loop", statement.span, help="`return` leaves a flow"
        )
    context.scope.alive = False


@contextmanager
def _inside(context: Context, scope: Scope) -> Iterator[None]:
    outer, context.scope = context.scope, scope
    try:
        yield
    finally:
        context.scope = outer


def _branches(context: Context, branches: list[tuple[Block, Mapping[str, Type]]]) -> None:
    scopes = []
    for block, shows in branches:
        scope = child(context.scope)
        narrow(scope, shows)
        with _inside(context, scope):
            check_block(context, block)
        scopes.append(scope)
    merge(context.scope, scopes)


def _if(context: Context, statement: If) -> None:
    scopes = []
    otherwise = child(context.scope)
    for test, block in statement.branches:
        with _inside(context, otherwise):
            require_condition(context, test, "an `if`")
            scope = child(otherwise)
            narrow(scope, facts_of(context, test, True))
            narrow(otherwise, facts_of(context, test, False))
        with _inside(context, scope):
            check_block(context, block)
        scopes.append(scope)
    with _inside(context, otherwise):
        check_block(context, statement.otherwise)
    merge(context.scope, [*scopes, otherwise])


def _loop(context: Context, body: Block, scope: Scope) -> None:
    context.loops += 1
    with _inside(context, scope):
        check_block(context, body)
    context.loops -= 1
    after_loop(context.scope, scope)


def _for(context: Context, statement: For) -> None:
    found = element_type(context, statement.iterable)
    scope = child(context.scope)
    forget(scope, assigned_names(statement.body, context.blocks))
    with _inside(context, scope):
        for name, type_ in unpack(context, statement.targets, found, statement.span):
            give(context, name, type_, statement.span)
    for name in statement.targets:
        context.used.add(name)
    _loop(context, statement.body, scope)


def _while(context: Context, statement: While) -> None:
    require(context, statement.bound, INT, "the bound of a `while` is `{want}`, found `{have}`")
    bound = literal_value(statement.bound)
    if isinstance(bound, int) and bound < 1:
        context.report.error(
            "E0505",
            f"a `while` up to {bound} never runs",
            statement.bound.span,
            help="give the most rounds it may take: `up to 10`",
        )
    scope = child(context.scope)
    forget(scope, assigned_names(statement.body, context.blocks))
    with _inside(context, scope):
        require_condition(context, statement.test, "a `while`")
        narrow(scope, facts_of(context, statement.test, True))
    _loop(context, statement.body, scope)


def _with(context: Context, statement: With) -> None:
    if statement.transaction:
        _transaction(context, statement)
        return
    limits = _block_limits(context, statement)
    context.facts.limits[id(statement)] = limits
    outer = context.limits
    for around in outer:
        check_nesting(context.report, around, limits, statement.limits[0].span)
    context.limits = (*outer, limits)
    first = len(context.calls)
    check_block(context, statement.body)
    context.limits = outer
    if limits.retries and not _is_transaction(statement.body):
        context.regions.append(Region("retry", first, len(context.calls), statement.limits[0].span))


def _is_transaction(block: Block) -> bool:
    """Whether a block is one transaction: where it fails it leaves nothing that a second try would repeat."""
    return len(block) == 1 and isinstance(block[0], With) and block[0].transaction


def _transaction(context: Context, statement: With) -> None:
    first = len(context.calls)
    check_block(context, statement.body)
    span = statement.span
    header = Span(span.line, span.column, span.line, span.column + len("with transaction"))
    context.regions.append(Region("transaction", first, len(context.calls), header))


def _block_limits(context: Context, statement: With) -> Limits:
    found: dict[str, Value] = {}
    spans: dict[str, Span] = {}
    for call in statement.limits:
        name = call.function.id if isinstance(call.function, Name) else ""
        if name not in BLOCK_LIMITS:
            known = [each for each in OPTIONS if each in BLOCK_LIMITS]
            context.report.error(
                "E0509",
                f"`{name}` is no limit of a block",
                call.span,
                help=did_you_mean(name, known, f"there are {listed(known)}"),
            )
        elif name in spans:
            context.report.error(
                "E0503",
                f"`{name}` stands twice",
                call.span,
                help="keep one",
                causes=((spans[name], "first here"),),
            )
        else:
            spans[name] = call.span
            found.update(read_limit(context.report, name, call.arguments, call.span))
    return with_values(Limits(), found)
