"""Conversions of numbers from type to type as CUDA C++. f16 and bf16 are their bits, computed with as f32."""

from typing import Any

from xdsl.dialects import arith
from xdsl.dialects.builtin import BFloat16Type, Float16Type, Float64Type, bf16, f16, i1
from xdsl.ir import Attribute, Operation

from flowc.compiler.backends.cuda.text_state import (
    KernelWriter,
    Writer,
    c_type,
    signed_operand,
    unsigned_type,
)


def _extend_float(w: KernelWriter, op: arith.ExtFOp) -> None:
    text = w.operand(op.input)
    if isinstance(op.input.type, Float16Type):
        text = f"{w.call('half_to_float')}({text})"
    elif isinstance(op.input.type, BFloat16Type):
        text = f"{w.call('bfloat_to_float')}({text})"
    w.define(op.result, f"(double){text}" if isinstance(op.result.type, Float64Type) else text)


def _truncate_float(w: KernelWriter, op: arith.TruncFOp) -> None:
    text, target = w.operand(op.input), op.result.type
    halves: dict[Attribute, str] = {f16: "float_to_half", bf16: "float_to_bfloat"}
    if target not in halves:
        w.define(op.result, f"(float){text}")
        return
    if isinstance(op.input.type, Float64Type):
        text = f"{w.call('to_odd')}({text})"
    w.define(op.result, f"{w.call(halves[target])}({text})")


def _cast(w: KernelWriter, op: Any) -> None:
    """A conversion that C++ makes as the op does, sign and all."""
    (value,), (result,) = op.operands, op.results
    text = signed_operand(w, value)
    if c_type(value.type) == c_type(result.type):
        w.define(result, text)
    else:
        w.define(result, f"({c_type(result.type)}){text}")


def _cast_unsigned(w: KernelWriter, op: Any) -> None:
    """A conversion of a number without sign."""
    (value,), (result,) = op.operands, op.results
    w.define(result, f"({c_type(result.type)})({unsigned_type(value.type)}){w.operand(value)}")


def _truncate_integer(w: KernelWriter, op: arith.TruncIOp) -> None:
    text = w.operand(op.input)
    one_bit = op.result.type == i1
    w.define(op.result, f"({text} & 1) != 0" if one_bit else f"({c_type(op.result.type)}){text}")


def _float_to_unsigned(w: KernelWriter, op: arith.FPToUIOp) -> None:
    type_ = op.result.type
    w.define(op.result, f"({c_type(type_)})({unsigned_type(type_)}){w.operand(op.input)}")


_reinterpretations = {
    ("float", "int"): "__float_as_int",
    ("int", "float"): "__int_as_float",
    ("double", "long long"): "__double_as_longlong",
    ("long long", "double"): "__longlong_as_double",
}


def _reinterpret(w: KernelWriter, op: arith.BitcastOp) -> None:
    types = c_type(op.input.type), c_type(op.result.type)
    w.define(op.result, f"{_reinterpretations.get(types, f'({types[1]})')}({w.operand(op.input)})")


writers: dict[type[Operation], Writer] = {
    arith.IndexCastOp: _cast,
    arith.ExtSIOp: _cast,
    arith.ExtUIOp: _cast_unsigned,
    arith.TruncIOp: _truncate_integer,
    arith.SIToFPOp: _cast,
    arith.UIToFPOp: _cast_unsigned,
    arith.FPToSIOp: _cast,
    arith.FPToUIOp: _float_to_unsigned,
    arith.ExtFOp: _extend_float,
    arith.TruncFOp: _truncate_float,
    arith.BitcastOp: _reinterpret,
}
