"""Scalar semantics: how one element of each dtype is loaded, converted, computed and stored.

A bool lies in memory as a byte. u8 is held and stored as i8 whose operators are the unsigned ones. f16 and
bf16 are held in f32 between load and store. Integer arithmetic wraps; division follows Python, and division
by zero gives 0, as in NumPy.
"""

from collections.abc import Sequence
from math import inf

from xdsl.dialects import arith
from xdsl.dialects.builtin import FloatAttr, IntegerAttr, MemRefType, f32, f64, i1, i8
from xdsl.ir import Attribute, SSAValue

from flowc.dialects.array.kinds import COMPARISON, LOGICAL, compute_dtype
from flowc.dialects.array.types import bits, integer_range, is_float, type_of_dtype
from flowc.dialects.loops import OpaqueOp
from flowc.passes.array_to_loops.builder import Index, LoopBuilder
from flowc.passes.array_to_loops.scalar_floats import on_floats
from flowc.passes.array_to_loops.scalar_integers import on_bytes, on_integers

UNSIGNED = ("bool", "u8")
"""The dtypes whose bits are no two's complement."""
EXACT_BITS: dict[Attribute, int] = {f32: 16, f64: 32}
"""Integers of so many bits are all numbers of a float's type."""


def held_type(dtype: str) -> Attribute:
    """The type in which a value of the dtype is held between load and store."""
    return i8 if dtype == "u8" else type_of_dtype[compute_dtype(dtype)]


def stored_type(dtype: str) -> Attribute:
    """The type of an element in memory."""
    return i8 if dtype in ("bool", "u8") else type_of_dtype[dtype]


def element_type(buffer: SSAValue) -> Attribute:
    """The type of the elements of a memref."""
    if not isinstance(buffer.type, MemRefType):
        raise TypeError(f"{buffer.type} is no memref")
    element: Attribute = buffer.type.get_element_type()
    return element


def load(b: LoopBuilder, buffer: SSAValue, indices: Sequence[Index], dtype: str) -> SSAValue:
    """Loads an element and brings it to the form in which values are held."""
    return held(b, b.load(buffer, indices), dtype)


def held(b: LoopBuilder, value: SSAValue, dtype: str) -> SSAValue:
    """An element as it was loaded, in the form in which values are held."""
    if dtype == "bool":
        return b.compare("ne", value, b.constant(0, i8))
    if value.type != held_type(dtype):
        return b.insert(arith.ExtFOp(value, f32))
    return value


def store(b: LoopBuilder, value: SSAValue, buffer: SSAValue, indices: Sequence[Index]) -> None:
    """Stores a held value in whatever form the buffer has, rounding a half format to nearest even."""
    b.store(stored(b, value, element_type(buffer)), buffer, indices)


def stored(b: LoopBuilder, value: SSAValue, element: Attribute) -> SSAValue:
    """A held value as an element of memory of some type."""
    if value.type == i1:
        return b.insert(arith.ExtUIOp(value, i8))
    return value if value.type == element else b.insert(arith.TruncFOp(value, element))


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
        op = arith.UIToFPOp if source in UNSIGNED else arith.SIToFPOp
        exact = b.convert(op, value, held)
        return exact if bits(target) > 16 else _rounded(b, exact, target)
    if value.type == held:
        return value
    if bits(source) < bits(target):
        return b.convert(arith.ExtUIOp if source in UNSIGNED else arith.ExtSIOp, value, held)
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
    held, kind = held_type(target), value.type
    low, high = integer_range(target)
    if bits(target) <= EXACT_BITS[kind]:
        return _clamped_to_integer(b, value, target)
    bottom, top = b.constant(float(low), kind), b.constant(float(high + 1), kind)
    number = b.insert(arith.CmpfOp(value, value, "ord"))
    inside = b.insert(
        arith.AndIOp(b.insert(arith.CmpfOp(value, bottom, "oge")), b.insert(arith.CmpfOp(value, top, "olt")))
    )
    safe = b.select(inside, value, b.constant(0.0, kind))
    whole = b.convert(arith.FPToUIOp if target in UNSIGNED else arith.FPToSIOp, safe, held)
    above = b.insert(arith.CmpfOp(value, top, "oge"))
    clipped = b.select(above, b.constant(high, held), b.constant(low, held))
    clipped = b.select(number, clipped, b.constant(0, held))
    return b.select(inside, whole, clipped)


