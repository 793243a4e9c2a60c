"""How a product is cut up: tiles of the result, one for each block of threads, and parts of a deep
contraction.

Extents alone decide on the parts, and their sums are added in order: a result does not depend on the device.
"""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.dialects import arith
from xdsl.ir import SSAValue

from flowc.passes.array_to_gpu.across import across_warp
from flowc.passes.array_to_gpu.contract.factors import Problem, Stack
from flowc.passes.array_to_gpu.either import either
from flowc.passes.array_to_gpu.launch import (
    Threads,
    blocks_for,
    launch,
    neighbours,
    only_if,
    sweep,
    unravelled,
)
from flowc.passes.array_to_gpu.limits import WARP, WARPS
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.elements import Indices, Place
from flowc.passes.array_to_loops.reductions import Carried

ROWS_TOGETHER = 8
"""Rows of tiles that go through the columns together, so that what they read is in the cache for all of
them."""
FILL = 264
"""Blocks that keep a large device busy: two for each of its multiprocessors."""
LEAST_TILES = 8
"""Tiles along the contraction that are worth a part."""
MOST_PARTS = 32
"""Parts at most, each of which writes sums as large as the result."""

Finish = Callable[[Sequence[SSAValue], Sequence[Indices]], None]
"""Takes held elements of the result and their positions, neighbours along the last axis if they are
several."""


@frozen
class Cut:
    """A contraction in `parts`, of `each` steps but for the last."""

    parts: Index
    each: Index


@frozen
class Here:
    """What a block computes: the tile of a matrix from `row` and `column` on, by the steps from `low` to
    `high`."""

    stack: Stack
    matrix: Index
    part: Index
    row: Index
    column: Index
    low: Index
    high: Index


Sink = Callable[[Here, Sequence[SSAValue], Index, Sequence[Index]], None]
"""Takes sums of a block, their row and their columns."""
Form = Callable[[Cut, Sink], None]
"""Launches threads that give their sums to a sink."""


def by_parts(
    s: DeviceLowering,
    p: Problem,
    form: Form,
    finish: Finish,
    tile: tuple[int, int, int],
    most: int = MOST_PARTS,
) -> None:
    """Runs a form that has tiles of so many rows, columns and steps: with a contraction in at most so many
    parts where the tiles of the result are too few for all of the device."""

    def whole() -> None:
        form(Cut(1, p.depth), to_result(s, p, finish))

    if s.ordered or most == 1:
        whole()
        return
    cut = _cut(s, p, tile, most)
    if cut.parts == 1:
        whole()
        return

    def parted() -> None:
        sums = s.allocate(p.numbers.sums, [cut.parts, s.top.product(p.stack), p.rows, p.columns])
        form(cut, _to_memory(s, sums))
        if most > MOST_PARTS:
            _combine_by_warps(s, p, sums, cut.parts, finish)
        else:
            _combine(s, p, sums, cut.parts, finish)

    one = s.b.compare("eq", s.b.index(cut.parts), s.b.index(1)) if isinstance(cut.parts, SSAValue) else False
    either(s, one, whole, parted)


def _cut(s: DeviceLowering, p: Problem, tile: tuple[int, int, int], most: int) -> Cut:
    rows, columns, steps = tile
    tiles = s.top.product([*p.stack, s.top.ceiling(p.rows, rows), s.top.ceiling(p.columns, columns)])
    wanted = s.top.quotient(FILL, s.top.max(tiles, 1))
    worth = s.top.min(s.top.floordiv(p.depth, steps * LEAST_TILES), most)
    parts = s.top.max(s.top.min(wanted, worth), 1)
    if parts == 1:
        return Cut(1, p.depth)
    return Cut(parts, s.top.mul(s.top.ceiling(s.top.ceiling(p.depth, parts), steps), steps))


def blocks_of(s: DeviceLowering, p: Problem, tile: tuple[int, int, int], cut: Cut) -> Index:
    """A block for each tile of each matrix, and for each part."""
    down, across = s.top.ceiling(p.rows, tile[0]), s.top.ceiling(p.columns, tile[1])
    return s.top.product([*p.stack, cut.parts, down, across])


def block_at(s: DeviceLowering, p: Problem, tile: tuple[int, int, int], cut: Cut, number: SSAValue) -> Here:
    """What the block of a number computes."""
    down, across = s.top.ceiling(p.rows, tile[0]), s.top.ceiling(p.columns, tile[1])
    tiles = s.top.mul(down, across)
    alone = not p.stack and cut.parts == 1
    outer, inner = (0, number) if alone else (s.b.quotient(number, tiles), s.b.remainder(number, tiles))
    matrix, part = s.b.quotient(outer, cut.parts), s.b.remainder(outer, cut.parts)
    together = s.b.mul(across, ROWS_TOGETHER)
    first = s.b.mul(s.b.quotient(inner, together), ROWS_TOGETHER)
    tall, rest = s.b.min(s.b.sub(down, first), ROWS_TOGETHER), s.b.remainder(inner, together)
    row, column = s.b.add(first, s.b.remainder(rest, tall)), s.b.quotient(rest, tall)
    low, high = part_of(s, p, cut, part)
    stack = unravelled(s, matrix, p.stack)
    return Here(stack, matrix, part, s.b.mul(row, tile[0]), s.b.mul(column, tile[1]), low, high)


