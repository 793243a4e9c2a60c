"""Which products an operator finishes element by element."""

from collections.abc import Sequence

from flowc.dialects.array import ops
from flowc.passes.array_to_loops.elements import Lowering
from flowc.passes.array_to_loops.products import apart
from flowc.passes.array_to_loops.stages import Stage


def with_products_apart(_: Lowering, stages: Sequence[Stage]) -> list[Stage]:
    """The stages, in which what uses a product element by element finishes it."""
    result = list(stages)
    for product in stages:
        if isinstance(product.op, ops.ContractOp):
            result = apart(product, result)
    return result
