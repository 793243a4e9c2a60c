"""Products by tensor cores: tiles of the result in the registers of warps, factors through shared memory.

While a block multiplies the panels of some steps, those of the next steps are on their way into other slots.
A line of a panel has 64 bytes of steps, or, where a factor of halves lies along its side, all sides of a
step; either way eight lines that a warp loads together lie in different banks. At the end sums go through
shared memory once more, so that neighbouring threads finish and store neighbours.
"""

from collections.abc import Callable, Sequence

from attrs import evolve, frozen
from xdsl.dialects import arith, vector
from xdsl.dialects.builtin import VectorType, i32
from xdsl.ir import SSAValue

from flowc.dialects import device
from flowc.dialects.array.types import is_float, type_of_dtype
from flowc.passes.array_to_gpu.contract.cuts import Cut, Here, Sink, block_at, blocks_of, hand, has_even_rows
from flowc.passes.array_to_gpu.contract.factors import DEPTH, SIDE, Factor, Problem
from flowc.passes.array_to_gpu.contract.numbers import Numbers
from flowc.passes.array_to_gpu.contract.panels import Panel, copy, fetch, panel_of, put, size_of
from flowc.passes.array_to_gpu.launch import Threads, barrier, launch
from flowc.passes.array_to_gpu.limits import VECTOR_BYTES, WARP
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index

LINE_BYTES = 64
"""Steps of a panel, in bytes."""
STEP_BYTES = 32
"""Steps of one multiplication."""
ROWS, COLUMNS = 16, 8
"""The result of one multiplication."""
LANES = 4
"""Neighbours of a row that a thread finishes together."""
PIECE = 32
"""Rows of a warp whose sums lie in shared memory at once."""
PAD = 4
"""Numbers behind each row of sums, so that rows lie in different banks."""


@frozen
class TensorTile:
    """The part of the result that a block computes: its rows and columns, shared by `down` times `across`
    warps, with `slots` for panels."""

    rows: int
    columns: int
    down: int
    across: int
    slots: int

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return WARP * self.down * self.across

    @property
    def warp_rows(self) -> int:
        """Rows of a warp."""
        return self.rows // self.down

    @property
    def warp_columns(self) -> int:
        """Columns of a warp."""
        return self.columns // self.across

    def steps(self, dtype: str) -> int:
        """Steps of a panel."""
        return LINE_BYTES // size_of(type_of_dtype[dtype])


LARGE = TensorTile(128, 128, 2, 4, 3)
"""For results of many tiles."""
SMALL = TensorTile(64, 64, 2, 2, 3)
"""For the others: four times as many blocks."""


def as_tensor(p: Problem) -> Problem:
    """The product with the sums of tensor cores."""
    return evolve(p, numbers=Numbers(p.numbers.dtype, device.SUMS[p.tensor]))


def tensor_tiles(
    s: DeviceLowering, p: Problem, tile: TensorTile, cut: Cut, sink: Sink, *, vectors: bool, name: str
) -> None:
    """Launches a block for each tile. With `vectors` the extents along which factors lie together are
    multiples of a vector."""
    size = tile.rows, tile.columns, tile.steps(p.tensor)
    panels = [
        _panel(s, p, tile, p.left, p.rows, tile.rows, vectors),
        _panel(s, p, tile, p.right, p.columns, tile.columns, vectors),
    ]
    bytes_ = [_bytes(panel) for panel in panels]
    together = has_even_rows(p, LANES) or (vectors and p.right.dense and p.right.contiguous == SIDE)

    def body(threads: Threads) -> None:
        here = block_at(s, p, size, cut, threads.block[0])
        block = _Block(s, p, tile, panels, threads, here)
        sums = block.multiply(tile.slots * bytes_[0])
        _finish(s, p, tile, threads, here, sums, sink, together)

    launch(
        s,
        name,
        [blocks_of(s, p, size, cut)],
        [WARP, tile.down * tile.across],
        body,
        shared=max(tile.slots * sum(bytes_), _sum_bytes(tile)),
    )


def _bytes(panel: Panel) -> int:
    outer, inner = panel.shape
    return outer * inner * size_of(panel.element)


def _sum_bytes(tile: TensorTile) -> int:
    return tile.down * tile.across * min(PIECE, tile.warp_rows) * (tile.warp_columns + PAD) * 4


def _panel(
    s: DeviceLowering, p: Problem, tile: TensorTile, factor: Factor, extent: Index, sides: int, vectors: bool
) -> Panel:
    element = scalars.stored_type(p.tensor)
    halves = size_of(element) == 2
    inner = SIDE if halves and factor.contiguous == SIDE else DEPTH
    turned = inner != (factor.contiguous or DEPTH)
    return panel_of(
        s,
        p,
        factor,
        extent,
        (sides, tile.steps(p.tensor), tile.threads),
        element,
        lambda held: _packed(s, held, p.tensor),
        inner,
        LANES if turned else VECTOR_BYTES // size_of(element),
        LANES,
        vectors=vectors,
        copies=True,
    )


