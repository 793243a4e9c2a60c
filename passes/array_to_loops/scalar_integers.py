"""The elementwise operators on integers, one element at a time."""

from collections.abc import Sequence

from xdsl.dialects import arith
from xdsl.dialects.builtin import IntegerAttr, IntegerType, f32, f64, i1, i8, i32
from xdsl.ir import SSAValue

from flowc.passes.array_to_loops.builder import LoopBuilder

_binary: dict[str, type] = {
    "add": arith.AddiOp, "sub": arith.SubiOp, "mul": arith.MuliOp,
    "minimum": arith.MinSIOp, "maximum": arith.MaxSIOp,
    "bitand": arith.AndIOp, "bitor": arith.OrIOp, "bitxor": arith.XOrIOp,
}  # fmt: skip
_unsigned_extreme: dict[str, type] = {"minimum": arith.MinUIOp, "maximum": arith.MaxUIOp}


def on_bytes(b: LoopBuilder, kind: str, operands: Sequence[SSAValue]) -> SSAValue:
    """What differs for u8: extremes, division and sign; a power has no negative exponent."""
    value = operands[0]
    zero, one = b.constant(0, i8), b.constant(1, i8)
    if kind in _unsigned_extreme:
        return b.insert(_unsigned_extreme[kind](*operands))
    if kind == "abs":
        return value
    if kind == "sign":
        return b.select(b.compare("ne", value, zero), one, zero)
    if kind in ("floordiv", "mod"):
        by_zero = b.compare("eq", operands[1], zero)
        divisor = b.select(by_zero, one, operands[1])
        operator = arith.DivUIOp if kind == "floordiv" else arith.RemUIOp
        return b.select(by_zero, zero, b.insert(operator(value, divisor)))
    if kind == "pow":
        return _constant_power(b, *operands) or _repeated_square(b, value, operands[1], 8)
    if kind == "shr":
        return _shifted(b, arith.ShRUIOp, *operands)
    return on_integers(b, kind, operands)


def on_integers(b: LoopBuilder, kind: str, operands: Sequence[SSAValue]) -> SSAValue:
    """One operator on operands of a signed integer type."""
    if kind in _binary:
        return b.insert(_binary[kind](*operands))
    value = operands[0]
    zero = b.constant(0, value.type)
    if kind == "neg":
        return b.insert(arith.SubiOp(zero, value))
    if kind == "abs":
        return b.select(b.compare("slt", value, zero), b.insert(arith.SubiOp(zero, value)), value)
    if kind == "sign":
        above = b.select(b.compare("sgt", value, zero), b.constant(1, value.type), zero)
        return b.select(b.compare("slt", value, zero), b.constant(-1, value.type), above)
    if kind in ("floor", "ceil", "trunc", "round"):
        return value
    if kind in ("isnan", "is_finite"):
        return b.constant(int(kind == "is_finite"), i1)
    if kind == "invert":
        return b.insert(arith.XOrIOp(value, b.constant(-1, value.type)))
    if kind == "shl":
        return _shifted(b, arith.ShLIOp, *operands)
    if kind == "shr":
        return _shifted_with_sign(b, *operands)
    if kind == "pow":
        return _constant_power(b, *operands) or _integer_power(b, *operands)
    return _integer_division(b, kind, *operands)


def _width(value: SSAValue) -> int:
    type_ = value.type
    assert isinstance(type_, IntegerType)
    width: int = type_.width.data
    return width


def _shifted(
    b: LoopBuilder, shift: type[arith.ShLIOp] | type[arith.ShRUIOp], value: SSAValue, places: SSAValue
) -> SSAValue:
    """Nothing is left after a shift by the width or more, nor after one by a negative number, as in NumPy."""
    zero = b.constant(0, value.type)
    inside = b.compare("ult", places, b.constant(_width(value), value.type))
    return b.select(inside, b.insert(shift(value, b.select(inside, places, zero))), zero)


def _shifted_with_sign(b: LoopBuilder, value: SSAValue, places: SSAValue) -> SSAValue:
    last = b.constant(_width(value) - 1, value.type)
    return b.insert(arith.ShRSIOp(value, b.select(b.compare("ult", places, last), places, last)))


