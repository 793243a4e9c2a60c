"""Evenly spaced numbers, rounded as NumPy rounds them: product and sum are never one operation."""

from xdsl.dialects import arith
from xdsl.dialects.builtin import f64
from xdsl.ir import SSAValue

from flowc.passes.array_to_loops.builder import Index, LoopBuilder


def spaced(b: LoopBuilder, low: SSAValue, high: SSAValue, count: Index, i: Index) -> SSAValue:
    """The i-th of `count` numbers from `low` to `high`; both ends are exact."""
    last = b.index(b.sub(count, 1))
    spaces = b.convert(arith.SIToFPOp, b.to_integer(b.max(last, 1)), f64)
    step = b.insert(arith.DivfOp(b.insert(arith.SubfOp(high, low)), spaces))
    number = b.convert(arith.SIToFPOp, b.to_integer(i), f64)
    inner = b.insert(arith.AddfOp(b.insert(arith.MulfOp(number, step)), low))
    final = b.compare("eq", b.index(i), last)
    several = b.compare("sgt", last, b.index(0))
    return b.select(b.insert(arith.AndIOp(final, several)), high, inner)
