"""Large results that are computed element by element leave by lines of the cache: each is one vector, which
is stored past the caches as soon as it is there. What fills no line, and a result that is small, is stored as
ever."""

from collections.abc import Callable, Mapping, Sequence

from xdsl.dialects import memref, vector
from xdsl.dialects.builtin import VectorType, i1
from xdsl.ir import SSAValue

from flowc.dialects.loops import StreamOp
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index, Range
from flowc.passes.array_to_loops.elements import Lowering, Place
from flowc.passes.array_to_loops.stored import LINE_BYTES, line_at
from flowc.passes.array_to_loops.streams import Stream, before_line


def sweep_lines(
    s: Lowering,
    streams: Sequence[Stream],
    ranges: Sequence[Range],
    body: Callable[[tuple[Index, ...], Mapping[SSAValue, Place]], None],
) -> None:
    """A sweep along rows: line by line where lines are filled in all streams, then the rest; `body` gets the
    places of the streams in a line."""
    *outer, row = ranges
    count = max(LINE_BYTES // stream.size for stream in streams)

    def along(at: tuple[Index, ...]) -> None:
        first, last = _lines(s, streams, at, row, count)

        def line(low: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            own = [_line_of(s, stream, count, low) for stream in streams]
            places = {stream.value: place for stream, place in zip(streams, own, strict=True)}

            def one(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
                body((*at, s.b.add(low, i)), places)
                return ()

            s.b.loop(0, count, (), one, rolled=True)
            for stream, place in zip(streams, own, strict=True):
                _send(s, stream, place, count, (*at, low))
            return ()

        def rest(after: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            before = s.b.compare("eq", after, s.b.index(0))
            low = s.b.select(before, s.b.index(row.low), s.b.index(last))
            high = s.b.select(before, s.b.index(first), s.b.index(row.high))
            s.b.sweep([Range(low, high)], lambda inner: body((*at, *inner), {}))
            return ()

        s.b.loop(first, last, (), line, count)
        s.b.loop(0, 2, (), rest, plain=True)

    s.b.sweep(outer, along)


def _lines(
    s: Lowering, streams: Sequence[Stream], at: Sequence[Index], row: Range, count: int
) -> tuple[Index, Index]:
    """Where the lines of a row begin and end: there are none if a stream is small, or has its lines elsewhere
    than the others."""
    b, length = s.b, s.b.sub(row.high, row.low)
    before = before_line(s, streams[0], _address(s, streams[0], (*at, row.low)))
    first = b.add(row.low, b.min(before, length))
    past = b.constant(1, i1)
    for stream in streams:
        beyond = b.index(b.remainder(_address(s, stream, (*at, first)), LINE_BYTES))
        past = b.select(b.compare("eq", beyond, b.index(0)), past, b.constant(0, i1))
        past = b.select(stream.large, past, b.constant(0, i1))
    filled = b.mul(b.quotient(b.sub(row.high, first), count), count)
    first = b.select(past, b.index(first), b.index(row.low))
    return first, b.add(first, b.select(past, b.index(filled), b.index(0)))


def _address(s: Lowering, stream: Stream, at: Sequence[Index]) -> Index:
    position: Index = 0
    for extent, i in zip(s.sizes(stream.value), at, strict=True):
        position = s.b.add(s.b.mul(position, extent), i)
    target = line_at(s, stream.place.buffer, position, 0)
    return s.b.insert(memref.ExtractAlignedPointerAsIndexOp.get(target))


def _line_of(s: Lowering, stream: Stream, count: int, low: Index) -> Place:
    """Memory for elements from `low` on, which LLVM keeps in registers."""
    element = scalars.element_type(stream.place.buffer)
    own = s.b.insert(memref.AllocaOp.get(element, LINE_BYTES, shape=[count]))
    return Place(own, lambda at: [s.b.sub(at[-1], low)])


def _send(s: Lowering, stream: Stream, place: Place, count: int, at: Sequence[Index]) -> None:
    """Streams what fills one line, or several of them."""
    lanes = LINE_BYTES // stream.size
    line = VectorType(scalars.element_type(place.buffer), [lanes])
    for start in range(0, count, lanes):
        value = s.b.insert(vector.LoadOp(place.buffer, [s.b.index(start)], line))
        to = [s.b.index(i) for i in (*at[:-1], s.b.add(at[-1], start))]
        s.b.append(StreamOp(value, stream.place.buffer, to))
