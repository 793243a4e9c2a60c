"""topk as loops: a heap of the k best seen so far, then sorted in place. O(n log k) for every input."""

from collections.abc import Sequence

from attrs import frozen
from xdsl.dialects import arith
from xdsl.dialects.builtin import i8, i64
from xdsl.ir import SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.types import dtype_of, is_float
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index, LoopBuilder
from flowc.passes.array_to_loops.elements import Lowering


@frozen
class Heap:
    """A binary heap in two arrays, the worst candidate at its root."""

    values: SSAValue
    positions: SSAValue
    floating: bool


def lower_topk(s: Lowering, op: ops.TopKOp, values: SSAValue, indices: SSAValue) -> None:
    """The k largest of each row in falling order, the lower position first among equals."""
    *outer, extent = s.sizes(op.source)
    count = s.size(s.extents.extent(op.values, len(outer)))
    dtype = dtype_of(op.source.type)
    # A heap of u8 holds i32, whose order is signed.
    ranked = "i32" if dtype == "u8" else dtype
    held = scalars.held_type(ranked)
    heap = Heap(s.allocate(held, [count]), s.allocate(i64, [count]), is_float(dtype))
    flag = dtype == "bool"

    def row(at: tuple[SSAValue, ...]) -> None:
        b = s.b

        def value_at(i: Index) -> SSAValue:
            value = s.as_dtype(op.source, (*at, i), ranked)
            return b.insert(arith.ExtUIOp(value, i8)) if flag else value

        def fill(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            b.store(value_at(i), heap.values, [i])
            b.store(b.to_integer(i), heap.positions, [i])
            return ()

        b.loop(0, count, (), fill)
        _heapify(b, heap, count)
        some = b.compare("sgt", b.index(count), b.index(0))

        def offer(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            value = value_at(i)
            better = _less(b, heap.floating, b.load(heap.values, [0]), value)

            def replace() -> Sequence[SSAValue]:
                _sift(b, heap, 0, count, value, b.to_integer(i))
                return ()

            b.branch(better, replace, lambda: ())
            return ()

        b.loop(count, b.select(some, b.index(extent), b.index(count)), (), offer)
        _sort(b, heap, count)

        def emit(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            best = b.load(heap.values, [i])
            best = scalars.convert(b, best, ranked, dtype) if ranked != dtype else best
            scalars.store(b, best, values, (*at, i))
            b.store(b.load(heap.positions, [i]), indices, (*at, i))
            return ()

        b.loop(0, count, (), emit)

    s.b.nest(outer, row)


def _heapify(b: LoopBuilder, heap: Heap, count: Index) -> None:
    half = b.floordiv(count, 2)

    def settle(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        place = b.sub(b.sub(half, 1), i)
        _sift(b, heap, place, count, b.load(heap.values, [place]), b.load(heap.positions, [place]))
        return ()

    b.loop(0, half, (), settle)


def _sort(b: LoopBuilder, heap: Heap, count: Index) -> None:
    """Moves the worst to the end, again and again: what remains is in falling order."""

    def extract(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        end = b.sub(b.sub(count, 1), i)
        value, position = b.load(heap.values, [end]), b.load(heap.positions, [end])
        b.store(b.load(heap.values, [0]), heap.values, [end])
        b.store(b.load(heap.positions, [0]), heap.positions, [end])
        _sift(b, heap, 0, end, value, position)
        return ()

    b.loop(0, b.sub(count, 1), (), extract)


def _sift(b: LoopBuilder, heap: Heap, root: Index, size: Index, value: SSAValue, position: SSAValue) -> None:
    """Puts a candidate at `root` and moves it down below every worse child."""

    def below(at: tuple[SSAValue, ...]) -> tuple[SSAValue, Sequence[SSAValue]]:
        place = at[0]
        first = b.add(b.mul(place, 2), 1)
        last = b.sub(size, 1)
        one, two = b.min(first, last), b.min(b.add(first, 1), last)
        children = [(b.load(heap.values, [c]), b.load(heap.positions, [c])) for c in (one, two)]
        second_worse = _worse(b, heap.floating, children[1], children[0])
        child = b.select(second_worse, b.index(two), b.index(one))
        value_of_worst, its_position = (
            b.select(second_worse, x, y) for x, y in zip(children[1], children[0], strict=True)
        )
        there = b.compare("slt", b.index(first), b.index(size))
        worse = _worse(b, heap.floating, (value_of_worst, its_position), (value, position))
        return b.insert(arith.AndIOp(there, worse)), (place, child)

    def move(at: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        place, child = at
        b.store(b.load(heap.values, [child]), heap.values, [place])
        b.store(b.load(heap.positions, [child]), heap.positions, [place])
        return (child,)

    place = b.repeat([b.index(root)], below, move)[0]
    b.store(value, heap.values, [place])
    b.store(position, heap.positions, [place])


def _worse(
    b: LoopBuilder, floating: bool, x: tuple[SSAValue, SSAValue], y: tuple[SSAValue, SSAValue]
) -> SSAValue:
    """Whether x ranks behind y: a smaller value, or an equal one at a higher position."""
    smaller, larger = _less(b, floating, x[0], y[0]), _less(b, floating, y[0], x[0])
    later = b.compare("sgt", x[1], y[1])
    return b.select(smaller, smaller, b.select(larger, b.insert(arith.XOrIOp(larger, larger)), later))


def _less(b: LoopBuilder, floating: bool, x: SSAValue, y: SSAValue) -> SSAValue:
    """x < y, with NaN above every number."""
    if not floating:
        return b.compare("slt", x, y)
    only_y = b.insert(arith.AndIOp(b.insert(arith.CmpfOp(x, x, "ord")), b.insert(arith.CmpfOp(y, y, "uno"))))
    return b.insert(arith.OrIOp(b.insert(arith.CmpfOp(x, y, "olt")), only_y))
