"""Tables of groups: each chunk of the input fills its own, a few copies of it so that neighbours rarely wait
for each other's stores; the chunks' tables are combined in order afterwards."""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.dialects import arith
from xdsl.dialects.builtin import i32, i64
from xdsl.ir import Attribute, SSAValue

from flowc.dialects.array.types import bits
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.elements import Lowering
from flowc.passes.array_to_loops.irregular.ranges import CHUNKS, ceil_divide, scratch
from flowc.passes.array_to_loops.reductions import combine, identity

BLOCK = 512
"""Keys are looked at in blocks that stay in the first-level cache."""
COPIES_BYTES = 20 << 10
LEAST_CHUNK = 1 << 17
ELEMENTS_PER_GROUP = 32
"""A chunk has at least as many, so that its table is a small part of the work."""
LARGEST_CHUNK = 1 << 30
"""Counts within a chunk fit in 32 bits."""


@frozen
class Grouping:
    """What a table accumulates: `kind` in `dtype` within a chunk, in `wide` across chunks."""

    kind: str
    dtype: str
    wide: str

    @property
    def reduction(self) -> str:
        """The reduction that combines two entries; counts are added."""
        return "sum" if self.kind == "count" else self.kind


@frozen
class Tables:
    """The partial tables of a grouping: one per chunk, `groups` x `inner` entries.

    `copies` are the copies of a chunk's table that neighbouring elements go to, one after another.
    """

    s: Lowering
    grouping: Grouping
    groups: Index
    inner: Sequence[Index]
    grain: Index
    copies: Sequence[Index]
    partial: SSAValue


def chunk_length(s: Lowering, extent: Index, groups: Index) -> Index:
    """How many elements a chunk has: enough to be worth a table, which depends on extents alone.

    The number of chunks is a power of two, so that threads have about the same number of them.
    """
    b = s.b
    worth = b.quotient(extent, b.max(b.mul(groups, ELEMENTS_PER_GROUP), LEAST_CHUNK))
    chunks: Index = 1
    for power in range(1, CHUNKS.bit_length()):
        enough = b.compare("sge", b.index(worth), b.index(1 << power))
        chunks = b.select(enough, b.index(1 << power), b.index(chunks))
    grain = b.min(b.max(ceil_divide(b, extent, chunks), 1), LARGEST_CHUNK)
    return b.mul(ceil_divide(b, grain, BLOCK), BLOCK)


def with_tables(
    s: Lowering,
    grouping: Grouping,
    extent: Index,
    groups: Index,
    inner: Sequence[Index],
    copies: int,
    body: Callable[[Tables], None],
) -> None:
    """Memory for the tables of all chunks, for the time of `body`; the first holds the identity where there
    are no chunks. Neighbours use up to `copies` copies."""
    b = s.b
    grain = chunk_length(s, extent, groups)
    chunks = b.max(ceil_divide(b, extent, grain), 1)

    def inside(partial: SSAValue) -> None:
        start = identity(b, grouping.reduction, grouping.wide)
        empty = b.select(b.compare("eq", b.index(extent), b.index(0)), b.index(groups), b.index(0))
        b.nest([empty, *inner], lambda at: scalars.store(b, start, partial, (0, *at)))
        used = _used_copies(s, grouping, groups, copies)
        body(Tables(s, grouping, groups, inner, grain, used, partial))

    scratch(b, [(scalars.held_type(grouping.wide), [chunks, groups, *inner])], inside)


def fill_chunk(tables: Tables, low: SSAValue, spare: int, body: Callable[[SSAValue], None]) -> None:
    """Runs `body` with the copies of a table, [copies, groups + spare, inner], and keeps what they hold."""
    s, b, grouping = tables.s, tables.s.b, tables.grouping
    start = identity(b, grouping.reduction, grouping.dtype)
    copies = b.add(tables.copies[-1], 1)
    shape = [copies, b.add(tables.groups, spare), *tables.inner]

    def inside(table: SSAValue) -> None:
        b.nest(shape, lambda at: scalars.store(b, start, table, at))
        body(table)
        chunk = b.insert(arith.DivUIOp(low, b.index(tables.grain)))

        def own(copy: Index, at: tuple[SSAValue, ...]) -> SSAValue:
            return _widened(s, grouping, scalars.load(b, table, (copy, *at), grouping.dtype))

        def gathered(copy: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            def entry(at: tuple[SSAValue, ...]) -> None:
                total = scalars.load(b, tables.partial, (chunk, *at), grouping.wide)
                total = combine(b, grouping.reduction, total, own(copy, at), grouping.wide)
                scalars.store(b, total, tables.partial, (chunk, *at))

            b.nest(entries, entry)
            return ()

        entries = [tables.groups, *tables.inner]
        b.nest(entries, lambda at: scalars.store(b, own(0, at), tables.partial, (chunk, *at)))
        b.loop(1, copies, (), gathered)

    scratch(b, [(scalars.held_type(grouping.dtype), shape)], inside)


def _used_copies(s: Lowering, grouping: Grouping, groups: Index, copies: int) -> list[Index]:
    """The copy that each of neighbouring elements goes to, the last the highest: fewer take turns where all
    of them would not stay in the first-level cache beside the input."""
    b = s.b
    size = max(bits(grouping.dtype) // 8, 1)
    room = b.index(b.quotient(COPIES_BYTES, b.max(b.mul(groups, size), 1)))
    used: list[Index] = [0]
    for copy in range(1, copies):
        half = 1 << copy.bit_length() - 1
        enough = b.compare("sge", room, b.index(2 * half))
        used.append(b.select(enough, b.index(copy), b.index(used[copy - half])))
    return used


def add_to(tables: Tables, table: SSAValue, at: Sequence[Index], value: SSAValue) -> None:
    """Combines an entry of a table with a value."""
    b, grouping = tables.s.b, tables.grouping
    before = scalars.load(b, table, at, grouping.dtype)
    scalars.store(b, combine(b, grouping.reduction, before, value, grouping.dtype), table, at)


def finish(tables: Tables, extent: Index, result_dtype: str, destination: SSAValue) -> None:
    """Combines the tables of all chunks in order and stores the result."""
    b, grouping, partial = tables.s.b, tables.grouping, tables.partial
    chunks = ceil_divide(b, extent, tables.grain)
    entries = [tables.groups, *tables.inner]

    def one(chunk: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        def entry(at: tuple[SSAValue, ...]) -> None:
            total = scalars.load(b, partial, (0, *at), grouping.wide)
            own = scalars.load(b, partial, (chunk, *at), grouping.wide)
            total = combine(b, grouping.reduction, total, own, grouping.wide)
            scalars.store(b, total, partial, (0, *at))

        b.nest(entries, entry)
        return ()

    def out(at: tuple[SSAValue, ...]) -> None:
        value = scalars.load(b, partial, (0, *at), grouping.wide)
        if grouping.wide != result_dtype:
            value = scalars.convert(b, value, grouping.wide, result_dtype)
        scalars.store(b, value, destination, at)

    b.loop(1, chunks, (), one)
    b.nest(entries, out)


def _widened(s: Lowering, grouping: Grouping, value: SSAValue) -> SSAValue:
    if grouping.dtype == grouping.wide:
        return value
    return scalars.convert(s.b, value, grouping.dtype, grouping.wide)


def counting() -> Grouping:
    """Counts: 32 bits within a chunk, 64 across."""
    return Grouping("count", "i32", "i64")


def key_type(dtype: str) -> Attribute:
    """The type in which keys are compared: i64, or i32 where that holds them."""
    return i64 if dtype == "i64" else i32
