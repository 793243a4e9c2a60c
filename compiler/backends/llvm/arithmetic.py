"""arith, math and vector arithmetic as LLVM text: a table from op to instruction, intrinsic or function.

bf16 lies in memory as i16 and is converted by shifts.
"""

from typing import Any

from attrs import evolve
from xdsl.dialects import arith, llvm, math, vector
from xdsl.dialects.builtin import AnyFloat, BFloat16Type, Float16Type, Float64Type
from xdsl.dialects.utils import FastMathFlag
from xdsl.ir import Operation

from flowc.compiler.backends.llvm.byte_dots import emit_dot
from flowc.compiler.backends.llvm.function import FunctionEmitter, llvm_type, number, suffix
from flowc.compiler.backends.llvm.key_vectors import emit_mask, emit_pack, emit_sort
from flowc.compiler.backends.llvm.memory import Writer
from flowc.compiler.backends.llvm.pair_dots import emit_pair_dot
from flowc.compiler.backends.llvm.quad_dots import emit_quad_dot
from flowc.dialects import loops
from flowc.dialects.array.kernel import REPRODUCIBLE


def _constant(e: FunctionEmitter, op: arith.ConstantOp) -> None:
    value: Any = op.properties["value"]
    result = op.results[0]
    e.values[result] = number(value.value.data, result.type)


def _flags(op: Operation) -> str:
    flags = op.properties.get("fastmath")
    return (
        "".join(f"{flag} " for flag in sorted(flags.data))
        if isinstance(flags, arith.FastMathFlagsAttr)
        else ""
    )


def _binary(instruction: str) -> Writer:
    def write(e: FunctionEmitter, op: Any) -> None:
        a, b = op.operands
        e.values[op.results[0]] = e.emit(f"{instruction} {_flags(op)}{e.typed(a)}, {e.operand(b)}")

    return write


def _intrinsic(name: str) -> Writer:
    """An operator that is an LLVM intrinsic, overloaded on the type of its result."""

    def write(e: FunctionEmitter, op: Any) -> None:
        type_ = llvm_type(op.results[0].type)
        arguments = [e.typed(value) for value in op.operands]
        full = f"llvm.{name}.{suffix(op.results[0].type)}"
        types = ", ".join(argument.rsplit(" ", 1)[0] for argument in arguments)
        e.called.add(f"declare {type_} @{full}({types})")
        e.values[op.results[0]] = e.emit(f"call {_flags(op)}{type_} @{full}({', '.join(arguments)})")

    return write


def _multiply_add(e: FunctionEmitter, op: math.FmaOp) -> None:
    """One operation, which may be two where the processor has none and the op allows it."""
    either = FastMathFlag.ALLOW_CONTRACT in op.fastmath.data
    _intrinsic("fmuladd" if either else "fma")(e, op)


def _polynomial(name: str) -> Writer:
    """A function of `mathematics`, written into the module once it is called; of its two forms the one that
    gives the same bits on every machine where the op asks for that."""

    def write(e: FunctionEmitter, op: Any) -> None:
        type_ = llvm_type(op.results[0].type)
        fixed = ".fixed" if REPRODUCIBLE in op.attributes else ""
        full = f"flowc.{name}.{suffix(op.results[0].type)}{fixed}"
        e.values[op.results[0]] = e.call(full, type_, [e.typed(value) for value in op.operands])

    return write


def _cast(instruction: str) -> Writer:
    def write(e: FunctionEmitter, op: Any) -> None:
        (value,), (result,) = op.operands, op.results
        e.values[result] = e.emit(f"{instruction} {e.typed(value)} to {llvm_type(result.type)}")

    return write


def _index_cast(e: FunctionEmitter, op: arith.IndexCastOp) -> None:
    (value,), (result,) = op.operands, op.results
    source, target = llvm_type(value.type), llvm_type(result.type)
    if source == target:
        e.values[result] = e.operand(value)
    else:
        wider = int(target[1:]) > int(source[1:])
        e.values[result] = e.emit(f"{'sext' if wider else 'trunc'} {e.typed(value)} to {target}")


_integer_comparisons = ("eq", "ne", "slt", "sle", "sgt", "sge", "ult", "ule", "ugt", "uge")
_float_comparisons = (
    "false", "oeq", "ogt", "oge", "olt", "ole", "one", "ord",
    "ueq", "ugt", "uge", "ult", "ule", "une", "uno", "true",
)  # fmt: skip


def _compare(e: FunctionEmitter, op: arith.CmpiOp | arith.CmpfOp) -> None:
    integer = isinstance(op, arith.CmpiOp)
    names = _integer_comparisons if integer else _float_comparisons
    predicate = names[op.predicate.value.data]
    a, b = op.operands
    text = f"{'icmp' if integer else 'fcmp'} {predicate} {e.typed(a)}, {e.operand(b)}"
    e.values[op.results[0]] = e.emit(text)


