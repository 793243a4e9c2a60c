"""arith and math as CUDA C++: a table from op to expression.

Integers wrap: they are added and multiplied unsigned. Indices are trusted not to overflow. Products and sums
of floats may become one operation only where the op says `contract`; others are called by functions that say
how they round, which NVRTC keeps apart.
"""

from typing import Any

from xdsl.dialects import arith, llvm, math
from xdsl.dialects.builtin import (
    Float32Type,
    Float64Type,
    IndexType,
    IntegerType,
    i1,
)
from xdsl.dialects.utils import FastMathFlag
from xdsl.ir import Attribute, Operation

from flowc.compiler.backends.cuda.text_state import (
    Buffer,
    KernelWriter,
    Writer,
    c_type,
    is_number,
    product,
    signed_operand,
    total,
    unsigned_type,
)
from flowc.dialects import loops


def _wrapping(symbol: str) -> Writer:
    """+, - and * of integers, whose overflow is the remainder."""

    def write(w: KernelWriter, op: Any) -> None:
        a, b = w.operands(op)
        type_ = op.results[0].type
        if isinstance(type_, IndexType):
            text = _index(symbol, a, b)
            if is_number(text):
                w.values[op.results[0]] = text
                return
        elif type_ == i1:
            text = f"{a} && {b}" if symbol == "*" else f"{a} != {b}"
        elif _width(type_) < 32:
            text = f"({c_type(type_)})({a} {symbol} {b})"
        else:
            text = f"({c_type(type_)})(({unsigned_type(type_)}){a} {symbol} {b})"
        w.define(op.results[0], text)

    return write


def _index(symbol: str, a: str, b: str) -> str:
    if symbol == "*":
        return product(a, b)
    if symbol == "+":
        return total([a, b])
    return total([a, str(-int(b))]) if is_number(b) else f"{a} - {b}"


def _width(type_: Attribute) -> int:
    return type_.width.data if isinstance(type_, IntegerType) else 64


def _bits(symbol: str) -> Writer:
    def write(w: KernelWriter, op: Any) -> None:
        a, b = w.operands(op)
        type_ = op.results[0].type
        if type_ == i1 and symbol == "^":
            w.define(op.results[0], f"!{a}" if b == "true" else f"{a} != {b}")
        elif type_ == i1:
            w.define(op.results[0], f"{a} {symbol}{symbol} {b}")
        else:
            w.define(op.results[0], f"{a} {symbol} {b}")

    return write


def _signed(symbol: str) -> Writer:
    def write(w: KernelWriter, op: Any) -> None:
        a, b = w.operands(op)
        text = f"{a} {symbol} {b}"
        small = _width(op.results[0].type) < 32
        w.define(op.results[0], f"({c_type(op.results[0].type)})({text})" if small else text)

    return write


def _unsigned(symbol: str) -> Writer:
    def write(w: KernelWriter, op: Any) -> None:
        a, b = w.operands(op)
        type_ = op.results[0].type
        wide = unsigned_type(type_)
        w.define(op.results[0], f"({c_type(type_)})(({wide}){a} {symbol} ({wide}){b})")

    return write


def _extreme(helper: str, *, unsigned: bool) -> Writer:
    def write(w: KernelWriter, op: Any) -> None:
        a, b = w.operands(op)
        type_ = op.results[0].type
        c = c_type(type_)
        if unsigned:
            w.define(op.results[0], f"({c}){w.call(helper)}<{unsigned_type(type_)}>({a}, {b})")
        else:
            w.define(op.results[0], f"{w.call(helper)}<{c}>({a}, {b})")

    return write


def _floor_divide(w: KernelWriter, op: arith.FloorDivSIOp) -> None:
    a, b = w.operands(op)
    w.define(op.result, f"{w.call('floor_divide')}<{c_type(op.result.type)}>({a}, {b})")


_integer_comparisons = ("==", "!=", "<", "<=", ">", ">=", "<", "<=", ">", ">=")
_FIRST_UNSIGNED, _FIRST_ORDERED = 6, 2


