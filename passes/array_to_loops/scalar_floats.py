"""The elementwise operators on floats, one element at a time."""

from collections.abc import Sequence

from xdsl.dialects import arith, llvm, math
from xdsl.dialects.builtin import FloatAttr, f32, f64
from xdsl.ir import SSAValue

from flowc.passes.array_to_loops.builder import CONTRACT, EXTREME, LoopBuilder

_binary: dict[str, type] = {
    "add": arith.AddfOp, "sub": arith.SubfOp, "mul": arith.MulfOp, "div": arith.DivfOp,
}  # fmt: skip
_extreme: dict[str, type] = {"minimum": arith.MinimumfOp, "maximum": arith.MaximumfOp}
_functions: dict[str, type] = {
    "neg": arith.NegfOp, "abs": math.AbsFOp, "sqrt": math.SqrtOp, "rsqrt": math.RsqrtOp, "exp": math.ExpOp,
    "exp2": math.Exp2Op, "expm1": math.ExpM1Op, "log": math.LogOp, "log2": math.Log2Op,
    "log10": math.Log10Op, "log1p": math.Log1pOp, "sin": math.SinOp, "cos": math.CosOp, "tan": math.TanOp,
    "asin": math.AsinOp, "acos": math.AcosOp, "atan": math.AtanOp, "atan2": math.Atan2Op,
    "sinh": math.SinhOp, "cosh": math.CoshOp, "tanh": math.TanhOp, "asinh": math.AsinhOp,
    "acosh": math.AcoshOp, "atanh": math.AtanhOp, "erf": math.ErfOp, "cbrt": math.CbrtOp,
    "floor": math.FloorOp, "ceil": math.CeilOp, "trunc": math.TruncOp, "round": math.RoundEvenOp,
}  # fmt: skip


def on_floats(b: LoopBuilder, kind: str, operands: Sequence[SSAValue]) -> SSAValue:
    """One operator on operands of f32 or f64."""
    if kind in _binary:
        return b.insert(_binary[kind](*operands, CONTRACT))
    if kind in _extreme:
        return b.insert(_extreme[kind](*operands, EXTREME))
    if kind in _functions:
        return b.insert(_functions[kind](*operands))
    if kind == "pow":
        return _float_power(b, *operands)
    if kind == "hypot":
        return _hypot(b, *operands)
    if kind in ("floordiv", "mod"):
        quotient, remainder = _float_divmod(b, *operands)
        return quotient if kind == "floordiv" else remainder
    if kind == "sigmoid":
        return _sigmoid(b, operands[0])
    value = operands[0]
    if kind == "isnan":
        return b.insert(arith.CmpfOp(value, value, "uno"))
    if kind == "is_finite":
        return b.insert(
            arith.CmpfOp(b.insert(math.AbsFOp(value)), b.constant(float("inf"), value.type), "olt")
        )
    zero, one = b.constant(0.0, value.type), b.constant(1.0, value.type)
    nonzero = b.insert(arith.CmpfOp(value, zero, "one"))
    signed = b.insert(math.CopySignOp(one, value))
    return b.select(nonzero, signed, b.insert(arith.AddfOp(value, zero)))


def _sigmoid(b: LoopBuilder, x: SSAValue) -> SSAValue:
    """Through e = exp(-|x|), which never overflows: 1 / (1 + e), with e above the line below zero."""
    one, zero = b.constant(1.0, x.type), b.constant(0.0, x.type)
    power = b.insert(math.ExpOp(b.insert(arith.NegfOp(b.insert(math.AbsFOp(x))))))
    above = b.select(b.insert(arith.CmpfOp(x, zero, "olt")), power, one)
    return b.insert(arith.DivfOp(above, b.insert(arith.AddfOp(one, power))))


