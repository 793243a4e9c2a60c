"""Rows on a device: stages that go together from row to row, each row in the hands of one thread, of some
neighbours in a warp, of a warp or of a block; `long_rows` has those for which a block is not enough.

Nothing but numbers of a row is kept from stage to stage; all else is computed where it is used. Where a row
is short enough for the registers of its threads, the rounds of a thread are written out one after the other,
so that what one stage has read or computed is still at hand for the next.
"""

from collections.abc import Callable, Mapping, Sequence

from attrs import frozen
from xdsl.ir import SSAValue

from flowc.dialects.array import ops
from flowc.passes.array_to_gpu import folding
from flowc.passes.array_to_gpu.across import across_block, across_warp
from flowc.passes.array_to_gpu.either import both, by_vectors, either
from flowc.passes.array_to_gpu.elementwise import lanes_of
from flowc.passes.array_to_gpu.folding import Fold
from flowc.passes.array_to_gpu.launch import Threads, blocks_for, launch, only_if, unravelled
from flowc.passes.array_to_gpu.limits import BLOCK, MOST_BLOCKS, WARP, WARPS
from flowc.passes.array_to_gpu.long_rows import are_few_and_long, can_be_cut, lower_long_rows
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_gpu.row_groups import Rows, lengths_of, name_of, runs_of
from flowc.passes.array_to_gpu.row_sweeps import Hands, swept
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.elements import Place
from flowc.passes.array_to_loops.reductions import Carried

REGISTERS = 16
"""Elements of a row that a thread holds in registers."""
FEW = 8
"""Elements of a row that one thread takes on its own, where that is known now."""
NEIGHBOURS = 8
"""Threads of a warp that hold a short row."""
SHORT = 4
"""Elements of a row that each of these has at most, where they do not go by vectors."""


def lower_rows(s: DeviceLowering, rows: Rows, places: Mapping[SSAValue, Place]) -> None:
    """Computes the stages row by row; a number of a row that has no place is known within its launch only."""
    total = s.counted(rows.sizes)
    lengths = lengths_of(s, rows)
    length = lengths[0] if lengths else 1
    if all(isinstance(each, int) and each <= FEW for each in lengths):
        _by_threads(s, rows, places, total)
        return
    # The best value and its position, written out, would be more code than it is worth.
    seeks = any(isinstance(stage.op, ops.ArgReduceOp) for stage in rows.stages)
    count = 1 if seeks else lanes_of(s, rows.stages, places)
    written = not seeks and len(lengths) == 1
    ways = RowForms(s, rows, places, total, length, len(lengths) > 1)
    if count == 1 or not written:
        _by_elements(ways, written)
    else:
        fits = _whole_vectors(s, length, count)
        by_vectors(s, lambda: _by_vectors(ways, count), lambda: _by_elements(ways, written), fits)


@frozen(eq=False)
class RowForms:
    """What forms of code for rows have in common: how many rows there are, and how long they are; those of
    `mixed` lengths differ from stage to stage."""

    s: DeviceLowering
    rows: Rows
    places: Mapping[SSAValue, Place]
    total: Index
    length: Index
    mixed: bool


Way = Callable[[], None]


