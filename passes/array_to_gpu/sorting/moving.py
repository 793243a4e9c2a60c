"""Moving items to the places that one digit of their keys gives them, tile by tile.

Within a tile, the lanes of a warp that hold the same digit find one another by ballots, and a tile is put in
order in shared memory first, so that neighbouring threads write neighbouring places.
"""

from collections.abc import Callable, Sequence
from functools import partial

from attrs import frozen
from xdsl.dialects import arith, memref
from xdsl.dialects.builtin import i32
from xdsl.ir import Attribute, SSAValue

from flowc.dialects import device
from flowc.passes.array_to_gpu.launch import Threads, barrier, launch, only_if
from flowc.passes.array_to_gpu.limits import BLOCK, WARP, WARPS
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_gpu.sorting.digits import (
    VALUES,
    digit_of,
    how_many,
    lanes_before,
    leads,
    peers,
    sums_before,
)
from flowc.passes.array_to_gpu.sorting.tiles import Pass, Tiles, blocks_of, each_tile, no_key
from flowc.passes.array_to_loops.builder import Index

AT_ONCE = 4
"""Items that a thread takes to their places at once: more of them would take registers from other warps."""


@frozen
class _Mover:
    """A block that moves a tile: of each item of a thread its key and how many with the same digit stand
    before it in its warp; and in shared memory how many stand before those of each warp, by how much the
    places of a digit differ from those in the tile, and the items."""

    s: DeviceLowering
    tiles: Tiles
    now: Pass
    thread: SSAValue
    own_keys: SSAValue
    own_ranks: SSAValue
    before: SSAValue
    apart: SSAValue
    keys: SSAValue
    positions: SSAValue | None

    def first(self, number: Index) -> Index:
        """The place in the line of the first item that a thread has of a tile: a warp has neighbours."""
        s, tiles = self.s, self.tiles
        lane, warp = s.b.remainder(self.thread, WARP), s.b.quotient(self.thread, WARP)
        start = s.b.add(s.b.mul(number, tiles.size), s.b.mul(warp, tiles.each * WARP))
        return s.b.add(start, lane)


def _mover(s: DeviceLowering, tiles: Tiles, now: Pass, thread: SSAValue) -> _Mover:
    type_ = tiles.lines.form.key.type

    def shared(element: Attribute, *extents: int) -> SSAValue:
        return s.b.insert(device.SharedOp(element, extents))

    return _Mover(
        s,
        tiles,
        now,
        thread,
        s.b.insert(memref.AllocaOp.get(type_, shape=[tiles.each])),
        s.b.insert(memref.AllocaOp.get(i32, shape=[tiles.each])),
        shared(i32, WARPS, VALUES),
        shared(i32, VALUES),
        shared(type_, tiles.size),
        shared(i32, tiles.size) if tiles.positions is not None else None,
    )


def move(s: DeviceLowering, tiles: Tiles, now: Pass) -> None:
    """Moves the items of each tile to the places that one digit gives them."""

    def body(threads: Threads) -> None:
        mover = _mover(s, tiles, now, threads.thread[0])
        each_tile(s, tiles, threads, lambda line, number: _move_tile(mover, line, number))

    launch(s, "sort_move", [blocks_of(s, tiles)], [BLOCK], body)


