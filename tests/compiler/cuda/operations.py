"""Every operator of arith and math that a kernel may have, as a kernel, with what NumPy makes of it."""

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
from attrs import frozen

from tests.compiler.cuda.launching import Kernel

Array = npt.NDArray[Any]
Reference = Callable[..., Any]

IR_TYPES: dict[str, str] = {
    "bool": "i1", "int8": "i8", "uint8": "i8", "int16": "i16", "int32": "i32", "int64": "i64",
    "uint32": "i32", "uint64": "i64", "index": "index", "float16": "f16", "bfloat16": "bf16",
    "float32": "f32", "float64": "f64",
}  # fmt: skip
"""The IR's type of an element, by NumPy's name of what it means."""
DTYPES: dict[str, Any] = {
    **{name: np.dtype(name) for name in IR_TYPES if name not in ("index", "bfloat16")},
    "index": np.dtype(np.int64),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
}


@frozen
class Operation:
    """An op with its operands' and its result's element types, and its meaning on arrays of them.

    `ulps` is how far a float may be from the correctly rounded result.
    """

    name: str
    text: str
    operands: tuple[str, ...]
    result: str
    reference: Reference
    ulps: int = 0

    @property
    def kernel(self) -> Kernel:
        """The op on the elements of arrays, one a thread."""
        types = [IR_TYPES[name] for name in (*self.operands, self.result)]
        names = ["a", "b", "c"][: len(self.operands)]
        parameters = {name: f"memref<?x{t}>" for name, t in zip([*names, "out"], types, strict=True)}
        loads = [f"%{name}0 = memref.load %{name}[%i] : {parameters[name]}" for name in names]
        body = [
            "%block = gpu.block_id x", "%thread = gpu.thread_id x", "%size = arith.constant 64 : index",
            "%first = arith.muli %block, %size : index", "%i = arith.addi %first, %thread : index", *loads,
            self.text, f"memref.store %r, %out[%i] : {parameters['out']}",
        ]  # fmt: skip
        return Kernel(parameters, "\n".join(body), self.name)


def binary(op: str, dtype: str, reference: Reference, extra: str = "", ulps: int = 0) -> Operation:
    """An op of two operands of one type."""
    text = f"%r = {op} %a0, %b0 {extra} : {IR_TYPES[dtype]}"
    name = f"{op.replace('.', '_')}_{dtype}{'_contract' if 'contract' in extra else ''}"
    return Operation(name, text, (dtype, dtype), dtype, reference, ulps)


def unary(op: str, dtype: str, reference: Reference, ulps: int = 0) -> Operation:
    """An op of one operand of its own type."""
    return Operation(
        f"{op.replace('.', '_')}_{dtype}",
        f"%r = {op} %a0 : {IR_TYPES[dtype]}",
        (dtype,),
        dtype,
        reference,
        ulps,
    )


def cast(op: str, source: str, target: str, reference: Reference) -> Operation:
    """A conversion."""
    text = f"%r = {op} %a0 : {IR_TYPES[source]} to {IR_TYPES[target]}"
    return Operation(f"{op.replace('.', '_')}_{source}_{target}", text, (source,), target, reference)


SIGNED = ("int8", "int16", "int32", "int64", "index")
UNSIGNED = ("uint8", "uint32", "uint64")
FLOATS = ("float32", "float64")


def _safe(b: Array) -> Array:
    return np.where((b == 0) | (b == -1), 3, b).astype(b.dtype)


def _floored(a: Array, b: Array) -> Array:
    return np.floor_divide(a, b)


def _towards_zero(a: Array, b: Array) -> Array:
    quotient = (
        np.abs(a.astype(object))
        // np.abs(b.astype(object))
        * np.sign(a.astype(object))
        * np.sign(b.astype(object))
    )
    return quotient.astype(a.dtype)


def _remainder(a: Array, b: Array) -> Array:
    return (a.astype(object) - _towards_zero(a, b).astype(object) * b.astype(object)).astype(a.dtype)


def _ones(a: Array) -> Array:
    """The bits that are set; NumPy counts those of the absolute value."""
    return np.bitwise_count(a.view(f"u{a.itemsize}")).astype(a.dtype)


def integers() -> list[Operation]:
    """Operators on integers; overflow wraps around."""
    found: list[Operation] = []
    for dtype in SIGNED:
        if dtype != "index":  # indices are trusted not to overflow
            found += [
                binary("arith.addi", dtype, np.add), binary("arith.subi", dtype, np.subtract),
                binary("arith.muli", dtype, np.multiply),
            ]  # fmt: skip
        found += [
            binary("arith.minsi", dtype, np.minimum), binary("arith.maxsi", dtype, np.maximum),
            binary("arith.andi", dtype, np.bitwise_and), binary("arith.ori", dtype, np.bitwise_or),
            binary("arith.xori", dtype, np.bitwise_xor),
        ]  # fmt: skip
    for dtype in UNSIGNED:
        found += [binary("arith.minui", dtype, np.minimum), binary("arith.maxui", dtype, np.maximum)]
    for op, reference in (("andi", np.logical_and), ("ori", np.logical_or), ("xori", np.logical_xor)):
        found.append(binary(f"arith.{op}", "bool", reference))
    found += [unary("math.ctpop", dtype, _ones) for dtype in ("int32", "int64")]
    found.append(binary("arith.addi", "bool", np.logical_xor))
    found.append(binary("arith.muli", "bool", np.logical_and))
    return found


