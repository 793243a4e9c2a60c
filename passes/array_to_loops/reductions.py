"""What reductions carry from element to element, and how partial results combine.

Sums of f32 and narrower are taken in f32 over blocks of 1,024 and in f64 across blocks; sums of f64 are
compensated across blocks. Within a block the partial sums may be reassociated into vector lanes.
"""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.dialects import arith, math
from xdsl.dialects.builtin import f32, f64, i1
from xdsl.ir import Attribute, SSAValue

from flowc.dialects.array.types import integer_range, is_float
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import EXTREME, REASSOCIATE, Index, LoopBuilder, Range

BLOCK = 1024

Carried = tuple[SSAValue, ...]
ElementAt = Callable[[tuple[Index, ...]], SSAValue]
ElementsAt = Callable[[tuple[Index, ...]], Sequence[SSAValue]]


@frozen
class Reducer:
    """One of `kinds.REDUCTIONS` but mean, over elements held in `dtype`."""

    kind: str
    dtype: str

    @property
    def held(self) -> Attribute:
        """The type of the elements."""
        return scalars.held_type(self.dtype)

    @property
    def sums_floats(self) -> bool:
        """Whether it adds in blocks."""
        return self.kind == "sum" and is_float(self.dtype)

    @property
    def carried(self) -> list[Attribute]:
        """What is carried across blocks: f64 for narrower floats, for f64 the sum and what rounding lost."""
        if not self.sums_floats:
            return [self.held]
        return [f64] if self.held == f32 else [f64, f64]


def start(b: LoopBuilder, reducer: Reducer) -> Carried:
    """What is carried before the first element."""
    if reducer.sums_floats:
        return tuple(b.constant(0.0, f64) for _ in reducer.carried)
    return (identity(b, reducer.kind, reducer.dtype),)


def merge(b: LoopBuilder, reducer: Reducer, carried: Carried, other: Carried) -> Carried:
    """What is carried after the elements of both, those of `other` later."""
    if not reducer.sums_floats:
        return (combine(b, reducer.kind, carried[0], other[0], reducer.dtype),)
    if len(carried) == 1:
        return (b.insert(arith.AddfOp(carried[0], other[0])),)
    total, lost = _add_block(b, carried, other[0])
    return total, b.insert(arith.AddfOp(lost, other[1]))


def close(b: LoopBuilder, carried: Carried) -> SSAValue:
    """The result of what was carried, f64 for sums of floats."""
    if len(carried) == 1:
        return carried[0]
    total, lost = carried
    # What is lost is no number after an overflow, of the total or on the way to what was lost.
    whole = b.insert(arith.AddfOp(total, lost))
    finite = b.insert(arith.CmpfOp(b.insert(math.AbsFOp(whole)), b.constant(float("inf"), f64), "olt"))
    return b.select(finite, whole, total)


def accumulate(
    b: LoopBuilder, kind: str, dtype: str, extents: Sequence[Index], element: ElementAt
) -> SSAValue:
    """Reduces `element` over all positions below `extents`; the element is held in `dtype`, the result too,
    but for sums of f32, which come as f64."""
    ranges = [Range(0, extent) for extent in extents]
    return close(b, accumulate_all(b, [Reducer(kind, dtype)], ranges, lambda at: (element(at),))[0])


def accumulate_all(
    b: LoopBuilder, reducers: Sequence[Reducer], ranges: Sequence[Range], elements: ElementsAt
) -> list[Carried]:
    """Several reductions in one sweep over `ranges`; `elements` gives an element of each."""
    return accumulate_on(b, reducers, ranges, elements, [start(b, reducer) for reducer in reducers])


def accumulate_on(
    b: LoopBuilder,
    reducers: Sequence[Reducer],
    ranges: Sequence[Range],
    elements: ElementsAt,
    first: Sequence[Carried],
) -> list[Carried]:
    """`accumulate_all` from what is carried already."""
    blocked = any(reducer.sums_floats for reducer in reducers)

    def level(at: tuple[Index, ...], carried: Carried) -> Carried:
        if len(at) == len(ranges):
            return flat(absorb(b, reducers, split(reducers, carried), elements(at)))
        here = ranges[len(at)]
        if here.single:
            return level((*at, here.low), carried)
        if blocked and len(at) == len(ranges) - 1:
            before = split(reducers, carried)
            return flat(_blocks(b, reducers, here, before, lambda i: elements((*at, i))))
        return b.loop(here.low, here.high, carried, lambda i, inner: level((*at, i), inner))

    return split(reducers, level((), flat(first)))


def flat(parts: Sequence[Carried]) -> Carried:
    """What several reductions carry, in a row."""
    return tuple(value for part in parts for value in part)


