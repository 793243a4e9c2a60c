"""Quicksort of a range of keys with vectors (Blacher, Giesen and Kuehne, Fast and robust vectorized in-place
sorting of primitive types, 2021).

Ranges to be sorted stand on a stack, each with bounds of its keys. A range whose bounds are equal is sorted,
and a short one is sorted by a network. Others are parted by the median of nine keys; after many such steps by
the middle of the bounds, which halves them, so no input is parted more than `DEPTH` times.
"""

from collections.abc import Sequence

from attrs import frozen
from xdsl.dialects import arith
from xdsl.dialects.builtin import i64
from xdsl.ir import SSAValue

from flowc.passes.array_to_loops.builder import Index, LoopBuilder, index_type
from flowc.passes.array_to_loops.irregular.partition import KeyVectors, Row, part, sort_few

BY_MEDIAN = 48
DEPTH = BY_MEDIAN + 64
FIELDS = 5
"""Of a range on the stack: its ends, the least and the greatest key that may be in it, and its depth."""
SAMPLES = 9

STACK = (i64, (DEPTH + 2, FIELDS))
"""The memory that `quicksort` needs for its stack."""


@frozen
class Work:
    """Where keys are sorted, memory of the same size, and a stack."""

    k: KeyVectors
    row: Row
    spare: Row
    stack: SSAValue


@frozen
class _Range:
    """A range of keys and what is known of it."""

    low: SSAValue
    high: SSAValue
    least: SSAValue
    most: SSAValue
    depth: SSAValue


def quicksort(
    w: Work,
    low: Index,
    high: Index,
    bounds: tuple[SSAValue, SSAValue],
    wanted: tuple[SSAValue, SSAValue] | None = None,
) -> None:
    """Sorts a range whose keys lie within bounds; with `wanted`, only until the keys from one position to
    another are those of the sorted range."""
    b = w.k.b
    short = b.compare("sle", b.index(b.sub(high, low)), b.index(w.k.few))

    def network() -> None:
        sort_few(w.k, w.row, low, high)

    b.either(short, network, lambda: _parted(w, low, high, bounds, wanted))


def _parted(
    w: Work,
    low: Index,
    high: Index,
    bounds: tuple[SSAValue, SSAValue],
    wanted: tuple[SSAValue, SSAValue] | None,
) -> None:
    """The same for a range that no network sorts."""
    b = w.k.b
    _push(w, b.index(0), _Range(b.index(low), b.index(high), *bounds, b.constant(0, i64)))

    def test(height: tuple[SSAValue, ...]) -> tuple[SSAValue, Sequence[SSAValue]]:
        return b.compare("sgt", height[0], b.index(0)), height

    def step(height: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        top = b.index(b.sub(height[0], 1))
        return (_step(w, _pop(w, top), top, wanted),)

    b.repeat([b.index(1)], test, step)


def _step(w: Work, here: _Range, top: SSAValue, wanted: tuple[SSAValue, SSAValue] | None) -> SSAValue:
    """Sorts a range or puts its parts on the stack; gives the new height of the stack."""
    b = w.k.b
    size = b.index(b.sub(here.high, here.low))
    short = b.compare("sle", size, b.index(w.k.few))
    same = b.compare("eq", here.least, here.most)

    def done() -> Sequence[SSAValue]:
        def network() -> Sequence[SSAValue]:
            sort_few(w.k, w.row, here.low, here.high)
            return ()

        b.branch(same, lambda: (), network)
        return (top,)

    def parted() -> Sequence[SSAValue]:
        pivot = _pivot(w, here)
        middle = part(w.k, w.row, w.spare, here.low, here.high, pivot)
        depth = b.insert(arith.AddiOp(here.depth, b.constant(1, i64)))
        below = b.insert(arith.SubiOp(pivot, b.constant(1, w.k.type)))
        _push(w, top, _Range(here.low, middle, here.least, below, depth))
        second = b.index(b.add(top, 1))
        if wanted is not None:  # what is not on the stack is overwritten there
            second = b.select(b.compare("slt", wanted[0], middle), second, top)
        _push(w, second, _Range(middle, here.high, pivot, here.most, depth))
        third = b.index(b.add(second, 1))
        if wanted is not None:
            third = b.select(b.compare("sge", wanted[1], middle), third, second)
        return (third,)

    return b.branch(b.insert(arith.OrIOp(short, same)), done, parted)[0]


def _pivot(w: Work, here: _Range) -> SSAValue:
    """A key above the least that may be there: so both parts have narrower bounds."""
    b, one = w.k.b, w.k.b.constant(1, w.k.type)

    def median() -> Sequence[SSAValue]:
        distance = b.quotient(b.sub(here.high, here.low), SAMPLES)
        first = b.add(here.low, b.quotient(distance, 2))
        places = [b.add(first, b.mul(distance, number)) for number in range(SAMPLES)]
        keys = [b.load(w.row.buffer, [*w.row.at, place]) for place in places]
        return (_median(b, [_median(b, keys[third::3]) for third in range(3)]),)

    def middle() -> Sequence[SSAValue]:
        span = b.insert(arith.SubiOp(here.most, here.least))
        half = b.insert(arith.ShRUIOp(span, one))
        return (b.insert(arith.AddiOp(here.least, half)),)

    early = b.compare("slt", here.depth, b.constant(BY_MEDIAN, i64))
    found = b.branch(early, median, middle)[0]
    above = b.insert(arith.AddiOp(here.least, one))
    return b.insert(arith.MaxUIOp(found, above))


def _median(b: LoopBuilder, keys: Sequence[SSAValue]) -> SSAValue:
    one, other, third = keys
    least, most = b.insert(arith.MinUIOp(one, other)), b.insert(arith.MaxUIOp(one, other))
    return b.insert(arith.MaxUIOp(least, b.insert(arith.MinUIOp(most, third))))


def _push(w: Work, place: SSAValue, here: _Range) -> None:
    b = w.k.b
    for field, value in enumerate((here.low, here.high, here.least, here.most, here.depth)):
        b.store(_widened(b, value), w.stack, [place, field])


def _pop(w: Work, place: SSAValue) -> _Range:
    b = w.k.b
    low, high, least, most, depth = (b.load(w.stack, [place, field]) for field in range(FIELDS))
    bounds = _narrowed(w.k, least), _narrowed(w.k, most)
    return _Range(b.to_index(low), b.to_index(high), bounds[0], bounds[1], depth)


def _widened(b: LoopBuilder, value: SSAValue) -> SSAValue:
    if value.type == index_type:
        return b.to_integer(value)
    return value if value.type == i64 else b.convert(arith.ExtUIOp, value, i64)


def _narrowed(k: KeyVectors, value: SSAValue) -> SSAValue:
    return value if k.type == i64 else k.b.convert(arith.TruncIOp, value, k.type)
