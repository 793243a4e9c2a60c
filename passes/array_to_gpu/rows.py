"""Rows on a device: stages that go together from row to row, each row in the hands of one thread, one warp or
one block.

Nothing but numbers of a row is kept from stage to stage; all else is computed where it is used. Where a row
is short enough for the registers of its threads, the rounds of a thread are written out one after the other,
so that what one stage has read or computed is still at hand for the next.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from attrs import frozen
from xdsl.dialects import arith
from xdsl.ir import SSAValue

from flowc.dialects.array import ops
from flowc.passes.array_to_gpu import folding
from flowc.passes.array_to_gpu.across import across_block, across_warp
from flowc.passes.array_to_gpu.either import by_vectors, either
from flowc.passes.array_to_gpu.elementwise import lanes_of
from flowc.passes.array_to_gpu.folding import Fold
from flowc.passes.array_to_gpu.launch import Threads, blocks_for, launch, only_if, unravelled
from flowc.passes.array_to_gpu.limits import BLOCK, MOST_BLOCKS, WARP, WARPS
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_gpu.row_sweeps import Hands, swept
from flowc.passes.array_to_loops.builder import Index, Range
from flowc.passes.array_to_loops.elements import Place
from flowc.passes.array_to_loops.reductions import Carried
from flowc.passes.array_to_loops.stages import Stage, reads

REGISTERS = 16
"""Elements of a row that a thread holds in registers."""
FEW = 8


@frozen(eq=False)
class Rows:
    """What goes together: the stages, the extents along which rows follow one another, and for a stage and
    the position of a row its part of the stage's sweep."""

    stages: Sequence[Stage]
    sizes: Sequence[Index]
    ranges: Callable[[Stage, Sequence[Index]], list[Range]]