def _packed(s: DeviceLowering, held: SSAValue, dtype: str) -> SSAValue:
    """A held number, which is one of the dtype, as tensor cores take it."""
    element = scalars.stored_type(dtype)
    if held.type == element:
        return held
    return s.b.convert(arith.TruncFOp if is_float(dtype) else arith.TruncIOp, held, element)


class _Block:
    """The code of one block: its panels in shared memory, its warps and lanes."""

    def __init__(
        self,
        s: DeviceLowering,
        p: Problem,
        tile: TensorTile,
        panels: Sequence[Panel],
        threads: Threads,
        here: Here,
    ) -> None:
        self.s, self.p, self.tile, self.panels, self.here = s, p, tile, panels, here
        self.lane, self.warp = threads.thread[0], threads.thread[1]
        self.thread = s.b.add(s.b.mul(self.warp, WARP), self.lane)
        self.down = s.b.quotient(self.warp, tile.across)
        self.across = s.b.remainder(self.warp, tile.across)
        self.memories: list[SSAValue] = []

    def multiply(self, offset: int) -> tuple[SSAValue, ...]:
        """The sums of each lane: a vector for each small product of its warp, row by row."""
        s, b, tile = self.s, self.s.b, self.tile
        self.memories = [
            b.insert(device.SharedAtOp(b.index(place), panel.element, [tile.slots, *panel.shape]))
            for place, panel in zip((0, offset), self.panels, strict=True)
        ]
        steps = tile.steps(self.p.tensor)
        ahead = tile.slots - 1

        def first(slot: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            self._fill(slot, b.add(self.here.low, b.mul(slot, steps)))()
            return ()

        b.loop(0, ahead, (), first, plain=True)
        rounds = b.ceiling(b.sub(self.here.high, self.here.low), steps)
        sums = VectorType(self.p.numbers.sums, [4])
        zero = b.insert(vector.BroadcastOp(self.p.numbers.zero(s), sums))
        count = tile.warp_rows // ROWS * (tile.warp_columns // COLUMNS)

        def one(number: SSAValue, before: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            b.append(device.WaitCopiesOp(ahead - 1))
            barrier(s)
            later = b.add(number, ahead)
            put_later = self._fill(b.remainder(later, tile.slots), b.add(self.here.low, b.mul(later, steps)))
            after = self._panels(b.remainder(number, tile.slots), before)
            put_later()
            return after

        after = b.loop(0, rounds, (zero,) * count, one, plain=True)
        b.append(device.WaitCopiesOp(0))
        barrier(s)
        return after

    def _fill(self, slot: Index, low: Index) -> Callable[[], None]:
        """Begins to fill a slot; what is still to be put there goes there with the call of the result."""
        s, waiting = self.s, []
        for panel, memory, origin in zip(
            self.panels, self.memories, (self.here.row, self.here.column), strict=True
        ):
            if panel.copied:
                copy(s, panel, memory, slot, origin, self.here, low, self.thread)
            else:
                waiting.append((panel, memory, fetch(s, panel, origin, self.here, low, self.thread)))
        s.b.append(device.CommitCopiesOp())

        def rest() -> None:
            for panel, memory, fetched in waiting:
                put(s, panel, memory, slot, self.thread, fetched)

        return rest

    def _panels(self, slot: Index, sums: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        """The sums after the steps of a slot."""
        tile, size = self.tile, size_of(self.panels[0].element)
        across = tile.warp_columns // COLUMNS

        def some(step: SSAValue, before: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            after = list(before)
            left = [self._left(slot, row, step) for row in range(0, tile.warp_rows, ROWS)]
            pairs = [self._right(slot, column, step) for column in range(0, tile.warp_columns, 2 * COLUMNS)]
            right = [part for pair in pairs for part in pair]
            for i, one in enumerate(left):
                for j, other in enumerate(right):
                    product = device.MatrixMultiplyOp(self.p.tensor, one, other, after[i * across + j])
                    after[i * across + j] = self.s.b.insert(product)
            return after

        return self.s.b.loop(0, LINE_BYTES // size, sums, some, step=STEP_BYTES // size)

    def _left(self, slot: Index, row: int, step: Index) -> SSAValue:
        """16 rows of the left factor by 32 bytes of steps, from a row of the warp on."""
        b = self.s.b
        eight, rest = b.quotient(self.lane, 8), b.remainder(self.lane, 8)
        first = b.add(b.mul(self.down, self.tile.warp_rows), row)
        side = b.add(first, b.add(b.mul(b.remainder(eight, 2), 8), rest))
        if self.panels[0].inner == DEPTH:
            return self._load(0, slot, side, b.add(self._half(b.quotient(eight, 2)), step))
        return self._load(
            0,
            slot,
            b.add(b.add(b.mul(b.quotient(eight, 2), 8), rest), step),
            b.add(first, b.mul(b.remainder(eight, 2), 8)),
        )

    def _right(self, slot: Index, column: int, step: Index) -> list[SSAValue]:
        """Two times 8 columns of the right factor by 32 bytes of steps."""
        b = self.s.b
        eight, rest = b.quotient(self.lane, 8), b.remainder(self.lane, 8)
        first = b.add(b.mul(self.across, self.tile.warp_columns), column)
        if self.panels[1].inner == DEPTH:
            side = b.add(first, b.add(b.mul(b.quotient(eight, 2), 8), rest))
            words = self._load(1, slot, side, b.add(self._half(b.remainder(eight, 2)), step))
        else:
            depth = b.add(b.add(b.mul(b.remainder(eight, 2), 8), rest), step)
            words = self._load(1, slot, depth, b.add(first, b.mul(b.quotient(eight, 2), 8)))
        return [self._pair(words, 0), self._pair(words, 2)]

    def _half(self, which: Index) -> Index:
        """Where the second 16 bytes of steps begin, if they are meant."""
        return self.s.b.mul(which, VECTOR_BYTES // size_of(self.panels[0].element))

    def _load(self, which: int, slot: Index, outer: Index, inner: Index) -> SSAValue:
        at = [self.s.b.index(i) for i in (slot, outer, inner)]
        turned = self.panels[which].inner == SIDE
        return self.s.b.insert(device.LoadMatrixOp(self.memories[which], at, 4, transpose=turned))

    def _pair(self, words: SSAValue, first: int) -> SSAValue:
        b = self.s.b
        low, high = (b.insert(vector.ExtractOp(words, (first + word,), i32)) for word in range(2))
        pair = b.insert(vector.BroadcastOp(low, VectorType(i32, [2])))
        return b.insert(vector.InsertOp(high, pair, (1,)))


def _finish(
    s: DeviceLowering,
    p: Problem,
    tile: TensorTile,
    threads: Threads,
    here: Here,
    sums: Sequence[SSAValue],
    sink: Sink,
    together: bool,
) -> None:
    """Hands the sums of a warp to the sink, some rows after the others; neighbours `together` where all or
    none of them are columns."""
    b = s.b
    lane, warp = threads.thread[0], threads.thread[1]
    piece = min(PIECE, tile.warp_rows)
    memory = b.insert(
        device.SharedAtOp(
            b.index(0), p.numbers.sums, [tile.down * tile.across, piece, tile.warp_columns + PAD]
        )
    )
    top = b.add(here.row, b.mul(b.quotient(warp, tile.across), tile.warp_rows))
    left = b.add(here.column, b.mul(b.remainder(warp, tile.across), tile.warp_columns))
    group, within = b.quotient(lane, 4), b.mul(b.remainder(lane, 4), 2)
    across, pair = tile.warp_columns // COLUMNS, VectorType(p.numbers.sums, [2])
    along = tile.warp_columns // LANES
    for first in range(0, tile.warp_rows, piece):
        for i in range(piece // ROWS):
            for j in range(across):
                total = sums[(first // ROWS + i) * across + j]
                for half in range(2):
                    low, high = (
                        b.insert(vector.ExtractOp(total, (2 * half + word,), p.numbers.sums))
                        for word in range(2)
                    )
                    both = b.insert(vector.InsertOp(high, b.insert(vector.BroadcastOp(low, pair)), (1,)))
                    at = (warp, b.add(group, i * ROWS + half * 8), b.add(within, j * COLUMNS))
                    b.append(vector.StoreOp(both, memory, [b.index(place) for place in at]))
        b.append(device.SyncWarpOp())

        def visit(number: SSAValue, _: tuple[SSAValue, ...], first: int = first) -> Sequence[SSAValue]:
            flat = b.add(b.mul(number, WARP), lane)
            row, column = b.quotient(flat, along), b.mul(b.remainder(flat, along), LANES)
            at = [b.index(place) for place in (warp, row, column)]
            vectors = VectorType(p.numbers.sums, [LANES])
            loaded = b.insert(vector.LoadOp(memory, at, vectors))
            values = [b.insert(vector.ExtractOp(loaded, (place,), p.numbers.sums)) for place in range(LANES)]
            i, j = b.add(b.add(top, first), row), b.index(b.add(left, column))
            hand(s, p, here, values, i, j, sink, together)
            return ()

        b.loop(0, piece * along // WARP, (), visit, plain=True)
        b.append(device.SyncWarpOp())
