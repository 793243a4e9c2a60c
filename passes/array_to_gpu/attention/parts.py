"""Keys in parts: where few rows meet many keys, several blocks share them, and a second launch combines.

Each part leaves its largest score, the sum of its weights and its weighted values: memory linear in the rows.
Dao, Haziza, Massa and Sizov, "Flash-Decoding for long-context inference" (2023).
"""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.dialects import arith
from xdsl.ir import SSAValue

from flowc.dialects import device
from flowc.passes.array_to_gpu.across import across_block
from flowc.passes.array_to_gpu.attention.roles import (
    Attention,
    Tile,
    base_of,
    member_and_query,
    query_stack,
    share_of,
)
from flowc.passes.array_to_gpu.launch import Threads, barrier, launch, only_if, unravelled
from flowc.passes.array_to_gpu.limits import BLOCK, WARP, WARPS
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import CONTRACT, Index
from flowc.passes.array_to_loops.elements import Indices
from flowc.passes.array_to_loops.reductions import Carried
from flowc.passes.array_to_loops.reductions import combine as combined

KEYS_OF_PART = 512
"""Keys that are worth a block of their own."""

Power = Callable[[DeviceLowering, SSAValue], SSAValue]
"""The weight of a score that lies so far above the largest."""


@frozen
class Parts:
    """How many parts the keys of a tile come in, and memory for what each leaves of each row: none if there
    is one part."""

    number: Index
    top: SSAValue
    total: SSAValue
    sums: SSAValue

    def ended(self, s: DeviceLowering, several: Callable[[], None], one: Callable[[], None]) -> None:
        """Takes one way where a tile comes in parts, else the other."""
        if isinstance(self.number, int):
            (several if self.number > 1 else one)()
        else:
            s.b.either(s.b.compare("sgt", self.number, s.b.index(1)), several, one)


def parts_of(s: DeviceLowering, a: Attention, blocks: Index, wanted: int) -> Parts:
    """As many parts as make `wanted` blocks of so many."""
    b, held = s.b, scalars.held_type(a.dtype)
    number = b.quotient(wanted, b.max(blocks, 1))
    number = b.max(b.min(number, b.ceiling(a.keys, KEYS_OF_PART)), 1)
    stored = _if_several(s, number, number)
    sizes = [stored, a.units(b), a.rows(b)]
    top, total = (s.allocate(held, sizes) for _ in range(2))
    return Parts(number, top, total, s.allocate(held, [*sizes, a.features]))


def _if_several(s: DeviceLowering, number: Index, value: Index) -> Index:
    """The value where there are several parts, else 0."""
    if isinstance(number, int):
        return value if number > 1 else 0
    several = s.b.compare("sgt", number, s.b.index(1))
    return s.b.select(several, s.b.index(value), s.b.index(0))


def part_of(s: DeviceLowering, parts: Parts, part: Index, tile: Tile, step: int) -> tuple[Index, Index]:
    """The keys of a tile that belong to a part, by multiples of `step`."""
    b = s.b
    if parts.number == 1:
        return tile.first, tile.end
    seen = b.max(b.sub(tile.end, tile.first), 0)
    length = b.mul(b.ceiling(b.ceiling(seen, parts.number), step), step)
    first = b.add(tile.first, b.mul(part, length))
    return first, b.min(tile.end, b.add(first, length))


def leave(
    s: DeviceLowering, parts: Parts, part: Index, unit: Index, row: Index, top: SSAValue, total: SSAValue
) -> None:
    """Keeps what a part has found of a row."""
    s.b.store(top, parts.top, [part, unit, row])
    s.b.store(total, parts.total, [part, unit, row])


def store_feature(
    s: DeviceLowering, a: Attention, unit: Indices, row: Index, feature: Index, value: SSAValue
) -> None:
    """Stores an element of the result."""
    member, query = member_and_query(s, a, row)
    at = (*query_stack(s, a, unit, member), query, feature)
    scalars.store(s.b, value, a.destination, at)