def _compare_integers(w: KernelWriter, op: arith.CmpiOp) -> None:
    predicate = op.predicate.value.data
    symbol = _integer_comparisons[predicate]
    if predicate >= _FIRST_UNSIGNED:
        a, b = (f"({unsigned_type(value.type)}){w.operand(value)}" for value in op.operands)
    elif predicate >= _FIRST_ORDERED:
        a, b = (signed_operand(w, value) for value in op.operands)
    else:
        a, b = w.operands(op)
    w.define(op.result, f"{a} {symbol} {b}")


_float_comparisons = (
    "false", "{a} == {b}", "{a} > {b}", "{a} >= {b}", "{a} < {b}", "{a} <= {b}", "{a} < {b} || {a} > {b}",
    "{a} == {a} && {b} == {b}", "!({a} < {b} || {a} > {b})", "!({a} <= {b})", "!({a} < {b})",
    "!({a} >= {b})", "!({a} > {b})", "{a} != {b}", "{a} != {a} || {b} != {b}", "true",
)  # fmt: skip


_of_itself = {"{a} == {a} && {b} == {b}": "{a} == {a}", "{a} != {a} || {b} != {b}": "{a} != {a}"}


def _compare_floats(w: KernelWriter, op: arith.CmpfOp) -> None:
    a, b = w.operands(op)
    form = _float_comparisons[op.predicate.value.data]
    if a == b:
        form = _of_itself.get(form, form)
    w.define(op.result, form.format(a=a, b=b))


def _select(w: KernelWriter, op: arith.SelectOp) -> None:
    condition = w.operand(op.cond)
    if op.lhs in w.buffers:
        one, other = w.buffers[op.lhs], w.buffers[op.rhs]
        name = w.name(op.result, "chosen")
        w.do(f"const auto {name} = {condition} ? {one.pointer} : {other.pointer};")
        w.buffers[op.result] = Buffer(name, one.extents, one.strides, one.element)
        return
    w.define(op.result, f"{condition} ? {w.operand(op.lhs)} : {w.operand(op.rhs)}")


def _contracts(op: Operation) -> bool:
    flags = op.properties.get("fastmath")
    return isinstance(flags, arith.FastMathFlagsAttr) and FastMathFlag.ALLOW_CONTRACT in flags.data


def _float_binary(symbol: str, name: str) -> Writer:
    """An operator where it may be contracted, else a function that rounds its own result."""

    def write(w: KernelWriter, op: Any) -> None:
        a, b = w.operands(op)
        kind = _float_letter(op.results[0].type)
        text = f"{a} {symbol} {b}" if _contracts(op) else f"__{kind}{name}_rn({a}, {b})"
        w.define(op.results[0], text)

    return write


def _float_letter(type_: Attribute) -> str:
    match type_:
        case Float32Type():
            return "f"
        case Float64Type():
            return "d"
    raise ValueError(f"CUDA kernels compute in f32 and f64, not in {type_}")


def _divide(w: KernelWriter, op: arith.DivfOp) -> None:
    a, b = w.operands(op)
    _float_letter(op.result.type)
    w.define(op.result, f"{a} / {b}")


def _negate(w: KernelWriter, op: arith.NegfOp) -> None:
    text = w.operand(op.operand)
    w.define(op.result, f"-({text})" if text.startswith("-") else f"-{text}")


def _function(name: str) -> Writer:
    """A function of CUDA's own library, of the accuracy that its manual states."""

    def write(w: KernelWriter, op: Any) -> None:
        f = "f" if _float_letter(op.results[0].type) == "f" else ""
        w.define(op.results[0], f"{name}{f}({', '.join(w.operands(op))})")

    return write


def _power_of_two(w: KernelWriter, op: math.Exp2Op) -> None:
    """Where the op allows an approximation, the instruction alone."""
    quick = FastMathFlag.APPROX_FUNC in op.fastmath.data and isinstance(op.result.type, Float32Type)
    (_helper("exp2_quick") if quick else _function("exp2"))(w, op)


