"""Results larger than the last-level cache are written past it: a store that misses would read its line
first.

Each tile of such a result is computed in memory that stays in the first caches, and copied from there by
aligned streaming stores; the rows of a matrix in blocks, so that one block leaves while the next is computed.
Whether a result is that large is seen at run time; a small one is computed where it belongs.
"""

from collections.abc import Callable, Mapping, Sequence

from attrs import frozen
from xdsl.dialects import memref, vector
from xdsl.dialects.builtin import DYNAMIC_INDEX, MemRefType, NoneAttr, StridedLayoutAttr, VectorType, i1
from xdsl.ir import SSAValue

from flowc.dialects.array.types import bits, dtype_of
from flowc.dialects.loops import FenceOp, StreamOp
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index, Range
from flowc.passes.array_to_loops.elements import Lowering, Place
from flowc.passes.array_to_loops.groups import Group
from flowc.passes.array_to_loops.stages import FLAT, reads
from flowc.passes.array_to_loops.tiling import Tiling

LARGE_BYTES = 32 << 20
"""A result of this size is streamed."""
ROW_BYTES = 128 << 10
"""Longer rows would not stay in the caches until they are copied."""
LINE_BYTES = 64
BLOCK = 512
"""Elements of a row that are computed, then copied."""


@frozen
class Stream:
    """A result that may be streamed: `large` says whether, `room` is the length of its longest tile; `outer`
    axes come before those of a tile; `by_blocks` where it goes through its rows block by block."""

    value: SSAValue
    place: Place
    large: SSAValue
    room: Index
    outer: int
    by_blocks: bool


def streams_of(s: Lowering, group: Group, tiling: Tiling, places: Mapping[SSAValue, Place]) -> list[Stream]:
    """The results of a group whose tiles are contiguous and which may turn out large."""
    found = []
    for stage in group.stages:
        value = stage.result
        if stage.combines or value not in places or not _is_dense(places[value]):
            continue
        axes = [track.values.get(value) for track in tiling.tracks]
        outer = 0 if axes in ([FLAT], [0]) and not tiling.single else len(axes)
        if tiling.tile is None or (outer and (axes != list(range(outer)) or not tiling.single)):
            continue
        if not outer and axes == [0] and stage.rank > 1:
            continue
        by_blocks = outer == stage.rank - 1 > 0 and stage.elementwise and not _is_read(s, group, value)
        stream = _stream(s, value, places[value], tiling, outer, by_blocks)
        if stream is not None:
            found.append(stream)
    return found


def _is_read(s: Lowering, group: Group, value: SSAValue) -> bool:
    """Whether a stage of the group reads the value, which must then be there as a whole."""
    return any(value == read for stage in group.stages for read, _ in reads(s, stage, None, {value}))


def _is_dense(place: Place) -> bool:
    return (
        place.whole
        and isinstance(place.buffer.type, MemRefType)
        and isinstance(place.buffer.type.layout, NoneAttr)
    )


