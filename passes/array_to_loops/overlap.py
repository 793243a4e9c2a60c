"""Whether a value may be stored while it is being computed from the memory that it is stored in."""

from collections.abc import Collection

from xdsl.ir import Operation, SSAValue

from flowc.dialects.array import irregular, memory, ops
from flowc.dialects.array.reshape import ReshapeOp
from flowc.dialects.array.types import shape_of
from flowc.passes.array_walks import computed_from


def reads_elsewhere(write: memory.WriteOp, kept: Collection[SSAValue] = ()) -> bool:
    """Whether the value reads the memory written at other positions than the one that each element goes to.

    Only what is computed together with the write counts: a value made before a write is stored by then, and
    so are those in `kept`.
    """
    seen = {(value, aligned) for value in kept for aligned in (False, True)}
    return _reads(write.value, write.target, write.ref, True, seen)


def lines_read(write: memory.WriteOp) -> list[SSAValue]:
    """The views of the memory written that have fewer axes than what is written, a row and a column, say, and
    that the value is computed from."""
    return [
        value
        for value in computed_from(write.value)
        if value is not write.value
        and 0 < len(shape_of(value.type)) < len(shape_of(write.target.type))
        and isinstance(value.owner, ops.IndexOp)
        and _shows(value, write.ref)
    ]


def _shows(value: SSAValue, ref: SSAValue) -> bool:
    """Whether a value is a view of memory."""
    while isinstance(value.owner, memory.VIEWS):
        value = value.owner.source
    return isinstance(value.owner, memory.ReadOp) and value.owner.ref is ref


def is_in_place(write: memory.WriteOp) -> bool:
    """Whether what a write is to store is there already."""
    owner = write.value.owner
    made = owner.source.owner if isinstance(owner, ReshapeOp) else owner
    return isinstance(made, irregular.ScatterOp) and scatters_in_place(made)


def scatters_in_place(scatter: irregular.ScatterOp) -> bool:
    """Whether a scatter changes a whole memory, and its result is only written back there at once, so that
    the memory may be changed where it is. Both may be seen with other extents in between."""
    write = _only_write(scatter.result)
    if write is None or not isinstance(write.target.owner, memory.ReadOp):
        return False
    base = scatter.base
    if isinstance(base.owner, ReshapeOp):
        if any(
            use.operation is not scatter and not isinstance(use.operation, ops.DimOp) for use in base.uses
        ):
            return False
        base = base.owner.source
    if not isinstance(base.owner, memory.ReadOp) or base.owner.ref is not write.ref:
        return False
    others = (scatter.indices, scatter.values)
    return not any(_reads(other, write.target, write.ref, False, set()) for other in others)


def _only_write(value: SSAValue) -> memory.WriteOp | None:
    """The write that is all that uses a value and follows it at once."""
    op, use = value.owner, value.get_user_of_unique_use()
    if not isinstance(op, Operation) or use is None or use.parent is not op.parent:
        return None
    between = op.next_op
    while between is not None and between is not use:
        if not isinstance(between, ops.DimOp | ops.ConstantOp | memory.ReadOp):
            return None
        between = between.next_op
    if isinstance(use, ReshapeOp):
        return _only_write(use.result)
    return use if isinstance(use, memory.WriteOp) and between is use else None


def _reads(
    value: SSAValue, target: SSAValue, ref: SSAValue, aligned: bool, seen: set[tuple[SSAValue, bool]]
) -> bool:
    """Whether `value` reads `ref`, unless at each position just what the target shows there.

    What is computed element by element from what the target shows has its extents, since it fits in there.
    """
    if not shape_of(value.type):  # numbers are read before anything is stored
        return False
    if (value, aligned) in seen or (aligned and same_positions(value, target)):
        return False
    owner = value.owner
    if isinstance(owner, memory.ReadOp):
        return owner.ref is ref
    if not isinstance(owner, Operation):
        return False
    seen.add((value, aligned))
    inside = aligned and isinstance(owner, ops.ElementwiseOp | ops.CastOp)
    return any(_reads(operand, target, ref, inside, seen) for operand in owner.operands)


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