def _helper(name: str) -> Writer:
    def write(w: KernelWriter, op: Any) -> None:
        _float_letter(op.results[0].type)
        w.define(op.results[0], f"{w.call(name)}({', '.join(w.operands(op))})")

    return write


def _count_bits(w: KernelWriter, op: math.CtPopOp) -> None:
    name = "__popc" if _width(op.result.type) <= 32 else "__popcll"
    bits = f"({unsigned_type(op.operand.type)}){w.operand(op.operand)}"
    w.define(op.result, f"({c_type(op.result.type)}){name}({bits})")


def _reciprocal_root(w: KernelWriter, op: math.RsqrtOp) -> None:
    f = "f" if _float_letter(op.result.type) == "f" else ""
    w.define(op.result, f"1.0{f} / sqrt{f}({w.operand(op.operand)})")


def _step(w: KernelWriter, op: loops.StepOp) -> None:
    w.define(op.step, f"{w.call('step')}<idx>({w.operand(op.extent)})")


writers: dict[type[Operation], Writer] = {
    arith.AddiOp: _wrapping("+"),
    arith.SubiOp: _wrapping("-"),
    arith.MuliOp: _wrapping("*"),
    arith.DivSIOp: _signed("/"),
    arith.RemSIOp: _signed("%"),
    arith.DivUIOp: _unsigned("/"),
    arith.RemUIOp: _unsigned("%"),
    arith.FloorDivSIOp: _floor_divide,
    arith.AndIOp: _bits("&"),
    arith.OrIOp: _bits("|"),
    arith.XOrIOp: _bits("^"),
    arith.ShLIOp: _unsigned("<<"),
    arith.ShRSIOp: _signed(">>"),
    arith.ShRUIOp: _unsigned(">>"),
    arith.MinSIOp: _extreme("least", unsigned=False),
    arith.MaxSIOp: _extreme("greatest", unsigned=False),
    arith.MinUIOp: _extreme("least", unsigned=True),
    arith.MaxUIOp: _extreme("greatest", unsigned=True),
    arith.CmpiOp: _compare_integers,
    arith.CmpfOp: _compare_floats,
    arith.SelectOp: _select,
    arith.AddfOp: _float_binary("+", "add"),
    arith.SubfOp: _float_binary("-", "sub"),
    arith.MulfOp: _float_binary("*", "mul"),
    arith.DivfOp: _divide,
    arith.NegfOp: _negate,
    arith.MinimumfOp: _helper("minimum"),
    arith.MaximumfOp: _helper("maximum"),
    loops.StepOp: _step,
    llvm.FRemOp: _function("fmod"),
    math.AbsFOp: _function("fabs"),
    math.FmaOp: _function("fma"),
    math.RsqrtOp: _reciprocal_root,
    math.SqrtOp: _function("sqrt"),
    math.FloorOp: _function("floor"),
    math.CeilOp: _function("ceil"),
    math.TruncOp: _function("trunc"),
    math.RoundEvenOp: _function("rint"),
    math.CtPopOp: _count_bits,
    math.CopySignOp: _function("copysign"),
    math.PowFOp: _function("pow"),
    math.ExpOp: _function("exp"),
    math.Exp2Op: _power_of_two,
    math.ExpM1Op: _function("expm1"),
    math.LogOp: _function("log"),
    math.Log2Op: _function("log2"),
    math.Log10Op: _function("log10"),
    math.Log1pOp: _function("log1p"),
    math.SinOp: _function("sin"),
    math.CosOp: _function("cos"),
    math.TanOp: _function("tan"),
    math.AsinOp: _function("asin"),
    math.AcosOp: _function("acos"),
    math.AtanOp: _function("atan"),
    math.Atan2Op: _function("atan2"),
    math.SinhOp: _function("sinh"),
    math.CoshOp: _function("cosh"),
    math.TanhOp: _function("tanh"),
    math.AsinhOp: _function("asinh"),
    math.AcoshOp: _function("acosh"),
    math.AtanhOp: _function("atanh"),
    math.ErfOp: _function("erf"),
    math.CbrtOp: _function("cbrt"),
}
