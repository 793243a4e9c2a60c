"""Structured loops to LLVM IR text: one small function or table entry per op.

A memref is a pointer with extents and strides as separate values, so that `getelementptr inbounds` sees plain
multiplications. bf16 lies in memory as i16 and is converted by shifts. Index arithmetic for addresses cannot
overflow inside an object and says so (`nsw`).
"""

import struct
from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, evolve, field, frozen
from xdsl.dialects import arith, func, llvm, math, memref, scf, vector
from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    BFloat16Type,
    Float16Type,
    Float32Type,
    Float64Type,
    IndexType,
    IntegerType,
    MemRefType,
    StridedLayoutAttr,
    VectorType,
)
from xdsl.ir import Attribute, Block, Operation, SSAValue

OUT_OF_MEMORY = 1


@frozen
class Buffer:
    """A memref: a pointer, its extents and its strides in elements, as LLVM operands."""

    pointer: str
    extents: tuple[str, ...]
    strides: tuple[str, ...]
    element: str
    base: str = ""


@define
class FunctionEmitter:
    """The text of one function while it is written."""

    attributes: str
    values: dict[SSAValue, str] = field(factory=dict)
    buffers: dict[SSAValue, Buffer] = field(factory=dict)
    lines: list[str] = field(factory=list)
    label: str = "%entry"
    called: set[str] = field(factory=set)
    counter: int = 0

    def fresh(self, stem: str = "v") -> str:
        """A new name."""
        self.counter += 1
        return f"%{stem}{self.counter}"

    def emit(self, text: str) -> str:
        """Appends `%name = text`; gives the name."""
        name = self.fresh()
        self.lines.append(f"  {name} = {text}")
        return name

    def do(self, text: str) -> None:
        """Appends an instruction without a result."""
        self.lines.append(f"  {text}")

    def open(self, label: str) -> None:
        """Starts a basic block."""
        self.lines.append(f"{label[1:]}:")
        self.label = label

    def call(self, name: str, result: str, arguments: Sequence[str]) -> str:
        """A call of a function or intrinsic by its full name."""
        types = ", ".join(argument.rsplit(" ", 1)[0] for argument in arguments)
        self.called.add(f"declare {result} @{name}({types})")
        return self.emit(f"call {result} @{name}({', '.join(arguments)})")

    def operand(self, value: SSAValue) -> str:
        """The LLVM operand of a value."""
        return self.values[value]

    def typed(self, value: SSAValue) -> str:
        """The operand with its type before it."""
        return f"{llvm_type(value.type)} {self.values[value]}"


def llvm_type(type_: Attribute) -> str:
    """The LLVM type of a value held in a register."""
    match type_:
        case IndexType():
            return "i64"
        case IntegerType():
            return f"i{type_.width.data}"
        case Float64Type():
            return "double"
        case Float32Type():
            return "float"
        case Float16Type():
            return "half"
        case BFloat16Type():
            return "i16"
        case VectorType():
            return f"<{type_.get_shape()[0]} x {llvm_type(type_.get_element_type())}>"
    raise ValueError(f"no LLVM type for {type_}")


def number(value: int | float, type_: Attribute) -> str:
    """A constant operand."""
    if isinstance(type_, Float64Type | Float32Type | Float16Type):
        exact = struct.unpack("<f", struct.pack("<f", value))[0] if isinstance(type_, Float32Type) else value
        return "0x" + struct.pack(">d", exact).hex().upper()
    if isinstance(type_, IntegerType) and type_.width.data == 1:
        return "true" if value else "false"
    return str(int(value))


def emit_function(function: func.FuncOp, name: str, attributes: str) -> FunctionEmitter:
    """Writes one function; the caller joins `lines` and declares what is in `called`."""
    e = FunctionEmitter(attributes)
    parameters = []
    for argument in function.body.block.args:
        parameters += _parameter(e, argument)
    e.lines.append(f"define internal i64 @{name}({', '.join(parameters)}) {attributes} {{")
    e.lines.append("entry:")
    for argument, buffer in e.buffers.items():
        if not buffer.strides:
            e.buffers[argument] = evolve(buffer, strides=_row_major(e, buffer.extents))
    emit_block(e, function.body.block)
    e.lines += ["out_of_memory:", f"  ret i64 {OUT_OF_MEMORY}", "}"]
    return e


