"""Products by ordinary threads: a tile of the result in the registers of each, factors through shared memory.

For numbers that no tensor core multiplies as they are. Sums go from step to step in order.
"""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.dialects import memref, vector
from xdsl.dialects.builtin import VectorType
from xdsl.ir import SSAValue

from flowc.dialects import device
from flowc.passes.array_to_gpu.contract.cuts import Cut, Here, Sink, block_at, blocks_of, hand, has_even_rows
from flowc.passes.array_to_gpu.contract.factors import SIDE, Factor, Problem
from flowc.passes.array_to_gpu.contract.panels import Panel, fetch, panel_of, put
from flowc.passes.array_to_gpu.launch import Threads, barrier, launch
from flowc.passes.array_to_gpu.limits import BLOCK, VECTOR_BYTES
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops.builder import Index

ACROSS = 16
"""Threads of a block along rows and along columns."""
STEPS = 16
"""Steps of a panel."""


@frozen
class RegisterTile:
    """A thread's rows and columns, each in groups of neighbours that are `ACROSS` groups apart."""

    side: int

    @property
    def sides(self) -> int:
        """The rows and columns of a block."""
        return self.side * ACROSS

    @property
    def size(self) -> tuple[int, int, int]:
        """Rows, columns and steps of a block."""
        return self.sides, self.sides, STEPS


LARGE, SMALL = RegisterTile(8), RegisterTile(4)


def register_tiles(
    s: DeviceLowering, p: Problem, tile: RegisterTile, cut: Cut, sink: Sink, *, vectors: bool, name: str
) -> None:
    """Launches a block for each tile. With `vectors` the extents along which factors lie together are
    multiples of a vector."""
    panels = [
        _panel(s, p, tile, p.left, p.rows, vectors),
        _panel(s, p, tile, p.right, p.columns, vectors),
    ]
    group = VECTOR_BYTES // p.numbers.bytes
    together = has_even_rows(p, group) or (vectors and p.right.dense and p.right.contiguous == SIDE)

    def body(threads: Threads) -> None:
        here = block_at(s, p, tile.size, cut, threads.block[0])
        across = s.b.remainder(threads.thread[0], ACROSS)
        down = s.b.quotient(threads.thread[0], ACROSS)
        sums = s.b.insert(memref.AllocaOp.get(p.numbers.sums, shape=[tile.side, tile.side]))
        _multiply(s, p, tile, panels, here, (threads.thread[0], down, across), sums)
        _finish(s, p, tile, here, (down, across), sums, sink, together)

    launch(s, name, [blocks_of(s, p, tile.size, cut)], [BLOCK], body)


def _panel(
    s: DeviceLowering, p: Problem, tile: RegisterTile, factor: Factor, extent: Index, vectors: bool
) -> Panel:
    return panel_of(
        s,
        p,
        factor,
        extent,
        (tile.sides, STEPS, BLOCK),
        p.numbers.sums,
        lambda held: p.numbers.widened(s, held),
        SIDE,
        VECTOR_BYTES // p.numbers.bytes,
        1,
        vectors=vectors,
        copies=False,
    )


def _multiply(
    s: DeviceLowering,
    p: Problem,
    tile: RegisterTile,
    panels: Sequence[Panel],
    here: Here,
    threads: tuple[SSAValue, Index, Index],
    sums: SSAValue,
) -> None:
    """Adds up the products of all steps, a panel ahead in the second slot."""
    b = s.b
    thread, down, across = threads
    origins = here.row, here.column
    memories = [b.insert(device.SharedOp(panel.element, [2, *panel.shape])) for panel in panels]
    zero = p.numbers.zero(s)
    _each(s, tile.side, tile.side, lambda i, j: b.store(zero, sums, [i, j]))
    for panel, memory, origin in zip(panels, memories, origins, strict=True):
        put(s, panel, memory, 0, thread, fetch(s, panel, origin, here, here.low, thread))
    barrier(s)

    def one(number: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        low = b.add(here.low, b.mul(b.add(number, 1), STEPS))
        fetched = [
            fetch(s, panel, origin, here, low, thread) for panel, origin in zip(panels, origins, strict=True)
        ]
        slot = b.remainder(number, 2)
        _steps(s, p, tile, memories, slot, (down, across), sums)
        for panel, memory, values in zip(panels, memories, fetched, strict=True):
            put(s, panel, memory, b.sub(1, slot), thread, values)
        barrier(s)
        return ()

    b.loop(0, b.ceiling(b.sub(here.high, here.low), STEPS), (), one, plain=True)


def _steps(
    s: DeviceLowering,
    p: Problem,
    tile: RegisterTile,
    memories: Sequence[SSAValue],
    slot: Index,
    lines: tuple[Index, Index],
    sums: SSAValue,
) -> None:
    """The steps of a slot: each reads a thread's rows and columns once."""
    b = s.b
    group = VECTOR_BYTES // p.numbers.bytes
    own = [b.insert(memref.AllocaOp.get(p.numbers.sums, shape=[tile.side])) for _ in memories]

    def step(k: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        for memory, line, kept in zip(memories, lines, own, strict=True):
            for first in range(0, tile.side, group):
                at = [slot, k, b.add(b.mul(line, group), first * ACROSS)]
                loaded = b.insert(
                    vector.LoadOp(memory, [b.index(i) for i in at], VectorType(p.numbers.sums, [group]))
                )
                for lane in range(group):
                    value = b.insert(vector.ExtractOp(loaded, (lane,), p.numbers.sums))
                    b.store(value, kept, [first + lane])

        def add(i: SSAValue, j: SSAValue) -> None:
            total = p.numbers.multiplied(s, b.load(own[0], [i]), b.load(own[1], [j]), b.load(sums, [i, j]))
            b.store(total, sums, [i, j])

        _each(s, tile.side, tile.side, add)
        return ()

    b.loop(0, STEPS, (), step)


def _each(s: DeviceLowering, rows: int, columns: int, body: Callable[[SSAValue, SSAValue], None]) -> None:
    """Runs `body` at all places of a thread's tile; the loops are written out when the code is compiled."""

    def row(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        def column(j: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            body(i, j)
            return ()

        s.b.loop(0, columns, (), column)
        return ()

    s.b.loop(0, rows, (), row)


def _finish(
    s: DeviceLowering,
    p: Problem,
    tile: RegisterTile,
    here: Here,
    lines: tuple[Index, Index],
    sums: SSAValue,
    sink: Sink,
    together: bool,
) -> None:
    """Hands a thread's sums to the sink."""
    b = s.b
    group = VECTOR_BYTES // p.numbers.bytes
    down, across = lines

    def some(i: SSAValue, j: SSAValue) -> None:
        values = [b.load(sums, [i, b.add(b.mul(j, group), lane)]) for lane in range(group)]
        far, near = b.quotient(i, group), b.remainder(i, group)
        row = b.add(b.mul(b.add(down, b.mul(far, ACROSS)), group), near)
        column = b.mul(b.add(across, b.mul(j, ACROSS)), group)
        hand(s, p, here, values, b.add(here.row, row), b.index(b.add(here.column, column)), sink, together)

    _each(s, tile.side, tile.side // group, some)
