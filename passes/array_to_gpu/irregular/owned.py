"""Grouping into few groups: each warp has a table in shared memory, and each lane the entries of it that it
alone touches. The lanes go through the warp's elements one after the other, so each table is filled in order;
tables are combined in order too.

Of more groups than a table holds, each block has a window, and goes through the elements for it.
"""

from collections.abc import Callable, Sequence

from xdsl.dialects import arith, gpu
from xdsl.dialects.builtin import i32
from xdsl.ir import SSAValue

from flowc.dialects import device
from flowc.passes.array_to_gpu.across import across_warp
from flowc.passes.array_to_gpu.irregular.grouping import Grouping, kept
from flowc.passes.array_to_gpu.launch import Threads, blocks_for, launch, only_if
from flowc.passes.array_to_gpu.limits import WARP, WARPS
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.reductions import Carried, combine

WINDOW = 256
"""Entries of a table."""
EACH = 1024
"""Elements that a warp takes at least before there is another block."""
MOST_BLOCKS = 512
"""Blocks for all windows, about."""
MOST_WINDOWS = 1 << 15
"""Blocks along the second axis of a grid at most."""


def by_owners(s: DeviceLowering, g: Grouping, used: SSAValue | bool) -> Callable[[], None]:
    """Memory for the tables, where this way is `used`; gives what launches it."""
    count = s.top.product(g.sizes)
    windows = s.top.max(s.top.ceiling(g.entries, WINDOW), 1)
    most = s.top.max(s.top.quotient(MOST_BLOCKS, windows), 1)
    blocks = s.top.max(s.top.min(s.top.ceiling(count, EACH * WARPS), most), 1)
    held = scalars.stored_type(g.dtype)
    partials = s.allocate(held, [kept(s, used, g.entries), kept(s, used, blocks)])
    each = s.top.mul(s.top.ceiling(s.top.ceiling(count, s.top.mul(blocks, WARPS)), WARP), WARP)

    def run() -> None:
        grid = [blocks, s.top.min(windows, MOST_WINDOWS)]
        launch(
            s, g.name, grid, [WARP, WARPS], lambda here: _fill(s, g, partials, (count, each, windows), here)
        )
        _combine(s, g, partials, blocks)

    return run


