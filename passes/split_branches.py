"""Branches that keep a loop together are split: calls that need nothing of earlier rounds, and the rest.

`if wanted(x): out = out + [ask(x)]` reads the list of the rounds before, and so would hold `ask` back. Split,
it is one branch that asks, and one behind it, on the same condition, that gathers the answer.
"""

from collections.abc import Iterable

from xdsl.ir import Block, Operation, SSAValue

from flowc.dialects.flow import compute, control
from flowc.dialects.flow.effects import Effects, join
from flowc.passes.facts import is_dispatched, reads
from flowc.passes.framework import block_of, place_before, place_last
from flowc.passes.loop_parts import parts_of
from flowc.passes.order import is_guarded


def split_branches(block: Block, tainted: Iterable[SSAValue], effects: Effects) -> int:
    """Splits the branches of a block, and those inside them; gives how many."""
    waiting = set(tainted)
    fired = 0
    for op in list(block.ops):
        if not any(value in waiting for value in reads(op)):
            continue
        if isinstance(op, control.IfOp) and op.condition not in waiting and is_dispatched(op):
            fired += sum(split_branches(region.block, waiting, effects) for region in op.regions)
            fired += _split(op, waiting, effects)
        waiting.update(op.results)
    return fired


def _split(op: control.IfOp, waiting: set[SSAValue], effects: Effects) -> int:
    """Puts what need not wait into a branch of its own in front of `op`; gives whether it did."""
    ahead = [_ahead(region.block, waiting, effects) for region in op.regions]
    if not any(is_dispatched(each) for part in ahead for each in part):
        return 0
    handed = [_handed(region.block, part) for region, part in zip(op.regions, ahead, strict=True)]
    types = [value.type for values in handed for value in values]
    first = control.IfOp(op.condition, types, control.region_of(), control.region_of())
    place_before(op, first)
    for side, part in enumerate(ahead):
        _move(first, part, side, handed)
    given = [value for values in handed for value in values]
    for value, result in zip(given, first.res, strict=True):
        result.name_hint = value.name_hint
        value.replace_uses_with_if(result, lambda use: not first.is_ancestor(use.operation))
    return 1


def _ahead(block: Block, waiting: set[SSAValue], effects: Effects) -> list[Operation]:
    """What of a branch may run before the rest of it, if anything there is worth that."""
    parts = parts_of(block, waiting, effects)
    behind = join(effects.of(op) for op in parts.behind)
    caught = not behind.commutes_with_itself and is_guarded(block)
    if caught or behind.unknown:
        return []
    return parts.ahead


def _handed(block: Block, part: list[Operation]) -> list[SSAValue]:
    """The values of a part of a branch that the rest of it reads."""
    rest = [value for op in block.ops if op not in part for value in reads(op)]
    return [result for op in part for result in op.results if result in rest]


def _move(first: control.IfOp, part: list[Operation], side: int, handed: list[list[SSAValue]]) -> None:
    target = first.regions[side].block
    for op in part:
        block_of(op).detach_op(op)
        target.add_op(op)
    values: list[SSAValue] = []
    for number, theirs in enumerate(handed):
        values += theirs if number == side else [_absent(target, value, first) for value in theirs]
    place_last(target, control.YieldOp(*values), first)


def _absent(block: Block, value: SSAValue, origin: Operation) -> SSAValue:
    return place_last(block, compute.AbsentOp(value.type), origin).result
