"""How often a lowered kernel asks the pool for threads in a call, for how much work and in how many chunks.

The index arithmetic in front of the loops is done here as the kernel would do it: so what a rule over
estimated work decides for some extents is known without a call.
"""

from collections.abc import Callable, Mapping, Sequence

from attrs import define, field, frozen
from xdsl.dialects import arith, memref, scf
from xdsl.dialects.builtin import IntegerAttr
from xdsl.ir import Block, Operation, SSAValue

from flowc.dialects.loops import ParallelOp
from flowc.passes.array_account import Sizes

MOST_STEPS = 20_000
"""Operations that are gone through: loops around loops are not followed for ever."""


@frozen
class Launch:
    """One parallel loop: the nanoseconds that it says it takes, all rounds of the loops around it included,
    how often it is begun, and its chunks."""

    work: int
    times: int
    chunks: int


def launches(function: Operation, sizes: Sizes) -> list[Launch]:
    """The parallel loops of a lowered kernel in a call of these sizes, as far as extents alone say them."""
    (block,) = function.regions[0].blocks
    walk = _Walk(sizes, {argument: place for place, argument in enumerate(block.args)})
    walk.block(block, 1)
    return walk.found


_BINARY: Mapping[type[Operation], Callable[[int, int], int]] = {
    arith.AddiOp: lambda a, b: a + b,
    arith.SubiOp: lambda a, b: a - b,
    arith.MuliOp: lambda a, b: a * b,
    arith.DivUIOp: lambda a, b: a // b,
    arith.DivSIOp: lambda a, b: abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1),
    arith.FloorDivSIOp: lambda a, b: a // b,
    arith.CeilDivUIOp: lambda a, b: -(-a // b),
    arith.CeilDivSIOp: lambda a, b: -(-a // b),
    arith.RemUIOp: lambda a, b: a % b,
    arith.RemSIOp: lambda a, b: a % b,
    arith.MinSIOp: min,
    arith.MinUIOp: min,
    arith.MaxSIOp: max,
    arith.MaxUIOp: max,
    arith.AndIOp: lambda a, b: a & b,
    arith.OrIOp: lambda a, b: a | b,
    arith.XOrIOp: lambda a, b: a ^ b,
}
_DIVISIONS = arith.DivUIOp | arith.DivSIOp | arith.FloorDivSIOp | arith.CeilDivUIOp | arith.CeilDivSIOp
_REMAINDERS = arith.RemUIOp | arith.RemSIOp
_COMPARISONS: Sequence[Callable[[int, int], bool]] = (
    lambda a, b: a == b, lambda a, b: a != b, lambda a, b: a < b, lambda a, b: a <= b, lambda a, b: a > b,
    lambda a, b: a >= b, lambda a, b: a < b, lambda a, b: a <= b, lambda a, b: a > b, lambda a, b: a >= b,
)  # fmt: skip
"""As `arith.cmpi` numbers them; extents are never negative, so signs make no difference."""


@define
class _Walk:
    """What is known of values on the way through a function."""

    sizes: Sizes
    arguments: Mapping[SSAValue, int]
    known: dict[SSAValue, int] = field(factory=dict)
    found: list[Launch] = field(factory=list)
    steps: int = 0

    def block(self, block: Block, times: int) -> Sequence[int | None]:
        """Goes through a block that runs so many times; gives what it yields."""
        for op in block.ops:
            self.steps += 1
            if self.steps > MOST_STEPS:
                return ()
            match op:
                case ParallelOp():
                    self._launch(op, times)
                case scf.IfOp():
                    self._branch(op, times)
                case scf.ForOp():
                    self._loop(op, times)
                case scf.YieldOp():
                    return [self.known.get(value) for value in op.operands]
                case _:
                    value = self._value(op)
                    if value is not None:
                        self.known[op.results[0]] = value
        return ()

    def _launch(self, op: ParallelOp, times: int) -> None:
        extent, grain, work = (self.known.get(value) for value in (op.extent, op.grain, op.work))
        if extent is not None and grain is not None and work is not None and extent > 0:
            self.found.append(Launch(work * times, times, -(-extent // max(grain, 1))))

    def _branch(self, op: scf.IfOp, times: int) -> None:
        condition = self.known.get(op.cond)
        if condition is None:
            return
        region = op.true_region if condition else op.false_region
        for block in region.blocks:
            yielded = self.block(block, times)
            for result, value in zip(op.results, yielded, strict=False):
                if value is not None:
                    self.known[result] = value

    def _loop(self, op: scf.ForOp, times: int) -> None:
        low, high, step = (self.known.get(value) for value in (op.lb, op.ub, op.step))
        if low is None or high is None or not step or high <= low:
            return
        first = op.body.block.args[0]
        self.known[first] = low
        self.block(op.body.block, times * -(-(high - low) // step))

    def _value(self, op: Operation) -> int | None:
        match op:
            case arith.ConstantOp(value=IntegerAttr() as number):
                return number.value.data
            case memref.DimOp():
                place, axis = self.arguments.get(op.source), self.known.get(op.index)
                return None if place is None or axis is None else self.sizes(("dim", place, axis))
            case arith.IndexCastOp() | arith.ExtSIOp() | arith.ExtUIOp():
                return self.known.get(op.operands[0])
            case arith.SelectOp():
                condition = self.known.get(op.cond)
                return None if condition is None else self.known.get(op.lhs if condition else op.rhs)
        operands = [self.known.get(value) for value in op.operands]
        if len(operands) != 2 or len(op.results) != 1:
            return None
        left, right = operands
        if left is None or right is None or (isinstance(op, _DIVISIONS | _REMAINDERS) and not right):
            return None
        if isinstance(op, arith.CmpiOp):
            return int(_COMPARISONS[op.predicate.value.data](left, right))
        compute = _BINARY.get(type(op))
        return None if compute is None else compute(left, right)
