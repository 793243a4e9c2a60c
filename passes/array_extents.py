"""Extents of the values of a kernel, as expressions over its arguments.

The lowering turns them into index arithmetic, and the signature carries those of the results, so that a
caller knows how much to allocate. An expression is a number, or a tuple:

    ("dim", argument, axis)       an extent of an array argument
    ("scalar", argument)          an i64 argument
    ("value", ssa)                an i64 that only the kernel itself computes
    (operator, left, right)       add, sub, mul, floordiv, min, max, or wrap: left, plus right if negative
"""

from xdsl.dialects import scf
from xdsl.dialects.builtin import DictionaryAttr, IntegerAttr, i64
from xdsl.ir import BlockArgument, OpResult, SSAValue

from flowc.dialects.array import irregular, memory, ops, products
from flowc.dialects.array.kernel import KernelOp
from flowc.dialects.array.reshape import ReshapeOp
from flowc.dialects.array.slices import AxisSlice, Bound
from flowc.dialects.array.types import dtype_of, shape_of
from flowc.passes.extent_algebra import Expression, combine, is_small, linear, never_negative

__all__ = ["Expression", "ExtentAnalysis", "combine", "says_extent"]

_ALIKE = (
    ops.CastOp
    | ops.SoftmaxOp
    | memory.VariableOp
    | irregular.ScanOp
    | irregular.SortOp
    | irregular.ArgsortOp
    | irregular.TruePositionsOp
    | irregular.PickOp
)
"""What gives as many elements along each axis as it takes."""
LEAST = "array.least"
"""The attribute of a kernel that says how long named extents are at least."""