def combine(s: DeviceLowering, a: Attention, parts: Parts, power: Power) -> None:
    """Launches a block for each row that puts its parts together, if there are several."""
    if parts.number == 1:
        return
    rows = a.rows(s.b)
    blocks = _if_several(s, parts.number, s.b.mul(a.units(s.b), rows))

    def body(threads: Threads) -> None:
        unit, row = unravelled(s, threads.block[0], [a.units(s.b), rows])
        _row(s, a, parts, power, (unit, row), threads.thread[0])

    launch(s, "attention_combine", [blocks], [BLOCK], body)


def _row(
    s: DeviceLowering, a: Attention, parts: Parts, power: Power, at: tuple[Index, Index], thread: SSAValue
) -> None:
    """One row, by all threads of a block."""
    b = s.b

    def over(kind: str, start: float, element: Callable[[SSAValue], SSAValue]) -> SSAValue:
        def one(part: SSAValue, found: Carried) -> Sequence[SSAValue]:
            return (combined(b, kind, found[0], element(part)),)

        def merge(x: Carried, y: Carried) -> Carried:
            return (combined(b, kind, x[0], y[0]),)

        first = b.constant(start, scalars.held_type(a.dtype))
        own = b.loop(thread, parts.number, (first,), one, step=BLOCK)
        return across_block(s, own, merge, thread, BLOCK)[0]

    top = over("max", float("-inf"), lambda part: b.load(parts.top, [part, *at]))
    base = base_of(s, a, top)

    def weight(part: SSAValue) -> SSAValue:
        return power(s, b.insert(arith.SubfOp(b.load(parts.top, [part, *at]), base)))

    def share(part: SSAValue) -> SSAValue:
        return b.insert(arith.MulfOp(b.load(parts.total, [part, *at]), weight(part)))

    whole = share_of(s, a, over("sum", 0.0, share))
    unit = unravelled(s, at[0], a.stack)
    shared = b.insert(device.SharedOp(scalars.held_type(a.dtype), [WARPS, WARP]))
    lane, warp = b.remainder(thread, WARP), b.quotient(thread, WARP)

    def some(first: SSAValue, _: Carried) -> Sequence[SSAValue]:
        feature = b.index(b.add(first, lane))
        inside = b.compare("slt", feature, b.index(a.features))
        _features(s, a, parts, (at, feature, inside), weight, shared, (warp, lane))

        def finish() -> None:
            value = b.load(shared, [0, lane])
            for other in range(1, WARPS):
                value = b.insert(arith.AddfOp(value, b.load(shared, [other, lane])))
            store_feature(s, a, unit, at[1], feature, b.insert(arith.MulfOp(value, whole)))

        first_warp = b.compare("eq", b.index(warp), b.index(0))
        only_if(s, b.insert(arith.AndIOp(first_warp, inside)), finish)
        barrier(s)
        return ()

    b.loop(0, a.features, (), some, step=WARP, plain=True)


def _features(
    s: DeviceLowering,
    a: Attention,
    parts: Parts,
    position: tuple[tuple[Index, Index], SSAValue, SSAValue],
    weight: Callable[[SSAValue], SSAValue],
    shared: SSAValue,
    here: tuple[Index, Index],
) -> None:
    """Each warp adds up its parts of some features, for all to see."""
    b, (at, feature, inside) = s.b, position
    warp, lane = here

    def add(part: SSAValue, found: Carried) -> Sequence[SSAValue]:
        value = b.insert(arith.MulfOp(b.load(parts.sums, [part, *at, feature]), weight(part), CONTRACT))
        return (b.insert(arith.AddfOp(found[0], value, CONTRACT)),)

    end = b.select(inside, b.index(parts.number), b.index(0))
    start = b.constant(0, scalars.held_type(a.dtype))
    (found,) = b.loop(warp, end, (start,), add, step=WARPS)
    b.store(found, shared, [warp, lane])
    barrier(s)
