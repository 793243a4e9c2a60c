"""The least or the largest f32 of a short row, as that of integers of the same order: each step towards that
of floats looks for a NaN, and in a row of one vector or a few most steps combine the lanes of one."""

from collections.abc import Sequence

from xdsl.dialects import arith
from xdsl.dialects.builtin import f32, i32
from xdsl.ir import SSAValue

from flowc.dialects.array.types import integer_range
from flowc.passes.array_to_loops.builder import FEW, Index, LoopBuilder, Range
from flowc.passes.array_to_loops.reductions import Carried, ElementsAt, Reducer, accumulate_all
from flowc.passes.array_to_loops.short_loops import MOST

_LOW, _HIGH = integer_range("i32")


def are_short_extremes(reducers: Sequence[Reducer], along: Sequence[Range]) -> bool:
    """Whether nothing but extremes of f32 is looked for, along rows that are known to be a few vectors."""
    if len(along) != 1 or not all(r.kind in ("min", "max") and r.held == f32 for r in reducers):
        return False
    low, high = along[0].low, along[0].high
    return isinstance(low, int) and isinstance(high, int) and FEW < high - low <= MOST


def accumulate_extremes(
    b: LoopBuilder, reducers: Sequence[Reducer], along: Sequence[Range], elements: ElementsAt
) -> list[Carried]:
    """`accumulate_all` of such rows."""

    def ordinals(at: tuple[Index, ...]) -> Sequence[SSAValue]:
        values = elements(at)
        return [_ordinal(b, reducer.kind, value) for reducer, value in zip(reducers, values, strict=True)]

    found = accumulate_all(b, [Reducer(reducer.kind, "i32") for reducer in reducers], along, ordinals)
    return [(b.convert(arith.BitcastOp, _turned(b, value), f32),) for (value,) in found]


def _ordinal(b: LoopBuilder, kind: str, value: SSAValue) -> SSAValue:
    """An integer that stands among others as a float does; that of a NaN is at the end that is looked for."""
    end = b.constant(_HIGH if kind == "max" else _LOW, i32)
    is_nan = b.insert(arith.CmpfOp(value, value, "uno"))
    return b.select(is_nan, end, _turned(b, b.convert(arith.BitcastOp, value, i32)))


def _turned(b: LoopBuilder, pattern: SSAValue) -> SSAValue:
    """The bits of a float with those of negative ones in the opposite order, and back; both ends are NaN."""
    sign = b.insert(arith.ShRSIOp(pattern, b.constant(31, i32)))
    return b.insert(arith.XOrIOp(pattern, b.insert(arith.AndIOp(sign, b.constant(_HIGH, i32)))))
