"""Sorting within a block of threads: Batcher's bitonic network (1968) over registers, warps, shared memory.

The items of a block are cut into groups of a power of two, each of which is sorted. Item `thread * each + e`
is the one that a thread holds as its number e: those that are compared stand in one thread, in one warp, or
further apart.
"""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.dialects import arith, memref
from xdsl.dialects.builtin import i32
from xdsl.ir import SSAValue

from flowc.dialects import device
from flowc.passes.array_to_gpu.launch import barrier
from flowc.passes.array_to_gpu.limits import BLOCK, WARP
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_gpu.sorting.items import Item, ItemForm, before, select
from flowc.passes.array_to_loops.builder import Index

PADDING = 32
"""After so many words of shared memory one is left free, so that threads whose words are some apart meet
different banks."""


@frozen
class Sorter:
    """Where a block sorts: `each` items of a thread, in groups of 2 to the power of `levels`, which hold at
    least those of one thread. `own` has the words of the thread's items, in registers, and `shared` has room
    for those of all."""

    s: DeviceLowering
    form: ItemForm
    thread: SSAValue
    each: int
    levels: Index
    own: Sequence[SSAValue]
    shared: Sequence[SSAValue]

    @property
    def own_levels(self) -> int:
        """Groups of so many levels are one thread's."""
        return self.each.bit_length() - 1

    @property
    def warp_levels(self) -> int:
        """Groups of so many levels are one warp's."""
        return self.own_levels + WARP.bit_length() - 1