def divisions() -> list[Operation]:
    """Division and shifts, for divisors and places that are allowed."""
    found: list[Operation] = []
    for dtype in SIGNED:
        found += [binary("arith.divsi", dtype, _towards_zero), binary("arith.remsi", dtype, _remainder)]
    found.append(binary("arith.floordivsi", "index", _floored))
    for dtype in UNSIGNED:
        found += [binary("arith.divui", dtype, np.floor_divide), binary("arith.remui", dtype, np.remainder)]
    return found


def shifts() -> list[Operation]:
    """Shifts by less than the width."""
    found: list[Operation] = []
    for dtype in ("int8", "int16", "int32", "int64"):
        found += [binary("arith.shli", dtype, np.left_shift), binary("arith.shrsi", dtype, np.right_shift)]
    found += [binary("arith.shrui", dtype, np.right_shift) for dtype in UNSIGNED]
    return found


def _fused(a: Array, b: Array, c: Array) -> Array:
    """Of f32: products are exact in f64, and long double holds the sums of f64 numbers well enough."""
    wide = np.longdouble if a.dtype == np.float64 else np.float64
    return (a.astype(wide) * b.astype(wide) + c.astype(wide)).astype(a.dtype)


def _least(a: Array, b: Array) -> Array:
    """-0.0 is less than 0.0, which NumPy leaves open."""
    return np.where((a == b) & np.signbit(a), a, np.minimum(a, b))


def _greatest(a: Array, b: Array) -> Array:
    return np.where((a == b) & ~np.signbit(a), a, np.maximum(a, b))


def floats() -> list[Operation]:
    """Operators on floats that are exact or correctly rounded."""
    found: list[Operation] = []
    for dtype in FLOATS:
        for op, reference in (("addf", np.add), ("subf", np.subtract), ("mulf", np.multiply)):
            found += [
                binary(f"arith.{op}", dtype, reference),
                binary(f"arith.{op}", dtype, reference, "fastmath<contract>"),
            ]
        found += [
            binary("arith.divf", dtype, np.divide), binary("arith.minimumf", dtype, _least),
            binary("arith.maximumf", dtype, _greatest), unary("arith.negf", dtype, np.negative),
            unary("math.absf", dtype, np.abs), unary("math.sqrt", dtype, np.sqrt),
            unary("math.floor", dtype, np.floor), unary("math.ceil", dtype, np.ceil),
            unary("math.trunc", dtype, np.trunc), unary("math.roundeven", dtype, np.rint),
            binary("math.copysign", dtype, np.copysign),
            unary("math.rsqrt", dtype, lambda a: (a.dtype.type(1) / np.sqrt(a))),
        ]  # fmt: skip
    return found


def functions() -> list[Operation]:
    """Functions that the emulation takes from the processor's library."""
    found: list[Operation] = []
    from scipy.special import erf

    table: dict[str, Reference] = {
        "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "log": np.log, "log2": np.log2, "log10": np.log10,
        "log1p": np.log1p, "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos,
        "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh,
        "acosh": np.arccosh, "atanh": np.arctanh, "cbrt": np.cbrt, "erf": erf,
    }  # fmt: skip
    for dtype in FLOATS:
        found += [unary(f"math.{op}", dtype, reference, ulps=4) for op, reference in table.items()]
        found += [
            binary("math.powf", dtype, np.power, ulps=4), binary("math.atan2", dtype, np.arctan2, ulps=4),
            binary("llvm.frem", dtype, np.fmod),
        ]  # fmt: skip
    return found


_integer_predicates: dict[str, tuple[str, Reference]] = {
    "eq": ("int32", np.equal), "ne": ("int64", np.not_equal), "slt": ("int8", np.less),
    "sle": ("int16", np.less_equal), "sgt": ("int64", np.greater), "sge": ("int32", np.greater_equal),
    "ult": ("uint8", np.less), "ule": ("uint32", np.less_equal), "ugt": ("uint64", np.greater),
    "uge": ("uint8", np.greater_equal),
}  # fmt: skip


def _unordered(reference: Reference) -> Reference:
    return lambda a, b: reference(a, b) | np.isnan(a) | np.isnan(b)


