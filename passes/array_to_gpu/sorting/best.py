"""topk on a device.

Short lines are sorted. Of long ones few are wanted as a rule: a block goes through a part of a line, and
keeps those elements that come before the last of the best that it knows, until its memory is full of them;
then it sorts what it has and forgets all but the best. A second launch does the same with what the parts of
a line have left. Where many are wanted, the line is sorted by its digits.
"""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.dialects import arith
from xdsl.dialects.builtin import i32, i64
from xdsl.ir import SSAValue

from flowc.dialects import device
from flowc.dialects.array import ops
from flowc.dialects.array.types import dtype_of, is_float
from flowc.passes.array_to_gpu.either import either
from flowc.passes.array_to_gpu.launch import Threads, barrier, launch, only_if, unravelled
from flowc.passes.array_to_gpu.limits import BLOCK, MOST_BLOCKS, WARP
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_gpu.sorting import network
from flowc.passes.array_to_gpu.sorting.digits import add, how_many, lanes_before
from flowc.passes.array_to_gpu.sorting.items import (
    Item,
    ItemForm,
    before,
    decoded,
    encoded,
    item_form,
    key_of,
    last,
    packed,
    position_of,
)
from flowc.passes.array_to_gpu.sorting.lines import Lines
from flowc.passes.array_to_gpu.sorting.network import Sorter
from flowc.passes.array_to_gpu.sorting.radix import sort_long
from flowc.passes.array_to_gpu.sorting.short import EACH, SHORT, sort_short
from flowc.passes.array_to_gpu.sorting.sources import is_rounded, require_countable
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.checks import Checks

FEW = 512
"""As many as a block keeps beside newcomers."""
ROUND = 4
"""Elements that a thread looks at between two barriers."""
PART = 8192
"""Elements of a part at least."""
MOST_PARTS = 1024
"""Parts of all lines together: enough blocks to fill a device."""
MOST_LEFT = 1 << 16
"""Elements that the parts of a line leave at most."""


@frozen(eq=False)
class Search:
    """The `wanted` first items of `lines` lines with `length` places, each cut into `parts`. `read` gives the
    item at a place of a line, `write` takes one with its line, the part and its rank."""

    form: ItemForm
    lines: Index
    length: Index
    parts: Index
    wanted: Index
    read: Callable[[Index, Index], Item]
    write: Callable[[Index, Index, Index, Item], None]


def lower_topk(
    s: DeviceLowering, checks: Checks, op: ops.TopKOp, values: SSAValue, indices: SSAValue
) -> None:
    """The k largest of each row in falling order, the lower position first among equals."""
    *outer, length = s.sizes(op.source)
    require_countable(s, checks, length, op)
    wanted = s.size(s.extents.extent(op.values, len(outer)))
    dtype = dtype_of(op.source.type)
    form = item_form(dtype, positions=True, falling=True, halves=is_rounded(s, op.source))

    def at(line: Index, place: Index) -> tuple[Index, ...]:
        return (*(unravelled(s, line, outer) if outer else ()), place)

    def key(line: Index, place: Index) -> SSAValue:
        return encoded(s.b, form, s.element(op.source, at(line, place)))

    def give(line: Index, rank: Index, key: SSAValue, position: SSAValue | None) -> None:
        assert position is not None
        value = decoded(s.b, form, key)
        if is_float(dtype):
            # A key does not tell -0.0 from 0.0.
            zero = s.b.insert(arith.CmpfOp(value, s.b.constant(0.0, value.type), "oeq"))
            own = s.element(op.source, at(line, s.b.to_index(position)))
            value = s.b.select(zero, own, value)
        scalars.store(s.b, value, values, at(line, rank))
        s.b.store(s.b.convert(arith.ExtUIOp, position, i64), indices, at(line, rank))

    def finish(line: Index, rank: Index, key: SSAValue, position: SSAValue | None) -> None:
        counts = s.b.compare("slt", s.b.index(rank), s.b.index(wanted))
        only_if(s, counts, lambda: give(line, rank, key, position))

    lines = Lines(form, s.top.product(outer), length, key, finish)
    either(
        s,
        _at_most(s, length, SHORT),
        lambda: sort_short(s, lines),
        lambda: either(
            s, _at_most(s, wanted, FEW), lambda: _search(s, lines, wanted), lambda: sort_long(s, lines)
        ),
    )


def _at_most(s: DeviceLowering, number: Index, limit: int) -> SSAValue | bool:
    return number <= limit if isinstance(number, int) else s.b.compare("sle", number, s.b.index(limit))


def _search(s: DeviceLowering, lines: Lines, wanted: Index) -> None:
    """Finds the first of each line by parts."""
    form = lines.form
    by_parts = s.top.ceiling(lines.length, PART)
    room = s.top.quotient(MOST_LEFT, s.top.max(wanted, 1))
    share = s.top.max(s.top.quotient(MOST_PARTS, s.top.max(lines.count, 1)), 1)
    parts = s.top.min(s.top.min(by_parts, room), share)
    left = s.top.mul(parts, wanted)
    memory = [s.allocate(word, [lines.count, left]) for word in form.words]

    def read(line: Index, place: Index) -> Item:
        return packed(s.b, form, lines.key(line, place), place)

    def leave(line: Index, part: Index, rank: Index, item: Item) -> None:
        for word, buffer in zip(item, memory, strict=True):
            s.b.store(word, buffer, [line, s.b.add(s.b.mul(part, wanted), rank)])

    def finish(line: Index, _: Index, rank: Index, item: Item) -> None:
        lines.finish(line, rank, key_of(s.b, form, item), position_of(s.b, form, item))

    def again(line: Index, place: Index) -> Item:
        return tuple(s.b.load(buffer, [line, place]) for buffer in memory)

    _launch(s, "topk_parts", Search(form, lines.count, lines.length, parts, wanted, read, leave))
    _launch(s, "topk", Search(form, lines.count, left, 1, wanted, again, finish))


