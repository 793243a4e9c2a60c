"""Whether a value may be stored while it is being computed from the memory that it is stored in."""

from xdsl.ir import Operation, SSAValue

from flowc.dialects.array import memory, ops
from flowc.dialects.array.types import shape_of


def reads_elsewhere(write: memory.WriteOp) -> bool:
    """Whether the value reads the memory written at other positions than the one that each element goes to.

    Only what is computed together with the write counts: a value made before a write is stored by then.
    """
    return _reads(write.value, write.target, write.ref, True, set())


def _reads(value: SSAValue, target: SSAValue, ref: SSAValue, aligned: bool, seen: set[SSAValue]) -> bool:
    """Whether `value` reads `ref`, unless at each position just what the target shows there."""
    if not shape_of(value.type) and not _gathers(value):
        return False
    if aligned and same_positions(value, target):
        return False
    owner = value.owner
    if isinstance(owner, memory.ReadOp):
        return owner.ref is ref
    if not isinstance(owner, Operation) or (value in seen and not aligned):
        return False
    seen.add(value)
    inside = aligned and isinstance(owner, ops.ElementwiseOp | ops.CastOp)
    return any(
        _reads(operand, target, ref, inside and shape_of(operand.type) == shape_of(value.type), seen)
        for operand in owner.operands
    )


def _gathers(value: SSAValue) -> bool:
    """Numbers are read before anything is stored; all other values may be read while storing."""
    return False


def same_positions(first: SSAValue, second: SSAValue) -> bool:
    """Whether two values show the same elements of the same memory, position for position."""
    a, b = first.owner, second.owner
    if isinstance(a, memory.ReadOp) and isinstance(b, memory.ReadOp):
        return a.ref is b.ref
    if not isinstance(a, memory.VIEWS) or not isinstance(b, memory.VIEWS) or type(a) is not type(b):
        return False
    if a.properties != b.properties or len(a.operands) != len(b.operands):
        return False
    bounds = zip(a.operands[1:], b.operands[1:], strict=True)
    return all(_same_number(x, y) for x, y in bounds) and same_positions(a.source, b.source)


def _same_number(first: SSAValue, second: SSAValue) -> bool:
    if first is second:
        return True
    a, b = first.owner, second.owner
    if (
        not isinstance(a, ops.ArrayOperation)
        or not isinstance(b, ops.ArrayOperation)
        or type(a) is not type(b)
    ):
        return False
    if a.properties != b.properties or len(a.operands) != len(b.operands):
        return False
    if isinstance(a, ops.IndexOp | ops.GatherOp | ops.ReduceOp | ops.ArgReduceOp | ops.ContractOp):
        return False
    return all(_same_number(x, y) for x, y in zip(a.operands, b.operands, strict=True))