def _select(e: FunctionEmitter, op: arith.SelectOp) -> None:
    (condition, a, b), (result,) = op.operands, op.results
    if a in e.buffers:
        one, other = e.buffers[a], e.buffers[b]
        chosen = e.emit(f"select {e.typed(condition)}, ptr {one.pointer}, ptr {other.pointer}")
        e.buffers[result] = evolve(one, pointer=chosen, size="", origins=one.memory | other.memory)
        return
    note = ""
    if loops.UNPREDICTABLE in op.attributes:
        e.called.add("!7 = !{}")
        note = ", !unpredictable !7"
    e.values[result] = e.emit(f"select {e.typed(condition)}, {e.typed(a)}, {e.typed(b)}{note}")


def _negate(e: FunctionEmitter, op: arith.NegfOp) -> None:
    e.values[op.result] = e.emit(f"fneg {e.typed(op.operand)}")


def _floor_divide(e: FunctionEmitter, op: arith.FloorDivSIOp) -> None:
    """Index arithmetic only: the divisor is positive."""
    quotient = e.emit(f"sdiv {e.typed(op.lhs)}, {e.operand(op.rhs)}")
    remainder = e.emit(f"srem {e.typed(op.lhs)}, {e.operand(op.rhs)}")
    sign = e.emit(f"ashr i64 {remainder}, 63")
    e.values[op.result] = e.emit(f"add i64 {quotient}, {sign}")


def _step(e: FunctionEmitter, op: loops.StepOp) -> None:
    """A comparison, where a minimum would do: LLVM sees into that, and never asks whether it is 1."""
    e.values[op.step] = e.call("llvm.scmp.i64.i64", "i64", [e.typed(op.extent), "i64 1"])


def _opaque(e: FunctionEmitter, op: loops.OpaqueOp) -> None:
    """Out of an assembly text without instructions, where the function starts, so that no loop has it."""
    type_ = llvm_type(op.result.type)
    hidden, result = e.fresh(), e.fresh()
    bits = f"i{suffix(op.result.type)[1:]}"
    known = f"bitcast ({type_} {number(op.value.value.data, op.result.type)} to {bits})"
    e.scratch.append(f'  {hidden} = call {bits} asm "", "=r,0"({bits} {known})')
    e.scratch.append(f"  {result} = bitcast {bits} {hidden} to {type_}")
    e.values[op.result] = result


def _extend(e: FunctionEmitter, op: arith.ExtFOp) -> None:
    if isinstance(op.input.type, Float16Type):
        value = e.call("flowc.half.f32", "float", [e.typed(op.input)])
        wider = isinstance(op.result.type, Float64Type)
        e.values[op.result] = e.emit(f"fpext float {value} to double") if wider else value
        return
    if not isinstance(op.input.type, BFloat16Type):
        _cast("fpext")(e, op)
        return
    wide = e.emit(f"zext {e.typed(op.input)} to i32")
    e.values[op.result] = e.emit(f"bitcast i32 {e.emit(f'shl i32 {wide}, 16')} to float")


def _truncate(e: FunctionEmitter, op: arith.TruncFOp) -> None:
    value, target = e.operand(op.input), op.result.type
    if isinstance(op.input.type, Float64Type) and isinstance(target, Float16Type | BFloat16Type):
        value = e.call("flowc.to_odd.f64", "float", [f"double {value}"])
    if isinstance(target, BFloat16Type):
        e.values[op.result] = e.call("flowc.bfloat.f32", "i16", [f"float {value}"])
    elif isinstance(target, Float16Type):
        e.values[op.result] = e.call("flowc.to_half.f32", "half", [f"float {value}"])
    else:
        _cast("fptrunc")(e, op)


def _reciprocal_root(e: FunctionEmitter, op: math.RsqrtOp) -> None:
    type_ = llvm_type(op.result.type)
    root = e.call(f"llvm.sqrt.{suffix(op.result.type)}", type_, [e.typed(op.operand)])
    e.values[op.result] = e.emit(f"fdiv {type_} {number(1.0, op.result.type)}, {root}")


def _broadcast(e: FunctionEmitter, op: vector.BroadcastOp) -> None:
    type_ = llvm_type(op.vector.type)
    lanes = op.vector.type.get_shape()[0]
    one = e.emit(f"insertelement {type_} poison, {e.typed(op.source)}, i64 0")
    e.values[op.vector] = e.emit(
        f"shufflevector {type_} {one}, {type_} poison, <{lanes} x i32> zeroinitializer"
    )


