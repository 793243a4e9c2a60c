"""Which products are computed tile by tile with the stages that use them, and which on their own.

A product goes with its users if one of them needs whole rows or columns of it, as topk and argmin do: then it
is never stored. It goes with what reduces the rows or columns of an operand, so that those are read once. One
whose only user is elementwise is finished by it, block by block, unless that already finishes another; any
other stands alone.
"""

from collections.abc import Sequence

from attrs import evolve
from xdsl.ir import SSAValue

from flowc.dialects.array import ops
from flowc.passes.array_to_loops.contract import epilogue_of
from flowc.passes.array_to_loops.elements import Lowering
from flowc.passes.array_to_loops.groups import Group, group_stages
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
            result = _apart(product, result)
    return result


def _goes_along(s: Lowering, group: Group, product: Stage) -> bool:
    """Whether a stage of the group reads lines of the product, perhaps through other stages."""
    members = group.results
    own = {value for value, _ in reads(s, product, None, members)}
    if any(
        stage.along and any(value in own for value, _ in reads(s, stage, None, members))
        for stage in group.stages
        if stage is not product
    ):
        return True  # norms of rows, say, which are then read once for both
    reached: set[SSAValue] = {product.result}
    for stage in group.stages:
        if stage is product or not any(value in reached for value, _ in reads(s, stage, None, members)):
            continue
        if stage.along:
            return True
        reached |= set(stage.op.results)
    return False


def _apart(product: Stage, stages: Sequence[Stage]) -> list[Stage]:
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
