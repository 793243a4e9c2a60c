"""Which products are computed tile by tile with the stages that use them, and which on their own.

A product goes with its users if one of them needs whole rows or columns of it, as topk and argmin do: then it
is never stored. It goes with what reduces the rows or columns of an operand, so that those are read once. One
whose only user is elementwise is finished by it, block by block, unless that already finishes another; any
other stands alone.
"""

from collections.abc import Sequence

from attrs import evolve, frozen
from xdsl.ir import SSAValue

from flowc.dialects.array import ops
from flowc.passes.array_to_loops.contract import epilogue_of, is_packed_at_once
from flowc.passes.array_to_loops.contract.product import DEPTH, product_of
from flowc.passes.array_to_loops.elements import Lowering
from flowc.passes.array_to_loops.groups import Group, Track, group_stages
from flowc.passes.array_to_loops.stages import Stage, reads


def with_products_apart(s: Lowering, stages: Sequence[Stage]) -> list[Stage]:
    """The stages, in which a product that goes with no other has a form of its own."""
    products = [stage for stage in stages if isinstance(stage.op, ops.ContractOp) and stage.space is not None]
    if not products:
        return list(stages)
    groups = group_stages(s, stages)
    together: set[Stage] = set()
    for product in products:
        group = next(group for group in groups if product in group.stages)
        if _goes_along(s, group, product) and not any(stage in together for stage in group.stages):
            together.add(product)
    result = list(stages)
    for product in products:
        if product not in together:
            result = apart(product, result)
    return result


@frozen
class Shared:
    """A product that goes along with others for the lines that they read too, and could as well stand alone:
    `group` goes the ways on which they do, which `pays` for some extents; `alone` are the stages if not."""

    group: Group
    alone: Sequence[Stage]
    pays: SSAValue | bool


def shared_of(s: Lowering, group: Group) -> Shared | None:
    """What there is to choose for a group once extents are known; None if it has no such product."""
    product = next((stage for stage in group.stages if isinstance(stage.op, ops.ContractOp)), None)
    if product is None or product.space is None or _needs_lines(s, group, product):
        return None
    tracks = _sharing(s, group, product)
    if not tracks:
        return None
    assert isinstance(product.op, ops.ContractOp)
    ways = {track.axes[product] for track in tracks}
    pays = is_packed_at_once(s, product.op, ways.pop() if len(ways) == 1 else None)
    return Shared(Group(group.stages, tracks), apart(product, group.stages), pays)


def _goes_along(s: Lowering, group: Group, product: Stage) -> bool:
    """Whether a product and the stages of its group have lines in common."""
    return bool(_sharing(s, group, product)) or _needs_lines(s, group, product)


def _sharing(s: Lowering, group: Group, product: Stage) -> list[Track]:
    """The tracks on which lines of an operand that lie along the contraction are reduced: norms of rows, say,
    which are then read once."""
    assert isinstance(product.op, ops.ContractOp)
    operands = product_of(s, product.op)
    lies = [operand.contiguous == DEPTH for operand in (operands.left, operands.right)]
    own = {value for value, _ in reads(s, product, None, group.results)}
    reducing = {
        stage
        for stage in group.stages
        if stage.along and any(value in own for value, _ in reads(s, stage, None, group.results))
    }
    return [t for t in group.tracks if not reducing.isdisjoint(t.axes) and lies[t.axes[product]]]


def _needs_lines(s: Lowering, group: Group, product: Stage) -> bool:
    """Whether a stage of the group reads lines of the product, perhaps through other stages."""
    reached: set[SSAValue] = {product.result}
    for stage in group.stages:
        if stage is product or not any(value in reached for value, _ in reads(s, stage, None, group.results)):
            continue
        if stage.along:
            return True
        reached |= set(stage.op.results)
    return False


def apart(product: Stage, stages: Sequence[Stage]) -> list[Stage]:
    """The stages with a product that has a form of its own, which the only operator that uses it finishes
    where that is elementwise."""
    assert isinstance(product.op, ops.ContractOp)
    last = epilogue_of(product.op, {stage.op for stage in stages})
    taken = any(stage.op is last and stage.product is not None for stage in stages)
    if taken or last is None or not isinstance(last, ops.ElementwiseOp | ops.CastOp):
        return [evolve(stage, space=None) if stage is product else stage for stage in stages]
    return [
        evolve(stage, space=None, product=product.op) if stage.op is last else stage
        for stage in stages
        if stage is not product
    ]
