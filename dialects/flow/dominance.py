"""Dominance in structured code: a value is read only after it is made, and only where it can be seen."""

from xdsl.ir import Block, Operation, SSAValue


def undefined_use(block: Block, visible: set[SSAValue] | None = None) -> Operation | None:
    """The first operation that reads a value which is not there yet, None if all is well; linear."""
    visible = set() if visible is None else visible
    own: list[SSAValue] = list(block.args)
    visible.update(block.args)
    op: Operation
    for op in block.ops:
        if not all(operand in visible for operand in op.operands):
            return op
        for region in op.regions:
            for inner in region.blocks:
                if (found := undefined_use(inner, visible)) is not None:
                    return found
        visible.update(op.results)
        own.extend(op.results)
    visible.difference_update(own)
    return None
