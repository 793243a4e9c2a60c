"""The tiles into which long lines are cut to be sorted, and the memory that goes with them."""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.dialects.builtin import i32
from xdsl.ir import SSAValue

from flowc.passes.array_to_gpu.launch import Threads
from flowc.passes.array_to_gpu.limits import BLOCK, MOST_BLOCKS
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_gpu.sorting.digits import VALUES, WIDTH
from flowc.passes.array_to_gpu.sorting.items import digits
from flowc.passes.array_to_gpu.sorting.lines import Lines
from flowc.passes.array_to_loops.builder import Index


@frozen(eq=False)
class Tiles:
    """How lines are sorted: `each` items of a thread are a tile, `count` tiles a line. `keys` and
    `positions` have rows of lines that items move between, `counts` how often each digit stands in each
    tile, or once added up in those before it, and `totals` in a whole line."""

    lines: Lines
    each: int
    count: Index
    keys: SSAValue
    positions: SSAValue | None
    counts: SSAValue
    totals: SSAValue

    @property
    def size(self) -> int:
        """Items of a tile."""
        return self.each * BLOCK


@frozen
class Pass:
    """A digit of all keys: its number, the least first, and whether it is the last. `computes` says that keys
    are computed and stored while they are counted."""

    number: Index
    last: bool = False
    computes: bool = False

    def row(self, s: DeviceLowering) -> Index:
        """The row of memory in which items are before they move."""
        return s.b.remainder(self.number, 2)

    def lowest(self, s: DeviceLowering, tiles: Tiles) -> Index:
        """The lowest bit of the digit."""
        return s.b.add(s.b.mul(self.number, WIDTH), tiles.lines.form.lowest)


def tiles_of(s: DeviceLowering, lines: Lines) -> Tiles:
    """Memory for lines that are sorted."""
    key = lines.form.key.type
    rows = 2 if len(digits(lines.form, WIDTH)) > 1 else 1
    wide = lines.form.key.width == 64
    each = 8 if wide else 16
    count = s.top.ceiling(lines.length, each * BLOCK)
    positions = None
    if lines.form.positions:
        positions = s.allocate(i32, [rows, lines.count, lines.length])
    return Tiles(
        lines,
        each,
        count,
        s.allocate(key, [rows, lines.count, lines.length]),
        positions,
        s.allocate(i32, [lines.count, VALUES, count]),
        s.allocate(i32, [lines.count, VALUES]),
    )


def each_tile(
    s: DeviceLowering, tiles: Tiles, threads: Threads, body: Callable[[SSAValue, SSAValue], None]
) -> None:
    """Runs `body` for the lines and numbers of the tiles of a block. All of its threads do so together."""
    total = s.b.mul(tiles.lines.count, tiles.count)

    def one(number: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        body(s.b.index(s.b.quotient(number, tiles.count)), s.b.index(s.b.remainder(number, tiles.count)))
        return ()

    s.b.loop(threads.block[0], total, (), one, step=threads.blocks[0])


def blocks_of(s: DeviceLowering, tiles: Tiles) -> Index:
    """Blocks of a launch that goes through all tiles."""
    return s.top.min(s.top.mul(tiles.lines.count, tiles.count), MOST_BLOCKS)


def no_key(s: DeviceLowering, lines: Lines) -> tuple[SSAValue]:
    """What stands for the key of a place behind a line."""
    return (s.b.constant(0, lines.form.key.type),)