def split(reducers: Sequence[Reducer], flat: Sequence[SSAValue]) -> list[Carried]:
    """What `flat` joined, by reduction."""
    rest = iter(flat)
    return [tuple(next(rest) for _ in reducer.carried) for reducer in reducers]


def absorb(
    b: LoopBuilder, reducers: Sequence[Reducer], carried: Sequence[Carried], values: Sequence[SSAValue]
) -> list[Carried]:
    """What is carried after one more value of each reduction: an element, or the sum of a block."""
    results: list[Carried] = []
    for reducer, before, value in zip(reducers, carried, values, strict=True):
        if reducer.sums_floats:
            results.append(_add_block(b, before, value))
        else:
            results.append((combine(b, reducer.kind, before[0], value, reducer.dtype),))
    return results


def _blocks(
    b: LoopBuilder,
    reducers: Sequence[Reducer],
    whole: Range,
    carried: Sequence[Carried],
    elements: Callable[[Index], Sequence[SSAValue]],
) -> list[Carried]:
    """Sums start anew in each block; what needs no blocks is carried through them."""

    def block(low: Index, high: Index, before: Sequence[Carried]) -> list[Carried]:
        begin = [
            b.constant(0.0, reducer.held) if reducer.sums_floats else outer[0]
            for reducer, outer in zip(reducers, before, strict=True)
        ]

        def step(i: SSAValue, inner: Carried) -> Sequence[SSAValue]:
            return [
                combine(b, reducer.kind, value, new, reducer.dtype)
                for reducer, value, new in zip(reducers, inner, elements(i), strict=True)
            ]

        ends = b.loop(low, high, begin, step)
        return [
            _add_block(b, outer, end) if reducer.sums_floats else (end,)
            for reducer, outer, end in zip(reducers, before, ends, strict=True)
        ]

    if isinstance(whole.low, int) and isinstance(whole.high, int) and whole.high - whole.low <= BLOCK:
        return block(whole.low, whole.high, carried)

    def step(low: SSAValue, joined: Carried) -> Sequence[SSAValue]:
        return flat(block(low, b.min(b.add(low, BLOCK), whole.high), split(reducers, joined)))

    return split(reducers, b.loop(whole.low, whole.high, flat(carried), step, step=BLOCK))


def _add_block(b: LoopBuilder, carried: Carried, block: SSAValue) -> Carried:
    """Adds a block's sum: f32 into f64, or f64 with the rounding error kept (Knuth's two-sum)."""
    if len(carried) == 1:
        block = block if block.type == f64 else b.insert(arith.ExtFOp(block, f64))
        return (b.insert(arith.AddfOp(carried[0], block)),)
    total, lost = carried
    new = b.insert(arith.AddfOp(total, block))
    part = b.insert(arith.SubfOp(new, total))
    first = b.insert(arith.SubfOp(total, b.insert(arith.SubfOp(new, part))))
    error = b.insert(arith.AddfOp(first, b.insert(arith.SubfOp(block, part))))
    return new, b.insert(arith.AddfOp(lost, error))


def identity(b: LoopBuilder, kind: str, dtype: str) -> SSAValue:
    """What changes nothing in a reduction."""
    held = scalars.held_type(dtype)
    if kind in ("min", "max"):
        if dtype == "bool":
            return b.constant(int(kind == "min"), i1)
        if is_float(dtype):
            return b.constant(float("inf") if kind == "min" else float("-inf"), held)
        low, high = integer_range(dtype)
        return b.constant(high if kind == "min" else low, held)
    return b.constant(1 if kind in ("prod", "all") else 0, held)


def combine(b: LoopBuilder, kind: str, a: SSAValue, c: SSAValue, dtype: str = "") -> SSAValue:
    """One step of a reduction on held values; extremes of integers must say their dtype, u8 has its own."""
    floating = a.type in (f32, f64)
    match kind:
        case "sum":
            return b.insert(arith.AddfOp(a, c, REASSOCIATE) if floating else arith.AddiOp(a, c))
        case "prod":
            return b.insert(arith.MulfOp(a, c, REASSOCIATE) if floating else arith.MuliOp(a, c))
        case "any":
            return b.insert(arith.OrIOp(a, c))
        case "all":
            return b.insert(arith.AndIOp(a, c))
    if floating:
        return b.insert((arith.MinimumfOp if kind == "min" else arith.MaximumfOp)(a, c, EXTREME))
    if a.type == i1:
        return b.insert((arith.AndIOp if kind == "min" else arith.OrIOp)(a, c))
    if dtype == "u8":
        return b.insert((arith.MinUIOp if kind == "min" else arith.MaxUIOp)(a, c))
    return b.insert((arith.MinSIOp if kind == "min" else arith.MaxSIOp)(a, c))
