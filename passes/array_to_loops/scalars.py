"""Scalar semantics: how one element of each dtype is loaded, converted, computed and stored.

A bool lies in memory as a byte. f16 and bf16 are held in f32 between load and store. Integer arithmetic
wraps; division follows Python, and division by zero gives 0, as in NumPy.
"""

from collections.abc import Sequence

from xdsl.dialects import arith, llvm, math
from xdsl.dialects.builtin import FloatAttr, MemRefType, f32, i1, i8, i64
from xdsl.ir import Attribute, SSAValue

from flowc.dialects.array.kinds import COMPARISON, LOGICAL, compute_dtype
from flowc.dialects.array.types import bits, is_float, type_of_dtype
from flowc.passes.array_to_loops.builder import CONTRACT, EXTREME, Index, LoopBuilder


def held_type(dtype: str) -> Attribute:
    """The type in which a value of the dtype is held between load and store."""
    return type_of_dtype[compute_dtype(dtype)]


def stored_type(dtype: str) -> Attribute:
    """The type of an element in memory."""
    return i8 if dtype == "bool" else type_of_dtype[dtype]


def element_type(buffer: SSAValue) -> Attribute:
    """The type of the elements of a memref."""
    if not isinstance(buffer.type, MemRefType):
        raise TypeError(f"{buffer.type} is no memref")
    element: Attribute = buffer.type.get_element_type()
    return element


def load(b: LoopBuilder, buffer: SSAValue, indices: Sequence[Index], dtype: str) -> SSAValue:
    """Loads an element and brings it to the form in which values are held."""
    value = b.load(buffer, indices)
    if dtype == "bool":
        return b.compare("ne", value, b.constant(0, i8))
    if value.type != held_type(dtype):
        return b.insert(arith.ExtFOp(value, f32))
    return value


def store(b: LoopBuilder, value: SSAValue, buffer: SSAValue, indices: Sequence[Index]) -> None:
    """Stores a held value in whatever form the buffer has, rounding a half format to nearest even."""
    element = element_type(buffer)
    if value.type == i1:
        value = b.insert(arith.ExtUIOp(value, i8))
    elif value.type != element:
        value = b.insert(arith.TruncFOp(value, element))
    b.store(value, buffer, indices)


def convert(b: LoopBuilder, value: SSAValue, source: str, target: str) -> SSAValue:
    """A held value of one dtype as a held value of another; `cast` of the language."""
    if target == "bool" and source != "bool":
        return truth(b, value, source)
    held = held_type(target)
    if is_float(source) and is_float(target):
        return _float_to_float(b, value, target)
    if is_float(source):
        return _float_to_integer(b, value, target)
    if is_float(target):
        op = arith.UIToFPOp if source == "bool" else arith.SIToFPOp
        exact = b.convert(op, value, held)
        return exact if bits(target) > 16 else _rounded(b, exact, target)
    if source == target:
        return value
    if bits(source) < bits(target):
        return b.convert(arith.ExtUIOp if source == "bool" else arith.ExtSIOp, value, held)
    return b.convert(arith.TruncIOp, value, held)


def _float_to_float(b: LoopBuilder, value: SSAValue, target: str) -> SSAValue:
    held = held_type(target)
    if bits(target) == 16:
        return _rounded(b, value, target)
    if value.type == held:
        return value
    return b.insert(
        arith.ExtFOp(value, held) if held == type_of_dtype["f64"] else arith.TruncFOp(value, held)
    )


def _rounded(b: LoopBuilder, value: SSAValue, half: str) -> SSAValue:
    return b.insert(arith.ExtFOp(b.insert(arith.TruncFOp(value, type_of_dtype[half])), f32))


def _float_to_integer(b: LoopBuilder, value: SSAValue, target: str) -> SSAValue:
    """Towards zero, saturating, NaN to 0: defined for every input, unlike a bare conversion."""
    width, held, kind = bits(target), held_type(target), value.type
    low, high = -(1 << width - 1), (1 << width - 1) - 1
    bottom, top = b.constant(float(low), kind), b.constant(float(1 << width - 1), kind)
    number = b.insert(arith.CmpfOp(value, value, "ord"))
    inside = b.insert(
        arith.AndIOp(b.insert(arith.CmpfOp(value, bottom, "oge")), b.insert(arith.CmpfOp(value, top, "olt")))
    )
    safe = b.select(inside, value, b.constant(0.0, kind))
    whole = b.convert(arith.FPToSIOp, safe, held)
    above = b.insert(arith.CmpfOp(value, top, "oge"))
    clipped = b.select(above, b.constant(high, held), b.constant(low, held))
    clipped = b.select(number, clipped, b.constant(0, held))
    return b.select(inside, whole, clipped)


