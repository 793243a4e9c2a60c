"""Stages of straight-line code: the operators whose values are computed as a whole, and how positions in one
stage's sweep relate to positions in the values it reads.

An axis of a stage's sweep either reaches an axis of a value it reads, position for position, or reads that
value at other positions too. The pseudo-axis FLAT stands for all axes at once, in row-major order.
"""

from collections.abc import Iterator, Sequence, Set

from attrs import frozen
from xdsl.ir import Operation, SSAValue

from flowc.dialects.array import irregular, ops
from flowc.dialects.array.types import dtype_of, shape_of
from flowc.passes.array_extents import ExtentAnalysis
from flowc.passes.array_to_loops import ranking
from flowc.passes.array_to_loops.elements import Lowering

FLAT = -1


class NoFlatForm(Exception):
    """A sweep in row-major order would read something in another order."""


@frozen(eq=False)
class Stage:
    """An operator to compute. `space` is the value whose positions it sweeps, or None where it is computed in
    its own way; along the axes in `along` it needs whole lines, unless partial results `combine`. It may
    finish the elements of a `product` that is computed with it.
    """

    op: Operation
    space: SSAValue | None
    along: frozenset[int] = frozenset()
    combines: bool = False
    product: ops.ContractOp | None = None

    @property
    def rank(self) -> int:
        """The number of axes swept."""
        return 0 if self.space is None else len(shape_of(self.space.type))

    @property
    def result(self) -> SSAValue:
        """The value computed, the first of several."""
        return self.op.results[0]

    @property
    def elementwise(self) -> bool:
        """Whether each element of the result is computed where the sweep passes it."""
        return self.space is self.result and not isinstance(self.op, ops.ContractOp)

    def result_axis(self, axis: int) -> int | None:
        """The axis of the result that an axis of the sweep becomes; None if it is reduced."""
        if self.elementwise or not isinstance(self.op, ops.ReduceOp | ops.ArgReduceOp):
            return axis
        if axis == FLAT or axis in self.along:
            return None
        return axis if self.op.keepdims is not None else axis - sum(gone < axis for gone in self.along)


def stage_of(op: Operation) -> Stage:
    """How an operator that needs storage is computed."""
    match op:
        case ops.ReduceOp():
            axes = frozenset(int(axis) for axis in op.axes.get_values())
            return Stage(op, op.source, axes, True)
        case ops.ArgReduceOp():
            return Stage(op, op.source, frozenset([op.axis.value.data]), True)
        case ops.TopKOp() if ranking.count_of(op) is not None:
            return Stage(op, op.source, frozenset([len(shape_of(op.source.type)) - 1]), True)
        case ops.ContractOp() if _is_matrix_product(op):
            return Stage(op, op.result)
        case irregular.ScanOp() if len(shape_of(op.source.type)) == 1:
            return Stage(op, None)
        case ops.SoftmaxOp() | irregular.ScanOp():
            return Stage(op, op.source, frozenset([op.axis.value.data]))
        case ops.ElementwiseOp() | ops.CastOp() | ops.GatherOp() | ops.ConcatOp():
            return Stage(op, op.results[0])
        case _ if isinstance(op, irregular.ELEMENTWISE) or ops.is_view(op):
            return Stage(op, op.results[0])
    return Stage(op, None)


def _is_matrix_product(op: ops.ContractOp) -> bool:
    ranks = (len(shape_of(op.left.type)), len(shape_of(op.right.type)))
    return ranks == (2, 2) and dtype_of(op.result.type) != "bool"


def reads(
    s: Lowering, stage: Stage, axis: int | None, members: Set[SSAValue]
) -> Iterator[tuple[SSAValue, int | None]]:
    """The stored values that a stage reads while it stands at one position of an axis of its sweep, each with
    the axis along which it stands at the same position, or None where it reads others too.

    `members` are values that will be stored. With FLAT, raises NoFlatForm where the order differs.
    """
    if stage.space is stage.result:
        start = operands_along(s.extents, stage.op, stage.result, axis)
    elif stage.space is not None:
        start = [(stage.space, axis)]
    else:
        start = [(operand, None) for operand in stage.op.operands]
    return reads_of(s, start, members)


