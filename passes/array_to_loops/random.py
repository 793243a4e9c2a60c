"""Philox4x32-10 (Salmon et al., 2011) for one element: every loop that asks for random numbers computes them
in its own vectors."""

from xdsl.dialects import arith, math
from xdsl.dialects.builtin import f32, f64, i32, i64
from xdsl.ir import Attribute, SSAValue

from flowc.passes.array_to_loops.builder import LoopBuilder

ROUNDS = 10
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)


def draw(b: LoopBuilder, kind: str, dtype: str, seed: SSAValue, counter: SSAValue) -> SSAValue:
    """The random number of a kind (see `irregular.RandomOp`) for an i64 seed and an i64 counter."""
    words = philox(b, seed, counter)
    if kind == "bits":
        return _joined(b, words[0], words[1])
    if kind == "uniform":
        return _fraction(b, words[0], words[1], dtype)
    type_ = f32 if dtype == "f32" else f64
    one = b.constant(1.0, type_)
    positive = b.insert(arith.SubfOp(one, _fraction(b, words[0], words[1], dtype)))
    doubled = b.insert(arith.MulfOp(b.constant(-2.0, type_), b.insert(math.LogOp(positive))))
    turn = b.insert(
        arith.MulfOp(b.constant(6.283185307179586, type_), _fraction(b, words[2], words[3], dtype))
    )
    return b.insert(arith.MulfOp(b.insert(math.SqrtOp(doubled)), b.insert(math.CosOp(turn))))


def philox(b: LoopBuilder, seed: SSAValue, counter: SSAValue) -> list[SSAValue]:
    """The four 32-bit words of a counter."""
    zero = b.constant(0, i32)
    words = [*_halves(b, counter), zero, zero]
    keys = list(_halves(b, seed))
    for number in range(ROUNDS):
        if number:
            keys = [
                b.insert(arith.AddiOp(key, _word(b, step))) for key, step in zip(keys, _WEYL, strict=True)
            ]
        products = [
            _halves(b, _product(b, words[2 * k], multiplier)) for k, multiplier in enumerate(_MULTIPLIERS)
        ]
        (low, high), (other_low, other_high) = products
        words = [
            b.insert(arith.XOrIOp(b.insert(arith.XOrIOp(other_high, words[1])), keys[0])),
            other_low,
            b.insert(arith.XOrIOp(b.insert(arith.XOrIOp(high, words[3])), keys[1])),
            low,
        ]
    return words


def _word(b: LoopBuilder, value: int) -> SSAValue:
    return b.constant(value - (1 << 32) if value >> 31 else value, i32)


def _product(b: LoopBuilder, word: SSAValue, multiplier: int) -> SSAValue:
    wide = b.convert(arith.ExtUIOp, word, i64)
    return b.insert(arith.MuliOp(wide, b.constant(multiplier, i64)))


def _halves(b: LoopBuilder, value: SSAValue) -> tuple[SSAValue, SSAValue]:
    """The low and the high word of an i64."""
    high = b.insert(arith.ShRUIOp(value, b.constant(32, i64)))
    return b.convert(arith.TruncIOp, value, i32), b.convert(arith.TruncIOp, high, i32)


def _joined(b: LoopBuilder, low: SSAValue, high: SSAValue) -> SSAValue:
    wide = b.insert(arith.ShLIOp(b.convert(arith.ExtUIOp, high, i64), b.constant(32, i64)))
    return b.insert(arith.OrIOp(wide, b.convert(arith.ExtUIOp, low, i64)))


def _fraction(b: LoopBuilder, low: SSAValue, high: SSAValue, dtype: str) -> SSAValue:
    """24 bits of the low word, or 53 of both, as a number in [0, 1)."""
    if dtype == "f32":
        return _scaled(b, b.insert(arith.ShRUIOp(low, b.constant(8, i32))), f32, 2.0**-24)
    whole = b.insert(arith.ShRUIOp(_joined(b, low, high), b.constant(11, i64)))
    return _scaled(b, whole, f64, 2.0**-53)


def _scaled(b: LoopBuilder, whole: SSAValue, type_: Attribute, unit: float) -> SSAValue:
    number = b.convert(arith.SIToFPOp, whole, type_)
    return b.insert(arith.MulfOp(number, b.constant(unit, type_)))
