"""What the elementwise operators of kernels mean on one element, said without a look at their lowering.

Whole numbers wrap; division is Python's, and by zero gives 0; shifts by the width or more, or by a negative
number, leave nothing of a number but its sign. A meaning is a claim about operands and result.
"""

from collections.abc import Callable, Sequence

import z3

from tests.validation.machine import NEAREST, Term
from tests.validation.prover import same

Claim = Callable[..., Term]


def wide(value: Term, bits: int, signed: bool) -> Term:
    """A number with room for what is computed of it."""
    return (z3.SignExt if signed else z3.ZeroExt)(bits - value.size(), value)


def of_integers(kind: str, signed: bool, operands: Sequence[Term], result: Term) -> Term:
    """Whether a result is that of an operator on whole numbers."""
    own = result.size() if z3.is_bv(result) else operands[0].size()
    a, *more = (wide(each, 2 * own + 2, signed) for each in operands)
    b = more[0] if more else a
    if kind in _COMPARED:
        return result == _COMPARED[kind](a, b)
    if kind in ("floordiv", "mod"):
        return _divided(kind, signed, operands, result)
    if kind in ("shl", "shr"):
        return result == (operands[0] << operands[1] if kind == "shl" else _shifted_right(signed, *operands))
    if kind in ("isnan", "is_finite"):
        return result == z3.BoolVal(kind == "is_finite")
    return result == z3.Extract(own - 1, 0, _EXACT[kind](a, b))


def _shifted_right(signed: bool, value: Term, places: Term) -> Term:
    return value >> places if signed else z3.LShR(value, places)


def _divided(kind: str, signed: bool, operands: Sequence[Term], result: Term) -> Term:
    """x = q * y + r with r between 0 and y says both, but for the divisor 0; -128 // -1 wraps."""
    x, y = operands
    bits = 2 * x.size() + 2
    x, y, found = (wide(each, bits, signed) for each in (x, y, result))
    if kind == "floordiv":
        low = x - found * y
        inside = z3.If(y > 0, z3.And(low >= 0, low < y), z3.And(low <= 0, low > y))
        least = x == -(2 ** (result.size() - 1))
        wrapped = z3.And(signed, least, y == -1, found == x)
        return z3.If(y == 0, found == 0, z3.Or(wrapped, inside))
    between = z3.If(y > 0, z3.And(found >= 0, found < y), z3.And(found <= 0, found > y))
    return z3.If(y == 0, found == 0, z3.And(between, z3.SRem(x - found, y) == 0))


_COMPARED: dict[str, Claim] = {
    "eq": lambda a, b: a == b, "ne": lambda a, b: a != b, "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b, "gt": lambda a, b: a > b, "ge": lambda a, b: a >= b,
}  # fmt: skip
_EXACT: dict[str, Claim] = {
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b,
    "minimum": lambda a, b: z3.If(a < b, a, b), "maximum": lambda a, b: z3.If(a < b, b, a),
    "neg": lambda a, _: -a, "abs": lambda a, _: z3.If(a < 0, -a, a),
    "sign": lambda a, _: z3.If(a < 0, z3.BitVecVal(-1, a.size()), z3.If(a > 0, z3.BitVecVal(1, a.size()), a)),
    "bitand": lambda a, b: a & b, "bitor": lambda a, b: a | b, "bitxor": lambda a, b: a ^ b,
    "invert": lambda a, _: -1 - a, "floor": lambda a, _: a, "ceil": lambda a, _: a,
    "trunc": lambda a, _: a, "round": lambda a, _: a,
}  # fmt: skip
INTEGER_KINDS = (*_COMPARED, *_EXACT, "floordiv", "mod", "shl", "shr", "isnan", "is_finite")


def of_floats(kind: str, operands: Sequence[Term], result: Term) -> Term:
    """Whether a result is that of an operator on floats; extremes do not tell -0.0 from 0.0."""
    return same(_FLOAT[kind](*operands), result, zeros_alike=kind in ("minimum", "maximum"))


def _strange(*values: Term) -> Term:
    return z3.Or(*map(z3.fpIsNaN, values))


def _least(a: Term, b: Term) -> Term:
    return z3.If(_strange(a, b), z3.fpNaN(a.sort()), z3.fpMin(a, b))


def _most(a: Term, b: Term) -> Term:
    return z3.If(_strange(a, b), z3.fpNaN(a.sort()), z3.fpMax(a, b))


def _sign(a: Term) -> Term:
    one, zero = z3.FPVal(1.0, a.sort()), z3.FPVal(0.0, a.sort())
    return z3.If(z3.fpIsNaN(a), a, z3.If(z3.fpIsZero(a), zero, z3.If(z3.fpIsNegative(a), z3.fpNeg(one), one)))


def _sigmoid(a: Term) -> Term:
    power = z3.Function("math.exp", a.sort(), a.sort())(z3.fpNeg(z3.fpAbs(a)))
    one = z3.FPVal(1.0, a.sort())
    return z3.fpDiv(
        NEAREST, z3.If(z3.fpLT(a, z3.FPVal(0.0, a.sort())), power, one), z3.fpAdd(NEAREST, power, one)
    )


def _by_rounding(mode: Term) -> Claim:
    return lambda a: z3.fpRoundToIntegral(mode, a)