class ExtentAnalysis:
    """Extents of every value of one kernel, found on demand and remembered.

    With `quotients` they may be quotients of numbers that only the run knows, which a caller can compute.
    """

    def __init__(self, kernel: KernelOp, quotients: bool = False) -> None:
        self._quotients = quotients
        self._entry = kernel.body.block
        self._named: dict[str, Expression] = {}
        self._known: dict[tuple[SSAValue, int], Expression] = {}
        self._least = least_extents(kernel)
        self._bounds: dict[Expression, tuple[Expression | None, Expression | None]] = {}
        for position, argument in enumerate(kernel.body.block.args):
            for axis, extent in enumerate(shape_of(argument.type)):
                if isinstance(extent, str) and extent:
                    self._named.setdefault(extent, ("dim", position, axis))
        # An integer argument may give its name to an extent: `kernel f(xs: f32[n], k: int) -> f32[k]`.
        for name, argument in zip(kernel.arg_names, kernel.body.block.args, strict=True):
            if argument.type == i64:
                self._named.setdefault(name, combine("max", ("scalar", argument.index), 0))

        for name, expression in self._named.items():
            self._bounds[expression] = (self._least.get(name, 0), None)

    def bounds(self, term: Expression) -> tuple[Expression | None, Expression | None]:
        """The least and the greatest that a term can be: extents are not negative, counters stay in their
        range."""
        if term in self._bounds:
            return self._bounds[term]
        match term:
            case ("dim", _, _):
                return 0, None
            case ("value", OpResult() as number) if _counts_true(number):
                return 0, None
            case ("value", BlockArgument() as argument) if argument.index == 0:
                loop = argument.block.parent_op()
                if isinstance(loop, scf.ForOp):
                    found = self.scalar(loop.lb), combine("sub", self.scalar(loop.ub), 1)
                    self._bounds[term] = found
                    return found
        return None, None

    def settled(self, operator: str, left: Expression, right: Expression) -> Expression:
        """`combine`, where what is known of extents decides a minimum, a maximum or a sign."""
        if operator == "wrap":
            if self.is_below(0, left):
                return left
            if self.is_below(combine("add", left, 1), 0):
                return combine("add", left, right)
        elif operator in ("min", "max"):
            lower, upper = (left, right) if operator == "min" else (right, left)
            if self.is_below(lower, upper):
                return left
            if self.is_below(upper, lower):
                return right
        return combine(operator, left, right)

    def is_below(self, lower: Expression, upper: Expression) -> bool:
        """Whether lower <= upper is proved."""
        if not is_small(lower) or not is_small(upper):
            return False
        return never_negative(combine("sub", upper, lower), self.bounds)

    def least_needed(self, op: ops.SliceOp, axis: int) -> tuple[str, int] | None:
        """How long a named extent must be for the bounds of a slice to lie inside; None where that is no
        matter of one extent."""
        if axis >= len(op.slices.axes):
            return None
        terms, number = linear(self.extent(op.source, axis))
        bounds = [
            abs(b) for b in (op.slices.axes[axis].start, op.slices.axes[axis].stop) if isinstance(b, int)
        ]
        names = [name for name, expression in self._named.items() if terms == {expression: 1}]
        return (names[0], max(bounds) - number) if bounds and names else None

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
            return ("scalar", value.index) if value.block is self._entry else ("value", value)
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
                if operator == "floordiv":
                    divisor = self.scalar(op.inputs[1])
                    if divisor > 0 if isinstance(divisor, int) else self._quotients:
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
        combine = self.settled
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
        full = step > 0 and isinstance(start, int) and start == low and stop == high
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
            case memory.ReadOp():
                return self.extent(op.ref, axis)
            case ops.BroadcastOp() | memory.EmptyOp() | ReshapeOp() | irregular.RandomOp():
                return combine("max", self.scalar(op.extents[axis]), 0)
            case ops.IotaOp():
                return combine("max", self.scalar(op.extent), 0)
            case ops.TopKOp():
                last = axis == len(shape_of(value.type)) - 1
                return combine("max", self.scalar(op.count), 0) if last else self.extent(op.source, axis)
            case ops.ConcatOp():
                return self._concatenated(op, axis)
            case products.AttentionOp():
                last = axis == len(shape_of(value.type)) - 1
                return self.extent(op.value if last else op.query, axis)
            case products.ConvolveOp():
                return self._convolved(op, axis)
            case irregular.SegmentOp():
                return self._grouped(op, axis)
            case irregular.HistogramOp():
                return combine("max", combine("sub", self.extent(op.edges, 0), 1), 0)
            case irregular.LinspaceOp():
                return combine("max", self.scalar(op.count), 0)
            case irregular.ScatterOp():
                return self.extent(op.base, axis)
            case irregular.SearchSortedOp():
                return self.extent(op.values, axis)
            case irregular.TakeAlongOp():
                return self.extent(op.indices, axis)
            case op if isinstance(op, _ALIKE):
                return self.extent(op.source, axis)
            case irregular.OrderStatisticsOp():
                last = axis == len(shape_of(value.type)) - 1
                return op.count.value.data if last else self.extent(op.source, axis)
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

    def _concatenated(self, op: ops.ConcatOp, axis: int) -> Expression:
        if axis != op.axis.value.data:
            return self.extent(op.inputs[0], axis)
        total: Expression = 0
        for part in op.inputs:
            total = combine("add", total, self.extent(part, axis))
        return total

    def _convolved(self, op: products.ConvolveOp, axis: int) -> Expression:
        """As many windows as fit into an axis of the image with its padding."""
        if axis in (0, 3):
            return self.extent(op.filter if axis else op.source, axis)
        stride = op.stride.get_values()[axis - 1]
        padding = sum(op.padding.get_values()[2 * axis - 2 : 2 * axis])
        room = combine(
            "sub", combine("add", self.extent(op.source, axis), padding), self.extent(op.filter, axis - 1)
        )
        return combine("max", combine("add", combine("floordiv", room, stride), 1), 0)

    def _grouped(self, op: irregular.SegmentOp, axis: int) -> Expression:
        if axis == 0 or op.values is None:
            return combine("max", self.scalar(op.count), 0)
        return self.extent(op.values, axis)

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


def says_extent(op: ops.ElementwiseOp | ops.BroadcastOp, axis: int) -> bool:
    """Whether an extent, or the type of an operand, says how long an axis of the result is. Where none does,
    the operands are checked to be equally long: only an axis that is proved to be 1 stretches beside them."""
    if isinstance(op, ops.BroadcastOp):
        return True
    rank = len(shape_of(op.result.type))
    places = [(operand, axis - rank + len(shape_of(operand.type))) for operand in op.inputs]
    return any(own >= 0 and shape_of(operand.type)[own] not in (1, "") for operand, own in places)


def least_extents(kernel: KernelOp) -> dict[str, int]:
    """How long the named extents of a kernel are at least, as far as it says."""
    given = kernel.attributes.get(LEAST)
    if not isinstance(given, DictionaryAttr):
        return {}
    return {name: number.value.data for name, number in given.data.items() if isinstance(number, IntegerAttr)}


def _counts_true(value: OpResult) -> bool:
    """Whether a number says how many bools are true."""
    op = value.owner
    return isinstance(op, ops.ReduceOp) and op.kind.data == "sum" and dtype_of(op.source.type) == "bool"


def _kept_axes(op: ops.ReduceOp | ops.ArgReduceOp) -> list[int]:
    rank = len(shape_of(op.source.type))
    if op.keepdims is not None:
        return list(range(rank))
    gone = {int(a) for a in op.axes.get_values()} if isinstance(op, ops.ReduceOp) else {op.axis.value.data}
    return [axis for axis in range(rank) if axis not in gone]