def _move_tile(m: _Mover, line: SSAValue, number: SSAValue) -> None:
    s, tiles = m.s, m.tiles
    first = m.first(number)
    barrier(s)
    for warp in range(WARPS):
        s.b.store(s.b.constant(0, i32), m.before, [warp, m.thread])
    barrier(s)
    # All loads are on their way before the first of them is waited for.
    _each(m, lambda e: _load(m, line, s.b.add(first, s.b.mul(e, WARP)), e))
    _each(m, lambda e: _rank(m, _inside(m, s.b.add(first, s.b.mul(e, WARP))), e))
    barrier(s)
    _place(m, line, number)
    barrier(s)
    _each(m, lambda e: _arrange(m, line, s.b.add(first, s.b.mul(e, WARP)), e))
    barrier(s)
    filled = s.b.min(s.b.sub(tiles.lines.length, s.b.mul(number, tiles.size)), tiles.size)

    def some(first: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        for e in range(AT_ONCE):
            place = s.b.index(s.b.add(s.b.mul(s.b.add(first, e), BLOCK), m.thread))
            only_if(s, s.b.compare("slt", place, s.b.index(filled)), partial(_put, m, line, place))
        return ()

    s.b.loop(0, tiles.each, (), some, step=AT_ONCE, plain=True)


def _each(m: _Mover, body: Callable[[SSAValue], None]) -> None:
    """Runs `body` for the numbers of the items of a thread; written out, so that these are in registers."""

    def one(e: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        body(e)
        return ()

    m.s.b.loop(0, m.tiles.each, (), one)


def _inside(m: _Mover, place: Index) -> SSAValue:
    return m.s.b.compare("slt", m.s.b.index(place), m.s.b.index(m.tiles.lines.length))


def _digit(m: _Mover, key: SSAValue) -> SSAValue:
    return digit_of(m.s, key, m.now.lowest(m.s, m.tiles))


def _load(m: _Mover, line: SSAValue, place: Index, e: SSAValue) -> None:
    s = m.s
    key = s.b.branch(
        _inside(m, place),
        lambda: (s.b.load(m.tiles.keys, [m.now.row(s), line, place]),),
        lambda: no_key(s, m.tiles.lines),
    )[0]
    s.b.store(key, m.own_keys, [e])


def _rank(m: _Mover, inside: SSAValue, e: SSAValue) -> None:
    """Counts the items of the warp that have the digit of an item so far."""
    s = m.s
    lane = s.b.index(s.b.remainder(m.thread, WARP))
    before = lanes_before(s, lane)
    key = s.b.load(m.own_keys, [e])
    digit = _digit(m, key)
    mine = peers(s, digit, inside)
    here = [s.b.quotient(m.thread, WARP), s.b.to_index(digit)]
    so_far = s.b.load(m.before, here)
    ahead = s.b.insert(arith.AndIOp(mine, before))
    s.b.store(s.b.insert(arith.AddiOp(so_far, how_many(s, ahead))), m.own_ranks, [e])
    after = s.b.insert(arith.AddiOp(so_far, how_many(s, mine)))
    s.b.append(device.SyncWarpOp())
    only_if(s, leads(s, mine, before, inside), lambda: s.b.store(after, m.before, here))
    s.b.append(device.SyncWarpOp())


def _place(m: _Mover, line: SSAValue, number: SSAValue) -> None:
    """A thread for each digit: where its items begin in the tile, for each warp, and in the line."""
    s, tiles, digit = m.s, m.tiles, m.thread
    of_warps = [s.b.load(m.before, [warp, digit]) for warp in range(WARPS)]
    here = of_warps[0]
    for count in of_warps[1:]:
        here = s.b.insert(arith.AddiOp(here, count))
    inner, outer = sums_before(s, [here, s.b.load(tiles.totals, [line, digit])], digit)
    ahead = s.b.insert(arith.AddiOp(outer, s.b.load(tiles.counts, [line, digit, number])))
    s.b.store(s.b.insert(arith.SubiOp(ahead, inner)), m.apart, [digit])
    for warp, count in enumerate(of_warps):
        s.b.store(inner, m.before, [warp, digit])
        inner = s.b.insert(arith.AddiOp(inner, count))


def _arrange(m: _Mover, line: SSAValue, place: Index, e: SSAValue) -> None:
    """Puts an item in its place in the tile."""
    s = m.s

    def put() -> None:
        key = s.b.load(m.own_keys, [e])
        start = s.b.load(m.before, [s.b.quotient(m.thread, WARP), s.b.to_index(_digit(m, key))])
        target = s.b.to_index(s.b.insert(arith.AddiOp(start, s.b.load(m.own_ranks, [e]))))
        s.b.store(key, m.keys, [target])
        if m.positions is not None:
            s.b.store(_position(m, line, place), m.positions, [target])

    only_if(s, _inside(m, place), put)


def _position(m: _Mover, line: SSAValue, place: Index) -> SSAValue:
    """The position of an item: where it stands, before items have moved."""
    s, positions = m.s, m.tiles.positions
    assert positions is not None
    here = s.b.convert(arith.IndexCastOp, s.b.index(place), i32)
    if isinstance(m.now.number, int) and m.now.number == 0:
        return here
    row = m.now.row(s)
    if isinstance(m.now.number, int):
        return s.b.load(positions, [row, line, place])
    moved = s.b.compare("ne", m.now.number, s.b.index(0))
    return s.b.branch(moved, lambda: (s.b.load(positions, [row, line, place]),), lambda: (here,))[0]


def _put(m: _Mover, line: SSAValue, place: SSAValue) -> None:
    """Takes an item from its place in the tile to that in the line."""
    s, tiles = m.s, m.tiles
    key = s.b.load(m.keys, [place])
    apart = s.b.load(m.apart, [s.b.to_index(_digit(m, key))])
    target = s.b.index(s.b.add(place, s.b.to_index(apart)))
    position = None if m.positions is None else s.b.load(m.positions, [place])
    if m.now.last:
        tiles.lines.finish(line, target, key, position)
        return
    row = s.b.sub(1, m.now.row(s))
    s.b.store(key, tiles.keys, [row, line, target])
    if position is not None and tiles.positions is not None:
        s.b.store(position, tiles.positions, [row, line, target])