def _parameter(e: FunctionEmitter, argument: SSAValue) -> list[str]:
    type_ = argument.type
    if not isinstance(type_, MemRefType):
        e.values[argument] = e.fresh("a")
        return [f"{llvm_type(type_)} {e.values[argument]}"]
    element = llvm_type(type_.get_element_type())
    pointer, shape = e.fresh("p"), type_.get_shape()
    extents = [e.fresh("n") for _ in shape]
    text = [f"ptr noalias nonnull %{pointer[1:]}", *(f"i64 {name}" for name in extents)]
    known = [str(size) if size != DYNAMIC_INDEX else name for size, name in zip(shape, extents, strict=True)]
    if isinstance(type_.layout, StridedLayoutAttr):
        strides = [e.fresh("s") for _ in shape]
        text += [f"i64 {name}" for name in strides]
        given = type_.layout.get_strides()
        fixed = [
            name if stride is None else str(stride) for stride, name in zip(given or (), strides, strict=True)
        ]
        e.buffers[argument] = Buffer(pointer, tuple(known), tuple(fixed), element)
    else:
        # Strides of a contiguous result are computed in the entry block, once its text is open.
        e.buffers[argument] = Buffer(pointer, tuple(known), (), element)
    return text


def emit_block(e: FunctionEmitter, block: Block) -> None:
    """Writes the ops of a block in order."""
    for op in block.ops:
        writer = _writers.get(type(op))
        if writer is None:
            raise ValueError(f"no LLVM form for {op.name}")
        writer(e, op)


def _row_major(e: FunctionEmitter, extents: Sequence[str]) -> tuple[str, ...]:
    strides = ["1"]
    for extent in reversed(extents[1:]):
        strides.append(extent if strides[-1] == "1" else _product(e, strides[-1], extent))
    return tuple(reversed(strides)) if extents else ()


def _product(e: FunctionEmitter, a: str, b: str) -> str:
    if a == "1" or b == "1":
        return b if a == "1" else a
    if "0" in (a, b):
        return "0"
    if not a.startswith("%") and not b.startswith("%"):
        return str(int(a) * int(b))
    return e.emit(f"mul nsw i64 {a}, {b}")


def _sum(e: FunctionEmitter, a: str, b: str) -> str:
    if a == "0" or b == "0":
        return b if a == "0" else a
    return e.emit(f"add nsw i64 {a}, {b}")


def _address(e: FunctionEmitter, value: SSAValue, indices: Sequence[SSAValue]) -> tuple[str, str]:
    buffer = e.buffers[value]
    offset = "0"
    for index, stride in zip(indices, buffer.strides, strict=True):
        offset = _sum(e, offset, _product(e, e.operand(index), stride))
    if offset == "0":
        return buffer.pointer, buffer.element
    return e.emit(
        f"getelementptr inbounds {buffer.element}, ptr {buffer.pointer}, i64 {offset}"
    ), buffer.element


# Memory