_float_predicates: dict[str, Reference] = {
    "false": lambda a, b: np.zeros(a.shape, bool),
    "oeq": np.equal,
    "ogt": np.greater,
    "oge": np.greater_equal,
    "olt": np.less,
    "ole": np.less_equal,
    "one": lambda a, b: (a < b) | (a > b),
    "ord": lambda a, b: ~(np.isnan(a) | np.isnan(b)),
    "ueq": _unordered(np.equal),
    "ugt": _unordered(np.greater),
    "uge": _unordered(np.greater_equal),
    "ult": _unordered(np.less),
    "ule": _unordered(np.less_equal),
    "une": np.not_equal,
    "uno": lambda a, b: np.isnan(a) | np.isnan(b),
    "true": lambda a, b: np.ones(a.shape, bool),
}


def comparisons() -> list[Operation]:
    """Comparisons, and a choice by one."""
    found: list[Operation] = []
    for predicate, (dtype, reference) in _integer_predicates.items():
        text = f"%r = arith.cmpi {predicate}, %a0, %b0 : {IR_TYPES[dtype]}"
        found.append(Operation(f"cmpi_{predicate}", text, (dtype, dtype), "bool", reference))
    for dtype in FLOATS:
        for predicate, reference in _float_predicates.items():
            text = f"%r = arith.cmpf {predicate}, %a0, %b0 : {IR_TYPES[dtype]}"
            found.append(Operation(f"cmpf_{predicate}_{dtype}", text, (dtype, dtype), "bool", reference))
    for dtype in (*SIGNED, *FLOATS):
        type_ = IR_TYPES[dtype]
        found.append(
            Operation(
                f"select_{dtype}",
                f"%r = arith.select %a0, %b0, %c0 : {type_}",
                ("bool", dtype, dtype),
                dtype,
                np.where,
            )
        )
    return found


def _as(dtype: str) -> Reference:
    return lambda a: a.astype(DTYPES[dtype])


def conversions() -> list[Operation]:
    """Conversions, those from floats for numbers that the integers hold."""
    found: list[Operation] = []
    widths = ("int8", "int16", "int32", "int64")
    for place, narrow in enumerate(widths):
        for wide in widths[place + 1 :]:
            found += [
                cast("arith.extsi", narrow, wide, _as(wide)),
                cast("arith.trunci", wide, narrow, _as(narrow)),
            ]
    found += [
        cast("arith.extui", "uint8", "int32", _as("int32")),
        cast("arith.extui", "uint8", "int64", _as("int64")),
        cast("arith.extui", "uint32", "int64", _as("int64")),
        cast("arith.extui", "bool", "int8", _as("int8")),
        cast("arith.extui", "bool", "int64", _as("int64")),
        cast("arith.extsi", "bool", "int32", lambda a: -a.astype(np.int32)),
        cast("arith.trunci", "int32", "bool", lambda a: (a & 1).astype(bool)),
        cast("arith.index_cast", "int32", "index", _as("int64")),
        cast("arith.index_cast", "index", "int32", _as("int32")),
        cast("arith.index_cast", "index", "int64", _as("int64")),
        cast("arith.extf", "float32", "float64", _as("float64")),
        cast("arith.truncf", "float64", "float32", _as("float32")),
    ]  # fmt: skip
    for dtype in FLOATS:
        found += [cast("arith.sitofp", source, dtype, _as(dtype)) for source in widths]
        found += [cast("arith.uitofp", source, dtype, _as(dtype)) for source in ("bool", "uint8", "uint32")]
        found += [cast("arith.extf", half, dtype, _as(dtype)) for half in ("float16", "bfloat16")]
    found += [
        cast("arith.truncf", "float32", "float16", _as("float16")),
        cast("arith.truncf", "float32", "bfloat16", _as("bfloat16")),
        cast("arith.truncf", "float64", "float16", _as("float16")),
    ]  # fmt: skip
    bits = (("float32", "int32"), ("int32", "float32"), ("float64", "int64"), ("int64", "float64"))
    found += [
        cast("arith.bitcast", source, target, lambda a, t=target: a.view(DTYPES[t]))
        for source, target in bits
    ]
    return found


def from_floats() -> list[Operation]:
    """Conversions of floats that an integer of the type holds."""
    signed = [cast("arith.fptosi", f, i, _as(i)) for f in FLOATS for i in ("int8", "int16", "int32", "int64")]
    return signed + [cast("arith.fptoui", f, i, _as(i)) for f in FLOATS for i in ("uint8", "uint32")]


def fused() -> list[Operation]:
    """A product and a sum as one operation."""
    return [
        Operation(
            f"fma_{dtype}", f"%r = math.fma %a0, %b0, %c0 : {IR_TYPES[dtype]}", (dtype,) * 3, dtype, _fused
        )
        for dtype in ("float32",)
    ]


def everything() -> list[Operation]:
    """All of them."""
    groups = (integers, divisions, shifts, floats, functions, comparisons, conversions, from_floats, fused)
    return [op for group in groups for op in group()]
