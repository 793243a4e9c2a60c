"""sort and argsort where `vector_sort` is not for them: the keys of a line are sorted digit by digit (LSD
radix sort, 8 bits at a time, stable), those of a short line by counting for each how many stand before it.

A vector is cut into pieces that are counted and scattered at once; rows are sorted side by side. A digit in
which all keys agree moves nothing, so small integers take one or two passes.
"""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.dialects import arith
from xdsl.dialects.builtin import i1, i64
from xdsl.ir import Attribute, SSAValue

from flowc.dialects.array import irregular
from flowc.dialects.array.types import dtype_of
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index, LoopBuilder
from flowc.passes.array_to_loops.elements import Lowering
from flowc.passes.array_to_loops.irregular.keys import KeyForm, decode, digit, encode, key_form
from flowc.passes.array_to_loops.irregular.partition import Row
from flowc.passes.array_to_loops.irregular.quick import STACK
from flowc.passes.array_to_loops.irregular.ranges import ceil_divide, grain_of, rows
from flowc.passes.array_to_loops.irregular.ranking import ROOM, Ranking, count_ranks
from flowc.passes.array_to_loops.irregular.vector_sort import PACKING_BITS, lower_by_vectors, sorts_by_vectors
from flowc.passes.array_to_loops.irregular.wide_positions import LONGEST, Line, sort_positions

DIGITS = 256
SHORT = 384
"""Lines up to this length are sorted by rank."""
SHORTEST = 24
"""The same where positions are sorted by vectors."""
LEAST_PIECE = 32768
NANOSECONDS = 12
"""What an element of a sort costs, about."""


@frozen
class Sorter:
    """Where a line is sorted: two rows of keys (and of positions, for argsort), and a count of each digit of
    each piece."""

    b: LoopBuilder
    form: KeyForm
    extent: Index
    grain: Index
    pieces: Index
    threaded: bool
    keys: SSAValue
    counts: SSAValue
    ranking: Ranking
    positions: SSAValue | None
    stack: SSAValue | None = None


def lower_sort(s: Lowering, op: irregular.SortOp, destination: SSAValue) -> None:
    """Each line along the axis in rising order."""
    if sorts_by_vectors(s, op):
        lower_by_vectors(s, op, destination)
        return
    axis, form = op.axis.value.data, key_form(dtype_of(op.source.type))

    def finish(sorter: Sorter, row: SSAValue, at: tuple[Index, ...]) -> None:
        def emit(i: SSAValue) -> None:
            value = decode(s.b, form, s.b.load(sorter.keys, [row, i]))
            scalars.store(s.b, value, destination, (*at[:axis], i, *at[axis:]))

        _over(sorter, lambda _, i: emit(i))

    sort_lines(s, op.source, axis, False, finish)


def lower_argsort(s: Lowering, op: irregular.ArgsortOp, destination: SSAValue) -> None:
    """The positions that sort each line along the axis."""
    if sorts_by_vectors(s, op):
        lower_by_vectors(s, op, destination)
        return

    axis = op.axis.value.data

    def finish(sorter: Sorter, row: SSAValue, at: tuple[Index, ...]) -> None:
        def emit(i: SSAValue) -> None:
            assert sorter.positions is not None
            place = s.b.load(sorter.positions, [row, i])
            s.b.store(place, destination, (*at[:axis], i, *at[axis:]))

        _over(sorter, lambda _, i: emit(i))

    sort_lines(s, op.source, axis, True, finish)


