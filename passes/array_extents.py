"""Extents of the values of a kernel, as expressions over its arguments.

The lowering turns them into index arithmetic, and the signature carries those of the results, so that a
caller knows how much to allocate. An expression is a number, or a tuple:

    ("dim", argument, axis)       an extent of an array argument
    ("scalar", argument)          an i64 argument
    ("value", ssa)                an i64 that only the kernel itself computes
    (operator, left, right)       add, sub, mul, floordiv, min, max, or wrap: left, plus right if negative
"""

from collections.abc import Callable

from xdsl.dialects.builtin import IntegerAttr, i64
from xdsl.ir import BlockArgument, SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.kernel import KernelOp
from flowc.dialects.array.slices import AxisSlice, Bound
from flowc.dialects.array.types import shape_of

Expression = int | tuple[object, ...]

_folds: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "floordiv": lambda a, b: a // b,
    "min": min,
    "max": max,
    "wrap": lambda a, b: a + b if a < 0 else a,
}


def combine(operator: str, left: Expression, right: Expression) -> Expression:
    """`(operator, left, right)`, folded where both are numbers or one changes nothing.

    >>> combine("add", 2, combine("sub", ("dim", 0, 1), 0))
    ('add', 2, ('dim', 0, 1))
    """
    if isinstance(left, int) and isinstance(right, int):
        return _folds[operator](left, right)
    if right == 0 and operator in ("add", "sub"):
        return left
    if left == 0 and operator == "add":
        return right
    if right == 1 and operator in ("mul", "floordiv"):
        return left
    if isinstance(left, int) and left >= 0 and operator == "wrap":
        return left
    return (operator, left, right)


