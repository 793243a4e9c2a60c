"""What is known, when compiling, of whole numbers that pick from an axis: between which they lie, and how far
one stands from the next.

Positions that are sums of counters, as of the windows of a vector, make a gather a view: nothing is to be
checked when it runs, and neighbours are picked from neighbours.
"""

from xdsl.dialects.builtin import i64
from xdsl.ir import SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.types import dtype_of, shape_of
from flowc.passes.array_extents import Expression, ExtentAnalysis, combine, says_extent

RENAMING = ops.BroadcastOp | ops.ExpandOp | ops.TransposeOp | ops.SliceOp | ops.IndexOp


def are_inside(extents: ExtentAnalysis, positions: SSAValue, whole: Expression) -> bool:
    """Whether positions are proved to lie in an axis that is `whole` long, counted from its start."""
    if dtype_of(positions.type) != "i64":
        return False
    found = range_of(extents, positions)
    if found is None:
        return False
    least, most = found
    return extents.is_below(0, least) and extents.is_below(combine("add", most, 1), whole)


def range_of(extents: ExtentAnalysis, value: SSAValue) -> tuple[Expression, Expression] | None:
    """The least and the greatest element of a sum of counters, if it has elements; None of anything else."""
    if value.type == i64:
        number = extents.scalar(value)
        return number, number
    match value.owner:
        case ops.IotaOp(extent=extent):
            return 0, combine("sub", extents.scalar(extent), 1)
        case op if isinstance(op, RENAMING):
            return range_of(extents, op.source)
        case ops.ElementwiseOp() as op if op.kind.data in ("add", "sub"):
            left, right = (range_of(extents, operand) for operand in op.inputs)
            if left is None or right is None:
                return None
            low, high = right if op.kind.data == "add" else right[::-1]
            return combine(op.kind.data, left[0], low), combine(op.kind.data, left[1], high)
    return None


def stride(value: SSAValue, axis: int) -> int | None:
    """How much larger an element is than the one before it along an axis; None where that is not known."""
    if not shape_of(value.type):
        return 0
    match value.owner:
        case ops.IotaOp():
            return 1
        case ops.ExpandOp() as op:
            gone = op.axis.value.data
            return 0 if axis == gone else stride(op.source, axis - (axis > gone))
        case ops.TransposeOp() as op:
            return stride(op.source, int(op.permutation.get_values()[axis]))
        case ops.ElementwiseOp() as op if op.kind.data in ("add", "sub"):
            left, right = (_broadcast_stride(op, operand, axis) for operand in op.inputs)
            if left is None or right is None:
                return None
            return left + right if op.kind.data == "add" else left - right
    return None


def _broadcast_stride(op: ops.ElementwiseOp, operand: SSAValue, axis: int) -> int | None:
    shape = shape_of(operand.type)
    own = axis - len(shape_of(op.result.type)) + len(shape)
    if own < 0 or shape[own] == 1:
        return 0
    return None if shape[own] == "" and says_extent(op, axis) else stride(operand, own)
