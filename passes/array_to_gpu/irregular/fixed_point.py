"""Sums of floats by many groups: as integers, in units that the largest number of each group decides, so that
threads may add as they come and the sum is the same in any order.

First each group finds the exponent of its largest number. Then every number is added in a unit so far below
it that as many numbers as there are cannot overflow 62 bits: of a million f32 numbers, 42 bits of the largest
count. Numbers of f64 have a second integer for as many bits below. The idea is that of the fixed-point
accumulators of Kulisch, cut down to what counts, as in Demmel and Nguyen, "Parallel Reproducible Summation".
"""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.dialects import arith, math
from xdsl.dialects.builtin import f64, i32, i64
from xdsl.ir import SSAValue

from flowc.passes.array_to_gpu.irregular.atomics import change
from flowc.passes.array_to_gpu.irregular.grouping import Grouping, Visit, kept, visit
from flowc.passes.array_to_gpu.launch import only_if, sweep
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops.builder import Index

ROOM = 62
"""Bits of a sum, but for its sign."""
BIAS, DIGITS, STRANGE = 1023, 52, 2047
"""How f64 writes an exponent: the one of 1.0, the bits behind it, and that of infinities and NaN."""
LEAST_F32 = BIAS - 149
"""The exponent of the least number above 0 that f32 has."""
PLUS, MINUS, NAN = 1 << 16, 1 << 17, 1 << 18
"""Marks of a group that has infinities or NaN, above all exponents."""


@frozen
class _Sums:
    """The memory of the sums: of each group the exponent of its largest number, 0 where it has none, or
    marks; the sum in units, and for f64 what is below them. `bits` are those that count below the largest
    number."""

    codes: SSAValue
    high: SSAValue
    low: SSAValue | None
    bits: SSAValue | int


def by_fixed_point(s: DeviceLowering, g: Grouping, used: SSAValue | bool) -> Callable[[], None]:
    """Memory for the sums, where this way is `used`; gives what launches it."""
    entries = kept(s, used, g.entries)
    codes, high = s.allocate(i32, [entries]), s.allocate(i64, [entries])
    low = None if g.single else s.allocate(i64, [entries])
    sums = _Sums(codes, high, low, _bits(s, s.top.product(g.sizes)))

    def start(at: Sequence[Index]) -> None:
        s.b.store(s.b.constant(0, i32), codes, at)
        for memory in (high, low):
            if memory is not None:
                s.b.store(s.b.constant(0, i64), memory, at)

    def read(at: Sequence[Index]) -> Sequence[SSAValue]:
        return (*g.entry(at), g.value(at))

    def look(element: Sequence[SSAValue]) -> None:
        entry, has, value = element
        only_if(s, has, lambda: _look(s, g, sums, entry, value))

    def add(element: Sequence[SSAValue]) -> None:
        entry, has, value = element
        only_if(s, has, lambda: _add(s, sums, entry, value))

    def run() -> None:
        sweep(s, [g.entries], start, f"{g.name}_begin")
        visit(s, f"{g.name}_largest", Visit(g.sizes, read, look))
        visit(s, g.name, Visit(g.sizes, read, add))
        sweep(s, [g.entries], lambda at: g.finish(at[0], _total(s, sums, at[0])), f"{g.name}_finish")

    return run


def _bits(s: DeviceLowering, count: Index) -> SSAValue | int:
    """The bits of a number that count, so that sums of `count` of them have room."""
    if isinstance(count, int):
        return ROOM - count.bit_length()
    number = s.b.convert(arith.SIToFPOp, s.b.to_integer(s.b.max(count, 1)), f64)
    exponent = s.b.insert(arith.ShRUIOp(s.b.convert(arith.BitcastOp, number, i64), s.b.constant(DIGITS, i64)))
    return s.b.insert(arith.SubiOp(s.b.constant(ROOM + BIAS - 1, i64), exponent))


def _look(s: DeviceLowering, g: Grouping, sums: _Sums, entry: SSAValue, value: SSAValue) -> None:
    """Makes the exponent of a group at least that of a number, or marks the group."""
    b = s.b
    pattern = b.convert(arith.BitcastOp, value, i64)
    exponent = b.insert(arith.AndIOp(_shifted(s, pattern), b.constant(STRANGE, i64)))
    finite = b.compare("ne", exponent, b.constant(STRANGE, i64))
    least = b.constant(LEAST_F32 if g.single else 1, i64)
    code = b.convert(arith.TruncIOp, b.insert(arith.MaxSIOp(exponent, least)), i32)

    def mark() -> None:
        zero = b.constant(0.0, f64)
        above, below = (b.insert(arith.CmpfOp(value, zero, how)) for how in ("ogt", "olt"))
        own = b.select(below, b.constant(MINUS, i32), b.constant(NAN, i32))
        change(s, "or", b.select(above, b.constant(PLUS, i32), own), sums.codes, [entry])

    s.b.either(finite, lambda: change(s, "max", code, sums.codes, [entry]), mark)