def sorter(s: DeviceLowering, form: ItemForm, thread: SSAValue, each: int, levels: Index) -> Sorter:
    """A sorter with memory of its own. To be called in a launch, outside of its loops."""
    count = BLOCK * each
    own = [s.b.insert(memref.AllocaOp.get(word, shape=[each])) for word in form.words]
    shared = [s.b.insert(device.SharedOp(word, [count + count // PADDING])) for word in form.words]
    return Sorter(s, form, thread, each, levels, own, shared)


def each_own(sorter: Sorter, body: Callable[[SSAValue], None]) -> None:
    """Runs `body` for the numbers of the items of a thread; written out, so that these are in registers."""

    def one(e: SSAValue, _: Item) -> Sequence[SSAValue]:
        body(e)
        return ()

    sorter.s.b.loop(0, sorter.each, (), one)


def own_item(sorter: Sorter, e: Index) -> Item:
    """An item of this thread."""
    return tuple(sorter.s.b.load(memory, [e]) for memory in sorter.own)


def set_own(sorter: Sorter, e: Index, item: Item) -> None:
    """Sets an item of this thread."""
    for word, memory in zip(item, sorter.own, strict=True):
        sorter.s.b.store(word, memory, [e])


def sort(sorter: Sorter) -> None:
    """Brings the items of each group in rising order. All threads must get here."""
    s = sorter.s
    for level in range(sorter.own_levels):
        _within_thread(sorter, level, 1 << level + 1)

    def merge(level: SSAValue, _: Item) -> Sequence[SSAValue]:
        _merge(sorter, level)
        return ()

    s.b.loop(sorter.own_levels, sorter.levels, (), merge, plain=True)


def _power(s: DeviceLowering, exponent: Index) -> SSAValue:
    return s.b.insert(arith.ShLIOp(s.b.index(1), s.b.index(exponent)))


def _merge(sorter: Sorter, level: SSAValue) -> None:
    """One level of the network: every two neighbouring groups become one, by comparing items 2 to the power
    of `level` apart, then half as far and so on."""
    s = sorter.s
    size = _power(s, s.b.add(level, 1))
    own, warp = sorter.own_levels, sorter.warp_levels

    def apart(distance: SSAValue, _: Item) -> Sequence[SSAValue]:
        _across_block(sorter, _power(s, s.b.sub(s.b.sub(level, distance), own)), size)
        return ()

    def near(distance: SSAValue, _: Item) -> Sequence[SSAValue]:
        _across_warp(sorter, _power(s, s.b.sub(s.b.sub(s.b.min(level, warp - 1), distance), own)), size)
        return ()

    s.b.loop(0, s.b.add(s.b.sub(level, warp), 1), (), apart, plain=True)
    s.b.loop(0, s.b.sub(s.b.min(level, warp - 1), own - 1), (), near, plain=True)
    _within_thread(sorter, own - 1, size)


def _falls(sorter: Sorter, size: Index) -> SSAValue:
    """Whether the group of `size`, at least one thread's, in which a thread's items stand is to be sorted in
    falling order: every other one, but for the largest groups."""
    s = sorter.s
    place = s.b.index(s.b.mul(sorter.thread, sorter.each))
    inside = s.b.insert(arith.AndIOp(place, s.b.index(s.b.sub(_power(s, sorter.levels), 1))))
    return _shares(s, inside, size)


def _shares(s: DeviceLowering, one: SSAValue, other: Index) -> SSAValue:
    """Whether two numbers have a bit in common."""
    return s.b.compare("ne", s.b.insert(arith.AndIOp(one, s.b.index(other))), s.b.index(0))


def _within_thread(sorter: Sorter, level: int, size: Index) -> None:
    """Compares the thread's own items, up to 2 to the power of `level` apart."""
    s = sorter.s
    smaller = isinstance(size, int) and size < sorter.each
    falls = None if smaller or level < 0 else _falls(sorter, size)
    for distance in (1 << k for k in range(level, -1, -1)):

        def pair(number: SSAValue, _: Item, distance: int = distance) -> Sequence[SSAValue]:
            start = s.b.mul(s.b.quotient(number, distance), 2 * distance)
            e = s.b.index(s.b.add(start, s.b.remainder(number, distance)))
            one, other = own_item(sorter, e), own_item(sorter, s.b.add(e, distance))
            turned = falls or _shares(s, e, size)
            swap = s.b.insert(arith.XOrIOp(before(s.b, other, one), turned))
            set_own(sorter, e, select(s.b, swap, other, one))
            set_own(sorter, s.b.add(e, distance), select(s.b, swap, one, other))
            return ()

        s.b.loop(0, sorter.each // 2, (), pair)


def _take(sorter: Sorter, e: SSAValue, other: Item, keeps_larger: SSAValue) -> None:
    """Takes the other item of a pair instead of the own one, where it is the one to keep."""
    s, mine = sorter.s, own_item(sorter, e)
    takes = s.b.insert(arith.XOrIOp(before(s.b, other, mine), keeps_larger))
    set_own(sorter, e, select(s.b, takes, other, mine))


def _keeps_larger(sorter: Sorter, step: SSAValue, size: SSAValue) -> SSAValue:
    """Whether a thread keeps the larger items of its pairs with the thread `step` away."""
    upper = _shares(sorter.s, sorter.thread, step)
    return sorter.s.b.insert(arith.XOrIOp(upper, _falls(sorter, size)))


def _across_warp(sorter: Sorter, step: SSAValue, size: SSAValue) -> None:
    """Compares with the items of the thread `step` further on or before, in the same warp."""
    s, larger = sorter.s, _keeps_larger(sorter, step, size)
    lanes = s.b.convert(arith.IndexCastOp, step, i32)

    def one(e: SSAValue) -> None:
        mine = own_item(sorter, e)
        other = tuple(s.b.insert(device.ShuffleOp("xor", word, lanes)) for word in mine)
        _take(sorter, e, other, larger)

    each_own(sorter, one)


def _across_block(sorter: Sorter, step: SSAValue, size: SSAValue) -> None:
    """The same in another warp, through shared memory."""
    s, larger = sorter.s, _keeps_larger(sorter, step, size)
    partner = s.b.insert(arith.XOrIOp(sorter.thread, step))

    def at(e: SSAValue, thread: SSAValue) -> list[Index]:
        return [s.b.add(s.b.mul(e, BLOCK), thread)]

    def leave_one(e: SSAValue) -> None:
        for word, memory in zip(own_item(sorter, e), sorter.shared, strict=True):
            s.b.store(word, memory, at(e, sorter.thread))

    def take_one(e: SSAValue) -> None:
        other = tuple(s.b.load(memory, at(e, partner)) for memory in sorter.shared)
        _take(sorter, e, other, larger)

    barrier(s)
    each_own(sorter, leave_one)
    barrier(s)
    each_own(sorter, take_one)


def leave(sorter: Sorter) -> None:
    """Puts the items of all threads into shared memory in their order, for `fetch`."""
    s = sorter.s
    barrier(s)
    each_own(
        sorter, lambda e: put(sorter, s.b.add(s.b.mul(sorter.thread, sorter.each), e), own_item(sorter, e))
    )
    barrier(s)


def fetch(sorter: Sorter, place: Index) -> Item:
    """The item at a place among all of the block, after `leave`."""
    s = sorter.s
    return tuple(s.b.load(memory, [_spread(s, place)]) for memory in sorter.shared)


def put(sorter: Sorter, place: Index, item: Item) -> None:
    """Puts an item into shared memory where `fetch` finds it."""
    s = sorter.s
    for word, memory in zip(item, sorter.shared, strict=True):
        s.b.store(word, memory, [_spread(s, place)])


def _spread(s: DeviceLowering, place: Index) -> Index:
    return s.b.add(place, s.b.quotient(place, PADDING))