def _clamped_to_integer(b: LoopBuilder, value: SSAValue, target: str) -> SSAValue:
    """The same where every number of the target is one of the float's: vectors have instructions for that."""
    kind, unsigned = value.type, target in UNSIGNED
    low, high = (b.constant(float(bound), kind) for bound in integer_range(target))
    if not unsigned:
        number = b.insert(arith.CmpfOp(value, value, "ord"))
        value = b.select(number, value, b.constant(0.0, kind))
    value = b.select(b.insert(arith.CmpfOp(value, low, "ogt")), value, low)  # of unsigned ones, NaN is 0 here
    value = b.select(b.insert(arith.CmpfOp(value, high, "olt")), value, high)
    return b.convert(arith.FPToUIOp if unsigned else arith.FPToSIOp, value, held_type(target))


def truth(b: LoopBuilder, value: SSAValue, dtype: str) -> SSAValue:
    """Whether a held value is not zero; NaN is not."""
    if dtype == "bool":
        return value
    zero = b.constant(0, value.type)
    if is_float(dtype):
        return b.insert(arith.CmpfOp(value, zero, "une"))
    return b.compare("ne", value, zero)


_bool_binary: dict[str, type] = {
    "add": arith.OrIOp, "mul": arith.AndIOp, "minimum": arith.AndIOp, "maximum": arith.OrIOp,
    "and": arith.AndIOp, "or": arith.OrIOp, "bitand": arith.AndIOp, "bitor": arith.OrIOp,
    "bitxor": arith.XOrIOp,
}  # fmt: skip
_float_predicates = {"eq": "oeq", "ne": "une", "lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge"}
_integer_predicates = {"eq": "eq", "ne": "ne", "lt": "slt", "le": "sle", "gt": "sgt", "ge": "sge"}
_unsigned_predicates = {"eq": "eq", "ne": "ne", "lt": "ult", "le": "ule", "gt": "ugt", "ge": "uge"}


def apply(b: LoopBuilder, kind: str, dtype: str, operands: Sequence[SSAValue]) -> SSAValue:
    """One elementwise operator on held operands of `dtype` (for `where`, the dtype of the two choices)."""
    if kind == "where":
        condition, *choices = operands
        return b.select(condition, *(_hidden(b, choice, dtype) for choice in choices))
    if kind in LOGICAL:
        return _logical(b, kind, operands)
    if kind in COMPARISON:
        return _compared(b, kind, dtype, operands)
    if dtype == "bool":
        return _on_bools(b, kind, operands)
    if is_float(dtype):
        return on_floats(b, kind, operands)
    return on_bytes(b, kind, operands) if dtype == "u8" else on_integers(b, kind, operands)


def _hidden(b: LoopBuilder, choice: SSAValue, dtype: str) -> SSAValue:
    """A choice that, as the least or greatest number, may be what a reduction around it starts with."""
    op = choice.owner
    if dtype == "bool" or not isinstance(op, arith.ConstantOp):
        return choice
    value = op.value
    extremes = (-inf, inf) if is_float(dtype) else integer_range(dtype)
    if isinstance(value, IntegerAttr | FloatAttr) and value.value.data in extremes:
        return b.insert(OpaqueOp(value))
    return choice


def _logical(b: LoopBuilder, kind: str, operands: Sequence[SSAValue]) -> SSAValue:
    if kind in ("not", "invert"):
        return b.insert(arith.XOrIOp(operands[0], b.constant(1, i1)))
    return b.insert(_bool_binary[kind](*operands))


def _compared(b: LoopBuilder, kind: str, dtype: str, operands: Sequence[SSAValue]) -> SSAValue:
    if is_float(dtype):
        return b.insert(arith.CmpfOp(operands[0], operands[1], _float_predicates[kind]))
    table = _unsigned_predicates if dtype in UNSIGNED else _integer_predicates
    return b.compare(table[kind], operands[0], operands[1])


def _on_bools(b: LoopBuilder, kind: str, operands: Sequence[SSAValue]) -> SSAValue:
    if kind in _bool_binary:
        return b.insert(_bool_binary[kind](*operands))
    if kind in ("isnan", "is_finite"):
        return b.constant(int(kind == "is_finite"), i1)
    return _logical(b, kind, operands) if kind == "invert" else operands[0]
