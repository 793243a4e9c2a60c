"""Whether two values are computed in the same way from the same things."""

from xdsl.ir import Operation, SSAValue

from flowc.dialects.array import memory


def equivalent(first: SSAValue, second: SSAValue) -> bool:
    """Whether two values are computed in the same way from the same things."""
    if first is second:
        return True
    a, b = first.owner, second.owner
    if not isinstance(a, Operation) or not isinstance(b, Operation) or type(a) is not type(b):
        return False
    if a.properties != b.properties or a.regions or first.type != second.type:
        return False
    if isinstance(a, memory.ReadOp) and _written_between(a, b):
        return False
    return len(a.operands) == len(b.operands) and all(map(equivalent, a.operands, b.operands))


def _written_between(first: Operation, second: Operation) -> bool:
    if first.parent is not second.parent:
        return True
    op = first.next_op
    while op is not None and op is not second:
        if op.regions or isinstance(op, memory.WriteOp):
            return True
        op = op.next_op
    return op is None
