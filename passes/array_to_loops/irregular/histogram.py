"""Histograms: bins are found for a block of elements at a time, as vectors, and counted one by one.

With evenly spaced edges the bin is (x - low) * scale, which rounding can put one bin beside the right one
where x is close to an edge. A block that has such an element compares each of its elements with the edges
around it; so the result is that of comparing with the edges, as in NumPy, at the price of the product.
"""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.dialects import arith, math
from xdsl.dialects.builtin import f32, f64, i1, i32
from xdsl.ir import Attribute, SSAValue

from flowc.dialects.array import irregular
from flowc.dialects.array.types import dtype_of, is_float
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.checks import EDGES, Checks
from flowc.passes.array_to_loops.elements import Lowering
from flowc.passes.array_to_loops.irregular import tables
from flowc.passes.array_to_loops.irregular.ranges import scratch
from flowc.passes.array_to_loops.irregular.tables import Grouping, Tables
from flowc.passes.array_to_loops.search import insertion_point

BLOCK = 128
COPIES = 8
NANOSECONDS = 1


@frozen
class _Bins:
    """The edges, in memory, and what places an element among them."""

    s: Lowering
    edges: SSAValue
    dtype: str
    bins: Index
    low: SSAValue
    high: SSAValue
    scale: SSAValue
    doubt: SSAValue
    near: SSAValue
    even: SSAValue

    @property
    def type(self) -> Attribute:
        """The type of edges."""
        return f64 if self.dtype == "f64" else f32