def _fill(
    s: DeviceLowering, g: Grouping, partials: SSAValue, cut: tuple[Index, Index, Index], here: Threads
) -> None:
    """All windows of a block."""
    count, each, windows = cut
    lane, warp = here.thread[0], here.thread[1]
    table = s.b.insert(device.SharedOp(scalars.stored_type(g.dtype), [WARPS, WINDOW + 1]))
    number = s.b.add(s.b.mul(here.block[0], WARPS), warp)
    low = s.b.min(s.b.mul(number, each), count)
    high = s.b.min(s.b.add(low, each), count)

    def window(own: Index) -> None:
        first = s.b.mul(own, WINDOW)
        _by_lanes(s, lane, lambda entry: scalars.store(s.b, _start(s, g), table, [warp, entry]))
        _take(s, g, table, (first, low, high), here)
        s.b.append(gpu.BarrierOp.create())
        thread = s.b.add(s.b.mul(warp, WARP), lane)
        _leave(s, g, table, partials, here.block[0], first, thread)

    if windows == 1:
        window(0)
        return

    def step(own: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        window(own)
        s.b.append(gpu.BarrierOp.create())
        return ()

    s.b.loop(here.block[1], windows, (), step, step=here.blocks[1])


def _by_lanes(s: DeviceLowering, lane: SSAValue, body: Callable[[SSAValue], None]) -> None:
    """Runs `body` for the entries of a table that belong to a lane."""

    def one(entry: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        body(entry)
        return ()

    s.b.loop(lane, WINDOW + 1, (), one, step=WARP)


def _start(s: DeviceLowering, g: Grouping) -> SSAValue:
    return s.b.constant(g.start, scalars.held_type(g.dtype))


def _take(
    s: DeviceLowering, g: Grouping, table: SSAValue, cut: tuple[Index, Index, Index], here: Threads
) -> None:
    """A warp goes through its elements; those outside the window count as nothing in the spare entry."""
    first, low, high = cut
    lane = here.thread[0]

    def some(base: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        place = s.b.index(s.b.add(base, lane))
        at = g.position(s, s.b.min(place, s.b.sub(high, 1)))
        entry, has = g.entry(at)
        own = s.b.index(s.b.sub(entry, first))
        inside = s.b.insert(arith.AndIOp(has, s.b.compare("slt", place, s.b.index(high))))
        inside = s.b.insert(arith.AndIOp(inside, s.b.compare("ult", own, s.b.index(WINDOW))))
        target = s.b.insert(arith.IndexCastOp(s.b.select(inside, own, s.b.index(WINDOW)), i32))
        (value,) = s.b.branch(inside, lambda: (g.value(at),), lambda: (_start(s, g),))
        any_ = s.b.compare("ne", s.b.insert(device.BallotOp(inside)), s.b.constant(0, i32))
        only_if(s, any_, lambda: _in_turn(s, g, table, (target, value), here))
        return ()

    s.b.loop(low, high, (), some, step=WARP)


def _in_turn(
    s: DeviceLowering, g: Grouping, table: SSAValue, element: tuple[SSAValue, SSAValue], here: Threads
) -> None:
    """Each lane takes those of the warp's elements that belong to entries of its own."""
    lane, warp = s.b.insert(arith.IndexCastOp(here.thread[0], i32)), here.thread[1]

    def one(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        turn = s.b.insert(arith.IndexCastOp(i, i32))
        target, value = (s.b.insert(device.ShuffleOp("idx", each, turn)) for each in element)
        owner = s.b.insert(arith.AndIOp(target, s.b.constant(WARP - 1, i32)))

        def add() -> None:
            place = [warp, s.b.to_index(target)]
            before = scalars.load(s.b, table, place, g.dtype)
            scalars.store(s.b, combine(s.b, g.kind, before, value, g.dtype), table, place)

        only_if(s, s.b.compare("eq", owner, lane), add)
        return ()

    s.b.loop(0, WARP, (), one)


def _leave(
    s: DeviceLowering,
    g: Grouping,
    table: SSAValue,
    partials: SSAValue,
    block: SSAValue,
    first: Index,
    thread: Index,
) -> None:
    """Combines the tables of a block's warps; each thread has an entry."""
    entry = s.b.index(s.b.add(first, thread))

    def store() -> None:
        total = scalars.load(s.b, table, [0, thread], g.dtype)
        for warp in range(1, WARPS):
            total = combine(s.b, g.kind, total, scalars.load(s.b, table, [warp, thread], g.dtype), g.dtype)
        scalars.store(s.b, total, partials, [entry, block])

    only_if(s, s.b.compare("slt", entry, s.b.index(g.entries)), store)


def _combine(s: DeviceLowering, g: Grouping, partials: SSAValue, blocks: Index) -> None:
    """A warp combines what the blocks have left of an entry."""

    def merge(one: Carried, other: Carried) -> Carried:
        return (combine(s.b, g.kind, one[0], other[0], g.dtype),)

    def body(here: Threads) -> None:
        lane = here.thread[0]

        def entry(number: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            def part(block: SSAValue, carried: Carried) -> Carried:
                return merge(carried, (scalars.load(s.b, partials, [number, block], g.dtype),))

            carried = s.b.loop(lane, blocks, (_start(s, g),), part, step=WARP)
            (total,) = across_warp(s, carried, merge, lane)
            only_if(s, s.b.compare("eq", lane, s.b.index(0)), lambda: g.finish(number, total))
            return ()

        first = s.b.add(s.b.mul(here.block[0], WARPS), here.thread[1])
        s.b.loop(first, g.entries, (), entry, step=s.b.mul(here.blocks[0], WARPS))

    launch(s, f"{g.name}_combine", [blocks_for(s, g.entries, WARPS)], [WARP, WARPS], body)