def part_of(s: DeviceLowering, p: Problem, cut: Cut, part: Index) -> tuple[Index, Index]:
    """The steps of a part."""
    if cut.parts == 1:
        return 0, p.depth
    low = s.b.mul(part, cut.each)
    return low, s.b.min(s.b.add(low, cut.each), p.depth)


def to_result(s: DeviceLowering, p: Problem, finish: Finish) -> Sink:
    """Sums that are those of all steps."""

    def sink(here: Here, sums: Sequence[SSAValue], i: Index, columns: Sequence[Index]) -> None:
        at = [p.position(here.stack, i, j) for j in columns]
        finish([p.numbers.result(s, total) for total in sums], at)

    return sink


def _to_memory(s: DeviceLowering, memory: SSAValue) -> Sink:
    """Sums of a part."""

    def sink(here: Here, sums: Sequence[SSAValue], i: Index, columns: Sequence[Index]) -> None:
        s.store_lanes(sums, Place(memory), [(here.part, here.matrix, i, j) for j in columns])

    return sink


def _combine(s: DeviceLowering, p: Problem, memory: SSAValue, parts: Index, finish: Finish) -> None:
    """Adds the sums of all parts in order."""

    def element(at: tuple[Index, ...]) -> None:
        matrix, i, j = at

        def add(part: SSAValue, carried: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            return (p.numbers.added(s, carried[0], s.b.load(memory, [part, matrix, i, j])),)

        first = s.b.load(memory, [0, matrix, i, j])
        (total,) = s.b.loop(1, parts, (first,), add)
        finish([p.numbers.result(s, total)], [p.position(unravelled(s, matrix, p.stack), i, j)])

    sweep(s, [s.top.product(p.stack), p.rows, p.columns], element, "add_parts")


def _combine_by_warps(s: DeviceLowering, p: Problem, memory: SSAValue, parts: Index, finish: Finish) -> None:
    """Adds the sums of many parts, each element in the hands of a warp."""
    sizes = [s.top.product(p.stack), p.rows, p.columns]
    total = s.top.product(sizes)

    def merge(one: Carried, other: Carried) -> Carried:
        return (p.numbers.added(s, one[0], other[0]),)

    def body(threads: Threads) -> None:
        lane = threads.thread[0]

        def element(number: SSAValue, _: Carried) -> Sequence[SSAValue]:
            matrix, i, j = unravelled(s, number, sizes)

            def add(part: SSAValue, carried: Carried) -> Sequence[SSAValue]:
                return merge(carried, (s.b.load(memory, [part, matrix, i, j]),))

            (own,) = s.b.loop(lane, parts, (p.numbers.zero(s),), add, step=WARP)
            (found,) = across_warp(s, (own,), merge, lane)
            at = p.position(unravelled(s, matrix, p.stack), i, j)
            first = s.b.compare("eq", lane, s.b.index(0))
            only_if(s, first, lambda: finish([p.numbers.result(s, found)], [at]))
            return ()

        start = s.b.add(s.b.mul(threads.block[0], WARPS), threads.thread[1])
        s.b.loop(start, total, (), element, step=s.b.mul(threads.blocks[0], WARPS))

    launch(s, "add_parts", [blocks_for(s, total, WARPS)], [WARP, WARPS], body)


def has_even_rows(p: Problem, count: int) -> bool:
    """Whether rows of the result are known to be whole vectors of so many numbers."""
    return isinstance(p.columns, int) and p.columns % count == 0


def hand(
    s: DeviceLowering,
    p: Problem,
    here: Here,
    sums: Sequence[SSAValue],
    i: Index,
    first: SSAValue,
    sink: Sink,
    together: bool,
) -> None:
    """Gives neighbours of a row to a sink, as far as they are in the result: `together` where all or none
    are."""

    def columns() -> None:
        if together:
            only_if(
                s, below(s, first, p.columns), lambda: sink(here, sums, i, neighbours(s, first, len(sums)))
            )
            return
        for lane, total in enumerate(sums):
            _single(s, p, here, total, i, s.b.add(first, lane), sink)

    only_if(s, below(s, i, p.rows), columns)


def _single(
    s: DeviceLowering, p: Problem, here: Here, total: SSAValue, i: Index, column: Index, sink: Sink
) -> None:
    only_if(s, below(s, column, p.columns), lambda: sink(here, [total], i, [column]))


def below(s: DeviceLowering, position: Index, extent: Index) -> SSAValue:
    """Whether a position lies within an extent."""
    return s.b.compare("slt", s.b.index(position), s.b.index(extent))


def both(s: DeviceLowering, one: SSAValue, other: SSAValue) -> SSAValue:
    """Whether two conditions hold."""
    return s.b.insert(arith.AndIOp(one, other))