def sort_lines(
    s: Lowering,
    source: SSAValue,
    axis: int,
    with_positions: bool,
    finish: Callable[[Sorter, SSAValue, tuple[Index, ...]], None],
) -> None:
    """Sorts the keys of each line along an axis, and their positions with them; then calls `finish` with the
    row in which they are, and where the line stands."""
    b, form = s.b, key_form(dtype_of(source.type))
    sizes = s.sizes(source)
    extent = sizes[axis]
    outer = [size for k, size in enumerate(sizes) if k != axis]
    threaded = not outer
    grain = grain_of(b, extent, LEAST_PIECE) if threaded else extent
    pieces: Index = b.max(ceil_divide(b, extent, grain), 1) if threaded else 1

    room = b.add(b.min(extent, SHORT), ROOM)
    wanted: list[tuple[Attribute, Sequence[Index]]] = [(form.type, [2, extent]), (i64, [pieces, DIGITS])]
    wanted += [(i64, [room])] * (3 if form.width == 64 else 2)
    if with_positions:
        wanted.append((i64, [2, extent]))
    with_codes = with_positions and form.width == 64 and s.vector_bits >= PACKING_BITS
    if with_codes:
        wanted.append(STACK)

    def line(at: tuple[Index, ...], *buffers: SSAValue) -> None:
        keys, counts, codes, ranks, *others = buffers
        order = others.pop(0) if form.width == 64 else None
        positions = others[0] if with_positions else None
        stack = others[1] if with_codes else None
        ranking = Ranking(b, extent, codes, ranks, order)
        sorter = Sorter(b, form, extent, grain, pieces, threaded, keys, counts, ranking, positions, stack)

        def fill(i: SSAValue) -> None:
            value = s.element(source, (*at[:axis], i, *at[axis:]))
            b.store(encode(b, form, value, zeros_equal=with_positions), keys, [0, i])
            if positions is not None:
                b.store(b.to_integer(i), positions, [0, i])

        _over(sorter, lambda _, i: fill(i))
        row = _sorted(sorter)
        finish(sorter, row, at)

    rows(b, outer, b.mul(extent, NANOSECONDS), line, wanted)


def _over(sorter: Sorter, body: Callable[[SSAValue, SSAValue], None]) -> None:
    """`body(piece, i)` for every element, pieces at once where the line is threaded."""
    _pieces(sorter, lambda piece, low, high: _each(sorter.b, low, high, lambda i: body(piece, i)))


