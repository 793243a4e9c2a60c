"""What a loop without calls gives where it only gathers values in lists: maps, and no loop."""

from attrs import frozen
from xdsl.dialects.builtin import i1
from xdsl.ir import Block, Operation, SSAValue

from flowc.dialects.flow import compute, control
from flowc.passes.framework import place_before, place_last

GATHERING = ("add", "append", "concat")
"""Functions by which a loop adds to a list."""


@frozen
class Gathered:
    """The value that a round adds to a list, and the condition on which it does; None for always."""

    value: SSAValue
    condition: SSAValue | None = None
    where: bool = True


def gathered(rest: control.ForOp, mapped: SSAValue, width: int) -> list[SSAValue] | None:
    """The results of a loop over `mapped` that only adds to lists, made without it; None for any other."""
    block = rest.body.block
    yields = control.yielded(rest.body)
    added = [_gathered(block, k, yields[k + 1]) for k in range(len(rest.carried))]
    found = [each for each in added if each is not None]
    if len(found) < len(added) or not _only_gathers(block, len(added)):
        return None
    return [
        _joined(rest, initial, _column(rest, mapped, each, width))
        for initial, each in zip(rest.carried, found, strict=True)
    ]


def _joined(rest: control.ForOp, initial: SSAValue, found: SSAValue) -> SSAValue:
    """What a list held before the loop, then what the rounds added."""
    if isinstance(initial.owner, compute.ListOp) and not initial.owner.items:
        return found
    return place_before(rest, compute.ApplyOp("add", [initial, found], initial.type)).result


def _gathered(block: Block, k: int, yielded: SSAValue) -> Gathered | None:
    """What a round adds to the list carried as number `k`, if that is all it does to it."""
    carried = block.args[k + 1]
    uses = sum(1 for _ in carried.uses)
    op = yielded.owner
    match op:
        case compute.SelectOp():
            ways = (op.first, op.second)
        case control.IfOp():
            place = next(k for k, result in enumerate(op.res) if result is yielded)
            ways = (control.yielded(op.then_region)[place], control.yielded(op.else_region)[place])
        case _:
            value = _added(block, carried, yielded)
            return Gathered(value) if value is not None and uses == 1 else None
    if uses != 2 or carried not in ways or _of_round(block, op.condition) is None:
        return None
    where = ways[1] is carried
    value = _added(block, carried, ways[0] if where else ways[1])
    return None if value is None else Gathered(value, op.condition, where)


def _added(block: Block, carried: SSAValue, made: SSAValue) -> SSAValue | None:
    """The value of the round that `made` is `carried` and this one more; None where it is anything else."""
    op = made.owner
    if not isinstance(op, compute.ApplyOp) or len(op.arguments) != 2 or op.arguments[0] is not carried:
        return None
    if op.function.data == "append":
        return _of_round(block, op.arguments[1])
    items = op.arguments[1].owner
    if op.function.data in GATHERING and isinstance(items, compute.ListOp) and len(items.items) == 1:
        return _of_round(block, items.items[0])
    return None


def _of_round(block: Block, value: SSAValue) -> SSAValue | None:
    """The value if it is what the map made, or an item of it."""
    packed = isinstance(value.owner, compute.ItemOp) and value.owner.source is block.args[0]
    return value if value is block.args[0] or packed else None


def _only_gathers(block: Block, lists: int) -> bool:
    inside = list(block.walk())
    applied = [op for op in inside if isinstance(op, compute.ApplyOp)]
    return len(applied) == lists and all(_gathers(op) for op in inside)


def _gathers(op: Operation) -> bool:
    if isinstance(op, compute.ApplyOp):
        return op.function.data in GATHERING
    packing = (compute.ItemOp, compute.ListOp, compute.ConstantOp, compute.SelectOp)
    return isinstance(op, (*packing, control.YieldOp, control.IfOp))


def _column(rest: control.ForOp, mapped: SSAValue, each: Gathered, width: int) -> SSAValue:
    """What rounds add to a list: an item of what the map made for each, where they do."""
    if each.condition is None and each.value is rest.body.block.args[0]:
        return mapped
    element = rest.body.block.args[0]
    region = control.region_of([element.type])

    def taken(value: SSAValue) -> SSAValue:
        if not isinstance(value.owner, compute.ItemOp):
            return region.block.args[0]
        return add(compute.ItemOp(region.block.args[0], value.owner.index.value.data)).results[0]

    def add(new: Operation) -> Operation:
        return place_last(region.block, new, rest)

    kept: list[SSAValue] = []
    if each.condition is not None:
        condition = taken(each.condition)
        if not each.where:
            condition = add(compute.ApplyOp("not", [condition], i1)).results[0]
        kept = [condition]
    value = taken(each.value)
    add(control.YieldOp(*kept, value))
    column = control.MapOp([mapped], value.type, region, width=width, filtered=bool(kept))
    return place_before(rest, column).result