def _stream(
    s: Lowering, value: SSAValue, place: Place, tiling: Tiling, outer: int, by_blocks: bool
) -> Stream | None:
    sizes = s.sizes(value)
    size = max(bits(dtype_of(value.type)) // 8, 1)
    row: Index = 1
    for extent in sizes[outer:]:
        row = s.top.mul(row, extent)
    total = row
    for extent in sizes[:outer]:
        total = s.top.mul(total, extent)
    if isinstance(total, int) and total * size < LARGE_BYTES:
        return None
    b = s.top
    large = b.compare("sge", b.index(total), b.index(LARGE_BYTES // size))
    room: Index = tiling.tile or 1
    if by_blocks:
        room = BLOCK
    elif outer:
        fits = b.compare("sle", b.index(row), b.index(ROW_BYTES // size))
        large = b.select(fits, large, b.constant(0, i1))
        room = b.select(large, b.index(row), b.index(1))
    return Stream(value, place, large, room, outer, by_blocks)


def scratch_of(s: Lowering, stream: Stream) -> SSAValue:
    """Memory for one tile of a stream."""
    return s.allocate(scalars.element_type(stream.place.buffer), [stream.room])


def tile_of(
    s: Lowering, stream: Stream, scratch: SSAValue, low: Sequence[Index], high: Index
) -> "StreamTile":
    """Where a tile is computed: in the scratch memory, or right where it belongs."""
    sizes = s.sizes(stream.value)
    start: Index = low[0]
    length: Index = s.b.sub(high, low[0])
    if stream.outer:
        length = 1
        for extent in sizes[stream.outer :]:
            length = s.b.mul(length, extent)
        for extent, first in zip(sizes[1 : stream.outer], low[1:], strict=True):
            start = s.b.add(s.b.mul(start, extent), first)
        start = s.b.mul(start, length)
    target = _line(s, stream.place.buffer, start, length)
    own = _line(s, scratch, 0, length)
    chosen = s.b.select(stream.large, own, target)

    def position(at: Sequence[Index]) -> Sequence[Index]:
        if not stream.outer:
            return [s.b.sub(at[-1], low[0])]
        linear: Index = 0
        for extent, i in zip(sizes[stream.outer :], at[stream.outer :], strict=True):
            linear = s.b.add(s.b.mul(linear, extent), i)
        return [linear]

    return StreamTile(stream, target, own, length, Place(chosen, position))


def block_of(
    s: Lowering, stream: Stream, scratch: SSAValue, at: Sequence[Index], low: Index, high: Index
) -> "StreamTile":
    """Where a block of a row is computed."""
    start: Index = 0
    for extent, i in zip(s.sizes(stream.value), [*at, low], strict=True):
        start = s.b.add(s.b.mul(start, extent), i)
    length = s.b.sub(high, low)
    target, own = _line(s, stream.place.buffer, start, length), _line(s, scratch, 0, length)
    chosen = s.b.select(stream.large, own, target)
    return StreamTile(stream, target, own, length, Place(chosen, lambda at: [s.b.sub(at[-1], low)]))


def sweep_blocks(
    s: Lowering,
    streams: Sequence[tuple[Stream, SSAValue]],
    ranges: Sequence[Range],
    body: Callable[[tuple[Index, ...], Mapping[SSAValue, Place]], None],
) -> None:
    """A sweep along rows, block by block where streams are large; `body` gets their places."""
    *outer, row = ranges
    step = s.b.index(s.b.max(s.b.sub(row.high, row.low), 1))
    for stream, _ in streams:
        step = s.b.select(stream.large, s.b.index(BLOCK), step)

    def line(at: tuple[Index, ...]) -> None:
        def block(low: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            high = s.b.min(s.b.add(low, step), row.high)
            tiles = [block_of(s, stream, scratch, at, low, high) for stream, scratch in streams]
            places = {tile.stream.value: tile.place for tile in tiles}
            s.b.sweep([Range(low, high)], lambda last: body((*at, *last), places))
            for tile in tiles:
                write_out(s, tile)
            return ()

        s.b.loop(row.low, row.high, (), block, step)

    s.b.sweep(outer, line)


@frozen
class StreamTile:
    """One tile of a stream: where it belongs, the scratch memory, its length, and where it is computed."""

    stream: Stream
    target: SSAValue
    own: SSAValue
    length: Index
    place: Place


def _line(s: Lowering, buffer: SSAValue, start: Index, length: Index) -> SSAValue:
    """Elements that lie together, as an array of one axis."""
    element = scalars.element_type(buffer)
    type_ = MemRefType(element, [DYNAMIC_INDEX], StridedLayoutAttr([1], None))
    operands = [s.b.index(start)], [s.b.index(length)]
    return s.b.insert(memref.ReinterpretCastOp.from_dynamic(buffer, *operands, [1], type_))


def write_out(s: Lowering, tile: StreamTile) -> None:
    """Copies a tile from scratch memory, if it was computed there."""

    def copy() -> Sequence[SSAValue]:
        b, element = s.b, scalars.element_type(tile.own)
        size = max(bits(dtype_of(tile.stream.value.type)) // 8, 1)
        lanes = LINE_BYTES // size
        line = VectorType(element, [lanes])
        address = b.insert(memref.ExtractAlignedPointerAsIndexOp.get(tile.target))
        beyond = b.remainder(address, LINE_BYTES)
        head = b.quotient(b.remainder(b.sub(LINE_BYTES, beyond), LINE_BYTES), size)
        head = b.min(head, tile.length)
        even = b.add(head, b.mul(b.quotient(b.sub(tile.length, head), lanes), lanes))

        def one(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            b.store(b.load(tile.own, [i]), tile.target, [i])
            return ()

        def many(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            b.append(StreamOp(b.insert(vector.LoadOp(tile.own, [i], line)), tile.target, [i]))
            return ()

        b.loop(0, head, (), one, plain=True)
        b.loop(head, even, (), many, step=lanes, plain=True)
        b.loop(even, tile.length, (), one, plain=True)
        return ()

    s.b.branch(tile.stream.large, copy, lambda: ())


def fence(s: Lowering, streams: Sequence[Stream]) -> None:
    """Ends the streaming stores of a chunk."""
    for stream in streams[:1]:

        def order() -> Sequence[SSAValue]:
            s.b.append(FenceOp())
            return ()

        s.b.branch(stream.large, order, lambda: ())
