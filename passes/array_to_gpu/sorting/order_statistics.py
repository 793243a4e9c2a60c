"""Order statistics on a device: the elements of a line from a position on, in rising order.

A long line is not sorted. The digits of the wanted keys are found one by one, the highest first (radix
select): each launch counts the next digit of the keys that begin as the wanted one does, which says what
that digit is.
"""

from collections.abc import Sequence
from functools import partial

from attrs import frozen
from xdsl.dialects import arith
from xdsl.dialects.builtin import i32
from xdsl.ir import Attribute, SSAValue

from flowc.dialects import device
from flowc.dialects.array import irregular
from flowc.dialects.array.types import dtype_of, shape_of
from flowc.passes.array_to_gpu.either import either
from flowc.passes.array_to_gpu.launch import Threads, barrier, launch, only_if, sweep, unravelled
from flowc.passes.array_to_gpu.limits import BLOCK, MOST_BLOCKS, WARP
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
    sums_before,
)
from flowc.passes.array_to_gpu.sorting.items import ItemForm, decoded, encoded, item_form
from flowc.passes.array_to_gpu.sorting.lines import Lines
from flowc.passes.array_to_gpu.sorting.radix import sort_long
from flowc.passes.array_to_gpu.sorting.short import SHORT, sort_short
from flowc.passes.array_to_gpu.sorting.sources import keep, require_countable
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.checks import Checks

SOME = 4
"""So many elements of a line are found one by one; for more of them it is sorted."""
EACH = 32
"""Elements that a thread counts in a line."""


@frozen(eq=False)
class Wanted:
    """The operator; the form of keys, and the extents of all axes but the last; how many lines there are, and
    how long they are."""

    op: irregular.OrderStatisticsOp
    form: ItemForm
    outer: Sequence[Index]
    lines: Index
    length: Index

    @property
    def count(self) -> int:
        """How many elements of a line are wanted."""
        number: int = self.op.count.value.data
        return number


def lower_order_statistics(
    s: DeviceLowering, checks: Checks, op: irregular.OrderStatisticsOp, destination: SSAValue
) -> None:
    """The wanted elements of each line along the last axis."""
    *outer, length = s.sizes(op.source)
    require_countable(s, checks, length, op)
    form = item_form(dtype_of(op.source.type), positions=False)
    wanted = Wanted(op, form, outer, s.top.product(outer), length)

    def empty() -> None:
        zero = scalars.held_type(dtype_of(op.source.type))
        sweep(
            s,
            [*outer, wanted.count],
            lambda at: scalars.store(s.b, s.b.constant(0, zero), destination, at),
            "zeros",
        )

    def several() -> None:
        either(s, _is(s, "sle", length, SHORT), lambda: sort_short(s, _lines(s, wanted, destination)), long)

    def long() -> None:
        if wanted.count > SOME:
            sort_long(s, _lines(s, wanted, destination))
        else:
            _find(s, wanted, destination)

    either(s, _is(s, "eq", length, 0), empty, several)


def _is(s: DeviceLowering, predicate: str, length: Index, other: int) -> SSAValue | bool:
    if isinstance(length, int):
        return length == other if predicate == "eq" else length <= other
    return s.b.compare(predicate, length, s.b.index(other))


def _outer(s: DeviceLowering, wanted: Wanted, line: Index) -> tuple[Index, ...]:
    return unravelled(s, line, wanted.outer) if wanted.outer else ()


def _key(s: DeviceLowering, wanted: Wanted, line: Index, place: Index) -> SSAValue:
    return encoded(s.b, wanted.form, s.element(wanted.op.source, (*_outer(s, wanted, line), place)))


def _place(s: DeviceLowering, wanted: Wanted, line: Index, number: Index) -> Index:
    """The position of one of the elements that are wanted of a line with elements."""
    first = wanted.op.first
    at = _outer(s, wanted, line) if shape_of(first.type) else ()
    place = s.b.add(s.b.to_index(s.as_dtype(first, at, "i64")), number)
    return s.b.max(s.b.min(place, s.b.sub(wanted.length, 1)), 0)


def _lines(s: DeviceLowering, wanted: Wanted, destination: SSAValue) -> Lines:
    """The lines as they are sorted; what is not wanted of them goes nowhere."""

    def finish(line: Index, rank: Index, key: SSAValue, _: SSAValue | None) -> None:
        for number in range(wanted.count):
            is_it = s.b.compare("eq", s.b.index(rank), s.b.index(_place(s, wanted, line, number)))
            only_if(s, is_it, partial(_store, s, wanted, destination, line, number, key))

    return Lines(wanted.form, wanted.lines, wanted.length, lambda line, i: _key(s, wanted, line, i), finish)


def _store(
    s: DeviceLowering, wanted: Wanted, destination: SSAValue, line: Index, number: Index, key: SSAValue
) -> None:
    value = decoded(s.b, wanted.form, key)
    scalars.store(s.b, value, destination, (*_outer(s, wanted, line), number))


@frozen(eq=False)
class _State:
    """What is known of each wanted element: the digits of its key so far; how many keys that begin so come
    before it; and how often each next digit stands behind them."""

    keys: SSAValue
    rest: SSAValue
    counts: SSAValue