def truth(b: LoopBuilder, value: SSAValue, dtype: str) -> SSAValue:
    """Whether a held value is not zero; NaN is not."""
    if dtype == "bool":
        return value
    zero = b.constant(0, value.type)
    if is_float(dtype):
        return b.insert(arith.CmpfOp(value, zero, "une"))
    return b.compare("ne", value, zero)


_float_binary: dict[str, type] = {
    "add": arith.AddfOp,
    "sub": arith.SubfOp,
    "mul": arith.MulfOp,
    "div": arith.DivfOp,
}
_float_extreme: dict[str, type] = {"minimum": arith.MinimumfOp, "maximum": arith.MaximumfOp}
_integer_binary: dict[str, type] = {
    "add": arith.AddiOp, "sub": arith.SubiOp, "mul": arith.MuliOp,
    "minimum": arith.MinSIOp, "maximum": arith.MaxSIOp,
}  # fmt: skip
_bool_binary: dict[str, type] = {
    "add": arith.OrIOp, "mul": arith.AndIOp, "minimum": arith.AndIOp, "maximum": arith.OrIOp,
    "and": arith.AndIOp, "or": arith.OrIOp,
}  # fmt: skip
_float_unary: dict[str, type] = {
    "neg": arith.NegfOp, "abs": math.AbsFOp, "sqrt": math.SqrtOp, "rsqrt": math.RsqrtOp, "exp": math.ExpOp,
    "exp2": math.Exp2Op, "expm1": math.ExpM1Op, "log": math.LogOp, "log2": math.Log2Op, "log1p": math.Log1pOp,
    "sin": math.SinOp, "cos": math.CosOp, "tanh": math.TanhOp, "erf": math.ErfOp, "floor": math.FloorOp,
    "ceil": math.CeilOp, "round": math.RoundEvenOp,
}  # fmt: skip
_float_predicates = {"eq": "oeq", "ne": "une", "lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge"}
_integer_predicates = {"eq": "eq", "ne": "ne", "lt": "slt", "le": "sle", "gt": "sgt", "ge": "sge"}
_bool_predicates = {"eq": "eq", "ne": "ne", "lt": "ult", "le": "ule", "gt": "ugt", "ge": "uge"}


def apply(b: LoopBuilder, kind: str, dtype: str, operands: Sequence[SSAValue]) -> SSAValue:
    """One elementwise operator on held operands of `dtype` (for `where`, the dtype of the two choices)."""
    if kind == "where":
        return b.select(*operands)
    if kind in LOGICAL:
        return _logical(b, kind, operands)
    if kind in COMPARISON:
        return _compared(b, kind, dtype, operands)
    if dtype == "bool":
        return _on_bools(b, kind, operands)
    if is_float(dtype):
        return _on_floats(b, kind, operands)
    return _on_integers(b, kind, operands)


def _logical(b: LoopBuilder, kind: str, operands: Sequence[SSAValue]) -> SSAValue:
    if kind == "not":
        return b.insert(arith.XOrIOp(operands[0], b.constant(1, i1)))
    return b.insert(_bool_binary[kind](*operands))


def _compared(b: LoopBuilder, kind: str, dtype: str, operands: Sequence[SSAValue]) -> SSAValue:
    if is_float(dtype):
        return b.insert(arith.CmpfOp(operands[0], operands[1], _float_predicates[kind]))
    table = _bool_predicates if dtype == "bool" else _integer_predicates
    return b.compare(table[kind], operands[0], operands[1])


def _on_bools(b: LoopBuilder, kind: str, operands: Sequence[SSAValue]) -> SSAValue:
    if kind in _bool_binary:
        return b.insert(_bool_binary[kind](*operands))
    if kind in ("isnan", "is_finite"):
        return b.constant(int(kind == "is_finite"), i1)
    return operands[0]


