"""Grouping by keys: counts, sums, products and extremes of the rows that share a key.

A block of keys is compared with the number of groups, as vectors, before it is used; a chunk with a key
outside leaves a mark, and the kernel fails after the loop.
"""

from collections.abc import Sequence

from xdsl.dialects import arith
from xdsl.dialects.builtin import i1, i8
from xdsl.ir import SSAValue

from flowc.dialects.array import irregular
from flowc.dialects.array.types import bits, dtype_of
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.checks import KEY_RANGE, Checks
from flowc.passes.array_to_loops.elements import Lowering
from flowc.passes.array_to_loops.irregular import tables
from flowc.passes.array_to_loops.irregular.ranges import ceil_divide, scratch
from flowc.passes.array_to_loops.irregular.tables import BLOCK, Grouping, Tables

COPIES = 4
NANOSECONDS = 1


def lower_segments(s: Lowering, checks: Checks, op: irregular.SegmentOp, destination: SSAValue) -> None:
    """One result for each group."""
    b = s.b
    extent, (groups, *inner) = s.sizes(op.keys)[0], s.sizes(op.result)
    grouping = _grouping(op)
    work: Index = b.mul(extent, NANOSECONDS)
    for size in inner:
        work = b.mul(work, size)
    good: list[SSAValue] = []

    def fill(all_tables: Tables) -> None:
        chunks = b.max(ceil_divide(b, extent, all_tables.grain), 1)

        def marked(marks: SSAValue) -> None:
            def chunk(low: SSAValue, high: SSAValue) -> None:
                number = b.insert(arith.DivUIOp(low, b.index(all_tables.grain)))
                tables.fill_chunk(
                    all_tables, low, 0,
                    lambda table: scalars.store(
                        b, _fill(s, op, all_tables, table, low, high), marks, (number,)
                    ),
                )  # fmt: skip

            b.store(b.constant(1, i8), marks, [0])
            b.parallel(extent, all_tables.grain, work, chunk)

            def every(i: SSAValue, so_far: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
                return (b.insert(arith.AndIOp(so_far[0], scalars.load(b, marks, (i,), "bool"))),)

            good.append(b.loop(0, chunks, (b.constant(1, i1),), every)[0])

        scratch(b, [(i8, [chunks])], marked)
        tables.finish(all_tables, extent, dtype_of(op.result.type), destination)

    tables.with_tables(s, grouping, extent, groups, inner, 1 if inner else COPIES, fill)
    checks.require(good[0], KEY_RANGE, op)


def _grouping(op: irregular.SegmentOp) -> Grouping:
    if op.kind.data == "count":
        return tables.counting()
    dtype = dtype_of(op.result.type)
    held = "f32" if dtype in ("f16", "bf16") else dtype
    return Grouping(op.kind.data, held, "f64" if op.kind.data == "sum" and held == "f32" else held)


def _fill(
    s: Lowering, op: irregular.SegmentOp, all_tables: Tables, table: SSAValue, low: SSAValue, high: SSAValue
) -> SSAValue:
    """Adds a chunk's elements to its table, block by block; whether all keys were inside."""
    b = s.b

    def block(start: SSAValue, so_far: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        end = b.min(b.add(start, BLOCK), high)
        inside = _inside(s, op, all_tables.groups, start, end)

        def use() -> Sequence[SSAValue]:
            _add_block(s, op, all_tables, table, start, end)
            return ()

        b.branch(inside, use, lambda: ())
        return (b.insert(arith.AndIOp(so_far[0], inside)),)

    return b.loop(low, high, (b.constant(1, i1),), block, step=BLOCK)[0]


def _key(s: Lowering, op: irregular.SegmentOp, i: Index) -> SSAValue:
    dtype = dtype_of(op.keys.type)
    return s.as_dtype(op.keys, (i,), "i64" if dtype == "i64" else "i32")


def _inside(s: Lowering, op: irregular.SegmentOp, groups: Index, low: Index, high: Index) -> SSAValue:
    """Whether no key of a block lies outside; unsigned, a negative key is greater than any bound."""
    b = s.b
    type_ = tables.key_type(dtype_of(op.keys.type))
    width = bits("i64" if dtype_of(op.keys.type) == "i64" else "i32")
    bound = b.convert(arith.IndexCastOp, b.index(b.min(groups, (1 << width - 1) - 1)), type_)

    def one(i: SSAValue, so_far: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        return (b.insert(arith.AndIOp(so_far[0], b.compare("ult", _key(s, op, i), bound))),)

    return b.loop(low, high, (b.constant(1, i1),), one)[0]


def _add_block(
    s: Lowering, op: irregular.SegmentOp, all_tables: Tables, table: SSAValue, low: SSAValue, high: Index
) -> None:
    """Neighbouring elements go to different copies of the table."""
    b, used = s.b, all_tables.copies
    copies = len(used)

    def add(i: Index, copy: Index) -> None:
        group = b.to_index(_key(s, op, i))

        def entry(at: tuple[SSAValue, ...]) -> None:
            tables.add_to(all_tables, table, (copy, group, *at), _value(s, op, all_tables.grouping, (i, *at)))

        b.nest(all_tables.inner, entry)

    def several(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        for copy in range(copies):
            add(b.add(i, copy), used[copy])
        return ()

    def single(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        add(i, 0)
        return ()

    span = b.index(b.sub(high, low))
    whole = b.add(low, b.mul(b.insert(arith.DivUIOp(span, b.index(copies))), copies))
    if copies > 1:
        b.loop(low, whole, (), several, step=copies)
        b.loop(whole, high, (), single)
    else:
        b.loop(low, high, (), single)


def _value(s: Lowering, op: irregular.SegmentOp, grouping: Grouping, at: tuple[Index, ...]) -> SSAValue:
    if op.values is None:
        return s.b.constant(1, scalars.held_type(grouping.dtype))
    source = dtype_of(op.values.type)
    held = s.element(op.values, at)
    if scalars.held_type(source) == scalars.held_type(grouping.dtype):
        return held
    return scalars.convert(s.b, held, source, grouping.dtype)
