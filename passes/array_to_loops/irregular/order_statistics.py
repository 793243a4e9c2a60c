"""Order statistics: the elements of a line from a position on, in rising order, without sorting the rest.

With AVX-512 the keys of a line are parted as `quick` does, but only ranges with a wanted position are parted
again: about two passes over the keys. Elsewhere the line is sorted.
"""

from collections.abc import Callable, Sequence

from xdsl.dialects.builtin import i32, i64
from xdsl.ir import SSAValue

from flowc.dialects.array import irregular
from flowc.dialects.array.types import dtype_of, shape_of
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.elements import Lowering
from flowc.passes.array_to_loops.irregular.keys import decode, encode, key_form
from flowc.passes.array_to_loops.irregular.partition import KeyVectors, Row
from flowc.passes.array_to_loops.irregular.quick import STACK, Work, quicksort
from flowc.passes.array_to_loops.irregular.ranges import rows
from flowc.passes.array_to_loops.irregular.sorting import Sorter, sort_lines
from flowc.passes.array_to_loops.irregular.vector_sort import PACKING_BITS

NANOSECONDS = 3
"""What a key costs, about."""


def lower_order_statistics(s: Lowering, op: irregular.OrderStatisticsOp, destination: SSAValue) -> None:
    """The wanted elements of each line along the last axis."""
    *outer, extent = s.sizes(op.source)
    axis, form = len(outer), key_form(dtype_of(op.source.type))

    def emit(buffer: SSAValue, row: Index, at: tuple[Index, ...]) -> None:
        for number, place in enumerate(_places(s, op, at, extent)):
            key = s.b.load(buffer, [row, place])
            scalars.store(s.b, decode(s.b, form, key), destination, (*at, number))

    if s.vector_bits < PACKING_BITS:

        def finish(sorter: Sorter, row: SSAValue, at: tuple[Index, ...]) -> None:
            _unless_empty(s, op, (extent, at), destination, lambda: emit(sorter.keys, row, at))

        sort_lines(s, op.source, axis, False, finish)
        return
    type_ = i64 if form.width == 64 else i32
    vectors = KeyVectors(s.b, type_, s.vector_bits // type_.width.data)

    def line(at: tuple[Index, ...], keys: SSAValue, stack: SSAValue) -> None:
        def fill(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            s.b.store(encode(s.b, form, s.element(op.source, (*at, i)), zeros_equal=False), keys, [0, i])
            return ()

        def found() -> None:
            s.b.loop(0, extent, (), fill)
            places = _places(s, op, at, extent)
            work = Work(vectors, Row(keys, [0]), Row(keys, [1]), stack)
            bounds = s.b.constant(0, type_), s.b.constant(-1, type_)
            quicksort(work, 0, extent, bounds, (places[0], places[-1]))
            emit(keys, 0, at)

        _unless_empty(s, op, (extent, at), destination, found)

    rows(s.b, outer, s.b.mul(extent, NANOSECONDS), line, [(type_, [2, extent]), STACK])


def _places(
    s: Lowering, op: irregular.OrderStatisticsOp, at: Sequence[Index], extent: Index
) -> list[SSAValue]:
    """The wanted positions of a line that has elements."""
    b = s.b
    first = b.to_index(s.as_dtype(op.first, tuple(at) if shape_of(op.first.type) else (), "i64"))
    last = b.sub(extent, 1)
    return [b.index(b.min(b.max(b.add(first, number), 0), last)) for number in range(op.count.value.data)]


def _unless_empty(
    s: Lowering,
    op: irregular.OrderStatisticsOp,
    line: tuple[Index, tuple[Index, ...]],
    destination: SSAValue,
    body: Callable[[], None],
) -> None:
    """`body` for a line that has elements; another gives zeros."""
    extent, at = line

    def some() -> Sequence[SSAValue]:
        body()
        return ()

    def none() -> Sequence[SSAValue]:
        for number in range(op.count.value.data):
            zero = s.b.constant(0, scalars.held_type(dtype_of(op.source.type)))
            scalars.store(s.b, zero, destination, (*at, number))
        return ()

    s.b.branch(s.b.compare("sgt", s.b.index(extent), s.b.index(0)), some, none)