def _each(b: LoopBuilder, low: Index, high: Index, body: Callable[[SSAValue], None]) -> None:
    def step(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        body(i)
        return ()

    b.loop(low, high, (), step)


def _pieces(sorter: Sorter, body: Callable[[SSAValue, Index, Index], None]) -> None:
    b = sorter.b
    if not sorter.threaded:
        body(b.index(0), 0, sorter.extent)
        return

    def chunk(low: SSAValue, high: SSAValue) -> None:
        body(b.insert(arith.DivUIOp(low, b.index(sorter.grain))), low, high)

    b.parallel(sorter.extent, sorter.grain, b.mul(sorter.extent, 3), chunk)


def _sorted(sorter: Sorter) -> SSAValue:
    """Sorts the first row of keys; gives the row in which they end up, or for argsort their positions."""
    b = sorter.b
    short = b.compare("sle", b.index(sorter.extent), b.index(SHORT if sorter.stack is None else SHORTEST))

    def by_rank() -> Sequence[SSAValue]:
        _rank(sorter)
        return (b.index(1),)

    def by_digits() -> Sequence[SSAValue]:
        def one(number: SSAValue, row: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            return (_pass(sorter, row[0], _shift(sorter, number)),)

        return b.loop(0, sorter.form.digits, (b.index(0),), one)

    def longer() -> Sequence[SSAValue]:
        return b.branch(_by_codes(sorter), lambda: (b.index(1),), by_digits)

    return b.branch(short, by_rank, by_digits if sorter.stack is None else longer)[0]


def _by_codes(sorter: Sorter) -> SSAValue:
    """Puts the positions that sort a line that is not too long in the second row of them, if it can."""
    b, keys, positions, stack = sorter.b, sorter.keys, sorter.positions, sorter.stack
    assert positions is not None
    assert stack is not None
    first, second = (Row(keys, [row]) for row in (0, 1))
    line = Line(b, sorter.extent, PACKING_BITS // 64, first, second, Row(positions, [1]), stack)
    fits = b.compare("sle", b.index(sorter.extent), b.index(LONGEST))
    return b.branch(fits, lambda: (sort_positions(line),), lambda: (b.constant(0, i1),))[0]


def _shift(sorter: Sorter, number: SSAValue) -> SSAValue:
    b = sorter.b
    return b.convert(arith.IndexCastOp, b.index(b.mul(number, 8)), sorter.form.type)


def _pass(sorter: Sorter, row: SSAValue, shift: SSAValue) -> SSAValue:
    """Moves the elements to the other row in the order of one digit, unless all have the same."""
    b, counts = sorter.b, sorter.counts
    zero, one = b.constant(0, i64), b.constant(1, i64)

    def place_of(i: SSAValue) -> SSAValue:
        return digit(b, sorter.form, b.load(sorter.keys, [row, i]), shift)

    def count(piece: SSAValue, low: Index, high: Index) -> None:
        _each(b, 0, DIGITS, lambda d: b.store(zero, counts, [piece, d]))

        def add(i: SSAValue) -> None:
            d = place_of(i)
            b.store(b.insert(arith.AddiOp(b.load(counts, [piece, d]), one)), counts, [piece, d])

        _each(b, low, high, add)

    def move() -> Sequence[SSAValue]:
        other = b.index(b.sub(1, row))

        def scatter(piece: SSAValue, i: SSAValue) -> None:
            d = place_of(i)
            target = b.load(counts, [piece, d])
            b.store(b.insert(arith.AddiOp(target, one)), counts, [piece, d])
            place = b.to_index(target)
            b.store(b.load(sorter.keys, [row, i]), sorter.keys, [other, place])
            if sorter.positions is not None:
                b.store(b.load(sorter.positions, [row, i]), sorter.positions, [other, place])

        _over(sorter, scatter)
        return (other,)

    _pieces(sorter, count)
    largest = _offsets(sorter)
    mixed = b.compare("slt", largest, b.to_integer(sorter.extent))
    return b.branch(mixed, move, lambda: (row,))[0]


def _offsets(sorter: Sorter) -> SSAValue:
    """Turns counts into the first place of each digit of each piece; gives the count of the commonest."""
    b, counts = sorter.b, sorter.counts
    zero = b.constant(0, i64)

    def of_digit(d: SSAValue, carried: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        before, largest = carried

        def of_piece(piece: SSAValue, running: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            own = b.load(counts, [piece, d])
            b.store(running[0], counts, [piece, d])
            return (b.insert(arith.AddiOp(running[0], own)),)

        after = b.loop(0, sorter.pieces, (before,), of_piece)[0]
        return after, b.insert(arith.MaxSIOp(largest, b.insert(arith.SubiOp(after, before))))

    return b.loop(0, DIGITS, (zero, zero), of_digit)[1]


def _rank(sorter: Sorter) -> None:
    """Moves each element of the first row of keys to its place in the second."""
    b, ranking = sorter.b, sorter.ranking

    def code(i: SSAValue) -> None:
        key = b.load(sorter.keys, [0, i])
        if ranking.order is not None:
            b.store(b.to_integer(i), ranking.order, [i])
        else:
            wide = b.insert(arith.ShLIOp(b.convert(arith.ExtUIOp, key, i64), b.constant(16, i64)))
            key = b.insert(arith.OrIOp(wide, b.to_integer(i)))
        b.store(key, ranking.codes, [i])

    def move(i: SSAValue) -> None:
        place = b.to_index(b.load(ranking.ranks, [i]))
        b.store(b.load(sorter.keys, [0, i]), sorter.keys, [1, place])
        if sorter.positions is not None:
            b.store(b.load(sorter.positions, [0, i]), sorter.positions, [1, place])

    _each(b, 0, sorter.extent, code)
    count_ranks(ranking)
    _each(b, 0, sorter.extent, move)