@frozen(eq=False)
class _Block:
    """What a block has while it searches: the items it keeps, their number, and the item before which others
    must come to be kept."""

    sorter: Sorter
    search: Search
    count: SSAValue
    bound: Sequence[SSAValue]


def _launch(s: DeviceLowering, name: str, search: Search) -> None:
    total = s.top.mul(search.lines, search.parts)
    size = s.top.ceiling(search.length, search.parts)

    def body(threads: Threads) -> None:
        thread = threads.thread[0]
        sorter = network.sorter(s, search.form, thread, EACH, SHORT.bit_length() - 1)
        count = s.b.insert(device.SharedOp(i32, [1]))
        bound = [s.b.insert(device.SharedOp(word, [1])) for word in search.form.words]
        block = _Block(sorter, search, count, bound)

        def one(number: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            line, part = s.b.quotient(number, search.parts), s.b.remainder(number, search.parts)
            low = s.b.mul(part, size)
            _search_part(block, line, part, low, s.b.min(s.b.add(low, size), search.length))
            return ()

        s.b.loop(threads.block[0], total, (), one, step=threads.blocks[0])

    launch(s, name, [s.top.min(total, MOST_BLOCKS)], [BLOCK], body)


def _search_part(block: _Block, line: Index, part: Index, low: Index, high: Index) -> None:
    sorter, search = block.sorter, block.search
    s = sorter.s
    leader = s.b.compare("eq", sorter.thread, s.b.index(0))

    def begin() -> None:
        s.b.store(s.b.constant(0, i32), block.count, [0])
        for word, memory in zip(last(s.b, search.form), block.bound, strict=True):
            s.b.store(word, memory, [0])

    barrier(s)
    only_if(s, leader, begin)
    barrier(s)

    def round_(first: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        full = s.b.compare("sgt", s.b.load(block.count, [0]), s.b.constant(SHORT - ROUND * BLOCK, i32))
        barrier(s)
        only_if(s, full, lambda: _keep_best(block))
        _take(block, line, first, high)
        barrier(s)
        return ()

    s.b.loop(low, high, (), round_, step=ROUND * BLOCK)
    _keep_best(block)

    def give(rank: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        search.write(line, part, rank, network.fetch(sorter, rank))
        return ()

    s.b.loop(sorter.thread, search.wanted, (), give, step=BLOCK)


def _take(block: _Block, line: Index, first: SSAValue, high: Index) -> None:
    """Keeps what comes before the bound, of a round of elements."""
    sorter, search = block.sorter, block.search
    s = sorter.s
    lane = s.b.index(s.b.remainder(sorter.thread, WARP))
    lower = lanes_before(s, lane)
    bound = tuple(s.b.load(memory, [0]) for memory in block.bound)
    nothing = last(s.b, search.form)
    items = []
    for e in range(ROUND):
        place = s.b.index(s.b.add(s.b.add(first, e * BLOCK), sorter.thread))
        inside = s.b.compare("slt", place, s.b.index(high))
        items.append(s.b.branch(inside, lambda place=place: search.read(line, place), lambda: nothing))  # type: ignore[misc]
    for item in items:
        comes = before(s.b, item, bound)
        lanes = s.b.insert(device.BallotOp(comes))
        some = s.b.compare("ne", lanes, s.b.constant(0, i32))

        def reserve(lanes: SSAValue = lanes) -> Sequence[SSAValue]:
            return (add(s, how_many(s, lanes), block.count, [s.b.index(0)]),)

        asks = s.b.insert(arith.AndIOp(some, s.b.compare("eq", lane, s.b.index(0))))
        start = s.b.branch(asks, reserve, lambda: (s.b.constant(0, i32),))[0]
        start = s.b.insert(device.ShuffleOp("idx", start, s.b.constant(0, i32)))
        ahead = how_many(s, s.b.insert(arith.AndIOp(lanes, lower)))
        slot = s.b.to_index(s.b.insert(arith.AddiOp(start, ahead)))
        only_if(s, comes, lambda slot=slot, item=item: network.put(sorter, slot, item))  # type: ignore[misc]


def _keep_best(block: _Block) -> None:
    """Sorts what the block has, and keeps the first of it. All threads must get here, and find the items of
    others that came before a barrier."""
    sorter, search = block.sorter, block.search
    s = sorter.s
    count = s.b.to_index(s.b.load(block.count, [0]))
    nothing = last(s.b, search.form)

    def load(e: SSAValue) -> None:
        slot = s.b.index(s.b.add(sorter.thread, s.b.mul(e, BLOCK)))
        filled = s.b.compare("slt", slot, count)
        network.set_own(sorter, e, s.b.branch(filled, lambda: network.fetch(sorter, slot), lambda: nothing))

    network.each_own(sorter, load)
    network.sort(sorter)
    network.leave(sorter)
    kept = s.b.min(s.b.index(search.wanted), count)

    def remember() -> None:
        s.b.store(s.b.convert(arith.IndexCastOp, s.b.index(kept), i32), block.count, [0])
        bound = network.fetch(sorter, s.b.max(s.b.sub(search.wanted, 1), 0))
        for word, memory in zip(bound, block.bound, strict=True):
            s.b.store(word, memory, [0])

    only_if(s, s.b.compare("eq", sorter.thread, s.b.index(0)), remember)
    barrier(s)