def lower_histogram(s: Lowering, checks: Checks, op: irregular.HistogramOp, destination: SSAValue) -> None:
    """How much lies in each bin."""
    b = s.b
    count = s.sizes(op.edges)[0]
    checks.require(b.compare("sgt", b.index(count), b.index(0)), EDGES, op)
    ends = s.element(op.edges, (0,)), s.element(op.edges, (b.sub(count, 1),))
    checks.require(b.insert(arith.CmpfOp(*ends, "ole")), EDGES, op)
    bins = s.sizes(op.result)[0]
    *outer, extent = s.sizes(op.source)
    first, inner = (outer[0], outer[1:]) if outer else (extent, [])
    row: Index = 1
    for size in [*inner, extent] if outer else []:
        row = b.mul(row, size)
    grouping = _grouping(op)
    dtype = dtype_of(op.edges.type)

    def fill(all_tables: Tables, edges: SSAValue) -> None:
        placed = _bins(s, op, edges, dtype, bins)

        def chunk(low: SSAValue, high: SSAValue) -> None:
            def counted(table: SSAValue) -> None:
                def used(places: SSAValue) -> None:
                    def line(at: Sequence[Index], start: Index, end: Index) -> None:
                        _line(s, op, placed, all_tables, table, places, (at, start, end))

                    if not outer:
                        line((), low, high)
                        return

                    def slab(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
                        b.nest(inner, lambda at: line((i, *at), 0, extent))
                        return ()

                    b.loop(low, high, (), slab)

                scratch(b, [(i32, [BLOCK])], used)

            tables.fill_chunk(all_tables, low, 1, counted)

        b.parallel(first, all_tables.grain, b.mul(b.mul(first, row), NANOSECONDS), chunk)
        tables.finish(all_tables, first, dtype_of(op.result.type), destination)

    def with_edges(edges: SSAValue) -> None:
        b.nest([count], lambda at: scalars.store(b, s.element(op.edges, at), edges, at))
        tables.with_tables(s, grouping, first, bins, (), COPIES, lambda all_tables: fill(all_tables, edges))

    scratch(b, [(scalars.held_type(dtype), [count])], with_edges)


def _grouping(op: irregular.HistogramOp) -> Grouping:
    if op.weights is None:
        return tables.counting()
    wide = "f64" if is_float(dtype_of(op.result.type)) else "i64"
    return Grouping("sum", wide, wide)


def _bins(s: Lowering, op: irregular.HistogramOp, edges: SSAValue, dtype: str, bins: Index) -> _Bins:
    """How an element is placed; `doubt` and `near` bound the error of the product in bins, relative to the
    bin and absolute. Edges that are uneven, or closer together than numbers, are searched."""
    b = s.b
    type_ = scalars.held_type(dtype)
    precision = 2.0**-22 if dtype == "f32" else 2.0**-51
    low, high = b.load(edges, [0]), b.load(edges, [bins])
    number = b.convert(arith.SIToFPOp, b.to_integer(bins), type_)
    scale = b.insert(arith.DivfOp(number, b.insert(arith.SubfOp(high, low))))
    first, last = (b.insert(math.AbsFOp(end)) for end in (low, high))
    furthest = b.insert(arith.MaximumfOp(first, last))
    doubt = b.constant(precision, type_)
    near = b.insert(arith.MulfOp(b.insert(arith.MulfOp(furthest, scale)), doubt))
    worst = b.insert(arith.AddfOp(near, b.insert(arith.MulfOp(number, doubt))))
    even = b.insert(arith.CmpfOp(worst, b.constant(0.25, type_), "olt"))
    if op.uniform is None:
        even = b.constant(0, i1)
    return _Bins(s, edges, dtype, bins, low, high, scale, doubt, near, even)


def _line(
    s: Lowering,
    op: irregular.HistogramOp,
    placed: _Bins,
    all_tables: Tables,
    table: SSAValue,
    places: SSAValue,
    span: tuple[Sequence[Index], Index, Index],
) -> None:
    b = s.b
    at, low, high = span

    def block(start: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        size = b.sub(b.min(b.add(start, BLOCK), high), start)

        def value(i: Index) -> SSAValue:
            return s.as_dtype(op.source, (*at, b.add(start, i)), placed.dtype)

        _place(placed, value, places, size)
        _count(s, op, all_tables, table, places, size, (*at, start))
        return ()

    b.loop(low, high, (), block, step=BLOCK)


def _place(placed: _Bins, value: Callable[[Index], SSAValue], places: SSAValue, size: Index) -> None:
    """Stores the bin of each element of a block; what is outside goes to the spare one behind the last."""
    b = placed.s.b

    def searched() -> Sequence[SSAValue]:
        b.nest([size], lambda at: b.store(_searched(placed, value(at[0])), places, at))
        return ()

    def computed() -> Sequence[SSAValue]:
        def one(i: SSAValue, so_far: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            place, doubtful = _computed(placed, value(i))
            b.store(place, places, [i])
            return (b.insert(arith.OrIOp(so_far[0], doubtful)),)

        doubtful = b.loop(0, size, (b.constant(0, i1),), one)[0]

        def corrected() -> Sequence[SSAValue]:
            b.nest([size], lambda at: b.store(_corrected(placed, value(at[0]), places, at[0]), places, at))
            return ()

        b.branch(doubtful, corrected, lambda: ())
        return ()

    b.branch(placed.even, computed, searched)


def _inside(placed: _Bins, x: SSAValue) -> SSAValue:
    b = placed.s.b
    above = b.insert(arith.CmpfOp(x, placed.low, "oge"))
    return b.insert(arith.AndIOp(above, b.insert(arith.CmpfOp(x, placed.high, "ole"))))


def _computed(placed: _Bins, x: SSAValue) -> tuple[SSAValue, SSAValue]:
    """The bin by the product, and whether rounding may have moved it."""
    b = placed.s.b
    inside = _inside(placed, x)
    exact = b.insert(arith.MulfOp(b.insert(arith.SubfOp(x, placed.low)), placed.scale))
    where = b.select(inside, exact, b.constant(0.5, placed.type))
    place = b.convert(arith.FPToSIOp, where, i32)
    nearest = b.insert(math.RoundEvenOp(where))
    distance = b.insert(math.AbsFOp(b.insert(arith.SubfOp(where, nearest))))
    error = b.insert(arith.AddfOp(b.insert(arith.MulfOp(where, placed.doubt)), placed.near))
    doubtful = b.insert(arith.CmpfOp(distance, error, "ole"))
    return _kept(placed, inside, _clamped(placed, place)), doubtful


def _clamped(placed: _Bins, place: SSAValue) -> SSAValue:
    b = placed.s.b
    last = b.convert(arith.IndexCastOp, b.index(b.sub(placed.bins, 1)), i32)
    return b.insert(arith.MaxSIOp(b.insert(arith.MinSIOp(place, last)), b.constant(0, i32)))


def _kept(placed: _Bins, inside: SSAValue, place: SSAValue) -> SSAValue:
    b = placed.s.b
    spare = b.convert(arith.IndexCastOp, b.index(placed.bins), i32)
    return b.select(inside, place, spare)


def _corrected(placed: _Bins, x: SSAValue, places: SSAValue, i: SSAValue) -> SSAValue:
    """The bin beside, where the edges say so."""
    b = placed.s.b
    one = b.constant(1, i32)
    found = b.load(places, [i])
    place = _clamped(placed, found)
    below = b.insert(arith.CmpfOp(x, b.load(placed.edges, [b.to_index(place)]), "olt"))
    lower = b.select(below, b.insert(arith.SubiOp(place, one)), place)
    next_edge = b.load(placed.edges, [b.add(b.to_index(place), 1)])
    beyond = b.insert(arith.CmpfOp(x, next_edge, "oge"))
    moved = b.select(beyond, b.insert(arith.AddiOp(place, one)), lower)
    return _kept(placed, _inside(placed, x), _clamped(placed, moved))


def _searched(placed: _Bins, x: SSAValue) -> SSAValue:
    b = placed.s.b
    behind = insertion_point(
        b, lambda i: b.load(placed.edges, [i]), b.add(placed.bins, 1), x, placed.dtype, "right"
    )
    place = b.convert(arith.IndexCastOp, b.index(b.sub(behind, 1)), i32)
    return _kept(placed, _inside(placed, x), _clamped(placed, place))


def _count(
    s: Lowering,
    op: irregular.HistogramOp,
    all_tables: Tables,
    table: SSAValue,
    places: SSAValue,
    size: Index,
    start: tuple[Index, ...],
) -> None:
    """Adds a block to the table, neighbouring elements to different copies of it."""
    b, grouping = s.b, all_tables.grouping

    def add(i: Index, copy: Index) -> None:
        place = b.to_index(b.load(places, [i]))
        if op.weights is None:
            value = b.constant(1, i32)
        else:
            value = s.as_dtype(op.weights, (*start[:-1], b.add(start[-1], i)), grouping.dtype)
        tables.add_to(all_tables, table, (copy, place), value)

    def several(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        for number, copy in enumerate(all_tables.copies):
            add(b.add(i, number), copy)
        return ()

    def single(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        add(i, 0)
        return ()

    whole = b.mul(b.insert(arith.DivUIOp(b.index(size), b.index(COPIES))), COPIES)
    b.loop(0, whole, (), several, step=COPIES)
    b.loop(whole, size, (), single)