def _quotient(b: LoopBuilder, x: SSAValue, y: SSAValue) -> SSAValue:
    """x / y towards zero. Up to 32 bits a float holds enough of it, and processors divide floats in lanes."""
    if _width(x) > 32 or isinstance(y.owner, arith.ConstantOp):
        return b.insert(arith.DivSIOp(x, y))
    wide = f64 if _width(x) == 32 else f32
    ratio = arith.DivfOp(b.insert(arith.SIToFPOp(x, wide)), b.insert(arith.SIToFPOp(y, wide)))
    whole = b.insert(arith.FPToSIOp(b.insert(ratio), i32))
    return whole if x.type == i32 else b.convert(arith.TruncIOp, whole, x.type)


def _integer_division(b: LoopBuilder, kind: str, x: SSAValue, y: SSAValue) -> SSAValue:
    """Floor division or its remainder. The divisors 0 and -1, which trap in hardware, never reach it."""
    zero, minus_one = b.constant(0, x.type), b.constant(-1, x.type)
    by_zero, by_minus_one = b.compare("eq", y, zero), b.compare("eq", y, minus_one)
    unsafe = b.insert(arith.OrIOp(by_zero, by_minus_one))
    divisor = b.select(unsafe, b.constant(1, x.type), y)
    quotient = _quotient(b, x, divisor)
    remainder = b.insert(arith.SubiOp(x, b.insert(arith.MuliOp(quotient, divisor))))
    inexact = b.compare("ne", remainder, zero)
    opposite = b.compare("slt", b.insert(arith.XOrIOp(remainder, divisor)), zero)
    down = b.insert(arith.AndIOp(inexact, opposite))
    if kind == "mod":
        wrapped = b.select(down, b.insert(arith.AddiOp(remainder, divisor)), remainder)
        return b.select(unsafe, zero, wrapped)
    floored = b.select(down, b.insert(arith.AddiOp(quotient, minus_one)), quotient)
    special = b.select(by_zero, zero, b.insert(arith.SubiOp(zero, x)))
    return b.select(unsafe, special, floored)


def _constant_power(b: LoopBuilder, base: SSAValue, exponent: SSAValue) -> SSAValue | None:
    """The products for an exponent that is known and not negative."""
    owner = exponent.owner
    if not isinstance(owner, arith.ConstantOp) or not isinstance(owner.value, IntegerAttr):
        return None
    rest = owner.value.value.data
    if rest < 0:
        return None
    result, square = b.constant(1, base.type), base
    while rest:
        if rest & 1:
            result = b.insert(arith.MuliOp(result, square))
        rest >>= 1
        square = b.insert(arith.MuliOp(square, square)) if rest else square
    return result


def _integer_power(b: LoopBuilder, base: SSAValue, exponent: SSAValue) -> SSAValue:
    """Squaring by the bits of the exponent; a negative one leaves the quotient rounded towards zero."""
    kind = base.type
    zero, one = b.constant(0, kind), b.constant(1, kind)
    power = _repeated_square(b, base, exponent, _width(base) - 1)
    odd = b.compare("ne", b.insert(arith.AndIOp(exponent, one)), zero)
    of_minus_one = b.select(odd, b.constant(-1, kind), one)
    inverse = b.select(b.compare("eq", base, b.constant(-1, kind)), of_minus_one, zero)
    inverse = b.select(b.compare("eq", base, one), one, inverse)
    return b.select(b.compare("slt", exponent, zero), inverse, power)


def _repeated_square(b: LoopBuilder, base: SSAValue, exponent: SSAValue, width: int) -> SSAValue:
    """The power whose exponent has `width` bits, a squaring for each."""
    zero, one = b.constant(0, base.type), b.constant(1, base.type)

    def step(_: SSAValue, carried: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        result, square, rest = carried
        odd = b.compare("ne", b.insert(arith.AndIOp(rest, one)), zero)
        result = b.select(odd, b.insert(arith.MuliOp(result, square)), result)
        return result, b.insert(arith.MuliOp(square, square)), b.insert(arith.ShRUIOp(rest, one))

    return b.loop(0, width, (one, base, exponent), step)[0]
