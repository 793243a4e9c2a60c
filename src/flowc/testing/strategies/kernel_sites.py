"""The place in a kernel under way where the next operator goes, and which values are exact."""

from collections.abc import Sequence

from attrs import frozen
from xdsl.ir import Block, Operation, SSAValue

from flowc.dialects.array import build, irregular, kinds, ops, products
from flowc.dialects.array.types import dtype_of, is_float, shape_of
from flowc.testing.strategies.choices import Choices
from flowc.testing.strategies.kernel_building import Add, place

SMOOTH = (*kinds.TRANSCENDENTAL, *kinds.PAIRED, "isnan", "is_finite", "div", "pow")
"""Operators that may be applied to what is off by a rounding."""
STEPPED = ("eq", "ne", "lt", "le", "gt", "ge", "sign", "floor", "ceil", "trunc", "round", "floordiv", "mod")
"""Operators whose results leap, so that they are applied to nothing that may be off by a rounding."""
_ROUNDED = ("add", "sub", "mul")
_SUMS = ("sum", "prod", "mean")


@frozen
class Site:
    """What can be used, where decisions come from, and whether the arguments are such that sums round."""

    choices: Choices
    add: Add
    pool: Sequence[SSAValue]
    rounds: bool = False

    def pick(self) -> SSAValue:
        """A value, one of the last as often as one of all."""
        count = len(self.pool)
        return self.pool[-1 - self.choices.number(0, min(count, 3) - 1 if self.choices.flag() else count - 1)]

    def exact(self) -> SSAValue | None:
        """A value that is the same however it is computed, if one is found."""
        for _ in range(4):
            value = self.pick()
            if self.is_exact(value):
                return value
        return None

    def is_exact(self, value: SSAValue) -> bool:
        """Whether every way of computing the value gives the same bits."""
        return is_exact(value, self.rounds)

    def constant(self, value: bool | int | float, dtype: str = "i64") -> SSAValue:
        """A number of a dtype."""
        return self.add(build.constant(value, dtype))

    def put(self, op: Operation) -> None:
        """Adds an operator that gives nothing."""
        block = self.pool[0].owner  # the arguments stand first
        assert isinstance(block, Block)
        place(block, op)

    def elementwise(self, kind: str, *operands: SSAValue) -> SSAValue:
        """An elementwise operator."""
        return self.add(build.elementwise(kind, operands))

    def axis(self, value: SSAValue) -> int:
        """An axis of an array."""
        return self.choices.number(0, len(shape_of(value.type)) - 1)

    def condition(self, value: SSAValue) -> SSAValue:
        """A bool for each element of an exact value."""
        dtype = dtype_of(value.type)
        return value if dtype == "bool" else self.elementwise("gt", value, self.constant(0, dtype))

    def whole(self, value: SSAValue) -> SSAValue:
        """A number of i64 out of an exact array."""
        axes = list(range(len(shape_of(value.type))))
        return self.add(build.reduce("sum", self.condition(value), axes, False))


def is_exact(value: SSAValue, rounds: bool = False) -> bool:
    """Whether every way of computing the value gives the same bits; `rounds` where sums and products of the
    arguments do not come out even.
    """
    op = value.owner
    if not isinstance(op, Operation):
        return True
    if op.regions:
        return not is_float(dtype_of(value.type)) and _all_exact(op, rounds)
    if isinstance(op, ops.ElementwiseOp):
        kind, floating = op.kind.data, is_float(dtype_of(value.type))
        if kind in (*SMOOTH, "mod", "floordiv") or (rounds and floating and kind in _ROUNDED):
            return False
    if isinstance(op, ops.SoftmaxOp | ops.ContractOp | products.AttentionOp | products.ConvolveOp):
        return False
    if isinstance(op, irregular.ScanOp | irregular.RandomOp):
        return False
    if isinstance(
        op, irregular.SegmentOp | irregular.ScatterOp | irregular.HistogramOp | irregular.LinspaceOp
    ):
        return not is_float(dtype_of(value.type)) and _all_exact(op, rounds)
    if isinstance(op, ops.ReduceOp) and op.kind.data in _SUMS:
        return False
    return _all_exact(op, rounds)


def _all_exact(op: Operation, rounds: bool) -> bool:
    return all(is_exact(operand, rounds) for operand in op.operands)