def _size_in_bytes(element: str) -> int:
    return {"double": 8, "float": 4, "half": 2}.get(element) or max(int(element[1:]) // 8, 1)


def _alloc(e: FunctionEmitter, op: memref.AllocOp) -> None:
    type_ = op.memref.type
    assert isinstance(type_, MemRefType)
    element = llvm_type(type_.get_element_type())
    dynamic = iter(op.dynamic_sizes)
    extents = [e.operand(next(dynamic)) if n == DYNAMIC_INDEX else str(n) for n in type_.get_shape()]
    count = "1"
    for extent in extents:
        count = _product(e, count, extent)
    size = e.emit(f"add i64 {_product(e, count, str(_size_in_bytes(element)))}, 64")
    e.called.add("declare noalias ptr @malloc(i64)")
    base = e.emit(f"call noalias ptr @malloc(i64 {size})")
    missing, label = e.emit(f"icmp eq ptr {base}, null"), e.fresh("have")
    e.do(f"br i1 {missing}, label %out_of_memory, label {label}")
    e.open(label)
    beyond = e.emit(f"getelementptr i8, ptr {base}, i64 63")
    pointer = e.call("llvm.ptrmask.p0.i64", "ptr", [f"ptr {beyond}", "i64 -64"])
    e.buffers[op.memref] = Buffer(pointer, tuple(extents), _row_major(e, extents), element, base)


def _dealloc(e: FunctionEmitter, op: memref.DeallocOp) -> None:
    e.called.add("declare void @free(ptr)")
    e.do(f"call void @free(ptr {e.buffers[op.memref].base})")


def _dim(e: FunctionEmitter, op: memref.DimOp) -> None:
    e.values[op.result] = e.buffers[op.source].extents[int(e.operand(op.index))]


def _load(e: FunctionEmitter, op: memref.LoadOp) -> None:
    address, element = _address(e, op.memref, op.indices)
    e.values[op.res] = e.emit(f"load {element}, ptr {address}")


def _store(e: FunctionEmitter, op: memref.StoreOp) -> None:
    address, element = _address(e, op.memref, op.indices)
    e.do(f"store {element} {e.operand(op.value)}, ptr {address}")


def _vector_load(e: FunctionEmitter, op: vector.LoadOp) -> None:
    address, element = _address(e, op.base, op.indices)
    e.values[op.result] = e.emit(
        f"load {llvm_type(op.result.type)}, ptr {address}, align {_size_in_bytes(element)}"
    )


def _vector_store(e: FunctionEmitter, op: vector.StoreOp) -> None:
    address, element = _address(e, op.base, op.indices)
    e.do(f"store {e.typed(op.vector)}, ptr {address}, align {_size_in_bytes(element)}")


# Control


def _for(e: FunctionEmitter, op: scf.ForOp) -> None:
    head, body, end = e.fresh("head"), e.fresh("body"), e.fresh("end")
    counter, *carried = op.body.block.args
    before = e.label
    e.do(f"br label {head}")
    e.open(head)
    phis = [(counter, op.lb), *zip(carried, op.iter_args, strict=True)]
    places = []
    for argument, start in phis:
        e.values[argument] = e.fresh("i")
        places.append(len(e.lines))
        e.lines.append(
            f"  {e.values[argument]} = phi {llvm_type(argument.type)} [ {e.operand(start)}, {before} ]"
        )
    test = e.emit(f"icmp slt i64 {e.operand(counter)}, {e.operand(op.ub)}")
    e.do(f"br i1 {test}, label {body}, label {end}")
    e.open(body)
    emit_block(e, op.body.block)
    following = e.emit(f"add nsw i64 {e.operand(counter)}, {e.operand(op.step)}")
    yielded = op.body.block.last_op
    assert isinstance(yielded, scf.YieldOp)
    for place, new in zip(places, [following, *map(e.operand, yielded.operands)], strict=True):
        e.lines[place] += f", [ {new}, {e.label} ]"
    e.do(f"br label {head}")
    e.open(end)
    for result, argument in zip(op.results, carried, strict=True):
        e.values[result] = e.values[argument]


def _if(e: FunctionEmitter, op: scf.IfOp) -> None:
    then, otherwise, end = e.fresh("then"), e.fresh("else"), e.fresh("end")
    e.do(f"br i1 {e.operand(op.cond)}, label {then}, label {otherwise}")
    incoming = []
    for label, region in ((then, op.true_region), (otherwise, op.false_region)):
        e.open(label)
        emit_block(e, region.block)
        last = region.block.last_op
        assert isinstance(last, scf.YieldOp)
        incoming.append((e.label, [e.operand(value) for value in last.operands]))
        e.do(f"br label {end}")
    e.open(end)
    for number_, result in enumerate(op.results):
        sides = ", ".join(f"[ {values[number_]}, {label} ]" for label, values in incoming)
        e.values[result] = e.emit(f"phi {llvm_type(result.type)} {sides}")


def _while(e: FunctionEmitter, op: scf.WhileOp) -> None:
    head, body, end = e.fresh("head"), e.fresh("body"), e.fresh("end")
    before, after = op.before_region.block, op.after_region.block
    start = e.label
    e.do(f"br label {head}")
    e.open(head)
    places = []
    for argument, value in zip(before.args, op.arguments, strict=True):
        e.values[argument] = e.fresh("w")
        places.append(len(e.lines))
        e.lines.append(
            f"  {e.values[argument]} = phi {llvm_type(argument.type)} [ {e.operand(value)}, {start} ]"
        )
    emit_block(e, before)
    condition = before.last_op
    assert isinstance(condition, scf.ConditionOp)
    e.do(f"br i1 {e.operand(condition.condition)}, label {body}, label {end}")
    for targets in (after.args, op.results):
        for target, value in zip(targets, condition.args, strict=True):
            e.values[target] = e.operand(value)
    e.open(body)
    emit_block(e, after)
    last = after.last_op
    assert isinstance(last, scf.YieldOp)
    for place, value in zip(places, last.operands, strict=True):
        e.lines[place] += f", [ {e.operand(value)}, {e.label} ]"
    e.do(f"br label {head}")
    e.open(end)


def _return(e: FunctionEmitter, op: func.ReturnOp) -> None:
    e.do(f"ret {e.typed(op.operands[0])}")


# Arithmetic


def _constant(e: FunctionEmitter, op: arith.ConstantOp) -> None:
    value: Any = op.value
    e.values[op.result] = number(value.value.data, op.result.type)


def _flags(op: Operation) -> str:
    flags = op.properties.get("fastmath")
    return (
        "".join(f"{flag} " for flag in sorted(flags.data))
        if isinstance(flags, arith.FastMathFlagsAttr)
        else ""
    )


def _binary(instruction: str) -> Callable[[FunctionEmitter, Any], None]:
    def write(e: FunctionEmitter, op: Any) -> None:
        a, b = op.operands
        e.values[op.results[0]] = e.emit(f"{instruction} {_flags(op)}{e.typed(a)}, {e.operand(b)}")

    return write


def _intrinsic(name: str) -> Callable[[FunctionEmitter, Any], None]:
    """An operator that is an LLVM intrinsic, overloaded on the type of its result."""

    def write(e: FunctionEmitter, op: Any) -> None:
        type_ = llvm_type(op.results[0].type)
        arguments = [e.typed(value) for value in op.operands]
        if name == "abs":
            arguments.append("i1 false")
        full = f"llvm.{name}.{_suffix(op.results[0].type)}"
        types = ", ".join(argument.rsplit(" ", 1)[0] for argument in arguments)
        e.called.add(f"declare {type_} @{full}({types})")
        e.values[op.results[0]] = e.emit(f"call {_flags(op)}{type_} @{full}({', '.join(arguments)})")

    return write


def _suffix(type_: Attribute) -> str:
    match type_:
        case VectorType():
            return f"v{type_.get_shape()[0]}{_suffix(type_.get_element_type())}"
        case Float64Type():
            return "f64"
        case Float32Type():
            return "f32"
    return llvm_type(type_)


def _polynomial(name: str) -> Callable[[FunctionEmitter, Any], None]:
    """A function of `mathematics`, written into the module once it is called."""

    def write(e: FunctionEmitter, op: Any) -> None:
        type_ = llvm_type(op.results[0].type)
        full = f"flowc.{name}.{_suffix(op.results[0].type)}"
        e.values[op.results[0]] = e.call(full, type_, [e.typed(value) for value in op.operands])

    return write


def _cast(instruction: str) -> Callable[[FunctionEmitter, Any], None]:
    def write(e: FunctionEmitter, op: Any) -> None:
        (value,), (result,) = op.operands, op.results
        e.values[result] = e.emit(f"{instruction} {e.typed(value)} to {llvm_type(result.type)}")

    return write


def _index_cast(e: FunctionEmitter, op: arith.IndexCastOp) -> None:
    source, target = llvm_type(op.input.type), llvm_type(op.result.type)
    if source == target:
        e.values[op.result] = e.operand(op.input)
    else:
        wider = int(target[1:]) > int(source[1:])
        e.values[op.result] = e.emit(f"{'sext' if wider else 'trunc'} {e.typed(op.input)} to {target}")


_integer_comparisons = ("eq", "ne", "slt", "sle", "sgt", "sge", "ult", "ule", "ugt", "uge")
_float_comparisons = (
    "false", "oeq", "ogt", "oge", "olt", "ole", "one", "ord", "ueq", "ugt", "uge", "ult", "ule", "une", "uno", "true",
)  # fmt: skip


def _compare(e: FunctionEmitter, op: arith.CmpiOp | arith.CmpfOp) -> None:
    integer = isinstance(op, arith.CmpiOp)
    names = _integer_comparisons if integer else _float_comparisons
    predicate = names[op.predicate.value.data]
    text = f"{'icmp' if integer else 'fcmp'} {predicate} {e.typed(op.lhs)}, {e.operand(op.rhs)}"
    e.values[op.result] = e.emit(text)


def _select(e: FunctionEmitter, op: arith.SelectOp) -> None:
    e.values[op.result] = e.emit(f"select {e.typed(op.cond)}, {e.typed(op.lhs)}, {e.typed(op.rhs)}")


def _negate(e: FunctionEmitter, op: arith.NegfOp) -> None:
    e.values[op.result] = e.emit(f"fneg {e.typed(op.operand)}")


def _floor_divide(e: FunctionEmitter, op: arith.FloorDivSIOp) -> None:
    """Index arithmetic only: the divisor is positive."""
    quotient = e.emit(f"sdiv {e.typed(op.lhs)}, {e.operand(op.rhs)}")
    remainder = e.emit(f"srem {e.typed(op.lhs)}, {e.operand(op.rhs)}")
    sign = e.emit(f"ashr i64 {remainder}, 63")
    e.values[op.result] = e.emit(f"add i64 {quotient}, {sign}")


def _extend(e: FunctionEmitter, op: arith.ExtFOp) -> None:
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
        e.values[op.result] = e.emit(f"fptrunc float {value} to half")
    else:
        _cast("fptrunc")(e, op)


def _reciprocal_root(e: FunctionEmitter, op: math.RsqrtOp) -> None:
    type_ = llvm_type(op.result.type)
    root = e.call(f"llvm.sqrt.{_suffix(op.result.type)}", type_, [e.typed(op.operand)])
    e.values[op.result] = e.emit(f"fdiv {type_} {number(1.0, op.result.type)}, {root}")


def _broadcast(e: FunctionEmitter, op: vector.BroadcastOp) -> None:
    type_ = llvm_type(op.vector.type)
    lanes = op.vector.type.get_shape()[0]
    one = e.emit(f"insertelement {type_} poison, {e.typed(op.source)}, i64 0")
    e.values[op.vector] = e.emit(
        f"shufflevector {type_} {one}, {type_} poison, <{lanes} x i32> zeroinitializer"
    )


_writers: dict[type[Operation], Callable[[FunctionEmitter, Any], None]] = {
    memref.AllocOp: _alloc,
    memref.DeallocOp: _dealloc,
    memref.DimOp: _dim,
    memref.LoadOp: _load,
    memref.StoreOp: _store,
    vector.LoadOp: _vector_load,
    vector.StoreOp: _vector_store,
    vector.BroadcastOp: _broadcast,
    vector.FMAOp: _intrinsic("fmuladd"),
    scf.ForOp: _for,
    scf.IfOp: _if,
    scf.WhileOp: _while,
    scf.YieldOp: lambda e, op: None,
    scf.ConditionOp: lambda e, op: None,
    func.ReturnOp: _return,
    arith.ConstantOp: _constant,
    arith.AddiOp: _binary("add"),
    arith.SubiOp: _binary("sub"),
    arith.MuliOp: _binary("mul"),
    arith.DivSIOp: _binary("sdiv"),
    arith.FloorDivSIOp: _floor_divide,
    arith.AndIOp: _binary("and"),
    arith.OrIOp: _binary("or"),
    arith.XOrIOp: _binary("xor"),
    arith.ShRUIOp: _binary("lshr"),
    arith.MinSIOp: _intrinsic("smin"),
    arith.MaxSIOp: _intrinsic("smax"),
    arith.AddfOp: _binary("fadd"),
    arith.SubfOp: _binary("fsub"),
    arith.MulfOp: _binary("fmul"),
    arith.DivfOp: _binary("fdiv"),
    llvm.FRemOp: _binary("frem"),
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
    math.AbsFOp: _intrinsic("fabs"),
    math.SqrtOp: _intrinsic("sqrt"),
    math.RsqrtOp: _reciprocal_root,
    math.FloorOp: _intrinsic("floor"),
    math.CeilOp: _intrinsic("ceil"),
    math.RoundEvenOp: _intrinsic("roundeven"),
    math.CopySignOp: _intrinsic("copysign"),
    math.PowFOp: _intrinsic("pow"),
    math.ExpOp: _polynomial("exp"),
    math.Exp2Op: _polynomial("exp2"),
    math.ExpM1Op: _polynomial("expm1"),
    math.LogOp: _polynomial("log"),
    math.Log2Op: _polynomial("log2"),
    math.Log1pOp: _polynomial("log1p"),
    math.SinOp: _polynomial("sin"),
    math.CosOp: _polynomial("cos"),
    math.TanhOp: _polynomial("tanh"),
    math.ErfOp: _polynomial("erf"),
}
