"""topk of few as loops: a list of the best so far in falling order, and the value that a newcomer must beat.

Blocks of elements are compared with that value by a vector loop; only where one beats it are they taken one
by one. The lists of parts of the source combine into that of the whole, so the source may come in tiles.
"""

from collections.abc import Callable, Mapping, Sequence

from attrs import frozen
from xdsl.dialects import arith
from xdsl.dialects.builtin import IntegerAttr, i1, i64
from xdsl.ir import SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.types import dtype_of, integer_range, is_float
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index, Range
from flowc.passes.array_to_loops.elements import Lowering, Place

FEW = 128
"""Longer lists are kept as a heap, see `selection`."""
BLOCK = 64
SOME_LISTS = 16
"""Lists that are looked at together, once one of all of them takes a newcomer."""
NOWHERE = (1 << 63) - 1
DTYPES = ("f64", "f32", "f16", "bf16", "i64", "i32", "i16", "i8")

Candidate = tuple[SSAValue, SSAValue]
"""A held value and its position, as i64."""


@frozen
class Ranking:
    """Lists in memory: values and positions at a position of the result, and what to beat at one without its
    last axis."""

    values: Place
    positions: Place
    to_beat: Place


def count_of(op: ops.TopKOp) -> int | None:
    """How many are wanted, where that is known and few."""
    owner = op.count.owner
    if not isinstance(owner, ops.ConstantOp) or not isinstance(owner.value, IntegerAttr):
        return None
    count: int = owner.value.value.data
    return count if 1 <= count <= FEW and dtype_of(op.source.type) in DTYPES else None


