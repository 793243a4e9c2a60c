"""How many threads loops ask for: the work that they say they are, brought to what was decided."""

from xdsl.dialects import arith
from xdsl.dialects.builtin import IndexType, IntegerAttr
from xdsl.ir import Operation, SSAValue
from xdsl.rewriter import InsertPoint, Rewriter

from flowc.dialects.loops import ParallelOp

AS_IT_IS = 100
"""Percent."""
WORK = 2
"""The place of the work among the operands of a parallel loop: extent, grain, work."""


def scale_work(function: Operation, percent: int) -> None:
    """Makes every parallel loop say so many percent of its work; how it is cut into chunks stays the same,
    and with that every result."""
    if percent == AS_IT_IS:
        return
    for op in [op for op in function.walk() if isinstance(op, ParallelOp)]:

        def add(new: Operation, before: Operation = op) -> SSAValue:
            new.location = before.location
            Rewriter.insert_op(new, InsertPoint.before(before))
            return new.results[0]

        factor, whole = (add(arith.ConstantOp(IntegerAttr(n, IndexType()))) for n in (percent, AS_IT_IS))
        op.operands[WORK] = add(arith.DivUIOp(add(arith.MuliOp(op.work, factor)), whole))