def _hypot(b: LoopBuilder, x: SSAValue, y: SSAValue) -> SSAValue:
    """sqrt(x*x + y*y) without overflow: of f32 in f64, of f64 scaled by a power of two."""
    x, y = b.insert(math.AbsFOp(x)), b.insert(math.AbsFOp(y))
    infinity = b.constant(float("inf"), x.type)
    infinite = b.insert(
        arith.OrIOp(b.insert(arith.CmpfOp(x, infinity, "oeq")), b.insert(arith.CmpfOp(y, infinity, "oeq")))
    )
    if x.type == f32:
        wide = [b.insert(arith.ExtFOp(value, f64)) for value in (x, y)]
        length = b.insert(arith.TruncFOp(_root_of_squares(b, *wide), f32))
    else:
        greater = b.select(b.insert(arith.CmpfOp(x, y, "ogt")), x, y)
        one = b.constant(1.0, f64)
        scale, back = one, one
        for predicate, bound, factor in (("ogt", 2.0**500, 2.0**-600), ("olt", 2.0**-450, 2.0**600)):
            beyond = b.insert(arith.CmpfOp(greater, b.constant(bound, f64), predicate))
            scale = b.select(beyond, b.constant(factor, f64), scale)
            back = b.select(beyond, b.constant(1 / factor, f64), back)
        near = [b.insert(arith.MulfOp(value, scale)) for value in (x, y)]
        length = b.insert(arith.MulfOp(_root_of_squares(b, *near), back))
    return b.select(infinite, infinity, length)


def _root_of_squares(b: LoopBuilder, x: SSAValue, y: SSAValue) -> SSAValue:
    x = b.insert(arith.MulfOp(x, x, CONTRACT))
    y = b.insert(arith.MulfOp(y, y, CONTRACT))
    return b.insert(math.SqrtOp(b.insert(arith.AddfOp(x, y, CONTRACT))))


def _float_power(b: LoopBuilder, base: SSAValue, exponent: SSAValue) -> SSAValue:
    """Powers of a few steps, as NumPy has them and cubes; others go to `pow`."""
    owner = exponent.owner
    value = None
    if isinstance(owner, arith.ConstantOp) and isinstance(owner.value, FloatAttr):
        value = owner.value.value.data
    if value in (1.0, 2.0) or (value in (3.0, 4.0) and not b.precise):
        square = base if value == 1.0 else b.insert(arith.MulfOp(base, base, CONTRACT))
        if value <= 2.0:
            return square
        return b.insert(arith.MulfOp(square, base if value == 3.0 else square, CONTRACT))
    if value == -1.0:
        return b.insert(arith.DivfOp(b.constant(1.0, base.type), base))
    if value == 0.5:
        # A root of -0 is -0 and of -inf NaN; the powers are 0 and inf.
        root = b.insert(math.SqrtOp(b.insert(arith.AddfOp(base, b.constant(0.0, base.type)))))
        low = b.insert(arith.CmpfOp(base, b.constant(float("-inf"), base.type), "oeq"))
        return b.select(low, b.constant(float("inf"), base.type), root)
    return b.insert(math.PowFOp(base, exponent))


def _float_divmod(b: LoopBuilder, x: SSAValue, y: SSAValue) -> tuple[SSAValue, SSAValue]:
    """Python's divmod of floats, step by step as NumPy does it."""
    kind = x.type
    zero, one, half = b.constant(0.0, kind), b.constant(1.0, kind), b.constant(0.5, kind)
    remainder = b.insert(llvm.FRemOp(x, y))
    quotient = b.insert(arith.DivfOp(b.insert(arith.SubfOp(x, remainder)), y))
    nonzero = b.insert(arith.CmpfOp(remainder, zero, "une"))
    signs = b.insert(
        arith.XOrIOp(b.insert(arith.CmpfOp(y, zero, "olt")), b.insert(arith.CmpfOp(remainder, zero, "olt")))
    )
    moved = b.insert(arith.AndIOp(nonzero, signs))
    shifted = b.select(moved, b.insert(arith.AddfOp(remainder, y)), remainder)
    modulo = b.select(nonzero, shifted, b.insert(math.CopySignOp(zero, y)))
    quotient = b.select(moved, b.insert(arith.SubfOp(quotient, one)), quotient)
    whole = b.insert(math.FloorOp(quotient))
    up = b.insert(arith.CmpfOp(b.insert(arith.SubfOp(quotient, whole)), half, "ogt"))
    whole = b.select(up, b.insert(arith.AddfOp(whole, one)), whole)
    plain = b.insert(arith.DivfOp(x, y))
    whole = b.select(
        b.insert(arith.CmpfOp(quotient, zero, "une")), whole, b.insert(math.CopySignOp(zero, plain))
    )
    by_zero = b.insert(arith.CmpfOp(y, zero, "oeq"))
    return b.select(by_zero, plain, whole), b.select(by_zero, remainder, modulo)