def lower_rows(s: DeviceLowering, rows: Rows, places: Mapping[SSAValue, Place]) -> None:
    """Computes the stages row by row; a number of a row that has no place is known within its launch only."""
    total = s.counted(rows.sizes)
    lengths = _lengths(s, rows)
    length = lengths[0] if lengths else 1
    if all(isinstance(each, int) and each <= FEW for each in lengths):
        _by_threads(s, rows, places, total)
        return
    # The best value and its position, written out, would be more code than it is worth.
    seeks = any(isinstance(stage.op, ops.ArgReduceOp) for stage in rows.stages)
    count = 1 if seeks else lanes_of(s, rows.stages, places)

    def warps(lanes: int, rounds: int) -> Callable[[], None]:
        return lambda: _by_warps(s, rows, places, total, lanes, rounds)

    def blocks(lanes: int, rounds: int) -> Callable[[], None]:
        return lambda: _by_blocks(s, rows, places, total, lanes, rounds)

    def by_length(limit: int, short: Callable[[], None], long: Callable[[], None]) -> None:
        either(s, _at_most(s, length, limit), short, long)

    def vectors() -> None:
        held = max(REGISTERS // count, 1)
        by_length(
            held * count * WARP,
            warps(count, held),
            lambda: by_length(
                count * BLOCK,
                blocks(count, 1),
                lambda: by_length(held * count * BLOCK, blocks(count, held), blocks(count, 0)),
            ),
        )

    def single() -> None:
        by_length(REGISTERS * WARP, warps(1, 0), blocks(1, 0))

    if count == 1 or len(lengths) > 1:  # rounds that are written out are those of one length
        single()
    else:
        by_vectors(s, vectors, single, _whole_vectors(s, length, count))


def _lengths(s: DeviceLowering, rows: Rows) -> list[Index]:
    """The different numbers of elements that rows of the stages have; one alone is not among them."""
    zeros = [0] * len(rows.sizes)
    found: list[Index] = []
    for stage in rows.stages:
        extents = [here.high for here in rows.ranges(stage, zeros) if not here.single]
        length = s.counted(extents)
        if extents and length not in found:
            found.append(length)
    return found


def _at_most(s: DeviceLowering, length: Index, limit: int) -> SSAValue | bool:
    return length <= limit if isinstance(length, int) else s.b.compare("sle", length, s.b.index(limit))


def _whole_vectors(s: DeviceLowering, length: Index, count: int) -> SSAValue | bool:
    """Whether rows are made of whole vectors, at least one."""
    if isinstance(length, int):
        return length >= count and length % count == 0
    left = s.b.remainder(length, count)
    some = s.b.compare("sgt", length, s.b.index(0))
    if left == 0:
        return some
    return s.b.insert(arith.AndIOp(some, s.b.compare("eq", s.b.index(left), s.b.index(0))))


def _by_threads(s: DeviceLowering, rows: Rows, places: Mapping[SSAValue, Place], total: Index) -> None:
    def body(threads: Threads) -> None:
        def row(number: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            _row(s, rows, places, unravelled(s, number, rows.sizes), Hands(1, None))
            return ()

        first = s.b.add(s.b.mul(threads.block[0], BLOCK), threads.thread[0])
        s.b.loop(first, total, (), row, step=s.b.mul(threads.blocks[0], BLOCK))

    launch(s, name_of(rows.stages), [blocks_for(s, total)], [BLOCK], body)


def _by_warps(
    s: DeviceLowering, rows: Rows, places: Mapping[SSAValue, Place], total: Index, lanes: int, rounds: int
) -> None:
    def body(threads: Threads) -> None:
        def row(number: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            hands = Hands(WARP, threads.thread[0], lanes, rounds)
            _row(s, rows, places, unravelled(s, number, rows.sizes), hands)
            return ()

        first = s.b.add(s.b.mul(threads.block[0], WARPS), threads.thread[1])
        s.b.loop(first, total, (), row, step=s.b.mul(threads.blocks[0], WARPS))

    launch(s, name_of(rows.stages), [blocks_for(s, total, WARPS)], [WARP, WARPS], body)


def _by_blocks(
    s: DeviceLowering, rows: Rows, places: Mapping[SSAValue, Place], total: Index, lanes: int, rounds: int
) -> None:
    def body(threads: Threads) -> None:
        def row(number: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            hands = Hands(BLOCK, threads.thread[0], lanes, rounds)
            _row(s, rows, places, unravelled(s, number, rows.sizes), hands)
            return ()

        s.b.loop(threads.block[0], total, (), row, step=threads.blocks[0])

    launch(s, name_of(rows.stages), [s.top.min(total, MOST_BLOCKS)], [BLOCK], body)


def name_of(stages: Sequence[Stage]) -> str:
    """What a launch does, by its first stages."""
    words = [stage.op.kind.data for stage in stages if isinstance(stage.op, ops.ReduceOp | ops.ArgReduceOp)]
    return "_".join(list(dict.fromkeys(words))[:3]) or "rows"


def _row(
    s: DeviceLowering, rows: Rows, places: Mapping[SSAValue, Place], at: Sequence[Index], hands: Hands
) -> None:
    """All stages at one row."""
    numbers: list[SSAValue] = []
    for together in _sweeps(s, rows.stages):
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
    if hands.count == WARP:
        return across_warp(s, carried, merge, hands.thread)
    return across_block(s, carried, merge, hands.thread, hands.count)


def _sweeps(s: DeviceLowering, stages: Sequence[Stage]) -> Iterator[list[Stage]]:
    """The stages in runs that go through a row once: none reads a number that another finds by going through
    it."""
    rest = list(stages)
    while rest:
        run = [rest.pop(0)]
        while rest and _goes_along(s, run, rest[0]):
            run.append(rest.pop(0))
        yield run


def _goes_along(s: DeviceLowering, run: Sequence[Stage], stage: Stage) -> bool:
    first = run[0]
    assert stage.space is not None
    assert first.space is not None
    if s.extents.shape(stage.space) != s.extents.shape(first.space):
        return False
    if first.elementwise and stage.elementwise and first.rank == 0:
        return True
    found = {other.result for other in run if not other.elementwise}
    axes = {tuple(Fold(o.op).axes) for o in (*run, stage) if isinstance(o.op, ops.ReduceOp | ops.ArgReduceOp)}
    return len(axes) <= 1 and not any(value in found for value, _ in reads(s, stage, None, found))
