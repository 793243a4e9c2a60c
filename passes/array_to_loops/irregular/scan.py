"""Running sums, products, minima and maxima of a vector; sums and products of floats are carried in f64.

The vector is cut into chunks, and each chunk into parts: their totals first, then all parts of a chunk side
by side, each from what stands before it, since a running sum waits for itself. How the vector is cut depends
on its length alone, and so does the result. Scans of rows and columns are in `lines`.
"""

from collections.abc import Sequence

from xdsl.dialects import arith
from xdsl.ir import SSAValue

from flowc.dialects.array import irregular
from flowc.dialects.array.types import dtype_of, is_float
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index, LoopBuilder
from flowc.passes.array_to_loops.elements import Lowering
from flowc.passes.array_to_loops.irregular.ranges import ceil_divide, grain_of, scratch
from flowc.passes.array_to_loops.reductions import combine, identity

LEAST_CHUNK = 16384
PARTS = 4
LEAST_PARTED = 2048
"""Shorter chunks are one part."""
NANOSECONDS = 2
"""What an element of a scan costs, about."""


def carried_dtype(op: irregular.ScanOp) -> str:
    """The dtype of running values."""
    dtype = dtype_of(op.result.type)
    return "f64" if is_float(dtype) and op.kind.data in ("sum", "prod") else dtype


def _step(s: Lowering, op: irregular.ScanOp, total: SSAValue, value: SSAValue) -> SSAValue:
    """One more element; unlike in a reduction, the order is the program's."""
    if carried_dtype(op) == "f64" and op.kind.data in ("sum", "prod"):
        return s.b.insert((arith.AddfOp if op.kind.data == "sum" else arith.MulfOp)(total, value))
    return combine(s.b, op.kind.data, total, value, carried_dtype(op))


def _part(b: LoopBuilder, low: Index, high: Index) -> Index:
    """The length of the parts of a chunk; the last has what is left over, or everything."""
    length = b.index(b.sub(high, low))
    parted = b.compare("sge", length, b.index(LEAST_PARTED))
    return b.select(parted, b.index(b.quotient(length, PARTS)), b.index(0))


def _chunk(
    s: Lowering,
    op: irregular.ScanOp,
    destination: SSAValue,
    bounds: tuple[Index, Index],
    starts: Sequence[SSAValue],
) -> None:
    """Scans the parts of a chunk, each from its start."""
    b, carried, dtype = s.b, carried_dtype(op), dtype_of(op.result.type)
    low, high = bounds
    part = _part(b, low, high)

    def one(i: Index, before: SSAValue) -> SSAValue:
        total = _step(s, op, before, s.as_dtype(op.source, (i,), carried))
        narrow = total if carried == dtype else scalars.convert(b, total, carried, dtype)
        scalars.store(b, narrow, destination, (i,))
        return total

    def side_by_side(i: SSAValue, running: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        places = [b.add(b.add(low, i), b.mul(part, number)) for number in range(PARTS)]
        return [one(place, before) for place, before in zip(places, running, strict=True)]

    last = b.loop(0, part, starts, side_by_side)[-1]
    b.loop(b.add(low, b.mul(part, PARTS)), high, (last,), lambda i, running: (one(i, running[0]),))


def lower_prefix(s: Lowering, op: irregular.ScanOp, destination: SSAValue) -> None:
    """A scan of a vector: totals of the parts, what stands before each, then the parts."""
    b, carried = s.b, carried_dtype(op)
    (extent,) = s.sizes(op.source)
    grain = grain_of(b, extent, LEAST_CHUNK)
    chunks = b.max(ceil_divide(b, extent, grain), 1)
    start = identity(b, op.kind.data, carried)
    work = b.mul(extent, NANOSECONDS)
    long = b.compare("sge", b.index(extent), b.index(LEAST_PARTED))

    def place(low: SSAValue, number: int) -> Sequence[Index]:
        return b.quotient(low, grain), number

    def measured(totals: SSAValue) -> None:
        def total(low: SSAValue, high: SSAValue) -> None:
            part = _part(b, low, high)

            def step(i: SSAValue, running: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
                return (combine(b, op.kind.data, running[0], s.as_dtype(op.source, (i,), carried), carried),)

            for number in range(PARTS):
                first = b.add(low, b.mul(part, number))
                end = high if number == PARTS - 1 else b.add(first, part)
                scalars.store(b, b.loop(first, end, (start,), step)[0], totals, place(low, number))

        def offset(i: SSAValue, running: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            for number in range(PARTS):
                own = scalars.load(b, totals, (i, number), carried)
                scalars.store(b, running[0], totals, (i, number))
                running = (_step(s, op, running[0], own),)
            return running

        def chunk(low: SSAValue, high: SSAValue) -> None:
            before = [scalars.load(b, totals, place(low, number), carried) for number in range(PARTS)]
            _chunk(s, op, destination, (low, high), before)

        b.nest([PARTS], lambda at: scalars.store(b, start, totals, (0, *at)))
        b.parallel(b.select(long, b.index(extent), b.index(0)), grain, work, total)
        b.loop(0, b.select(long, b.index(chunks), b.index(0)), (start,), offset)
        b.parallel(extent, grain, work, chunk)

    scratch(b, [(scalars.held_type(carried), [chunks, PARTS])], measured)
