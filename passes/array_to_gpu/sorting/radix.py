"""Long lines, sorted digit by digit, the least digit first (LSD radix sort), by many blocks at once.

A line is cut into tiles. For each digit one launch counts its values in every tile, one adds up the counts
of the tiles of a line, and one moves what stands in a tile to where it belongs: behind what has a lesser
digit, and what has the same one and stands before it. That order alone decides, so the result is the same
however threads run. Keys are stored while they are first counted; the last launch finishes the line.
"""

from collections.abc import Sequence

from xdsl.dialects import arith
from xdsl.dialects.builtin import i32
from xdsl.ir import SSAValue

from flowc.dialects import device
from flowc.passes.array_to_gpu.launch import Threads, barrier, launch, only_if
from flowc.passes.array_to_gpu.limits import BLOCK, MOST_BLOCKS, WARP, WARPS
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_gpu.sorting.digits import (
    VALUES,
    WIDTH,
    add,
    digit_of,
    how_many,
    lanes_before,
    leads,
    peers,
    sum_through,
)
from flowc.passes.array_to_gpu.sorting.items import digits
from flowc.passes.array_to_gpu.sorting.lines import Lines
from flowc.passes.array_to_gpu.sorting.moving import move
from flowc.passes.array_to_gpu.sorting.tiles import Pass, Tiles, blocks_of, each_tile, no_key, tiles_of
from flowc.passes.array_to_loops.builder import Index


def sort_long(s: DeviceLowering, lines: Lines) -> None:
    """Sorts lines of any length."""
    tiles = tiles_of(s, lines)
    final = len(digits(lines.form, WIDTH)) - 1
    _count(s, tiles, Pass(0, computes=True))

    def between(number: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        _add_up(s, tiles)
        move(s, tiles, Pass(number))
        _count(s, tiles, Pass(s.b.add(number, 1)))
        return ()

    if final:
        s.b.loop(0, final, (), between)
    _add_up(s, tiles)
    move(s, tiles, Pass(final, last=True))


def _count(s: DeviceLowering, tiles: Tiles, now: Pass) -> None:
    """Counts the digits of each tile; the first time it computes the keys, too."""
    lines = tiles.lines

    def body(threads: Threads) -> None:
        thread = threads.thread[0]
        before = lanes_before(s, s.b.index(s.b.remainder(thread, WARP)))
        shared = s.b.insert(device.SharedOp(i32, [VALUES]))

        def tile(line: SSAValue, number: SSAValue) -> None:
            s.b.store(s.b.constant(0, i32), shared, [thread])
            barrier(s)

            def some(e: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
                place = s.b.add(s.b.add(s.b.mul(number, tiles.size), s.b.mul(e, BLOCK)), thread)
                inside = s.b.compare("slt", s.b.index(place), s.b.index(lines.length))
                key = s.b.branch(
                    inside, lambda: (_key(s, tiles, now, line, place),), lambda: no_key(s, lines)
                )
                digit = digit_of(s, key[0], now.lowest(s, tiles))
                mine = peers(s, digit, inside)

                at = [s.b.to_index(digit)]
                only_if(s, leads(s, mine, before, inside), lambda: add(s, how_many(s, mine), shared, at))
                return ()

            s.b.loop(0, tiles.each, (), some)
            barrier(s)
            s.b.store(s.b.load(shared, [thread]), tiles.counts, [line, thread, number])

        each_tile(s, tiles, threads, tile)

    launch(s, "sort_count", [blocks_of(s, tiles)], [BLOCK], body)


def _key(s: DeviceLowering, tiles: Tiles, now: Pass, line: Index, place: Index) -> SSAValue:
    if not now.computes:
        return s.b.load(tiles.keys, [now.row(s), line, place])
    key = tiles.lines.key(line, place)
    s.b.store(key, tiles.keys, [now.row(s), line, place])
    return key


def _add_up(s: DeviceLowering, tiles: Tiles) -> None:
    """Turns the counts of each digit in a line into those of the tiles before, a warp for each digit."""
    total = s.top.mul(tiles.lines.count, VALUES)

    def body(threads: Threads) -> None:
        lane, warp = threads.thread[0], threads.thread[1]

        def one(number: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            line, digit = s.b.quotient(number, VALUES), s.b.remainder(number, VALUES)

            def some(first: SSAValue, carried: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
                tile = s.b.index(s.b.add(first, lane))
                inside = s.b.compare("slt", tile, s.b.index(tiles.count))
                zero = s.b.constant(0, i32)
                own = s.b.branch(
                    inside, lambda: (s.b.load(tiles.counts, [line, digit, tile]),), lambda: (zero,)
                )[0]
                through = sum_through(s, own, lane)
                ahead = s.b.insert(arith.AddiOp(carried[0], s.b.insert(arith.SubiOp(through, own))))
                only_if(s, inside, lambda: s.b.store(ahead, tiles.counts, [line, digit, tile]))
                all_of_them = s.b.insert(device.ShuffleOp("idx", through, s.b.constant(WARP - 1, i32)))
                return (s.b.insert(arith.AddiOp(carried[0], all_of_them)),)

            found = s.b.loop(0, tiles.count, (s.b.constant(0, i32),), some, step=WARP, plain=True)
            first_lane = s.b.compare("eq", lane, s.b.index(0))
            only_if(s, first_lane, lambda: s.b.store(found[0], tiles.totals, [line, digit]))
            return ()

        first = s.b.add(s.b.mul(threads.block[0], WARPS), warp)
        s.b.loop(first, total, (), one, step=s.b.mul(threads.blocks[0], WARPS))

    blocks = s.top.min(s.top.ceiling(total, WARPS), MOST_BLOCKS)
    launch(s, "sort_add_up", [blocks], [WARP, WARPS], body)
