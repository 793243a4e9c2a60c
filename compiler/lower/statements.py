"""Statements: assignments rebind, branches become regions, what follows an early exit is guarded by it.

Where only one branch of an `if` can go on, what follows is simply part of that branch: the usual early
return needs no flag. Otherwise, and where such branches would nest too deep, a flag says whether the block
was left, and each run of statements up to the next possible exit stands in a branch of its own.
"""

from collections.abc import Sequence
from functools import partial

from attrs import evolve
from xdsl.ir import Attribute, Region, SSAValue

from flowc.compiler import syntax
from flowc.compiler.builtins import OPERATORS
from flowc.compiler.lower import arrays
from flowc.compiler.lower.exits import Exit, as_value, either, end_of, merge
from flowc.compiler.lower.expressions import bind
from flowc.compiler.lower.frame import Frame
from flowc.compiler.lower.leaving import Statements, may_leave, must_leave
from flowc.compiler.lower.limits import limits_attribute
from flowc.compiler.lower.loops import lower_for, lower_while
from flowc.dialects.array.types import is_array_type, shape_of
from flowc.dialects.flow.compute import ApplyOp
from flowc.dialects.flow.control import AttemptOp, IfOp, LimitOp, TransactionOp, region_of
from flowc.dialects.flow.types import NoneType

DEEPEST = 40
"""Early exits, and the branches of a chain, nest at most this deep before flags take over."""

MARK = ".taken"
"""The variable that says whether a branch of a long chain was taken; no name of the language has a dot."""


def lower_block(frame: Frame, statements: Statements) -> Exit:
    """Lowers statements in order; says how they end."""
    end = end_of(frame)
    position = 0
    while position < len(statements) and not end.leaves:
        statement = statements[position]
        if not end.falls_through:
            stop = _next_exit(statements, position) + 1
            end = _guarded(frame, end, statements[position:stop])
            position = stop
            continue
        if isinstance(statement, syntax.If) and frame.depth < DEEPEST and _one_way_on(statement):
            frame.span = statement.span
            return _branches(frame, statement.branches, statement.otherwise, statements[position + 1 :])
        position += 1
        end = _statement(frame, statement)
    return end


def _next_exit(statements: Statements, start: int) -> int:
    for position in range(start, len(statements)):
        if may_leave(statements[position]):
            return position
    return len(statements)


def _one_way_on(statement: syntax.If) -> bool:
    """Whether some branch leaves for certain and at most one does not."""
    if len(statement.branches) > DEEPEST:
        return False
    blocks = [*(body for _, body in statement.branches), statement.otherwise]
    leaving = sum(map(must_leave, blocks))
    return leaving >= max(1, len(blocks) - 1)


def _guarded(frame: Frame, end: Exit, statements: Statements) -> Exit:
    """Statements that run only where the block was not left before."""
    frame.span = statements[0].span
    left = either(frame, end.flags)
    if isinstance(left, bool):
        raise ValueError("a guard needs a flag that only the run knows")
    gone, going = region_of(), region_of()
    before = frame.inner(gone.block)
    stayed = evolve(end, variables=before.variables, changed=before.changed, gone=True)
    inner = frame.inner(going.block)
    after = lower_block(inner, statements)
    return merge(frame, [(before, stayed), (inner, after)], lambda types: IfOp(left, types, gone, going))


def _statement(frame: Frame, statement: syntax.Statement) -> Exit:
    frame.span = statement.span
    match statement:
        case syntax.Assign():
            _assign(frame, statement)
        case syntax.ExpressionStatement(value):
            frame.value(value)
        case syntax.Return(value):
            returned = frame.constant(None, NoneType()) if value is None else frame.value(value)
            end = end_of(frame)
            end.returned, end.value = True, frame.converted(returned, frame.result_type)
            return end
        case syntax.Break():
            return Exit(frame.variables, frame.changed, broke=True)
        case syntax.Continue():
            return Exit(frame.variables, frame.changed, continued=True)
        case syntax.If(branches, otherwise) if len(branches) > DEEPEST:
            return _chain(frame, branches, otherwise)
        case syntax.If(branches, otherwise):
            return _branches(frame, branches, otherwise, ())
        case syntax.For():
            return lower_for(frame, statement, lower_block)
        case syntax.While():
            return lower_while(frame, statement, lower_block)
        case syntax.With():
            return _transaction(frame, statement) if statement.transaction else _limited(frame, statement)
        case syntax.Try(body, otherwise):
            return _attempted(frame, body, otherwise)
        case syntax.Pass():
            pass
    return end_of(frame)


