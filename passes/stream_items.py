"""Comprehensions over a list that a model is still writing: which may begin with its first items."""

from xdsl.dialects.builtin import UnitAttr
from xdsl.ir import Operation, SSAValue

from flowc.dialects.agent.calls import GenerateBatchOp
from flowc.dialects.flow import control
from flowc.dialects.flow.attributes import LimitsAttr
from flowc.dialects.flow.effects import Effects
from flowc.passes.explain_order import culprit, does
from flowc.passes.facts import is_dispatched, reads
from flowc.passes.framework import place_before, replace_with
from flowc.passes.spending import COUNTED, PAID

STREAM = "stream"
"""The attribute of calls whose answers are read while they come."""

AHEAD = "ahead"
"""The attribute of what may begin with a part of an answer, and of what takes such parts."""

FOR_NOTHING = "what is begun for nothing must not take from the budget around them"


def readers_of(items: SSAValue) -> list[Operation]:
    """What goes over a list element by element, and waits for something in it."""
    users = dict.fromkeys(use.operation for use in items.uses)
    kinds = (control.ElementwiseOp, control.ForOp)
    return [op for op in users if isinstance(op, kinds) and op.operands[0] is items and is_dispatched(op)]


def against(items: SSAValue, reader: Operation, effects: Effects) -> str:
    """Why elements wait for the end of a list; empty where they need not."""
    if isinstance(reader, control.ForOp):
        return "its rounds wait for one another"
    if reader.parent_block() is not items.owner.parent_block():
        return "they stand in another block"
    if len(reader.operands) > 1:
        return "they take items of other lists along"
    if reads(reader).count(items) > 1:
        return "they read all of it"
    summary = effects.of(reader)
    if not summary.commutes_with_itself:
        return does(culprit(reader, effects), effects)
    return FOR_NOTHING if has_budget(reader) else ""


def has_budget(op: Operation) -> bool:
    """Whether there is a budget around an operation."""
    at = op.parent_op()
    while at is not None:
        limits = at.properties.get("limits")
        if isinstance(limits, LimitsAttr) and dict(limits.data).keys() & {*PAID, *COUNTED}:
            return True
        at = at.parent_op()
    return False


def mark(call: Operation, *operations: Operation) -> None:
    """Marks a call whose answer is read while it comes, and what may begin with a part of it."""
    call.attributes[STREAM] = UnitAttr()
    for op in operations:
        op.attributes[AHEAD] = UnitAttr()


def mapped(reader: Operation) -> Operation:
    """What goes over a list as a map: the elements of one batched operation do not come one by one."""
    if not isinstance(reader, GenerateBatchOp):
        return reader
    made = control.MapOp(
        list(reader.inputs),
        reader.result.type.element,
        reader.detach_region(reader.body),
        width=reader.width.value.data,
        filtered=reader.filtered is not None,
    )
    place_before(reader, made)
    replace_with(reader, [made.result])
    return made