_FLOAT: dict[str, Claim] = {
    "add": lambda a, b: z3.fpAdd(NEAREST, a, b), "sub": lambda a, b: z3.fpSub(NEAREST, a, b),
    "mul": lambda a, b: z3.fpMul(NEAREST, a, b), "div": lambda a, b: z3.fpDiv(NEAREST, a, b),
    "minimum": _least, "maximum": _most, "neg": z3.fpNeg, "abs": z3.fpAbs, "sign": _sign, "sigmoid": _sigmoid,
    "sqrt": lambda a: z3.fpSqrt(NEAREST, a),
    "floor": _by_rounding(z3.RTN()), "ceil": _by_rounding(z3.RTP()),
    "trunc": _by_rounding(z3.RTZ()), "round": _by_rounding(z3.RNE()),
    "isnan": z3.fpIsNaN, "is_finite": lambda a: z3.Not(z3.Or(z3.fpIsNaN(a), z3.fpIsInf(a))),
    "eq": z3.fpEQ, "ne": lambda a, b: z3.Not(z3.fpEQ(a, b)), "lt": z3.fpLT, "le": z3.fpLEQ,
    "gt": z3.fpGT, "ge": z3.fpGEQ,
}  # fmt: skip
FLOAT_KINDS = tuple(_FLOAT)

_BOOL: dict[str, Claim] = {
    "add": z3.Or, "mul": z3.And, "minimum": z3.And, "maximum": z3.Or, "and": z3.And, "or": z3.Or,
    "bitand": z3.And, "bitor": z3.Or, "bitxor": z3.Xor, "not": z3.Not, "invert": z3.Not, "abs": lambda a: a,
    "floor": lambda a: a, "ceil": lambda a: a, "trunc": lambda a: a, "round": lambda a: a,
    "isnan": lambda _: z3.BoolVal(False), "is_finite": lambda _: z3.BoolVal(True),
    "eq": lambda a, b: a == b, "ne": z3.Xor, "lt": lambda a, b: z3.And(z3.Not(a), b), "le": z3.Implies,
    "gt": lambda a, b: z3.And(a, z3.Not(b)), "ge": lambda a, b: z3.Or(a, z3.Not(b)),
}  # fmt: skip
BOOL_KINDS = tuple(_BOOL)


def of_bools(kind: str, operands: Sequence[Term], result: Term) -> Term:
    """Whether a result is that of an operator on bools: `add` is or, `mul` is and, false is below true."""
    return result == _BOOL[kind](*operands)


def converted(source: str, target: str, value: Term, result: Term) -> Term:
    """Whether a result is the value as another dtype, both held as kernels hold them: halves in f32."""
    held = result.sort()
    if target == "bool":
        zero = z3.fpIsZero(value) if z3.is_fp(value) else value == _zero(value)
        return result == z3.Not(zero)
    if z3.is_fp(value):
        return (
            same(_rounded(value, target, held), result)
            if z3.is_fp(result)
            else _clipped(target, value, result)
        )
    if z3.is_bool(value):
        value = z3.If(value, z3.BitVecVal(1, 8), z3.BitVecVal(0, 8))
    signed = source not in ("bool", "u8")
    if z3.is_fp(result):
        exact = (z3.fpSignedToFP if signed else z3.fpUnsignedToFP)(NEAREST, value, held)
        return same(_rounded(exact, target, held), result)  # of halves by way of f32, as ml_dtypes has it
    return result == z3.Extract(result.size() - 1, 0, wide(value, 128, signed))


def _zero(value: Term) -> Term:
    return z3.BoolVal(False) if z3.is_bool(value) else z3.BitVecVal(0, value.sort())


HALVES = {"f16": z3.Float16(), "bf16": z3.FPSort(8, 8)}


def _rounded(value: Term, target: str, held: z3.FPSortRef) -> Term:
    if target in HALVES:
        value = z3.fpFPToFP(NEAREST, value, HALVES[target])
    return z3.fpFPToFP(NEAREST, value, held)


def _clipped(target: str, value: Term, result: Term) -> Term:
    """Towards zero, to the nearest number that there is; NaN to 0."""
    bits, signed = result.size(), target != "u8"
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    below, above = z3.FPVal(low, value.sort()), z3.FPVal(high + 1, value.sort())
    whole = (z3.fpToSBV if signed else z3.fpToUBV)(z3.RTZ(), value, result.sort())
    wanted = z3.If(z3.fpLEQ(value, below), z3.BitVecVal(low, bits), whole)
    wanted = z3.If(z3.fpGEQ(value, above), z3.BitVecVal(high, bits), wanted)
    return result == z3.If(z3.fpIsNaN(value), z3.BitVecVal(0, bits), wanted)


def _root(a: Term) -> Term:
    """The power 0.5: 0 of both zeros, and infinity of both infinities."""
    infinity, zero = z3.fpPlusInfinity(a.sort()), z3.FPVal(0.0, a.sort())
    return z3.If(z3.fpIsInf(a), infinity, z3.If(z3.fpIsZero(a), zero, z3.fpSqrt(NEAREST, a)))


POWERS: dict[float, Claim] = {
    1.0: lambda a: a,
    2.0: lambda a: z3.fpMul(NEAREST, a, a),
    -1.0: lambda a: z3.fpDiv(NEAREST, z3.FPVal(1.0, a.sort()), a),
    0.5: _root,
}
