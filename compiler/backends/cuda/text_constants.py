"""Numbers of every type as C++ writes them, so that it reads the same bits."""

import math
import struct
import sys
from typing import Any

from xdsl.dialects import arith
from xdsl.dialects.builtin import (
    BFloat16Type,
    DenseIntOrFPElementsAttr,
    Float16Type,
    Float32Type,
    Float64Type,
    IntegerType,
    VectorType,
)
from xdsl.ir import Attribute, Operation

from flowc.compiler.backends.cuda.text_state import KernelWriter, Writer
from flowc.dialects import loops

_LARGEST_F32 = (2 - 2.0**-23) * 2.0**127


def number(value: int | float, type_: Attribute) -> str:
    """A constant as C++ writes it."""
    match type_:
        case Float64Type():
            return _float(value, struct.pack("<d", value), "__longlong_as_double", "LL", "")
        case Float32Type():
            bits = struct.pack("<f", value) if abs(value) < 2.0**128 or value != value else _infinite(value)
            return _float(struct.unpack("<f", bits)[0], bits, "__int_as_float", "", "f")
        case Float16Type():
            return str(int.from_bytes(struct.pack("<e", value), "little"))
        case BFloat16Type():
            return str(_bfloat_bits(value))
        case IntegerType() if type_.width.data == 1:
            return "true" if value else "false"
        case IntegerType():
            return _integer(int(value), type_.width.data)
    return str(int(value))


def _infinite(value: float) -> bytes:
    return struct.pack("<f", math.copysign(math.inf, value))


def _float(value: float, bits: bytes, from_bits: str, integer_suffix: str, suffix: str) -> str:
    """The shortest decimal that reads back, and the bits of what has none."""
    if not math.isfinite(value):
        return f"{from_bits}({int.from_bytes(bits, 'little', signed=True)}{integer_suffix})"
    code, most = ("<f", _LARGEST_F32) if suffix else ("<d", sys.float_info.max)
    for digits in range(1, 18):
        text = f"{value:.{digits}g}"
        if abs(float(text)) <= most and struct.pack(code, float(text)) == bits:
            break
    return f"{text if '.' in text or 'e' in text else text + '.0'}{suffix}"


def _bfloat_bits(value: float) -> int:
    bits = int.from_bytes(struct.pack("<f", value), "little")
    if value != value:
        return (bits >> 16) | 64
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16) & 0xFFFF


def _integer(value: int, width: int) -> str:
    wrapped = (value + (1 << (width - 1))) % (1 << width) - (1 << (width - 1))
    if width < 32:
        return str(wrapped)
    suffix = "LL" if width == 64 else ""
    if wrapped == -(1 << (width - 1)):
        return f"({wrapped + 1}{suffix} - 1)"
    return f"{wrapped}{suffix}"


def _constant(w: KernelWriter, op: arith.ConstantOp) -> None:
    value: Any = op.value
    type_ = op.result.type
    if isinstance(type_, VectorType) and isinstance(value, DenseIntOrFPElementsAttr):
        lanes = [number(lane, type_.get_element_type()) for lane in value.get_values()]
        lanes = lanes * type_.element_count() if len(lanes) == 1 else lanes
        w.helpers.add("vec")
        w.declare(op.result, f"{{{{{', '.join(lanes)}}}}}")
    else:
        w.values[op.result] = number(value.value.data, type_)


def _opaque(w: KernelWriter, op: loops.OpaqueOp) -> None:
    """Nothing needs hiding here: no vectors are made of the loop."""
    w.values[op.result] = number(op.value.value.data, op.result.type)


writers: dict[type[Operation], Writer] = {
    arith.ConstantOp: _constant,
    loops.OpaqueOp: _opaque,
}
