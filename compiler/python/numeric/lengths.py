"""How long an array can be at most, where its length depends on what a mask picks."""

from xdsl.dialects.builtin import IntegerAttr
from xdsl.ir import Operation, SSAValue

from flowc.compiler.python.numeric.context import Context
from flowc.compiler.python.numeric.errors import Refused
from flowc.dialects.array import build, irregular, memory, ops
from flowc.dialects.array.types import shape_of


def is_picked(c: Context, value: SSAValue) -> bool:
    """Whether a value is computed from what some mask picks: from the positions, or from their number."""
    picks = {positions for _, _, positions in c.picks}
    picks |= {number for number, name in c.names.items() if name in c.picked}
    seen: set[SSAValue] = set()
    pending = [value]
    while picks and pending:
        each = pending.pop()
        if each in picks:
            return True
        if each not in seen and isinstance(each.owner, Operation):
            seen.add(each)
            pending += each.owner.operands
    return False


def most(c: Context, value: SSAValue, axis: int) -> SSAValue:
    """No less than the extent of an axis, and known before the arrays are; raises Refused where it is not."""
    extent = shape_of(value.type)[axis]
    if isinstance(extent, int):
        return c.constant(extent, "i64")
    if extent in c.picked:
        return c.picked[extent]
    if not is_picked(c, value):
        return c.emit(build.dim(value, axis))
    match value.owner:
        case ops.SliceOp(source=source) | ops.CastOp(source=source):
            return most(c, source, axis)
        case irregular.ScanOp(source=source) | irregular.SortOp(source=source):
            return most(c, source, axis)
        case irregular.TruePositionsOp(source=source) | irregular.OrderStatisticsOp(source=source):
            return most(c, source, axis)
        case irregular.ArgsortOp(source=source) | irregular.ScatterOp(base=source):
            return most(c, source, axis)
        case irregular.PickOp(source=source):
            return most(c, source, axis)
        case irregular.SearchSortedOp(values=source) | irregular.TakeAlongOp(indices=source):
            return most(c, source, axis)
        case ops.ExpandOp() as op:
            return most(c, op.source, axis - (axis > op.axis.value.data))
        case ops.IndexOp() as op:
            return most(c, op.source, axis + (axis >= op.axis.value.data))
        case ops.TransposeOp() as op:
            return most(c, op.source, op.permutation.get_values()[axis])
        case ops.GatherOp() as op:
            width = len(shape_of(op.indices.type))
            return most(c, op.indices, axis) if axis < width else most(c, op.source, axis - width + 1)
        case ops.ConcatOp() as op if op.axis.value.data != axis:
            return most(c, op.inputs[0], axis)
        case ops.ConcatOp() as op:
            return _combined(c, "add", [most(c, each, axis) for each in op.inputs])
        case ops.ElementwiseOp() as op:
            behind = len(shape_of(value.type)) - axis
            sides = [each for each in op.inputs if len(shape_of(each.type)) >= behind]
            longest = [most(c, each, len(shape_of(each.type)) - behind) for each in sides]
            return _combined(c, "maximum", longest)
        case ops.BroadcastOp() as op:
            return _most_of_number(c, op.extents[axis])
        case ops.IotaOp() as op:
            return _most_of_number(c, op.extent)
        case memory.ReadOp() as op:
            return _most_in_memory(c, op.ref, axis)
    raise _unknown()


def _most_in_memory(c: Context, ref: SSAValue, axis: int) -> SSAValue:
    match ref.owner:
        case memory.EmptyOp() as op:
            return _most_of_number(c, op.extents[axis])
        case memory.VariableOp() as op:
            return most(c, op.source, axis)
    raise _unknown()


def _most_of_number(c: Context, number: SSAValue) -> SSAValue:
    if not is_picked(c, number):
        return number
    match number.owner:
        case ops.DimOp() as op:
            return most(c, op.source, op.axis.value.data)
        case ops.ElementwiseOp() as op if op.kind.data in ("add", "maximum", "minimum"):
            return _combined(c, op.kind.data, [_most_of_number(c, each) for each in op.inputs])
        case ops.ElementwiseOp() as op if op.kind.data == "mul" and _is_positive(op.inputs[1]):
            return _combined(c, "mul", [_most_of_number(c, op.inputs[0]), op.inputs[1]])
        case ops.ElementwiseOp() as op if op.kind.data == "sub" and _is_positive(op.inputs[1]):
            return _most_of_number(c, op.inputs[0])
    if number in c.names:
        return c.picked[c.names[number]]
    raise _unknown()


def _is_positive(value: SSAValue) -> bool:
    owner = value.owner
    return (
        isinstance(owner, ops.ConstantOp)
        and isinstance(owner.value, IntegerAttr)
        and (owner.value.value.data >= 0)
    )


def _combined(c: Context, kind: str, numbers: list[SSAValue]) -> SSAValue:
    first, *rest = numbers
    for number in rest:
        first = c.emit(build.elementwise(kind, [first, number]))
    return first


def _unknown() -> Refused:
    return Refused(
        "an extent of what is returned depends on values that only the code computes",
        help="pass the extent as an argument, or return a larger array and the number of elements in use",
    )
