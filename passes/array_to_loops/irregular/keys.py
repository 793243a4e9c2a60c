"""Sort keys: numbers as unsigned integers of the same order, and back.

A float's bits are in order once negative numbers are inverted and positive ones get the top bit; a NaN of
any sign becomes the greatest key. i8, u8, i16 and bool sort as i32 keys that need fewer digits.
"""

from attrs import frozen
from xdsl.dialects import arith
from xdsl.dialects.builtin import IntegerType, f32, f64, i32, i64
from xdsl.ir import Attribute, SSAValue

from flowc.dialects.array.types import bits, integer_range, is_float
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import LoopBuilder


@frozen
class KeyForm:
    """How numbers of a dtype are sorted: the type of their keys and the count of 8-bit digits."""

    dtype: str
    type: Attribute
    width: int
    digits: int


def key_form(dtype: str) -> KeyForm:
    """The form of the keys of a dtype; half formats sort as f32."""
    if is_float(dtype):
        return KeyForm(dtype, i64, 64, 8) if dtype == "f64" else KeyForm(dtype, i32, 32, 4)
    wide = dtype == "i64"
    return KeyForm(dtype, i64 if wide else i32, 64 if wide else 32, max(bits(dtype) // 8, 1))


def encode(b: LoopBuilder, form: KeyForm, value: SSAValue, *, zeros_equal: bool) -> SSAValue:
    """The key of a held value; with `zeros_equal`, -0.0 has the key of 0.0."""
    top = b.constant(-(1 << form.width - 1), form.type)
    if not is_float(form.dtype):
        if value.type == form.type:
            return b.insert(arith.XOrIOp(value, top))
        wide = scalars.convert(b, value, form.dtype, "i32")
        return b.insert(arith.SubiOp(wide, b.constant(integer_range(form.dtype)[0], i32)))
    if zeros_equal:
        value = b.insert(arith.AddfOp(value, b.constant(0.0, value.type)))
    pattern = b.convert(arith.BitcastOp, value, form.type)
    sign = b.insert(arith.ShRSIOp(pattern, b.constant(form.width - 1, form.type)))
    key = b.insert(arith.XOrIOp(pattern, b.insert(arith.OrIOp(sign, top))))
    return b.select(b.insert(arith.CmpfOp(value, value, "uno")), b.constant(-1, form.type), key)


def decode(b: LoopBuilder, form: KeyForm, key: SSAValue) -> SSAValue:
    """The held value whose key it is."""
    top = b.constant(-(1 << form.width - 1), form.type)
    if not is_float(form.dtype):
        if scalars.held_type(form.dtype) == form.type:
            return b.insert(arith.XOrIOp(key, top))
        number = b.insert(arith.AddiOp(key, b.constant(integer_range(form.dtype)[0], i32)))
        narrow = scalars.held_type(form.dtype)
        assert isinstance(narrow, IntegerType)
        return b.convert(arith.TruncIOp, number, narrow)
    positive = b.insert(arith.ShRSIOp(key, b.constant(form.width - 1, form.type)))
    inverted = b.insert(arith.XOrIOp(positive, b.constant(-1, form.type)))
    pattern = b.insert(arith.XOrIOp(key, b.insert(arith.OrIOp(inverted, top))))
    return b.convert(arith.BitcastOp, pattern, f64 if form.width == 64 else f32)


def digit(b: LoopBuilder, form: KeyForm, key: SSAValue, shift: SSAValue) -> SSAValue:
    """The 8 bits of a key from the bit `shift` on, as an index; `shift` is of the key's type."""
    moved = b.insert(arith.ShRUIOp(key, shift))
    return b.to_index(b.insert(arith.AndIOp(moved, b.constant(255, form.type))))
