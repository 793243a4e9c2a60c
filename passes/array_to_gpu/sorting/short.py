"""Short lines, sorted by blocks of threads: several lines in a block where they are very short."""

from collections.abc import Sequence

from xdsl.dialects import arith
from xdsl.ir import SSAValue

from flowc.passes.array_to_gpu.either import either
from flowc.passes.array_to_gpu.launch import Threads, launch, only_if
from flowc.passes.array_to_gpu.limits import BLOCK, MOST_BLOCKS, WARP
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_gpu.sorting import network
from flowc.passes.array_to_gpu.sorting.items import Item, key_of, last, packed, position_of
from flowc.passes.array_to_gpu.sorting.lines import Lines, levels_of, power
from flowc.passes.array_to_gpu.sorting.network import Sorter
from flowc.passes.array_to_loops.builder import Index

EACH = 8
"""Items that a thread holds."""
SHORT = BLOCK * EACH
"""The longest lines that a block sorts."""


def sort_short(s: DeviceLowering, lines: Lines) -> None:
    """Sorts lines of at most `SHORT` numbers."""
    few: SSAValue | bool
    if isinstance(lines.length, int):
        few = lines.length <= WARP
    else:
        few = s.b.compare("sle", lines.length, s.b.index(WARP))
    either(s, few, lambda: _by_blocks(s, lines, 1, WARP), lambda: _by_blocks(s, lines, EACH, SHORT))


def _by_blocks(s: DeviceLowering, lines: Lines, each: int, longest: int) -> None:
    levels = levels_of(s, lines.length, each.bit_length() - 1, longest.bit_length() - 1)
    group = power(s, levels)
    together = s.top.quotient(BLOCK * each, group)

    def body(threads: Threads) -> None:
        sorter = network.sorter(s, lines.form, threads.thread[0], each, levels)

        def some(number: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            _sort_some(sorter, lines, s.b.mul(number, together), group)
            return ()

        s.b.loop(threads.block[0], s.b.ceiling(lines.count, together), (), some, step=threads.blocks[0])

    blocks = s.top.min(s.top.ceiling(lines.count, together), MOST_BLOCKS)
    launch(s, "sort_lines", [blocks], [BLOCK], body)


def _sort_some(sorter: Sorter, lines: Lines, first: Index, group: Index) -> None:
    """Sorts as many lines as a block holds, the `first` of them and those behind it."""
    s, form, each = sorter.s, sorter.form, sorter.each
    team = s.b.index(s.b.quotient(group, each))
    line = s.b.add(first, s.b.quotient(sorter.thread, team))
    member = s.b.remainder(sorter.thread, team)
    exists = s.b.compare("slt", s.b.index(line), s.b.index(lines.count))
    start = s.b.mul(s.b.quotient(sorter.thread, team), group)

    def place(e: Index) -> Index:
        return s.b.add(s.b.mul(team, e), member)

    def read(e: SSAValue) -> None:
        there = place(e)

        def item() -> Item:
            return packed(s.b, form, lines.key(line, there), there)

        inside = _inside(s, exists, there, lines.length)
        network.set_own(sorter, e, s.b.branch(inside, item, lambda: last(s.b, form)))

    def finish(e: SSAValue) -> None:
        rank = place(e)

        def give() -> None:
            held = each == 1
            item = network.own_item(sorter, e) if held else network.fetch(sorter, s.b.add(start, rank))
            lines.finish(line, rank, key_of(s.b, form, item), position_of(s.b, form, item))

        only_if(s, _inside(s, exists, rank, lines.length), give)

    network.each_own(sorter, read)
    network.sort(sorter)
    if each > 1:
        network.leave(sorter)
    network.each_own(sorter, finish)


def _inside(s: DeviceLowering, exists: SSAValue, place: Index, length: Index) -> SSAValue:
    below = s.b.compare("slt", s.b.index(place), s.b.index(length))
    return s.b.insert(arith.AndIOp(exists, below))
