"""hoist-transposes: operators on transposed arrays become transposes of operators on the arrays themselves.

`x.T * 2` becomes `(x * 2).T`, and the sum of the rows of `x.T` that of the columns of `x`: what is computed
goes through memory in the order in which its operands lie there, and transposes meet and cancel. Kernels
whose order of arithmetic is bound stay as they are: the sum of a transposed array would take another.
"""

from collections.abc import Callable, Sequence

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from flowc.dialects.array import build, ops
from flowc.dialects.array.irregular import ScanOp
from flowc.dialects.array.irregular_build import scan
from flowc.dialects.array.kernel import PRECISE, REPRODUCIBLE, KernelOp
from flowc.dialects.array.slices import AxisSlice, SliceSpec
from flowc.dialects.array.types import dtype_of, shape_of
from flowc.passes.unused import erase_unused

Axes = Sequence[int]
Add = Callable[[Operation], SSAValue]


def hoist_transposes(module: ModuleOp) -> int:
    """Rewrites operators on transposed arrays; gives how many."""
    found = 0
    for kernel in module.walk():
        if isinstance(kernel, KernelOp) and not {PRECISE, REPRODUCIBLE} & set(kernel.attributes):
            for op in list(kernel.walk()):
                found += _hoist(op)
    return found


def _hoist(op: Operation) -> bool:
    made: list[Operation] = []

    def add(new: Operation) -> SSAValue:
        new.location = op.location
        made.append(new)
        return new.results[0]

    total = _hoisted(op, add)
    if total is None or total.type != op.results[0].type:
        for unused in reversed(made):
            unused.erase()
        return False
    operands = tuple(op.operands)
    Rewriter.insert_op(made, InsertPoint.before(op))
    op.results[0].replace_all_uses_with(total)
    Rewriter.erase_op(op)
    erase_unused(operands)
    return True


def _hoisted(op: Operation, add: Add) -> SSAValue | None:
    """What gives the value of an operator; None where nothing is to be done."""
    if isinstance(op, ops.ElementwiseOp | ops.CastOp):
        return _elementwise(op, add)
    view = op.operands[0].owner if op.operands else None
    if not isinstance(view, ops.TransposeOp):
        return None
    source, order = view.source, _order(view.result)
    match op:
        case ops.TransposeOp():
            return _turned(source, [order[axis] for axis in _order(op.result)], add)
        case ops.SliceOp():
            slices = (*op.slices.axes, *(AxisSlice() for _ in order))
            spec = SliceSpec(tuple(slices[order.index(axis)] for axis in range(len(order))))
            return _turned(add(build.slices(source, spec, op.bounds)), order, add)
        case ScanOp():
            return _turned(add(scan(op.kind.data, source, order[op.axis.value.data])), order, add)
        case ops.ReduceOp():
            axes, keeps = [int(axis) for axis in op.axes.get_values()], op.keepdims is not None
            total = add(build.reduce(op.kind.data, source, [order[axis] for axis in axes], keeps))
            return _turned(total, _left(order, () if keeps else axes), add)
        case ops.ArgReduceOp():
            axis, keeps = op.axis.value.data, op.keepdims is not None
            total = add(build.argreduce(op.kind.data, source, order[axis], keeps))
            return _turned(total, _left(order, () if keeps else (axis,)), add)
    return None


def _left(order: Axes, gone: Axes) -> Axes:
    """The permutation of the axes that are left when some have gone."""
    left = [axis for place, axis in enumerate(order) if place not in gone]
    return [sorted(left).index(axis) for axis in left]


def _turned(value: SSAValue, order: Axes, add: Add) -> SSAValue:
    return value if list(order) == sorted(order) else add(build.transpose(value, order))


def _elementwise(op: ops.ElementwiseOp | ops.CastOp, add: Add) -> SSAValue | None:
    """Where all arrays of the shape of the result are transposed alike; others are brought to its rank and
    turned back."""
    shape = shape_of(op.result.type)
    orders = {_order(operand) for operand in op.operands if shape_of(operand.type) == shape}
    order = orders.pop() if len(orders) == 1 else ()
    if not order:
        return None
    operands = [_turned_back(operand, order, add) for operand in op.operands]
    if isinstance(op, ops.CastOp):
        return _turned(add(build.cast(operands[0], dtype_of(op.result.type))), order, add)
    return _turned(add(build.elementwise(op.kind.data, operands)), order, add)


def _turned_back(operand: SSAValue, order: Axes, add: Add) -> SSAValue:
    """What becomes an operand, of the rank of `order` or a number, by such a transpose."""
    if _order(operand) == tuple(order):
        assert isinstance(operand.owner, ops.TransposeOp)
        return operand.owner.source
    if not shape_of(operand.type):
        return operand
    while len(shape_of(operand.type)) < len(order):
        operand = add(build.expand(operand, 0))
    return add(build.transpose(operand, [order.index(axis) for axis in range(len(order))]))


def _order(value: SSAValue) -> tuple[int, ...]:
    """The permutation of a transpose; none for another value."""
    op = value.owner
    return tuple(map(int, op.permutation.get_values())) if isinstance(op, ops.TransposeOp) else ()


class HoistTransposesPass(ModulePass):
    """Turns operators on transposed arrays into transposes of what they give."""

    name = "hoist-transposes"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Runs `hoist_transposes`."""
        hoist_transposes(op)
