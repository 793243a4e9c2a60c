"""Keys that a mask written out hides: left out where they change nothing.

As on a processor (`array_to_loops.hidden_keys`): keys that the mask may show come first; what they leave
decides whether the others are needed. Of queries, keys and values the largest magnitudes are found ahead.
"""

from collections.abc import Callable, Sequence
from functools import partial

from attrs import frozen
from xdsl.dialects import arith, math
from xdsl.dialects.builtin import f32, i32, i64
from xdsl.ir import SSAValue

from flowc.passes.array_to_gpu.across import across_block
from flowc.passes.array_to_gpu.attention.roles import Attention, Tile, query_stack
from flowc.passes.array_to_gpu.irregular.atomics import change
from flowc.passes.array_to_gpu.launch import Threads, blocks_for, launch, only_if, sweep, unravelled
from flowc.passes.array_to_gpu.limits import BLOCK, MOST_NARROW
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.elements import Indices, aligned
from flowc.passes.array_to_loops.hidden_keys import NEGLIGIBLE
from flowc.passes.array_to_loops.reductions import Carried, combine
from flowc.passes.array_to_loops.visible_keys import FAR, Line, Sight, sight_of, visible_keys

QUERIES, KEYS, VALUES = range(3)


@frozen
class Sights:
    """What a mask shows by positions, and memory with the largest magnitudes, as the bits of f32."""

    sight: Sight
    largest: SSAValue


def sights_of(s: DeviceLowering, a: Attention) -> Sights | None:
    """What can be told of a mask by positions, if anything; launches what finds the magnitudes."""
    sight = sight_of(s, a.op)
    if sight is None:
        return None
    largest = s.allocate(i32, [3])
    sweep(s, [3], lambda at: s.b.store(s.b.constant(0, i32), largest, at), "begin")
    needed = [(VALUES, a.op.value)]
    if sight.added:
        needed += [(QUERIES, a.op.query), (KEYS, a.op.key)]
    for number, value in needed:
        _find_largest(s, value, largest, number)
    return Sights(sight, largest)


def _find_largest(s: DeviceLowering, value: SSAValue, largest: SSAValue, number: int) -> None:
    """The largest magnitude of an array, NaN where there is one: bits of what is not negative are ordered as
    the numbers are, so that integers are compared."""
    sizes = s.sizes(value)
    total = s.top.product(sizes)

    def body(threads: Threads) -> None:
        b = s.b
        first = b.add(b.mul(threads.block[0], BLOCK), threads.thread[0])

        def one(i: SSAValue, found: Carried) -> Sequence[SSAValue]:
            size = b.insert(math.AbsFOp(s.as_dtype(value, unravelled(s, i, sizes), "f32")))
            return (b.insert(arith.MaxSIOp(found[0], b.insert(arith.BitcastOp(size, i32)))),)

        def merge(x: Carried, y: Carried) -> Carried:
            return (b.insert(arith.MaxSIOp(x[0], y[0])),)

        own = b.loop(first, total, (b.constant(0, i32),), one, step=b.mul(threads.blocks[0], BLOCK))
        whole = across_block(s, own, merge, threads.thread[0], BLOCK)[0]
        leads = b.compare("eq", threads.thread[0], b.index(0))
        only_if(s, leads, lambda: change(s, "max", whole, largest, [number]))

    launch(s, "largest", [blocks_for(s, total)], [BLOCK], body)