def _on_floats(b: LoopBuilder, kind: str, operands: Sequence[SSAValue]) -> SSAValue:
    if kind in _float_binary:
        return b.insert(_float_binary[kind](*operands, CONTRACT))
    if kind in _float_extreme:
        return b.insert(_float_extreme[kind](*operands, EXTREME))
    if kind == "pow":
        return _float_power(b, *operands)
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
    if kind == "sign":
        zero, one = b.constant(0.0, value.type), b.constant(1.0, value.type)
        nonzero = b.insert(arith.CmpfOp(value, zero, "one"))
        return b.select(nonzero, b.insert(math.CopySignOp(one, value)), b.insert(arith.AddfOp(value, zero)))
    return b.insert(_float_unary[kind](value))


def _sigmoid(b: LoopBuilder, x: SSAValue) -> SSAValue:
    """Through e = exp(-|x|), which never overflows: 1 / (1 + e), times e below zero."""
    one, zero = b.constant(1.0, x.type), b.constant(0.0, x.type)
    power = b.insert(math.ExpOp(b.insert(arith.NegfOp(b.insert(math.AbsFOp(x))))))
    above = b.insert(arith.DivfOp(one, b.insert(arith.AddfOp(one, power))))
    negative = b.insert(arith.CmpfOp(x, zero, "olt"))
    return b.select(negative, b.insert(arith.MulfOp(power, above)), above)


def _float_power(b: LoopBuilder, base: SSAValue, exponent: SSAValue) -> SSAValue:
    owner = exponent.owner
    if isinstance(owner, arith.ConstantOp):
        value = owner.value.value.data if isinstance(owner.value, FloatAttr) else None
        if value == 1.0:
            return base
        if value == 2.0:
            return b.insert(arith.MulfOp(base, base))
        if value == 3.0:
            return b.insert(arith.MulfOp(b.insert(arith.MulfOp(base, base)), base))
        if value == -1.0:
            return b.insert(arith.DivfOp(b.constant(1.0, base.type), base))
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


def _on_integers(b: LoopBuilder, kind: str, operands: Sequence[SSAValue]) -> SSAValue:
    if kind in _integer_binary:
        return b.insert(_integer_binary[kind](*operands))
    value = operands[0]
    zero = b.constant(0, value.type)
    if kind == "neg":
        return b.insert(arith.SubiOp(zero, value))
    if kind == "abs":
        return b.select(b.compare("slt", value, zero), b.insert(arith.SubiOp(zero, value)), value)
    if kind == "sign":
        above = b.select(b.compare("sgt", value, zero), b.constant(1, value.type), zero)
        return b.select(b.compare("slt", value, zero), b.constant(-1, value.type), above)
    if kind in ("floor", "ceil", "round"):
        return value
    if kind in ("isnan", "is_finite"):
        return b.constant(int(kind == "is_finite"), i1)
    if kind == "pow":
        return _integer_power(b, *operands)
    return _integer_division(b, kind, *operands)


def _integer_division(b: LoopBuilder, kind: str, x: SSAValue, y: SSAValue) -> SSAValue:
    """Floor division or its remainder. The divisors 0 and -1, which trap in hardware, never reach it."""
    zero, minus_one = b.constant(0, x.type), b.constant(-1, x.type)
    by_zero, by_minus_one = b.compare("eq", y, zero), b.compare("eq", y, minus_one)
    unsafe = b.insert(arith.OrIOp(by_zero, by_minus_one))
    divisor = b.select(unsafe, b.constant(1, x.type), y)
    quotient = b.insert(arith.DivSIOp(x, divisor))
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


def _integer_power(b: LoopBuilder, base: SSAValue, exponent: SSAValue) -> SSAValue:
    """Squaring by the bits of the exponent; a negative one leaves the quotient rounded towards zero."""
    kind = base.type
    zero, one = b.constant(0, kind), b.constant(1, kind)
    width = 64 if kind == i64 else 8 if kind == i8 else 32

    def step(_: SSAValue, carried: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        result, square, rest = carried
        odd = b.compare("ne", b.insert(arith.AndIOp(rest, one)), zero)
        result = b.select(odd, b.insert(arith.MuliOp(result, square)), result)
        return result, b.insert(arith.MuliOp(square, square)), b.insert(arith.ShRUIOp(rest, one))

    power = b.loop(0, width - 1, (one, base, exponent), step)[0]
    odd = b.compare("ne", b.insert(arith.AndIOp(exponent, one)), zero)
    of_minus_one = b.select(odd, b.constant(-1, kind), one)
    inverse = b.select(b.compare("eq", base, b.constant(-1, kind)), of_minus_one, zero)
    inverse = b.select(b.compare("eq", base, one), one, inverse)
    return b.select(b.compare("slt", exponent, zero), inverse, power)