def _total(e: FunctionEmitter, op: vector.ReductionOp) -> None:
    """The sum of a vector."""
    vector_type, type_ = op.vector.type, llvm_type(op.dest.type)
    if isinstance(op.dest.type, AnyFloat):
        name = f"llvm.vector.reduce.fadd.{suffix(vector_type)}"
        e.called.add(f"declare {type_} @{name}({type_}, {llvm_type(vector_type)})")
        zero = number(-0.0, op.dest.type)
        e.values[op.dest] = e.emit(f"call {_flags(op)}{type_} @{name}({type_} {zero}, {e.typed(op.vector)})")
    else:
        name = f"llvm.vector.reduce.add.{suffix(vector_type)}"
        e.values[op.dest] = e.call(name, type_, [e.typed(op.vector)])


writers: dict[type[Operation], Writer] = {
    vector.ReductionOp: _total,
    loops.DotOp: emit_dot,
    loops.PairDotOp: emit_pair_dot,
    loops.QuadDotOp: emit_quad_dot,
    loops.StepOp: _step,
    loops.OpaqueOp: _opaque,
    loops.PackOp: emit_pack,
    loops.SortOp: emit_sort,
    vector.CreateMaskOp: emit_mask,
    vector.BroadcastOp: _broadcast,
    vector.FMAOp: _intrinsic("fmuladd"),
    math.FmaOp: _multiply_add,
    arith.ConstantOp: _constant,
    arith.AddiOp: _binary("add"),
    arith.SubiOp: _binary("sub"),
    arith.MuliOp: _binary("mul"),
    arith.DivSIOp: _binary("sdiv"),
    arith.DivUIOp: _binary("udiv"),
    arith.RemSIOp: _binary("srem"),
    arith.RemUIOp: _binary("urem"),
    arith.FloorDivSIOp: _floor_divide,
    arith.AndIOp: _binary("and"),
    arith.OrIOp: _binary("or"),
    arith.XOrIOp: _binary("xor"),
    arith.ShLIOp: _binary("shl"),
    arith.ShRSIOp: _binary("ashr"),
    arith.ShRUIOp: _binary("lshr"),
    arith.MinSIOp: _intrinsic("smin"),
    arith.MaxSIOp: _intrinsic("smax"),
    arith.MinUIOp: _intrinsic("umin"),
    arith.MaxUIOp: _intrinsic("umax"),
    arith.AddfOp: _binary("fadd"),
    arith.SubfOp: _binary("fsub"),
    arith.MulfOp: _binary("fmul"),
    arith.DivfOp: _binary("fdiv"),
    llvm.FRemOp: _polynomial("fmod"),
    arith.NegfOp: _negate,
    arith.MaximumfOp: _intrinsic("maximum"),
    arith.MinimumfOp: _intrinsic("minimum"),
    arith.CmpiOp: _compare,
    arith.CmpfOp: _compare,
    arith.SelectOp: _select,
    arith.IndexCastOp: _index_cast,
    arith.ExtFOp: _extend,
    arith.TruncFOp: _truncate,
    arith.ExtSIOp: _cast("sext"),
    arith.ExtUIOp: _cast("zext"),
    arith.TruncIOp: _cast("trunc"),
    arith.SIToFPOp: _cast("sitofp"),
    arith.UIToFPOp: _cast("uitofp"),
    arith.FPToSIOp: _cast("fptosi"),
    arith.FPToUIOp: _cast("fptoui"),
    arith.BitcastOp: _cast("bitcast"),
    math.AbsFOp: _intrinsic("fabs"),
    math.SqrtOp: _intrinsic("sqrt"),
    math.RsqrtOp: _reciprocal_root,
    math.FloorOp: _intrinsic("floor"),
    math.CeilOp: _intrinsic("ceil"),
    math.TruncOp: _intrinsic("trunc"),
    math.RoundEvenOp: _intrinsic("roundeven"),
    math.CopySignOp: _intrinsic("copysign"),
    math.PowFOp: _polynomial("pow"),
    math.ExpOp: _polynomial("exp"),
    math.Exp2Op: _polynomial("exp2"),
    math.ExpM1Op: _polynomial("expm1"),
    math.LogOp: _polynomial("log"),
    math.Log2Op: _polynomial("log2"),
    math.Log10Op: _polynomial("log10"),
    math.Log1pOp: _polynomial("log1p"),
    math.SinOp: _polynomial("sin"),
    math.CosOp: _polynomial("cos"),
    math.TanOp: _polynomial("tan"),
    math.AsinOp: _polynomial("asin"),
    math.AcosOp: _polynomial("acos"),
    math.AtanOp: _polynomial("atan"),
    math.Atan2Op: _polynomial("atan2"),
    math.SinhOp: _polynomial("sinh"),
    math.CoshOp: _polynomial("cosh"),
    math.TanhOp: _polynomial("tanh"),
    math.ErfOp: _polynomial("erf"),
    math.CbrtOp: _polynomial("cbrt"),
    math.AsinhOp: _polynomial("asinh"),
    math.AcoshOp: _polynomial("acosh"),
    math.AtanhOp: _polynomial("atanh"),
}