def in_order_of_sight(
    s: DeviceLowering,
    a: Attention,
    sights: Sights,
    tile: Tile,
    keys: tuple[Index, Index],
    step: int,
    least_top: Callable[[], SSAValue],
    walk: Callable[[Index, Index], None],
) -> None:
    """First the keys that the mask may show; then those behind and before them, unless they can be seen to
    change nothing. All threads of a block take the same way."""
    b, (first, end) = s.b, keys
    stack = query_stack(s, a, tile.unit, 0)
    low, high = b.sub(tile.lowest, a.offset(b)), b.add(b.sub(tile.highest, a.offset(b)), 1)
    room_of = partial(_room, s, stack=stack)
    near, far = visible_keys(s, sights.sight, stack, low, high, end, room_of)
    near, far = b.max(b.min(near, end), first), b.max(b.min(far, end), first)
    near = b.add(first, b.mul(b.quotient(b.sub(near, first), step), step))
    far = b.max(far, near)
    far = b.min(end, b.add(first, b.mul(b.ceiling(b.sub(far, first), step), step)))

    def part(number: SSAValue, _: Carried) -> Sequence[SSAValue]:
        def of(parts: Sequence[Index]) -> SSAValue:
            later = b.select(b.compare("eq", number, b.index(1)), b.index(parts[1]), b.index(parts[2]))
            return b.select(b.compare("eq", number, b.index(0)), b.index(parts[0]), later)

        low, high = of([near, far, first]), of([far, end, near])
        later = b.compare("ne", number, b.index(0))
        idle = b.insert(arith.AndIOp(later, _is_negligible(s, a, sights, least_top())))
        walk(low, b.select(idle, low, high))
        return ()

    b.loop(0, 3, (), part, plain=True)


def _room(s: DeviceLowering, line: Line, stack: Indices) -> SSAValue:
    """How far above its least the difference of a line is for the first query and key, as a position: what is
    further away than any of these counts as much."""
    b, far = s.b, MOST_NARROW if s.narrow else FAR
    at = (*stack, 0, 0)
    larger, smaller = (s.element(each, aligned(each, at)) for each in (line.larger, line.smaller))

    def near(value: SSAValue) -> SSAValue:
        above = b.insert(arith.AddiOp(value, b.constant(FAR, i64)))
        return b.compare("ult", above, b.constant(2 * FAR, i64))

    sane = b.insert(arith.AndIOp(near(larger), near(smaller)))
    room = b.insert(arith.SubiOp(larger, smaller))
    room = b.insert(arith.SubiOp(room, b.constant(line.least, i64)))
    room = b.select(sane, room, b.constant(far, i64))
    room = b.insert(arith.MinSIOp(room, b.constant(far, i64)))
    return b.to_index(b.insert(arith.MaxSIOp(room, b.constant(-far, i64))))


def _is_negligible(s: DeviceLowering, a: Attention, sights: Sights, least: SSAValue) -> SSAValue:
    """Whether a key that the mask hides has weight 0 for all queries, and a value that 0 takes back."""
    b = s.b

    def largest(number: int) -> SSAValue:
        return b.insert(arith.BitcastOp(b.load(sights.largest, [number]), f32))

    hidden = b.constant(sights.sight.hidden, f32)
    if sights.sight.added:
        scale = s.as_dtype(a.op.scale, (), "f32")
        size = b.insert(arith.MulfOp(largest(QUERIES), b.insert(math.AbsFOp(scale))))
        terms = b.convert(arith.SIToFPOp, b.to_integer(b.mul(a.depth, 2)), f32)
        bound = b.insert(arith.MulfOp(b.insert(arith.MulfOp(size, largest(KEYS))), terms))
        hidden = b.insert(arith.AddfOp(hidden, bound))
    finite = b.insert(arith.CmpfOp(largest(VALUES), b.constant(float("inf"), f32), "olt"))
    if least.type != f32:
        least = b.insert(arith.TruncFOp(least, f32))
    apart = b.insert(arith.SubfOp(least, hidden))
    far = b.insert(arith.CmpfOp(apart, b.constant(NEGLIGIBLE, f32), "oge"))
    return b.insert(arith.AndIOp(finite, far))


def least_across(s: DeviceLowering, value: SSAValue, thread: SSAValue, threads: int) -> SSAValue:
    """The least that a thread of the block has, in all of them."""

    def merge(x: Carried, y: Carried) -> Carried:
        return (combine(s.b, "min", x[0], y[0]),)

    return across_block(s, (value,), merge, thread, threads)[0]