def _shifted(s: DeviceLowering, pattern: SSAValue) -> SSAValue:
    return s.b.insert(arith.ShRUIOp(pattern, s.b.constant(DIGITS, i64)))


def _add(s: DeviceLowering, sums: _Sums, entry: SSAValue, value: SSAValue) -> None:
    """Adds a number to its group in the group's units; a group with marks needs no sum."""
    b = s.b
    code = b.load(sums.codes, [entry])

    def add() -> None:
        scaled = _scaled(s, value, _units(s, sums, code), wide=sums.low is not None)
        if sums.low is None:
            nearest = b.convert(arith.FPToSIOp, b.insert(math.RoundEvenOp(scaled)), i64)
            change(s, "sum", nearest, sums.high, [entry])
            return
        whole = b.convert(arith.FPToSIOp, scaled, i64)
        rest = b.insert(arith.SubfOp(scaled, b.convert(arith.SIToFPOp, whole, f64)))
        below = b.convert(arith.FPToSIOp, _scaled(s, rest, _count(s, sums), wide=False), i64)
        change(s, "sum", whole, sums.high, [entry])
        some = b.compare("ne", below, b.constant(0, i64))
        low = sums.low
        only_if(s, some, lambda: change(s, "sum", below, low, [entry]))

    only_if(s, b.compare("slt", code, b.constant(PLUS, i32)), add)


def _count(s: DeviceLowering, sums: _Sums) -> SSAValue:
    return sums.bits if isinstance(sums.bits, SSAValue) else s.b.constant(sums.bits, i64)


def _units(s: DeviceLowering, sums: _Sums, code: SSAValue) -> SSAValue:
    """By which power of two a group's numbers are multiplied."""
    top = s.b.insert(arith.AddiOp(_count(s, sums), s.b.constant(BIAS - 1, i64)))
    return s.b.insert(arith.SubiOp(top, s.b.convert(arith.ExtSIOp, code, i64)))


def _scaled(s: DeviceLowering, value: SSAValue, power: SSAValue, *, wide: bool) -> SSAValue:
    """A number times a power of two, in two steps where f64 may not have that power."""
    if not wide:
        return s.b.insert(arith.MulfOp(value, _power(s, power)))
    half = s.b.insert(arith.ShRSIOp(power, s.b.constant(1, i64)))
    rest = s.b.insert(arith.SubiOp(power, half))
    return s.b.insert(arith.MulfOp(s.b.insert(arith.MulfOp(value, _power(s, half))), _power(s, rest)))


def _power(s: DeviceLowering, exponent: SSAValue) -> SSAValue:
    """A power of two that is a normal number."""
    biased = s.b.insert(arith.AddiOp(exponent, s.b.constant(BIAS, i64)))
    return s.b.convert(arith.BitcastOp, s.b.insert(arith.ShLIOp(biased, s.b.constant(DIGITS, i64))), f64)


def _total(s: DeviceLowering, sums: _Sums, entry: Index) -> SSAValue:
    """What a group comes to."""
    b = s.b
    code = b.load(sums.codes, [entry])

    def finite() -> Sequence[SSAValue]:
        total = b.convert(arith.SIToFPOp, b.load(sums.high, [entry]), f64)
        zero = b.constant(0, i64)
        if sums.low is not None:
            below = b.convert(arith.SIToFPOp, b.load(sums.low, [entry]), f64)
            down = b.insert(arith.SubiOp(zero, _count(s, sums)))
            total = b.insert(arith.AddfOp(total, _scaled(s, below, down, wide=False)))
        down = b.insert(arith.SubiOp(zero, _units(s, sums, code)))
        return (_scaled(s, total, down, wide=sums.low is not None),)

    def marked() -> Sequence[SSAValue]:
        def has(mark: int) -> SSAValue:
            return b.compare("ne", b.insert(arith.AndIOp(code, b.constant(mark, i32))), b.constant(0, i32))

        both = b.insert(arith.AndIOp(has(PLUS), has(MINUS)))
        strange = b.insert(arith.OrIOp(both, has(NAN)))
        infinite = b.select(has(PLUS), b.constant(float("inf"), f64), b.constant(float("-inf"), f64))
        return (b.select(strange, b.constant(float("nan"), f64), infinite),)

    nothing = b.constant(0.0, f64)
    some = b.compare("ne", code, b.constant(0, i32))
    fits = b.compare("slt", code, b.constant(PLUS, i32))
    return b.branch(some, lambda: b.branch(fits, finite, marked), lambda: (nothing,))[0]