def _assign(frame: Frame, statement: syntax.Assign) -> None:
    if statement.operator is None:
        value = frame.value(statement.value)
    else:
        value = _updated(frame, statement, statement.operator)
    bind(frame, statement.targets, value)


def _updated(frame: Frame, statement: syntax.Assign, operator: str) -> SSAValue:
    """`x += e`: the variable keeps its type."""
    kind = OPERATORS[operator.removesuffix("=")]
    before = frame.variables[statement.targets[0]]
    if is_array_type(before.type) and shape_of(before.type):
        added = arrays.operand(frame, statement.value)
        return arrays.elementwise(
            frame, kind, [before, added], [False, arrays.is_weak(frame, statement.value)]
        )
    return frame.emit(ApplyOp(kind, [before, frame.value(statement.value)], before.type))


Branch = tuple[syntax.Expression, syntax.Block]


def _branches(
    frame: Frame,
    branches: Sequence[Branch],
    otherwise: Statements | None,
    rest: Statements,
    mark: str | None = None,
) -> Exit:
    """The branches of an `if`; `rest` follows in whichever of them can go on.

    Without `otherwise` the chain goes on elsewhere; `mark` is the variable saying whether a branch was taken.
    """
    (test, body), *others = branches
    condition = frame.value(test)
    then, alternative = region_of(), region_of()
    first = frame.inner(then.block)
    if mark is not None:
        first.assign(mark, first.truth(True))
    first_end = lower_block(first, _continued(body, rest))
    second = frame.inner(alternative.block)
    if others:
        second_end = _branches(second, others, otherwise, rest, mark)
    elif otherwise is None:
        second_end = Exit(second.variables, second.changed, gone=True)
    else:
        second_end = lower_block(second, _continued(otherwise, rest))
    return merge(
        frame,
        [(first, first_end), (second, second_end)],
        lambda types: IfOp(condition, types, then, alternative),
    )


def _chain(frame: Frame, branches: Sequence[Branch], otherwise: Statements) -> Exit:
    """A long chain of `elif`, some branches at a time: nested it would be too deep to read, print and run."""
    frame.assign(MARK, frame.truth(False))
    end = end_of(frame)
    for start in range(0, len(branches), DEEPEST):
        last = start + DEEPEST >= len(branches)
        taken = either(frame, [*end.flags, frame.variables[MARK]])
        done, going = region_of(), region_of()
        before, inner = frame.inner(done.block), frame.inner(going.block)
        stayed = evolve(end, variables=before.variables, changed=before.changed, gone=True)
        piece = branches[start : start + DEEPEST]
        after = _branches(inner, piece, otherwise if last else None, (), MARK)
        make = partial(_if, as_value(frame, taken), done, going)
        end = merge(frame, [(before, stayed), (inner, after)], make)
        end.gone = False
    return end


def _if(condition: SSAValue, then: Region, otherwise: Region, types: Sequence[Attribute]) -> IfOp:
    return IfOp(condition, types, then, otherwise)


def _continued(body: Statements, rest: Statements) -> Statements:
    return body if not rest or must_leave(body) else [*body, *rest]


def _limited(frame: Frame, statement: syntax.With) -> Exit:
    limits = limits_attribute(frame.checked.limits[id(statement)])
    region = region_of()
    inner = frame.inner(region.block)
    end = lower_block(inner, statement.body)
    if limits is None:
        raise ValueError("a `with` block has limits")
    return merge(frame, [(inner, end)], lambda types: LimitOp(limits, types, region))


def _transaction(frame: Frame, statement: syntax.With) -> Exit:
    region = region_of()
    inner = frame.inner(region.block)
    end = lower_block(inner, statement.body)
    return merge(frame, [(inner, end)], lambda types: TransactionOp(types, region))


def _attempted(frame: Frame, body: Statements, otherwise: Statements) -> Exit:
    first, second = region_of(), region_of()
    places = []
    for region, statements in ((first, body), (second, otherwise)):
        inner = frame.inner(region.block)
        places.append((inner, lower_block(inner, statements)))
    return merge(frame, places, lambda types: AttemptOp(types, first, second))