def _by_vectors(w: RowForms, count: int) -> None:
    held = max(REGISTERS // count, 1)
    _by_length(
        w,
        min(held, 2) * count * NEIGHBOURS,
        _hands(w, _by_neighbours, NEIGHBOURS, count, min(held, 2)),
        lambda: _by_length(
            w,
            held * count * WARP,
            _hands(w, _by_warps, WARP, count, held),
            lambda: _by_length(
                w,
                count * BLOCK,
                _hands(w, _by_blocks, BLOCK, count, 1),
                lambda: _by_length(
                    w,
                    held * count * BLOCK,
                    _hands(w, _by_blocks, BLOCK, count, held),
                    lambda: _by_many(w, count),
                ),
            ),
        ),
    )


def _by_elements(w: RowForms, written: bool) -> None:
    """Rounds that are written out are those of one length."""
    _by_length(
        w,
        SHORT * NEIGHBOURS,
        _hands(w, _by_neighbours, NEIGHBOURS, 1, SHORT if written else 0),
        lambda: _by_length(w, REGISTERS * WARP, _hands(w, _by_warps, WARP, 1, 0), lambda: _by_many(w, 1)),
    )


def _by_many(w: RowForms, lanes: int) -> None:
    """Long rows: each by a block, or by several where there are too few rows for that."""
    s = w.s
    if w.mixed or not can_be_cut(s, w.rows, w.length):
        _by_blocks(w, lanes, 0)
        return
    either(
        s,
        are_few_and_long(s, w.total, w.length),
        lambda: lower_long_rows(s, w.rows, w.places, w.total, w.length, lanes),
        lambda: _by_blocks(w, lanes, 0),
    )


def _by_length(w: RowForms, limit: int, short: Way, long: Way) -> None:
    """Rows of up to `limit` elements, and of at least one, or others."""
    if isinstance(w.length, int):
        (short if 0 < w.length <= limit else long)()
        return
    below = w.s.b.index(w.s.b.sub(w.length, 1))
    either(w.s, w.s.b.compare("ult", below, w.s.b.index(limit)), short, long)


def _hands(
    w: RowForms, way: Callable[[RowForms, int, int], None], threads: int, lanes: int, rounds: int
) -> Way:
    """A way with as many rounds as rows of a length that is known now need."""
    if rounds and isinstance(w.length, int):
        rounds = min(rounds, -(-w.length // (threads * lanes)))
    return lambda: way(w, lanes, rounds)


def _whole_vectors(s: DeviceLowering, length: Index, count: int) -> SSAValue | bool:
    """Whether rows are made of whole vectors, at least one."""
    if isinstance(length, int):
        return length >= count and length % count == 0
    left = s.b.remainder(length, count)
    some = s.b.compare("sgt", length, s.b.index(0))
    if left == 0:
        return some
    return both(s, some, s.b.compare("eq", s.b.index(left), s.b.index(0)))


def _by_threads(s: DeviceLowering, rows: Rows, places: Mapping[SSAValue, Place], total: Index) -> None:
    def body(threads: Threads) -> None:
        def row(number: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            _row(s, rows, places, unravelled(s, number, rows.sizes), Hands(1, None))
            return ()

        first = s.b.add(s.b.mul(threads.block[0], BLOCK), threads.thread[0])
        s.b.loop(first, total, (), row, step=s.b.mul(threads.blocks[0], BLOCK))

    launch(s, name_of(rows.stages), [blocks_for(s, total)], [BLOCK], body)


def _by_neighbours(w: RowForms, lanes: int, rounds: int) -> None:
    """All threads of a warp take part in its rows; those beyond the last row take that once more, and store
    nothing."""
    s, high = w.s, BLOCK // NEIGHBOURS

    def body(threads: Threads) -> None:
        def some(low: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            number = s.b.index(s.b.add(low, threads.thread[1]))
            stores = s.b.compare("slt", number, s.b.index(w.total))
            hands = Hands(NEIGHBOURS, threads.thread[0], lanes, rounds, stores)
            here = s.b.min(number, s.b.sub(w.total, 1))
            _row(s, w.rows, w.places, unravelled(s, here, w.rows.sizes), hands)
            return ()

        first = s.b.mul(threads.block[0], high)
        s.b.loop(first, w.total, (), some, step=s.b.mul(threads.blocks[0], high))

    launch(s, name_of(w.rows.stages), [blocks_for(s, w.total, high)], [NEIGHBOURS, high], body)


def _by_warps(w: RowForms, lanes: int, rounds: int) -> None:
    s = w.s

    def body(threads: Threads) -> None:
        def row(number: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            hands = Hands(WARP, threads.thread[0], lanes, rounds)
            _row(s, w.rows, w.places, unravelled(s, number, w.rows.sizes), hands)
            return ()

        first = s.b.add(s.b.mul(threads.block[0], WARPS), threads.thread[1])
        s.b.loop(first, w.total, (), row, step=s.b.mul(threads.blocks[0], WARPS))

    launch(s, name_of(w.rows.stages), [blocks_for(s, w.total, WARPS)], [WARP, WARPS], body)


def _by_blocks(w: RowForms, lanes: int, rounds: int) -> None:
    s = w.s

    def body(threads: Threads) -> None:
        def row(number: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            hands = Hands(BLOCK, threads.thread[0], lanes, rounds)
            _row(s, w.rows, w.places, unravelled(s, number, w.rows.sizes), hands)
            return ()

        s.b.loop(threads.block[0], w.total, (), row, step=threads.blocks[0])

    launch(s, name_of(w.rows.stages), [s.top.min(w.total, MOST_BLOCKS)], [BLOCK], body)


def _row(
    s: DeviceLowering, rows: Rows, places: Mapping[SSAValue, Place], at: Sequence[Index], hands: Hands
) -> None:
    """All stages at one row."""
    numbers: list[SSAValue] = []
    for together in runs_of(s, rows):
        s.b.location = together[0].op.location
        ranges = rows.ranges(together[0], at)
        stores = [(t.result, places[t.result]) for t in together if t.elementwise and t.result in places]
        if all(here.single for here in ranges) and all(stage.elementwise for stage in together):
            position = [here.low for here in ranges]
            for stage in together:
                s.registers[stage.result] = s.element(stage.result, position)
                numbers.append(stage.result)
            _by_one(s, hands, [(value, place, position) for value, place in stores])
            continue
        folds = [Fold(t.op) for t in together if isinstance(t.op, ops.ReduceOp | ops.ArgReduceOp)]
        carried = swept(s, ranges, folds, stores, hands)
        kept = {axis: here.low for axis, here in enumerate(ranges) if here.single}
        wanted = []
        for fold, found in zip(folds, carried, strict=True):
            result = fold.op.result
            s.registers[result] = folding.finish(s, fold, _met(s, fold, found, hands))
            numbers.append(result)
            if result in places:
                own = {axis: i for axis, i in kept.items() if axis not in fold.axes}
                wanted.append((result, places[result], folding.result_position(fold, own)))
        _by_one(s, hands, wanted)
    for value in numbers:
        del s.registers[value]


def _by_one(
    s: DeviceLowering, hands: Hands, wanted: Sequence[tuple[SSAValue, Place, Sequence[Index]]]
) -> None:
    """Stores numbers of a row, which all of its threads know."""
    if not wanted:
        return
    leads = True if hands.thread is None else s.b.compare("eq", hands.thread, s.b.index(0))
    if hands.stores is not None:
        leads = both(s, leads, hands.stores)

    def store() -> None:
        for value, place, position in wanted:
            s.store(s.registers[value], place, position)

    only_if(s, leads, store)


def _met(s: DeviceLowering, fold: Fold, carried: Carried, hands: Hands) -> Carried:
    """What all threads of a row carry together."""

    def merge(one: Carried, other: Carried) -> Carried:
        return folding.merge(s, fold, one, other)

    if hands.thread is None:
        return carried
    assert isinstance(hands.count, int)
    if hands.count <= WARP:
        return across_warp(s, carried, merge, hands.thread, hands.count)
    return across_block(s, carried, merge, hands.thread, hands.count)
