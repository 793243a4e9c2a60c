"""Loops: the variables that a body changes are carried from round to round."""

from collections.abc import Callable, Sequence

from xdsl.ir import Region, SSAValue

from flowc.compiler import syntax
from flowc.compiler.lower.exits import Exit, as_value, either, end_of, value_or_absent
from flowc.compiler.lower.expressions import bind
from flowc.compiler.lower.frame import Frame
from flowc.compiler.lower.leaving import Statements, assigned, may_return
from flowc.compiler.lower.types import loosened
from flowc.dialects.flow.compute import AbsentOp
from flowc.dialects.flow.control import ForOp, WhileOp, YieldOp, region_of
from flowc.dialects.flow.types import IntType, ListType

Body = Callable[[Frame, Statements], Exit]
"""Lowers the statements of a body."""


def lower_for(frame: Frame, statement: syntax.For, body: Body) -> Exit:
    """`for`: the region takes an element and the carried values."""
    iterable = frame.value(statement.iterable)
    if not isinstance(iterable.type, ListType):
        raise ValueError(f"{iterable.type} is no list")
    names = _carried_names(frame, {*assigned(statement.body), *statement.targets})
    initial = _initial(frame, names, statement.body)
    region = region_of([iterable.type.element, *(value.type for value in initial)])
    inner = _enter(frame, region, names, region.block.args[1:])
    bind(inner, statement.targets, region.block.args[0])
    _end_round(inner, body(inner, statement.body), names, initial)
    op = frame.add(ForOp(iterable, initial, region))
    return _leave(frame, names, list(op.results))


def lower_while(frame: Frame, statement: syntax.While, body: Body) -> Exit:
    """`while ... up to`: a region for the test and one for a round."""
    bound = frame.converted(frame.value(statement.bound), IntType())
    names = _carried_names(frame, assigned(statement.body))
    initial = _initial(frame, names, statement.body)
    types = [value.type for value in initial]
    test, region = region_of(types), region_of(types)
    testing = _enter(frame, test, names, test.block.args)
    testing.add(YieldOp(testing.value(statement.test)))
    inner = _enter(frame, region, names, region.block.args)
    _end_round(inner, body(inner, statement.body), names, initial)
    op = frame.add(WhileOp(bound, initial, test, region))
    return _leave(frame, names, list(op.results))


def _carried_names(frame: Frame, changed: set[str]) -> list[str]:
    """What the body changes and the code before it knows; the rest is local to a round."""
    return [name for name in sorted(changed) if name in frame.variables]


def _initial(frame: Frame, names: Sequence[str], body: Statements) -> list[SSAValue]:
    """The values carried into the first round; if the body may return, whether it did and what come last."""
    values = [frame.converted(frame.variables[name], loosened(frame.variables[name].type)) for name in names]
    if may_return(body):
        values += [frame.truth(False), frame.emit(AbsentOp(frame.result_type))]
    return values


def _enter(frame: Frame, region: Region, names: Sequence[str], arguments: Sequence[SSAValue]) -> Frame:
    inner = frame.inner(region.block)
    for name, argument in zip(names, arguments, strict=False):
        inner.assign(name, argument)
    return inner


def _end_round(inner: Frame, end: Exit, names: Sequence[str], initial: Sequence[SSAValue]) -> None:
    stop = as_value(inner, either(inner, [end.broke, end.returned]))
    carried = [
        inner.converted(end.variables[name], value.type) for name, value in zip(names, initial, strict=False)
    ]
    if len(initial) > len(names):
        carried += [as_value(inner, end.returned), value_or_absent(inner, end.value, inner.result_type)]
    inner.add(YieldOp(stop, *carried))


def _leave(frame: Frame, names: Sequence[str], results: list[SSAValue]) -> Exit:
    for name, value in zip(names, results, strict=False):
        frame.assign(name, value)
    end = end_of(frame)
    if len(results) > len(names):
        end.returned, end.value = results[-2:]
    return end