def clear(s: Lowering, op: ops.TopKOp, ranking: Ranking, kept: Sequence[Range]) -> None:
    """Empties the lists: every element beats what stands in them."""
    dtype, count = dtype_of(op.source.type), count_of(op) or 0
    held = scalars.held_type(dtype)
    lowest = float("-inf") if is_float(dtype) else integer_range(dtype)[0]
    beaten = s.b.constant(float("nan") if is_float(dtype) else lowest, held)
    value, nowhere = s.b.constant(lowest, held), s.b.constant(NOWHERE, i64)

    def line(at: tuple[Index, ...]) -> None:
        s.store(beaten, ranking.to_beat, at)

        def entry(e: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            s.store(value, ranking.values, (*at, e))
            s.store(nowhere, ranking.positions, (*at, e))
            return ()

        s.b.loop(0, count, (), entry)

    s.b.sweep(kept, line)


def offer(
    s: Lowering, op: ops.TopKOp, ranking: Ranking, ranges: Sequence[Range], across: bool = False
) -> None:
    """Takes the elements of a part of the source; `across` where lists are compared side by side, because
    neighbours in memory belong to different lists."""
    *outer, last = ranges
    if across:
        _offer_across(s, op, ranking, outer, last)
        return

    def alone(at: tuple[Index, ...]) -> None:
        new = s.element(op.source, (*at, last.low))
        beats = _may_beat(s, op, new, _load(s, op, ranking.to_beat, at))
        _where(s, beats, lambda: insert(s, op, ranking, at, (new, s.b.to_integer(last.low))))

    def line(at: tuple[Index, ...]) -> None:
        def block(low: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            high = s.b.min(s.b.add(low, BLOCK), last.high)
            beaten = _load(s, op, ranking.to_beat, at)

            def any_beats(i: SSAValue, so_far: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
                found = _may_beat(s, op, s.element(op.source, (*at, i)), beaten)
                return (s.b.insert(arith.OrIOp(so_far[0], found)),)

            some = s.b.loop(low, high, (s.b.constant(0, i1),), any_beats)[0]

            def one(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
                insert(s, op, ranking, at, (s.element(op.source, (*at, i)), s.b.to_integer(i)))
                return ()

            _where(s, some, lambda: s.b.loop(low, high, (), one))
            return ()

        s.b.loop(last.low, last.high, (), block, step=BLOCK)

    s.b.sweep(outer, alone if last.single else line)


def _offer_across(s: Lowering, op: ops.TopKOp, ranking: Ranking, outer: Sequence[Range], last: Range) -> None:
    *before, lists = outer
    # What each list is offered is computed once, also where it is looked at again.
    offered = Place(
        s.allocate(scalars.held_type(dtype_of(op.source.type)), [lists.room]),
        lambda at: [s.b.sub(at[0], lists.low)],
    )

    def line(at: tuple[Index, ...]) -> None:
        def some(low: Index, high: Index, element: Callable[[SSAValue], SSAValue]) -> SSAValue:
            def any_beats(i: SSAValue, so_far: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
                beats = _may_beat(s, op, element(i), _load(s, op, ranking.to_beat, (*at, i)))
                return (s.b.insert(arith.OrIOp(so_far[0], beats)),)

            return s.b.loop(low, high, (s.b.constant(0, i1),), any_beats)[0]

        def position(j: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            def new(i: SSAValue) -> SSAValue:
                value = s.element(op.source, (*at, i, j))
                s.store(value, offered, (i,))
                return value

            def kept(i: SSAValue) -> SSAValue:
                return _load(s, op, offered, (i,))

            def one(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
                beats = _may_beat(s, op, kept(i), _load(s, op, ranking.to_beat, (*at, i)))
                _where(s, beats, lambda: insert(s, op, ranking, (*at, i), (kept(i), s.b.to_integer(j))))
                return ()

            def part(low: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
                high = s.b.min(s.b.add(low, SOME_LISTS), lists.high)
                _where(s, some(low, high, kept), lambda: s.b.loop(low, high, (), one, plain=True))
                return ()

            found = some(lists.low, lists.high, new)
            _where(s, found, lambda: s.b.loop(lists.low, lists.high, (), part, step=SOME_LISTS))
            return ()

        s.b.loop(last.low, last.high, (), position)

    s.b.sweep(before, line)


def _where(s: Lowering, condition: SSAValue, then: Callable[[], object]) -> None:
    def taken() -> Sequence[SSAValue]:
        then()
        return ()

    s.b.branch(condition, taken, lambda: ())


def _load(s: Lowering, op: ops.TopKOp, place: Place, at: Sequence[Index]) -> SSAValue:
    return scalars.load(s.b, place.buffer, place.position(at), dtype_of(op.source.type))


def _may_beat(s: Lowering, op: ops.TopKOp, value: SSAValue, beaten: SSAValue) -> SSAValue:
    """True for all that rank before the last of a list, and for few others."""
    if is_float(dtype_of(op.source.type)):
        return s.b.insert(arith.CmpfOp(value, beaten, "ugt"))
    return s.b.compare("sge", value, beaten)


def insert(s: Lowering, op: ops.TopKOp, ranking: Ranking, at: Sequence[Index], new: Candidate) -> None:
    """Puts a candidate into a list if it ranks before its last."""
    count = count_of(op) or 1

    def entry(e: Index) -> Candidate:
        return (
            _load(s, op, ranking.values, (*at, e)),
            s.b.load(ranking.positions.buffer, ranking.positions.position((*at, e))),
        )

    def put(e: Index, candidate: Candidate) -> None:
        s.store(candidate[0], ranking.values, (*at, e))
        s.store(candidate[1], ranking.positions, (*at, e))

    def place() -> None:
        put(_moved(s, op, entry, put, count - 1, new), new)
        value, position = entry(count - 1)
        if is_float(dtype_of(op.source.type)):
            full = s.b.compare("ne", position, s.b.constant(NOWHERE, i64))
            value = s.b.select(full, value, s.b.constant(float("nan"), value.type))
        s.store(value, ranking.to_beat, at)

    _where(s, _ranks_before(s, op, new, entry(count - 1)), place)


def _moved(
    s: Lowering,
    op: ops.TopKOp,
    entry: Callable[[Index], Candidate],
    put: Callable[[Index, Candidate], None],
    last: int,
    new: Candidate,
) -> SSAValue:
    """Moves what the candidate ranks before one place down, from the end on; gives the place left free."""
    b = s.b

    def is_worse(at: tuple[SSAValue, ...]) -> tuple[SSAValue, Sequence[SSAValue]]:
        inside = b.compare("sgt", at[0], b.index(0))
        worse = _ranks_before(s, op, new, entry(b.max(b.sub(at[0], 1), 0)))
        return b.insert(arith.AndIOp(inside, worse)), at

    def move(at: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        ahead = b.index(b.sub(at[0], 1))
        put(at[0], entry(ahead))
        return (ahead,)

    return b.repeat([b.index(last)], is_worse, move)[0]


def _ranks_before(s: Lowering, op: ops.TopKOp, x: Candidate, y: Candidate) -> SSAValue:
    """Whether x is the larger, NaN above every number, or equal and at the lower position."""
    b, floating = s.b, is_float(dtype_of(op.source.type))
    if floating:
        strange_x, strange_y = (b.insert(arith.CmpfOp(v, v, "uno")) for v in (x[0], y[0]))
        usual_x, usual_y = (b.insert(arith.CmpfOp(v, v, "ord")) for v in (x[0], y[0]))
        larger = b.insert(arith.CmpfOp(x[0], y[0], "ogt"))
        larger = b.insert(arith.OrIOp(larger, b.insert(arith.AndIOp(strange_x, usual_y))))
        smaller = b.insert(arith.CmpfOp(x[0], y[0], "olt"))
        smaller = b.insert(arith.OrIOp(smaller, b.insert(arith.AndIOp(usual_x, strange_y))))
    else:
        larger, smaller = b.compare("sgt", x[0], y[0]), b.compare("slt", x[0], y[0])
    earlier = b.compare("slt", x[1], y[1])
    return b.select(larger, larger, b.select(smaller, larger, earlier))


def merge(s: Lowering, op: ops.TopKOp, into: Ranking, other: Ranking, kept: Sequence[Range]) -> None:
    """Takes the entries of other lists, those of later positions."""

    def line(at: tuple[Index, ...]) -> None:
        def one(e: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            value = _load(s, op, other.values, (*at, e))
            position = s.b.load(other.positions.buffer, other.positions.position((*at, e)))
            insert(s, op, into, at, (value, position))
            return ()

        s.b.loop(0, count_of(op) or 0, (), one)

    s.b.sweep(kept, line)


def emit(
    s: Lowering, op: ops.TopKOp, ranking: Ranking, kept: Sequence[Range], places: Mapping[SSAValue, Place]
) -> None:
    """Stores the lists as those results of the operator that have a place."""
    values, indices = places.get(op.values), places.get(op.indices)

    def line(at: tuple[Index, ...]) -> None:
        def one(e: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            if values is not None:
                s.store(_load(s, op, ranking.values, (*at, e)), values, (*at, e))
            if indices is not None:
                position = s.b.load(ranking.positions.buffer, ranking.positions.position((*at, e)))
                s.store(position, indices, (*at, e))
            return ()

        s.b.loop(0, count_of(op) or 0, (), one)

    s.b.sweep(kept, line)


def fresh(s: Lowering, op: ops.TopKOp, kept: Sequence[Range]) -> Ranking:
    """Memory for the lists of some lines."""
    held = scalars.held_type(dtype_of(op.source.type))
    sizes = [here.room for here in kept]

    def own(at: Sequence[Index]) -> Sequence[Index]:
        lows = [here.low for here in kept]
        return [*(s.b.sub(i, low) for i, low in zip(at, lows, strict=False)), *at[len(lows) :]]

    count = count_of(op) or 0
    return Ranking(
        Place(s.allocate(held, [*sizes, count]), own),
        Place(s.allocate(i64, [*sizes, count]), own),
        Place(s.allocate(held, sizes), own),
    )
