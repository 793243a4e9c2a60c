"""Long vectors that are reduced to numbers: memory limits them. A core gets more from two streams than from
one, so both halves of an array are read side by side; and arrays are read by whole lines of the cache, since
what lies across two of them is loaded twice."""

from collections.abc import Sequence
from functools import partial

from xdsl.dialects import memref
from xdsl.dialects.builtin import FixedBitwidthType
from xdsl.ir import SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.types import shape_of
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index, Range
from flowc.passes.array_to_loops.elements import Lowering
from flowc.passes.array_to_loops.reductions import (
    BLOCK,
    Carried,
    ElementsAt,
    Reducer,
    accumulate_all,
    accumulate_on,
    flat,
    merge,
    split,
)
from flowc.passes.array_to_loops.stored import LINE_BYTES, has_unit_stride, line_at

STREAMS = 2
"""Parts of an array that are read side by side; several arrays are streams enough."""


def accumulate_long(
    s: Lowering,
    reducers: Sequence[Reducer],
    along: Sequence[Range],
    elements: ElementsAt,
    arrays: Sequence[SSAValue],
) -> list[Carried]:
    """`accumulate_all` along the last of the ranges, the only one of several positions, of what is made of
    arrays: first whole blocks from a line of the first on, then what comes before and after them."""
    b, (*singles, vector) = s.b, along
    outer = tuple(here.low for here in singles)
    before = _before_line(s, arrays[0], vector.low)
    streams = STREAMS if len(arrays) == 1 else 1
    length = b.sub(vector.high, vector.low)
    head = b.min(before, length)
    count = b.quotient(b.sub(length, head), streams * BLOCK)
    part = b.mul(count, BLOCK)
    starts = [b.add(vector.low, head)]
    for _ in range(streams):
        starts.append(b.add(starts[-1], part))

    def beside(at: tuple[Index, ...]) -> Sequence[SSAValue]:
        i = b.add(b.mul(at[0], BLOCK), at[1]) if len(at) > 1 else at[0]
        return [value for start in starts[:-1] for value in elements((*outer, b.add(start, i)))]

    blocks = any(reducer.sums_floats for reducer in reducers)
    ranges = [Range(0, count), Range(0, BLOCK)] if blocks else [Range(0, part)]
    found = accumulate_all(b, [*reducers] * streams, ranges, beside)
    joined = found[: len(reducers)]
    for start in range(len(reducers), len(found), len(reducers)):
        joined = list(map(partial(merge, b), reducers, joined, found[start:]))

    def piece(number: SSAValue, carried: Carried) -> Sequence[SSAValue]:
        last = b.compare("ne", number, b.index(0))
        low = b.select(last, b.index(starts[-1]), b.index(vector.low))
        high = b.select(last, b.index(vector.high), b.index(starts[0]))
        rest = [*singles, Range(low, high)]
        return flat(accumulate_on(b, reducers, rest, elements, split(reducers, carried)))

    return split(reducers, b.loop(0, 2, flat(joined), piece, plain=True))


def arrays_along(s: Lowering, sources: Sequence[SSAValue]) -> list[SSAValue]:
    """The arrays in memory of which elementwise operators make some values, if neighbours along the last axis
    are neighbours there."""
    pending = list(sources)
    found: dict[SSAValue, None] = {}
    while pending:
        value = pending.pop()
        if value in s.buffers and value not in s.tiles:
            same = len(shape_of(value.type)) == len(shape_of(sources[0].type))
            if same and has_unit_stride(s.buffers[value]):
                found[s.buffers[value]] = None
        elif isinstance(value.owner, ops.ElementwiseOp | ops.CastOp):
            pending += value.owner.operands
    return list(found)


def _before_line(s: Lowering, buffer: SSAValue, low: Index) -> Index:
    """The elements between a position of an array and the next whole line."""
    element = scalars.element_type(buffer)
    assert isinstance(element, FixedBitwidthType)
    address = s.b.insert(memref.ExtractAlignedPointerAsIndexOp.get(line_at(s, buffer, low, 1)))
    return s.b.quotient(s.b.remainder(s.b.sub(0, address), LINE_BYTES), element.size)
