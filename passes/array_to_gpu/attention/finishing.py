"""What becomes of a tile of tensor cores: rows of the result, or of a part of the keys."""

from collections.abc import Callable, Sequence

from attrs import field, frozen
from xdsl.dialects import arith, memref, vector
from xdsl.dialects.builtin import MemRefType, NoneAttr, f32
from xdsl.ir import SSAValue

from flowc.dialects import device
from flowc.passes.array_to_gpu.attention.fragments import (
    DEPTH,
    WIDTH,
    Registers,
    Shape,
    Warp,
    across_four,
    each,
)
from flowc.passes.array_to_gpu.attention.parts import Parts, Power, leave, store_feature
from flowc.passes.array_to_gpu.attention.roles import (
    Attention,
    Tile,
    base_of,
    member_and_query,
    query_stack,
    share_of,
)
from flowc.passes.array_to_gpu.attention.staging import packed
from flowc.passes.array_to_gpu.launch import barrier, only_if
from flowc.passes.array_to_gpu.lowering import DeviceLowering, is_aligned
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import CONTRACT, Index
from flowc.passes.array_to_loops.reductions import Carried
from flowc.passes.array_to_loops.reductions import combine as combined

PAIR_BYTES = 4


@frozen
class Ending:
    """Where a block leaves what it finds: `pairs` says whether two neighbours of the result may be stored at
    once; `unit` and `part` are those of the block."""

    parts: Parts
    pairs: SSAValue | bool
    unit: Index = field(default=0)
    part: Index = field(default=0)


def ending_of(s: DeviceLowering, a: Attention, parts: Parts) -> Ending:
    """What of it the host knows."""
    type_ = a.destination.type
    assert isinstance(type_, MemRefType)
    if not isinstance(type_.layout, NoneAttr) or scalars.element_type(a.destination) != scalars.stored_type(
        a.dtype
    ):
        return Ending(parts, False)
    if is_aligned(a.destination):
        return Ending(parts, True)
    address = s.b.insert(memref.ExtractAlignedPointerAsIndexOp.get(a.destination))
    rest = s.b.index(s.b.remainder(address, PAIR_BYTES))
    return Ending(parts, s.b.compare("eq", rest, s.b.index(0)))


def finish(
    s: DeviceLowering,
    a: Attention,
    shape: Shape,
    tile: Tile,
    warp: Warp,
    held: Registers,
    factor: SSAValue,
    ending: Ending,
    power: Power,
) -> None:
    """Stores what the threads of a block hold."""

    def sum_up(m: SSAValue) -> None:
        for half in range(2):
            whole = across_four(s, s.b.load(held.total, [m, half]), _sum(s))
            s.b.store(whole, held.total, [m, half])
            # From here on in powers of two, as the launch that combines parts takes them.
            top = s.b.insert(arith.MulfOp(s.b.load(held.top, [m, half]), factor))
            s.b.store(top, held.top, [m, half])

    each(s, shape.tiles, sum_up)
    if shape.key_warps > 1:
        _join(s, a, shape, tile, warp, held, ending, power)
        return

    def row(m: SSAValue, half: int, number: Index) -> None:
        place = s.b.add(tile.low, number)
        inside = s.b.compare("slt", s.b.index(place), s.b.index(tile.high))
        only_if(s, inside, lambda: _row(s, a, tile, warp, held, ending, (m, half), place))

    _for_rows(s, shape, warp, row)


def _sum(s: DeviceLowering) -> Callable[[SSAValue, SSAValue], SSAValue]:
    return lambda x, y: combined(s.b, "sum", x, y)


def _row(
    s: DeviceLowering,
    a: Attention,
    tile: Tile,
    warp: Warp,
    held: Registers,
    ending: Ending,
    at: tuple[SSAValue, int],
    row: Index,
) -> None:
    """A row of a fragment, of which each of four threads has every fourth pair of features."""
    b, (m, half), parts = s.b, at, ending.parts
    assert isinstance(a.features, int)
    eights = a.features // WIDTH

    def pair(n: SSAValue) -> list[SSAValue]:
        return [b.load(held.sums, [m, n, 2 * half + side]) for side in range(2)]

    def feature(n: SSAValue) -> Index:
        return b.add(b.mul(n, WIDTH), b.mul(warp.pair, 2))

    def to_parts() -> None:
        first = b.compare("eq", b.index(warp.pair), b.index(0))
        top, total = (b.load(memory, [m, half]) for memory in (held.top, held.total))
        only_if(s, first, lambda: leave(s, parts, ending.part, ending.unit, row, top, total))

        def one(n: SSAValue) -> None:
            place = [b.index(i) for i in (ending.part, ending.unit, row, feature(n))]
            b.append(vector.StoreOp(packed(s, pair(n)), parts.sums, place))

        each(s, eights, one)

    def to_result() -> None:
        share = share_of(s, a, b.load(held.total, [m, half]))
        member, query = member_and_query(s, a, row)
        stack = query_stack(s, a, tile.unit, member)

        def one(n: SSAValue) -> None:
            values = [b.insert(arith.MulfOp(value, share)) for value in pair(n)]
            halves = [scalars.stored(b, value, scalars.element_type(a.destination)) for value in values]
            place = [b.index(i) for i in (*stack, query, feature(n))]

            def together() -> None:
                b.append(vector.StoreOp(packed(s, halves), a.destination, place))

            def apart() -> None:
                for side, value in enumerate(halves):
                    b.store(value, a.destination, [*place[:-1], b.add(place[-1], side)])

            b.either(ending.pairs, together, apart)

        each(s, eights, one)

    parts.ended(s, to_parts, to_result)


