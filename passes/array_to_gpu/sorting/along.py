"""sort and argsort on a device, along any axis.

Lines along an axis before the last are turned first, and what they give is turned back: threads that are
neighbours then read and write neighbours.
"""

from collections.abc import Sequence

from attrs import frozen
from xdsl.dialects import arith
from xdsl.dialects.builtin import i32, i64
from xdsl.ir import SSAValue

from flowc.dialects.array import irregular
from flowc.dialects.array.types import dtype_of
from flowc.passes.array_to_gpu.either import either
from flowc.passes.array_to_gpu.launch import unravelled
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_gpu.sorting.items import ItemForm, decoded, encoded, item_form
from flowc.passes.array_to_gpu.sorting.lines import Lines
from flowc.passes.array_to_gpu.sorting.radix import sort_long
from flowc.passes.array_to_gpu.sorting.short import SHORT, sort_short
from flowc.passes.array_to_gpu.sorting.sources import is_rounded, require_countable
from flowc.passes.array_to_gpu.transposes import Matrices, Words, turn
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.checks import Checks


@frozen(eq=False)
class _Along:
    """What is sorted: the elements of a value along an axis, `before` and `after` as many positions of the
    axes on either side of it."""

    s: DeviceLowering
    form: ItemForm
    source: SSAValue
    destination: SSAValue
    sizes: Sequence[Index]
    axis: int
    before: Index
    after: Index

    @property
    def length(self) -> Index:
        """The extent of the axis."""
        return self.sizes[self.axis]

    def at(self, before: Index, place: Index, after: Index) -> tuple[Index, ...]:
        """The position of an element."""
        front = unravelled(self.s, before, self.sizes[: self.axis])
        return (*front, place, *unravelled(self.s, after, self.sizes[self.axis + 1 :]))

    def key(self, before: Index, place: Index, after: Index) -> SSAValue:
        """The key of an element."""
        return encoded(self.s.b, self.form, self.s.element(self.source, self.at(before, place, after)))

    def give(self, at: tuple[Index, ...], key: SSAValue | None, position: SSAValue | None) -> None:
        """Stores an element of the result: a position, or else the number that has a key."""
        b = self.s.b
        if position is not None:
            scalars.store(b, b.convert(arith.ExtUIOp, position, i64), self.destination, at)
        elif key is not None:
            scalars.store(b, decoded(b, self.form, key), self.destination, at)


def lower_sort(
    s: DeviceLowering, checks: Checks, op: irregular.SortOp | irregular.ArgsortOp, destination: SSAValue
) -> None:
    """Each line along the axis in rising order, or the positions that sort it."""
    sizes, axis = s.sizes(op.source), op.axis.value.data
    require_countable(s, checks, sizes[axis], op)
    positions = isinstance(op, irregular.ArgsortOp)
    form = item_form(dtype_of(op.source.type), positions=positions, halves=is_rounded(s, op.source))
    before, after = s.top.product(sizes[:axis]), s.top.product(sizes[axis + 1 :])
    along = _Along(s, form, op.source, destination, sizes, axis, before, after)
    if after == 1:
        _sort_neighbours(along)
    else:
        _sort_across(along)


def _sort_neighbours(along: _Along) -> None:
    def finish(line: Index, rank: Index, key: SSAValue, position: SSAValue | None) -> None:
        along.give(along.at(line, rank, 0), key, position)

    lines = Lines(
        along.form, along.before, along.length, lambda line, place: along.key(line, place, 0), finish
    )
    sort_lines(along.s, lines)


def _sort_across(along: _Along) -> None:
    """Turns keys into lines of neighbours, and what they give back again."""
    s, form, length = along.s, along.form, along.length
    extents = [along.before, along.after, length]
    keys = s.allocate(form.key.type, extents)
    ranked = s.allocate(i32, extents) if form.positions else keys

    def line_of(line: Index) -> tuple[Index, Index]:
        return s.b.quotient(line, along.after), s.b.remainder(line, along.after)

    def read(before: Index, place: Index, after: Index) -> Words:
        return (along.key(before, place, after),)

    def keep(before: Index, place: Index, after: Index, words: Words) -> None:
        s.b.store(words[0], keys, [before, after, place])

    def key(line: Index, place: Index) -> SSAValue:
        return s.b.load(keys, [*line_of(line), place])

    def finish(line: Index, rank: Index, key: SSAValue, position: SSAValue | None) -> None:
        s.b.store(key if position is None else position, ranked, [*line_of(line), rank])

    def found(before: Index, after: Index, rank: Index) -> Words:
        return (s.b.load(ranked, [before, after, rank]),)

    def give(before: Index, after: Index, rank: Index, words: Words) -> None:
        (word,) = words
        along.give(along.at(before, rank, after), word, word if form.positions else None)

    turn(s, "sort_turn", Matrices(along.before, length, along.after, [form.key.type], read, keep))
    sort_lines(s, Lines(form, s.top.mul(along.before, along.after), length, key, finish))
    word = scalars.element_type(ranked)
    turn(s, "sort_turn_back", Matrices(along.before, along.after, length, [word], found, give))


def sort_lines(s: DeviceLowering, lines: Lines) -> None:
    """Sorts lines of whatever length."""
    short: SSAValue | bool
    if isinstance(lines.length, int):
        short = lines.length <= SHORT
    else:
        short = s.b.compare("sle", lines.length, s.b.index(SHORT))
    either(s, short, lambda: sort_short(s, lines), lambda: sort_long(s, lines))
