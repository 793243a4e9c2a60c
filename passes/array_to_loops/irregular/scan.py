"""Running sums, products, minima and maxima of a vector; sums and products of floats are carried in f64.

The vector is cut into chunks: their totals first, then each chunk from what stands before it. How it is cut
depends on its length alone, and so does the result. Scans of rows and columns are in `lines`.
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


def _chunk(
    s: Lowering,
    op: irregular.ScanOp,
    destination: SSAValue,
    bounds: tuple[Index, Index],
    start: SSAValue,
) -> None:
    """Scans a chunk from `start`."""
    carried, dtype = carried_dtype(op), dtype_of(op.result.type)

    def step(i: SSAValue, running: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        total = _step(s, op, running[0], s.as_dtype(op.source, (i,), carried))
        narrow = total if carried == dtype else scalars.convert(s.b, total, carried, dtype)
        scalars.store(s.b, narrow, destination, (i,))
        return (total,)

    s.b.loop(*bounds, (start,), step)


def lower_prefix(s: Lowering, op: irregular.ScanOp, destination: SSAValue) -> None:
    """A scan of a vector: totals of the chunks, what stands before each, then the chunks."""
    b, carried = s.b, carried_dtype(op)
    (extent,) = s.sizes(op.source)
    grain = grain_of(b, extent, LEAST_CHUNK)
    chunks = ceil_divide(b, extent, grain)
    start = identity(b, op.kind.data, carried)
    work = b.mul(extent, NANOSECONDS)

    def number(low: SSAValue) -> SSAValue:
        return b.insert(arith.DivUIOp(low, b.index(grain)))

    def measured(totals: SSAValue) -> None:
        def total(low: SSAValue, high: SSAValue) -> None:
            def step(i: SSAValue, running: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
                return (combine(b, op.kind.data, running[0], s.as_dtype(op.source, (i,), carried), carried),)

            scalars.store(b, b.loop(low, high, (start,), step)[0], totals, (number(low),))

        def offset(i: SSAValue, running: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            own = scalars.load(b, totals, (i,), carried)
            scalars.store(b, running[0], totals, (i,))
            return (_step(s, op, running[0], own),)

        def chunk(low: SSAValue, high: SSAValue) -> None:
            before = scalars.load(b, totals, (number(low),), carried)
            _chunk(s, op, destination, (low, high), before)

        b.parallel(b.select(_several(b, chunks), b.index(extent), b.index(0)), grain, work, total)
        scalars.store(b, start, totals, (b.select(_several(b, chunks), b.index(chunks), b.index(0)),))
        b.loop(0, b.select(_several(b, chunks), b.index(chunks), b.index(0)), (start,), offset)
        b.parallel(extent, grain, work, chunk)

    scratch(b, [(scalars.held_type(carried), [b.add(chunks, 1)])], measured)


def _several(b: LoopBuilder, chunks: Index) -> SSAValue:
    return b.compare("sgt", b.index(chunks), b.index(1))
