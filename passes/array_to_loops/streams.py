"""Results that the last-level cache would not keep beside what they are made of are written past it: a store
that misses would read its line first.

What is computed element by element goes out by lines of the cache (`cache_lines.py`). Any other tile of such
a result is computed in memory that stays in the first caches, and copied from there by aligned streaming
stores. Whether a result is that large is seen at run time; a small one is computed where it belongs.
"""

from collections.abc import Mapping, Sequence

from attrs import frozen
from xdsl.dialects import memref, vector
from xdsl.dialects.builtin import (
    FixedBitwidthType,
    VectorType,
    i1,
)
from xdsl.ir import SSAValue

from flowc.dialects.loops import FenceOp, StreamOp
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.elements import Lowering, Place
from flowc.passes.array_to_loops.groups import Group
from flowc.passes.array_to_loops.stages import FLAT, reads
from flowc.passes.array_to_loops.stored import LINE_BYTES, line_at
from flowc.passes.array_to_loops.tiling import Tiling

LARGE_BYTES = 16 << 20
"""A result of this size is streamed: with what it is made of it fills the last-level cache."""
ROW_BYTES = 128 << 10
"""Longer rows would not stay in the caches until they are copied."""


@frozen
class Stream:
    """A result that may be streamed: `large` says whether, `room` is the length of its longest tile; `outer`
    axes come before those of a tile; `by_lines` where it goes line by line."""

    value: SSAValue
    place: Place
    large: SSAValue
    room: Index
    outer: int
    by_lines: bool

    @property
    def size(self) -> int:
        """The bytes of an element."""
        return _element_bytes(self.place)


def _element_bytes(place: Place) -> int:
    """The bytes of an element as it is kept: a temporary of halves is held in f32."""
    element = scalars.element_type(place.buffer)
    assert isinstance(element, FixedBitwidthType)
    return element.size


def streams_of(s: Lowering, group: Group, tiling: Tiling, places: Mapping[SSAValue, Place]) -> list[Stream]:
    """The results of a group whose tiles are contiguous and which may turn out large."""
    found: list[Stream] = []
    if tiling.sides:
        return found
    for stage in group.stages:
        value = stage.result
        if stage.combines or value not in places or not places[value].dense:
            continue
        axes = [track.values.get(value) for track in tiling.tracks]
        outer = 0 if axes in ([FLAT], [0]) and not tiling.single else len(axes)
        if not outer and axes == [0] and stage.rank > 1:
            outer = 1  # several rows at a time
        elif outer and (axes != list(range(outer)) or not tiling.single):
            continue
        rows = outer == stage.rank - 1 > 0 and not _is_read(s, group, value)
        by_lines = stage.elementwise and (tiling.tile is None or rows)
        if outer and not tiling.single and not by_lines:
            continue
        stream = _stream(s, value, places[value], tiling, outer, by_lines)
        if stream is not None:
            found.append(stream)
    return found


def _is_read(s: Lowering, group: Group, value: SSAValue) -> bool:
    """Whether a stage of the group reads the value, which must then be there as a whole."""
    results = group.results
    return any(value == read for stage in group.stages for read, _ in reads(s, stage, None, results))


def _stream(
    s: Lowering, value: SSAValue, place: Place, tiling: Tiling, outer: int, by_lines: bool
) -> Stream | None:
    sizes = s.sizes(value)
    size = _element_bytes(place)
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
    if outer and not by_lines:
        fits = b.compare("sle", b.index(row), b.index(ROW_BYTES // size))
        large = b.select(fits, large, b.constant(0, i1))
        room = b.select(large, b.index(row), b.index(1))
    return Stream(value, place, large, room, outer, by_lines)


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
    target = line_at(s, stream.place.buffer, start, length)
    own = line_at(s, scratch, 0, length)
    chosen = s.b.select(stream.large, own, target)

    def position(at: Sequence[Index]) -> Sequence[Index]:
        if not stream.outer:
            return [s.b.sub(at[-1], low[0])]
        linear: Index = 0
        for extent, i in zip(sizes[stream.outer :], at[stream.outer :], strict=True):
            linear = s.b.add(s.b.mul(linear, extent), i)
        return [linear]

    return StreamTile(stream, target, own, length, Place(chosen, position))


@frozen
class StreamTile:
    """One tile of a stream: where it belongs, the scratch memory, its length, and where it is computed."""

    stream: Stream
    target: SSAValue
    own: SSAValue
    length: Index
    place: Place


def before_line(s: Lowering, stream: Stream, address: Index) -> Index:
    """The elements between an address and the beginning of a line."""
    beyond = s.b.remainder(address, LINE_BYTES)
    return s.b.quotient(s.b.remainder(s.b.sub(LINE_BYTES, beyond), LINE_BYTES), stream.size)


def write_out(s: Lowering, tile: StreamTile) -> None:
    """Copies a tile from scratch memory, if it was computed there."""

    def copy() -> Sequence[SSAValue]:
        b, lanes = s.b, LINE_BYTES // tile.stream.size
        line = VectorType(scalars.element_type(tile.own), [lanes])
        address = b.insert(memref.ExtractAlignedPointerAsIndexOp.get(tile.target))
        head = b.min(before_line(s, tile.stream, address), tile.length)
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