def _find(s: DeviceLowering, wanted: Wanted, destination: SSAValue) -> None:
    """Finds the digits of the wanted elements one by one."""
    keep(s, wanted.op.source)
    type_, width = wanted.form.key.type, wanted.form.key.width
    state = _State(
        s.allocate(type_, [wanted.lines, wanted.count]),
        s.allocate(i32, [wanted.lines, wanted.count]),
        s.allocate(i32, [wanted.lines, wanted.count, VALUES]),
    )

    def begin(at: tuple[Index, ...]) -> None:
        place = s.b.index(_place(s, wanted, *at))
        s.b.store(s.b.constant(0, type_), state.keys, at)
        s.b.store(s.b.convert(arith.IndexCastOp, place, i32), state.rest, at)

    sweep(s, [wanted.lines, wanted.count], begin, "select_begin")
    sweep(
        s,
        [wanted.lines, wanted.count, VALUES],
        lambda at: s.b.store(s.b.constant(0, i32), state.counts, at),
        "select_clear",
    )

    def digit(number: SSAValue, carried: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        (mask,) = carried
        lowest = s.b.index(s.b.sub(width - WIDTH, s.b.mul(number, WIDTH)))
        _count(s, wanted, state, lowest, mask)
        _narrow(s, wanted, state, lowest)
        shifted = s.b.insert(arith.ShRUIOp(mask, s.b.constant(WIDTH, type_)))
        return (s.b.insert(arith.OrIOp(shifted, s.b.constant(-1 << (width - WIDTH), type_))),)

    s.b.loop(0, width // WIDTH, (s.b.constant(0, type_),), digit)
    sweep(
        s,
        [wanted.lines, wanted.count],
        lambda at: _store(s, wanted, destination, at[0], at[1], s.b.load(state.keys, at)),
        "select_end",
    )


def _count(s: DeviceLowering, wanted: Wanted, state: _State, lowest: SSAValue, mask: SSAValue) -> None:
    """Counts the next digit of all keys that begin, within `mask`, as the wanted ones do."""
    parts = s.top.ceiling(wanted.length, BLOCK * EACH)
    total = s.top.mul(wanted.lines, parts)

    def body(threads: Threads) -> None:
        thread = threads.thread[0]
        before = lanes_before(s, s.b.index(s.b.remainder(thread, WARP)))
        shared = s.b.insert(device.SharedOp(i32, [wanted.count, VALUES]))

        def part(number: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            line, own = s.b.quotient(number, parts), s.b.remainder(number, parts)
            for k in range(wanted.count):
                s.b.store(s.b.constant(0, i32), shared, [k, thread])
            barrier(s)
            starts = [s.b.load(state.keys, [line, k]) for k in range(wanted.count)]

            def some(e: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
                place = s.b.add(s.b.mul(s.b.add(s.b.mul(own, EACH), e), BLOCK), thread)
                inside = s.b.compare("slt", s.b.index(place), s.b.index(wanted.length))
                zero = s.b.constant(0, wanted.form.key.type)
                key = s.b.branch(inside, lambda: (_key(s, wanted, line, place),), lambda: (zero,))[0]
                for k, start in enumerate(starts):
                    _count_one(s, (key, start, mask), inside, digit_of(s, key, lowest), before, (shared, k))
                return ()

            s.b.loop(0, EACH, (), some, plain=True)
            barrier(s)
            for k in range(wanted.count):
                found = s.b.load(shared, [k, thread])
                some_there = s.b.compare("ne", found, s.b.constant(0, i32))
                at = [s.b.index(line), s.b.index(k), thread]
                only_if(s, some_there, partial(add, s, found, state.counts, at))
            return ()

        s.b.loop(threads.block[0], total, (), part, step=threads.blocks[0])

    launch(s, "select_count", [s.top.min(total, MOST_BLOCKS)], [BLOCK], body)


def _count_one(
    s: DeviceLowering,
    matching: tuple[SSAValue, SSAValue, SSAValue],
    inside: SSAValue,
    digit: SSAValue,
    before: SSAValue,
    memory: tuple[SSAValue, int],
) -> None:
    key, start, mask = matching
    apart = s.b.insert(arith.AndIOp(s.b.insert(arith.XOrIOp(key, start)), mask))
    begins = s.b.compare("eq", apart, s.b.constant(0, key.type))
    counts = s.b.insert(arith.AndIOp(inside, begins))
    mine = peers(s, digit, counts)
    at = [s.b.index(memory[1]), s.b.to_index(digit)]
    only_if(s, leads(s, mine, before, counts), lambda: add(s, how_many(s, mine), memory[0], at))


def _narrow(s: DeviceLowering, wanted: Wanted, state: _State, lowest: SSAValue) -> None:
    """Adds the next digit to what is known of each wanted key, and clears the counts."""
    total = s.top.mul(wanted.lines, wanted.count)
    type_: Attribute = wanted.form.key.type

    def body(threads: Threads) -> None:
        thread = threads.thread[0]

        def one(number: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            line, k = s.b.quotient(number, wanted.count), s.b.remainder(number, wanted.count)
            here = s.b.load(state.counts, [line, k, thread])
            rest = s.b.load(state.rest, [line, k])
            before = sums_before(s, [here], thread)[0]
            s.b.store(s.b.constant(0, i32), state.counts, [line, k, thread])
            left = s.b.insert(arith.SubiOp(rest, before))
            # Of the digits with a rest that is not negative and below their count there is one.
            is_it = s.b.compare("ult", left, here)

            def found() -> None:
                shift = s.b.convert(arith.IndexCastOp, lowest, type_)
                digit = s.b.insert(arith.ShLIOp(s.b.convert(arith.IndexCastOp, thread, type_), shift))
                known = s.b.load(state.keys, [line, k])
                s.b.store(s.b.insert(arith.OrIOp(known, digit)), state.keys, [line, k])
                s.b.store(left, state.rest, [line, k])

            only_if(s, is_it, found)
            return ()

        s.b.loop(threads.block[0], total, (), one, step=threads.blocks[0])

    launch(s, "select_narrow", [s.top.min(total, MOST_BLOCKS)], [BLOCK], body)