def reads_of(
    s: Lowering, operands: Sequence[tuple[SSAValue, int | None]], members: Set[SSAValue]
) -> Iterator[tuple[SSAValue, int | None]]:
    """The stored values that are read where operands are evaluated, as `reads` gives them."""
    seen: set[tuple[SSAValue, int | None]] = set()
    pending = list(operands)
    while pending:
        value, here = pending.pop()
        if (value, here) in seen:
            continue
        seen.add((value, here))
        if value in members or s.stored(value):
            if here == FLAT and value not in members and not _row_major(s, value):
                raise NoFlatForm
            yield value, here
        elif isinstance(value.owner, Operation):
            pending += operands_along(s.extents, value.owner, value, here)


def _row_major(s: Lowering, value: SSAValue) -> bool:
    return value in s.registers or value in s.contiguous


def operands_along(
    extents: ExtentAnalysis, op: Operation, value: SSAValue, axis: int | None
) -> list[tuple[SSAValue, int | None]]:
    """The operands of an operator, each with the axis along which it is read at the same position, as `reads`
    gives them."""
    if isinstance(op, ops.DimOp | ops.ConstantOp | ops.IotaOp):
        if axis == FLAT and shape_of(value.type)[1:]:
            raise NoFlatForm
        return []
    if axis is None:
        return [(operand, None) for operand in op.operands]
    if axis == FLAT:
        return _flat_operands(extents, op, value)
    match op:
        case ops.ElementwiseOp() | ops.CastOp():
            return [(operand, _broadcast_axis(extents, operand, value, axis)) for operand in op.operands]
        case ops.BroadcastOp():
            return [(op.source, _broadcast_axis(extents, op.source, value, axis))]
        case ops.TransposeOp():
            return [(op.source, int(op.permutation.get_values()[axis]))]
        case ops.IndexOp():
            return [(op.source, axis + (axis >= op.axis.value.data))]
        case ops.ExpandOp():
            gone = op.axis.value.data
            return [(op.source, None if axis == gone else axis - (axis > gone))]
        case ops.SliceOp():
            start, step, length = extents.slice_range(op, axis)
            same = start == 0 and step == 1 and length == extents.extent(op.source, axis)
            return [(op.source, axis if same else None)]
        case ops.GatherOp():
            rank = len(shape_of(op.indices.type))
            if axis < rank:
                return [(op.source, None), (op.indices, axis)]
            return [(op.source, axis - rank + 1), (op.indices, None)]
        case ops.ContractOp():
            return [(op.left, None if axis else 0), (op.right, 1 if axis else None)]
        case ops.ConcatOp():
            along = axis == op.axis.value.data
            return [(operand, None if along else axis) for operand in op.operands]
    return [(operand, None) for operand in op.operands]


def _broadcast_axis(extents: ExtentAnalysis, operand: SSAValue, value: SSAValue, axis: int) -> int | None:
    own = axis - len(shape_of(value.type)) + len(shape_of(operand.type))
    if own < 0 or extents.extent(operand, own) != extents.extent(value, axis):
        return None
    return own


def _flat_operands(
    extents: ExtentAnalysis, op: Operation, value: SSAValue
) -> list[tuple[SSAValue, int | None]]:
    if not isinstance(op, ops.ElementwiseOp | ops.CastOp | ops.BroadcastOp):
        raise NoFlatForm
    operands = op.operands[:1] if isinstance(op, ops.BroadcastOp) else op.operands
    found: list[tuple[SSAValue, int | None]] = []
    for operand in operands:
        if not shape_of(operand.type):
            found.append((operand, None))
        elif extents.shape(operand) == extents.shape(value):
            found.append((operand, FLAT))
        else:
            raise NoFlatForm
    return found