def joining_bytes(shape: Shape, features: int) -> int:
    """Shared memory in which warps that shared the keys of a tile put their rows together."""
    if shape.key_warps == 1:
        return 0
    return (shape.key_warps * shape.rows * features + 2 * (shape.key_warps + 1) * shape.rows) * 4


@frozen
class _Joined:
    """What each warp leaves of each row; behind the last warp, what they have together."""

    sums: SSAValue
    top: SSAValue
    total: SSAValue


def _join(
    s: DeviceLowering,
    a: Attention,
    shape: Shape,
    tile: Tile,
    warp: Warp,
    held: Registers,
    ending: Ending,
    power: Power,
) -> None:
    """Warps with the same rows put together what they found, in the memory that keys and values had."""
    b, warps, rows = s.b, shape.key_warps, shape.rows
    assert isinstance(a.features, int)
    features = a.features
    room = warps * rows * features * 4

    def shared(offset: int, *extents: int) -> SSAValue:
        return b.insert(device.SharedAtOp(b.index(offset), f32, extents))

    joined = _Joined(
        shared(0, warps, rows, features),
        shared(room, warps + 1, rows),
        shared(room + (warps + 1) * rows * 4, warps + 1, rows),
    )
    barrier(s)
    _for_rows(s, shape, warp, lambda m, half, row: _leave_totals(s, warp, held, joined, (m, half), row))
    barrier(s)
    _for_rows(
        s,
        shape,
        warp,
        lambda m, half, row: _leave_sums(s, a, shape, warp, held, joined, (m, half), row, power),
    )
    barrier(s)

    def one(number: SSAValue, _: Carried) -> Sequence[SSAValue]:
        row, feature = b.quotient(number, features), b.remainder(number, features)
        value = b.load(joined.sums, [0, row, feature])
        for other in range(1, warps):
            value = b.insert(arith.AddfOp(value, b.load(joined.sums, [other, row, feature])))
        top, total = b.load(joined.top, [warps, row]), b.load(joined.total, [warps, row])
        place, parts = b.add(tile.low, row), ending.parts

        def to_parts() -> None:
            b.store(value, parts.sums, [ending.part, ending.unit, place, feature])
            first = b.compare("eq", b.index(feature), b.index(0))
            only_if(s, first, lambda: leave(s, parts, ending.part, ending.unit, place, top, total))

        def to_result() -> None:
            share = share_of(s, a, total)
            store_feature(s, a, tile.unit, place, feature, b.insert(arith.MulfOp(value, share)))

        parts.ended(s, to_parts, to_result)
        return ()

    present = b.mul(b.sub(tile.high, tile.low), features)
    b.loop(warp.thread, present, (), one, step=shape.threads)


def _for_rows(
    s: DeviceLowering, shape: Shape, warp: Warp, body: Callable[[SSAValue, int, Index], None]
) -> None:
    """The rows of a tile of which the thread has parts."""

    def some(m: SSAValue) -> None:
        for half in range(2):
            body(m, half, s.b.add(s.b.add(warp.row, s.b.mul(m, DEPTH)), s.b.add(warp.group, WIDTH * half)))

    each(s, shape.tiles, some)


def _leave_totals(
    s: DeviceLowering, warp: Warp, held: Registers, joined: _Joined, at: tuple[SSAValue, int], row: Index
) -> None:
    def store() -> None:
        s.b.store(s.b.load(held.top, at), joined.top, [warp.number, row])
        s.b.store(s.b.load(held.total, at), joined.total, [warp.number, row])

    only_if(s, s.b.compare("eq", s.b.index(warp.pair), s.b.index(0)), store)


def _leave_sums(
    s: DeviceLowering,
    a: Attention,
    shape: Shape,
    warp: Warp,
    held: Registers,
    joined: _Joined,
    at: tuple[SSAValue, int],
    row: Index,
    power: Power,
) -> None:
    """The warp's sums as parts of what all warps have; the first warp says what that is."""
    b, warps = s.b, shape.key_warps
    tops = [b.load(joined.top, [number, row]) for number in range(warps)]
    top = tops[0]
    for other in tops[1:]:
        top = combined(b, "max", top, other)
    base = base_of(s, a, top)

    def weight(own: SSAValue) -> SSAValue:
        return power(s, b.insert(arith.SubfOp(own, base)))

    total: SSAValue | None = None
    for number, own in enumerate(tops):
        part = b.insert(arith.MulfOp(b.load(joined.total, [number, row]), weight(own), CONTRACT))
        total = part if total is None else b.insert(arith.AddfOp(total, part, CONTRACT))
    whole = total
    assert whole is not None

    def say() -> None:
        b.store(top, joined.top, [warps, row])
        b.store(whole, joined.total, [warps, row])

    first = b.add(b.mul(warp.number, 4), warp.pair)
    only_if(s, b.compare("eq", b.index(first), b.index(0)), say)
    shrink = weight(b.load(held.top, at))
    assert isinstance(a.features, int)

    def one(n: SSAValue) -> None:
        for side in range(2):
            value = b.load(held.sums, [at[0], n, 2 * at[1] + side])
            feature = b.add(b.add(b.mul(n, WIDTH), b.mul(warp.pair, 2)), side)
            b.store(b.insert(arith.MulfOp(value, shrink)), joined.sums, [warp.number, row, feature])

    each(s, a.features // WIDTH, one)
