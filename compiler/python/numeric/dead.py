"""Removes operators whose values nobody wants, and memory that nobody reads."""

from xdsl.dialects import scf
from xdsl.ir import Block, Operation

from flowc.dialects.array import memory, ops


def remove_dead(block: Block) -> None:
    """Removes them from a block and the regions in it, the last first."""
    for op in reversed(list(block.ops)):
        for region in op.regions:
            for inner in region.blocks:
                remove_dead(inner)
        if _is_dead(op):
            block.erase_op(op)


def _is_dead(op: Operation) -> bool:
    if any(result.uses for result in op.results):
        return False
    if isinstance(op, ops.ArrayOperation):
        return not isinstance(op, ops.IndexOp | ops.GatherOp)
    return isinstance(op, memory.ReadOp | memory.VariableOp | memory.EmptyOp) or (
        isinstance(op, scf.IfOp | scf.ForOp) and all(len(region.block.ops) <= 1 for region in op.regions)
    )