class ExtentAnalysis:
    """Extents of every value of one kernel, found on demand and remembered."""

    def __init__(self, kernel: KernelOp) -> None:
        self._named: dict[str, Expression] = {}
        self._known: dict[tuple[SSAValue, int], Expression] = {}
        for position, argument in enumerate(kernel.body.block.args):
            for axis, extent in enumerate(shape_of(argument.type)):
                if isinstance(extent, str) and extent:
                    self._named.setdefault(extent, ("dim", position, axis))
        # An integer argument may give its name to an extent: `kernel f(xs: f32[n], k: int) -> f32[k]`.
        for name, argument in zip(kernel.arg_names, kernel.body.block.args, strict=True):
            if argument.type == i64:
                self._named.setdefault(name, combine("max", ("scalar", argument.index), 0))

    def extent(self, value: SSAValue, axis: int) -> Expression:
        """The extent of one axis of a value."""
        declared = shape_of(value.type)[axis]
        if isinstance(declared, int):
            return declared
        if declared in self._named:
            return self._named[declared]
        key = (value, axis)
        if key not in self._known:
            self._known[key] = self.derived(value, axis)
        return self._known[key]

    def shape(self, value: SSAValue) -> tuple[Expression, ...]:
        """The extents of all axes of a value."""
        return tuple(self.extent(value, axis) for axis in range(len(shape_of(value.type))))

    def scalar(self, value: SSAValue) -> Expression:
        """An integer scalar as an expression, as far as it follows from the arguments."""
        if isinstance(value, BlockArgument):
            return ("scalar", value.index)
        match value.owner:
            case ops.ConstantOp(value=IntegerAttr() as number):
                return number.value.data
            case ops.DimOp() as dim:
                return self.extent(dim.source, dim.axis.value.data)
            case ops.CastOp() as cast if cast.source.type == i64:
                return self.scalar(cast.source)
            case ops.ElementwiseOp() as op if value.type == i64 and all(t == i64 for t in op.operand_types):
                operator = {"minimum": "min", "maximum": "max"}.get(op.kind.data, op.kind.data)
                if operator in ("add", "sub", "mul", "min", "max"):
                    return combine(operator, self.scalar(op.inputs[0]), self.scalar(op.inputs[1]))
                if (
                    operator == "floordiv"
                    and isinstance(divisor := self.scalar(op.inputs[1]), int)
                    and divisor > 0
                ):
                    return combine(operator, self.scalar(op.inputs[0]), divisor)
        return ("value", value)

    def slice_range(self, op: ops.SliceOp, axis: int) -> tuple[Expression, int, Expression]:
        """First position, step and length of a slice along one axis of its source."""
        whole = self.extent(op.source, axis)
        spec = op.slices.axes
        if axis >= len(spec):
            return 0, 1, whole
        return self._resolved(op, spec[axis], whole)

    def _resolved(
        self, op: ops.SliceOp, bounds: AxisSlice, whole: Expression
    ) -> tuple[Expression, int, Expression]:
        step = bounds.step
        low, high = (0, whole) if step > 0 else (-1, combine("sub", whole, 1))

        def position(bound: Bound, default: Expression) -> Expression:
            if bound is None:
                return default
            value = bound if isinstance(bound, int) else self.scalar(op.bounds[int(bound[1:])])
            return combine("min", combine("max", combine("wrap", value, whole), low), high)

        start = position(bounds.start, low if step > 0 else high)
        stop = position(bounds.stop, high if step > 0 else low)
        span = combine("sub", stop, start) if step > 0 else combine("sub", start, stop)
        count = combine("floordiv", combine("add", span, abs(step) - 1), abs(step))
        full = isinstance(start, int) and start == low and stop == high
        return start, step, count if full else combine("max", count, 0)

    def declared(self, extent: int | str) -> Expression | None:
        """A number, or the name that an argument gives an extent, as an expression."""
        return self._named.get(extent) if isinstance(extent, str) else extent

    def derived(self, value: SSAValue, axis: int) -> Expression:
        """The extent by the rule of the operator that makes the value, whatever its type declares."""
        if isinstance(value, BlockArgument):
            return ("dim", value.index, axis)
        op = value.owner
        match op:
            case ops.ElementwiseOp():
                return self._broadcast(op, axis)
            case ops.ReduceOp() | ops.ArgReduceOp():
                return self.extent(op.source, _kept_axes(op)[axis])
            case ops.ContractOp():
                return self._contracted(op, axis)
            case ops.TransposeOp():
                return self.extent(op.source, int(op.permutation.get_values()[axis]))
            case ops.SliceOp():
                return self.slice_range(op, axis)[2]
            case ops.IndexOp():
                return self.extent(op.source, axis + (axis >= op.axis.value.data))
            case ops.ExpandOp():
                return self.extent(op.source, axis - (axis > op.axis.value.data))
            case ops.GatherOp():
                rank = len(shape_of(op.indices.type))
                return (
                    self.extent(op.indices, axis) if axis < rank else self.extent(op.source, axis - rank + 1)
                )
            case ops.BroadcastOp():
                return combine("max", self.scalar(op.extents[axis]), 0)
            case ops.IotaOp():
                return combine("max", self.scalar(op.extent), 0)
            case ops.TopKOp():
                last = axis == len(shape_of(value.type)) - 1
                return combine("max", self.scalar(op.count), 0) if last else self.extent(op.source, axis)
            case ops.ConcatOp():
                if axis != op.axis.value.data:
                    return self.extent(op.inputs[0], axis)
                total: Expression = 0
                for part in op.inputs:
                    total = combine("add", total, self.extent(part, axis))
                return total
            case ops.CastOp() | ops.SoftmaxOp() | ops.CumulativeSumOp():
                return self.extent(op.source, axis)
        raise ValueError(f"no extent rule for {value.owner}")

    def _broadcast(self, op: ops.ElementwiseOp, axis: int) -> Expression:
        """That of an operand which says its extent, else of one that only the run knows."""
        rank = len(shape_of(op.result.type))
        unknown: Expression = 1
        for operand in op.inputs:
            own = axis - rank + len(shape_of(operand.type))
            if own < 0 or shape_of(operand.type)[own] == 1:
                continue
            if shape_of(operand.type)[own] != "":
                return self.extent(operand, own)
            unknown = self.extent(operand, own) if unknown == 1 else unknown
        return unknown

    def _contracted(self, op: ops.ContractOp, axis: int) -> Expression:
        left, right = len(shape_of(op.left.type)), len(shape_of(op.right.type))
        stack = max(left - 2, right - 2, 0)
        if axis < stack:
            for operand, rank in ((op.left, left), (op.right, right)):
                own = axis - stack + rank - 2
                if own >= 0 and shape_of(operand.type)[own] != 1:
                    return self.extent(operand, own)
            return 1
        if axis == stack and left > 1:
            return self.extent(op.left, left - 2)
        return self.extent(op.right, right - 1)


def _kept_axes(op: ops.ReduceOp | ops.ArgReduceOp) -> list[int]:
    rank = len(shape_of(op.source.type))
    if op.keepdims is not None:
        return list(range(rank))
    gone = {int(a) for a in op.axes.get_values()} if isinstance(op, ops.ReduceOp) else {op.axis.value.data}
    return [axis for axis in range(rank) if axis not in gone]
