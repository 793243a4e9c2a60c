"""Calls that are the same in every round leave loops and comprehensions: they are made once.

Licensed is what merge-calls may merge: calls that only read, and give the same for the same. A call that
each round makes is made in front of the loop where the list has an element, and not at all where it has none.
"""

from xdsl.dialects.builtin import i1
from xdsl.ir import Block, Operation, SSAValue

from flowc.dialects.agent.calls import EmbedOp, GenerateOp, PromptOp, ToolCallOp
from flowc.dialects.flow import compute, control
from flowc.dialects.flow.declarations import CallOp
from flowc.dialects.flow.effects import Effects, Summary
from flowc.dialects.flow.types import IntType
from flowc.passes.facts import name_of
from flowc.passes.framework import Findings, place_before, place_last
from flowc.passes.merge_calls import Licence
from flowc.passes.order import is_guarded

Repeated = control.ForOp | control.MapOp
Call = GenerateOp | ToolCallOp | EmbedOp | CallOp

PREPARING = (PromptOp, compute.ApplyOp, compute.FieldOp, compute.ItemOp, compute.CastOp, compute.RecordOp)
"""What goes along with a call that needs it; it costs next to nothing."""

PACKAGING = (compute.ConstantOp, compute.ListOp, compute.TupleOp)


def hoist_calls(op: Repeated, licence: Licence, effects: Effects, findings: Findings) -> None:
    """Moves the calls of a body that are the same in each round in front of `op`, with a remark for each;
    says why one stays.
    """
    block = op.body.block
    same = _same_each_round(block)
    calls = [each for each in block.ops if each in same and isinstance(each, Call)]
    moved: list[Operation] = []
    around = effects.of(op)
    for call in calls:
        reason = _against(call, block, effects.of(call), around, licence)
        if not reason and _needed(call).isdisjoint({*calls} - {*moved}):
            moved.append(call)
        elif reason:
            findings.remark(call, f"{name_of(call)} is asked the same in every round: {reason}")
    if moved:
        _move(op, moved)
        said = "is the same in every round: asked once, before the first"
        for each in moved:
            findings.remark(each, f"{name_of(each)} {said}")


def _same_each_round(block: Block) -> set[Operation]:
    """The operations of a body that read nothing of a round."""
    same: set[Operation] = set()
    for op in block.ops:
        movable = isinstance(op, (*PREPARING, *PACKAGING, GenerateOp, ToolCallOp, EmbedOp, CallOp))
        if movable and all(_outside(value, block) or value.owner in same for value in op.operands):
            same.add(op)
    return same


def _outside(value: SSAValue, block: Block) -> bool:
    owner = value.owner
    return owner is not block if isinstance(owner, Block) else owner.parent_block() is not block


def _against(call: Operation, block: Block, own: Summary, around: Summary, licence: Licence) -> str:
    """Why a call is made in each round; empty where once is enough."""
    if not own.commutes_with_itself:
        return "a write, or a person's answer, is never left out"
    if isinstance(call, GenerateOp) and not licence.allows(call, own):
        return "asked once only at temperature 0 or with @cached"
    if isinstance(call, CallOp) and not _steady(call, own, licence):
        return "the flow may answer differently each time"
    if around.unknown or (own.reads & around.writes and not licence.is_cached(call)):
        return f"the loop writes {', '.join(sorted(own.reads & around.writes)) or 'something unknown'}"
    if around.sleep and own.reads and not licence.is_cached(call):
        return "time goes by in each round"
    if not around.commutes_with_itself and is_guarded(block):
        return "the loop writes, and a failure in it is caught"
    return ""


def _steady(call: CallOp, own: Summary, licence: Licence) -> bool:
    return own.pure or licence.allows(call, own)


def _needed(call: Operation) -> set[Operation]:
    """What a call reads that is made in its block, directly or not."""
    block = call.parent_block()
    found: set[Operation] = set()
    pending = [call]
    while pending:
        for value in pending.pop().operands:
            owner = value.owner
            if isinstance(owner, Operation) and owner.parent_block() is block and owner not in found:
                found.add(owner)
                pending.append(owner)
    return found


def _move(op: Repeated, calls: list[Operation]) -> None:
    """Puts calls, with what they need, in front of `op`, on the condition that there is a first round."""
    block = op.body.block
    together = {*calls}.union(*map(_needed, calls))
    order = [each for each in block.ops if each in together]
    region, otherwise = control.region_of(), control.region_of()
    copies: dict[SSAValue, SSAValue] = {}
    for each in order:
        region.block.add_op(each.clone(copies))
    place_last(region.block, control.YieldOp(*(copies[call.results[0]] for call in calls)), op)
    types = [call.results[0].type for call in calls]
    absent = [place_last(otherwise.block, compute.AbsentOp(type_), op).result for type_ in types]
    place_last(otherwise.block, control.YieldOp(*absent), op)
    made: list[Operation] = [
        count := compute.ApplyOp("len", [op.operands[0]], IntType()),
        none := compute.ConstantOp(0, IntType()),
        some := compute.ApplyOp("gt", [count.result, none.result], i1),
        control.IfOp(some.result, types, region, otherwise),
    ]
    for new in made:
        place_before(op, new)
    for call, result in zip(calls, made[-1].results, strict=True):
        result.name_hint = call.results[0].name_hint
        call.results[0].replace_all_uses_with(result)
    for each in reversed(order):
        if not any(True for result in each.results for _ in result.uses):
            block.erase_op(each)
