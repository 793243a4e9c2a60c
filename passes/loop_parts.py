"""The two parts of a loop's round: what may run ahead in a map, and what stays in a loop behind it."""

from collections.abc import Iterable, Sequence

from attrs import define
from xdsl.ir import Block, Operation, SSAValue

from flowc.dialects.agent.calls import PromptOp
from flowc.dialects.flow import compute, control
from flowc.dialects.flow.effects import Effects, join
from flowc.dialects.flow.types import ListType
from flowc.passes.facts import reads
from flowc.passes.framework import block_of, place_before, place_last, replace_with
from flowc.passes.loop_results import gathered

PACKAGING = (
    PromptOp,
    compute.ConstantOp,
    compute.ListOp,
    compute.TupleOp,
    compute.RecordOp,
    compute.AbsentOp,
)
"""Operations that are cheaper done where they are read than handed over; a prompt cannot be."""


@define
class Parts:
    """Operations of a block: those that may run ahead of all rounds, and those that wait for their turn."""

    ahead: list[Operation]
    behind: list[Operation]


def parts_of(block: Block, tainted: Iterable[SSAValue], effects: Effects) -> Parts:
    """Parts a block: what reads a `tainted` value has to wait for it; what writes, asks a person, sleeps, or
    reads what the block writes waits for its turn; where it sleeps, all that is not pure.
    """
    waiting = set(tainted)
    behind: set[Operation] = set()
    *body, last = block.ops
    together = join(effects.of(op) for op in body)
    for op in body:
        summary = effects.of(op)
        own_turn = not summary.commutes_with_itself or together.keeps_in_place(summary)
        if own_turn or any(value in waiting for value in reads(op)):
            waiting.update(op.results)
            behind.add(op)
    later = {*behind, last}
    for op in reversed(body):
        readers = {block.find_ancestor_op_in_block(use.operation) for r in op.results for use in r.uses}
        if op not in later and isinstance(op, PACKAGING) and readers <= later:
            later.add(op)
    return Parts([op for op in body if op not in later], [op for op in body if op in later])


def take_apart(op: control.ForOp, parts: Parts, width: int) -> None:
    """Puts a map before a loop, and a loop over what the map made in the loop's place.

    Where what stays behind only gathers values in lists, there is no loop any more.
    """
    wanted = _read_later(op.body.block, set(parts.ahead))
    fork = _map_of(op, parts.ahead, wanted, width)
    rest = _rest_of(op, parts.behind, wanted, fork.result)
    results = gathered(rest, fork.result, width)
    if results is None:
        replace_with(op, list(rest.res))
    else:
        replace_with(op, results)
        block_of(rest).erase_op(rest)


def _read_later(block: Block, ahead: set[Operation]) -> list[SSAValue]:
    """Values of the part ahead, the element among them, that the rest of the body reads."""
    found: dict[SSAValue, None] = {}
    for op in block.ops:
        if op not in ahead:
            found.update((v, None) for v in reads(op) if v is block.args[0] or v.owner in ahead)
    return [value for value in found if not isinstance(value.owner, compute.ConstantOp)]


def _map_of(
    op: control.ForOp, operations: Sequence[Operation], wanted: Sequence[SSAValue], width: int
) -> control.MapOp:
    element = op.body.block.args[0]
    region = control.region_of([element.type])
    argument = region.block.args[0]
    argument.name_hint, argument.location = element.name_hint, element.location
    values: dict[SSAValue, SSAValue] = {element: argument}
    for each in operations:
        region.block.add_op(each.clone(values))
    handed = [values[value] for value in wanted]
    if len(handed) != 1:
        handed = [place_last(region.block, compute.TupleOp(handed), op).result]
    place_last(region.block, control.YieldOp(*handed), op)
    return place_before(op, control.MapOp([op.iterable], handed[0].type, region, width=width))


def _rest_of(
    op: control.ForOp, operations: Sequence[Operation], wanted: Sequence[SSAValue], mapped: SSAValue
) -> control.ForOp:
    """The loop over the mapped list, with the dependent part of the body."""
    old = op.body.block
    element = mapped.type.element if isinstance(mapped.type, ListType) else mapped.type
    region = control.region_of([element, *(argument.type for argument in old.args[1:])])
    block = region.block
    values: dict[SSAValue, SSAValue] = dict(zip(old.args[1:], block.args[1:], strict=True))
    for before, after in values.items():
        after.name_hint = before.name_hint
    for position, value in enumerate(wanted):
        item: SSAValue = block.args[0]
        if len(wanted) > 1:
            item = place_last(block, compute.ItemOp(item, position), op).result
        item.name_hint = value.name_hint
        values[value] = item
    shared = [op for op in old.ops if isinstance(op, compute.ConstantOp) and op not in operations]
    for each in (*shared, *operations, old.last_op):
        if each is not None:
            block.add_op(each.clone(values))
    return place_before(op, control.ForOp(mapped, list(op.carried), region))
