"""Structured loops to LLVM IR text: functions, blocks and control flow."""

from collections.abc import Sequence
from functools import partial
from typing import TypeVar

from attrs import evolve
from xdsl.dialects import func, scf
from xdsl.dialects.builtin import DYNAMIC_INDEX, IntegerAttr, MemRefType, StridedLayoutAttr
from xdsl.ir import Block, Operation, SSAValue

from flowc.compiler.backends.llvm import arithmetic, memory
from flowc.compiler.backends.llvm.function import Buffer, FunctionEmitter, llvm_type
from flowc.compiler.backends.llvm.memory import Writer, row_major
from flowc.compiler.backends.llvm.parallel import emit_parallel
from flowc.dialects import loops

FEW = 8
"""A loop of so few rounds, known now, is written out."""

_AS_WRITTEN = (
    "!1 = distinct !{!1, !2, !3}",
    '!2 = !{!"llvm.loop.vectorize.enable", i1 false}',
    '!3 = !{!"llvm.loop.unroll.disable"}',
)
_ROLLED = ("!6 = distinct !{!6, !3}", _AS_WRITTEN[2])
_WRITTEN_OUT = ("!4 = distinct !{!4, !5}", '!5 = !{!"llvm.loop.unroll.full"}')
_PREDICATED = '!9 = !{!"llvm.loop.vectorize.predicate.enable", i1 true}'
_MASKED = (
    "!8 = distinct !{!8, !9, !10}",
    _PREDICATED,
    '!10 = !{!"llvm.loop.vectorize.followup_vectorized", !5}',
    _WRITTEN_OUT[1],
)


def emit_function(function: func.FuncOp, name: str, attributes: str) -> FunctionEmitter:
    """Writes one function and those of its parallel loops into `lines`; the module needs `called` too."""
    return write_function(FunctionEmitter(attributes, name.strip('"'), writers=_writers), function)


EmitterT = TypeVar("EmitterT", bound=FunctionEmitter)


def write_function(e: EmitterT, function: func.FuncOp, more: Sequence[str] = ()) -> EmitterT:
    """Writes a function with what an emitter has for its ops; `more` are parameters behind its own."""
    parameters = []
    for argument in function.body.block.args:
        parameters += _parameter(e, argument)
    for value, buffer in e.buffers.items():
        if not buffer.strides:
            e.buffers[value] = evolve(buffer, strides=row_major(e, buffer.extents))
    emit_block(e, function.body.block)
    head = f'define internal i64 @"{e.name}"({", ".join([*parameters, *more])}) {e.attributes}'
    e.lines = [*e.outlined, e.text(head)]
    return e


def _parameter(e: FunctionEmitter, argument: SSAValue) -> list[str]:
    type_ = argument.type
    if not isinstance(type_, MemRefType):
        e.values[argument] = e.fresh("a")
        return [f"{llvm_type(type_)} {e.values[argument]}"]
    element = llvm_type(type_.get_element_type())
    pointer, shape = e.fresh("p"), type_.get_shape()
    extents = [e.fresh("n") for _ in shape]
    text = [f"ptr {e.pointers} {pointer}", *(f"i64 {name}" for name in extents)]
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
        writer = e.writers.get(type(op))
        if writer is None:
            raise ValueError(f"no LLVM form for {op.name}")
        writer(e, op)


def _for(e: FunctionEmitter, op: scf.ForOp) -> None:
    head, body, end = e.fresh("head"), e.fresh("body"), e.fresh("end")
    (low, high, step, *given), block = op.operands, op.body.block
    counter, *carried = block.args
    before = e.label
    e.do(f"br label {head}")
    e.open(head)
    phis = [(counter, low), *zip(carried, given, strict=True)]
    places = []
    for argument, start in phis:
        e.values[argument] = e.fresh("i")
        places.append(len(e.lines))
        e.lines.append(
            f"  {e.values[argument]} = phi {llvm_type(argument.type)} [ {e.operand(start)}, {before} ]"
        )
    test = e.emit(f"icmp slt i64 {e.operand(counter)}, {e.operand(high)}")
    e.do(f"br i1 {test}, label {body}, label {end}")
    e.open(body)
    emit_block(e, block)
    following = e.emit(f"add nsw i64 {e.operand(counter)}, {e.operand(step)}")
    yielded = block.last_op
    assert isinstance(yielded, scf.YieldOp)
    for place, new in zip(places, [following, *map(e.operand, yielded.operands)], strict=True):
        e.lines[place] += f", [ {new}, {e.label} ]"
    e.do(f"br label {head}{_advice(e, op)}")
    e.open(end)
    for result, argument in zip(op.results, carried, strict=True):
        e.values[result] = e.values[argument]


def _advice(e: FunctionEmitter, op: scf.ForOp) -> str:
    """What tells LLVM to leave a loop alone or to write it out, as the end of the branch that closes it."""
    if loops.PLAIN in op.attributes:
        e.called.update(_AS_WRITTEN)
        return ", !llvm.loop !1"
    if loops.ROLLED in op.attributes:
        e.called.update(_ROLLED)
        return ", !llvm.loop !6"
    bounds = [e.operand(value) for value in (op.lb, op.ub, op.step)]
    known = all(map(_is_number, bounds))
    masked = loops.MASKED in op.attributes
    if masked and known:
        e.called.update(_MASKED)
        return ", !llvm.loop !8"
    if known and len(range(*map(int, bounds))) <= FEW:
        e.called.update(_WRITTEN_OUT)
        return ", !llvm.loop !4"
    lanes = op.attributes.get(loops.LANES)
    if isinstance(lanes, IntegerAttr):
        return _vectors_of(e, lanes.value.data, masked)
    return ""


def _vectors_of(e: FunctionEmitter, lanes: int, masked: bool) -> str:
    own, width = f"!{(300 if masked else 100) + lanes}", f"!{200 + lanes}"
    e.called.add(f'{width} = !{{!"llvm.loop.vectorize.width", i32 {lanes}}}')
    if masked:
        e.called.add(_PREDICATED)
    e.called.add(f"{own} = distinct !{{{own}, {width}{', !9' if masked else ''}}}")
    return f", !llvm.loop {own}"


def _is_number(operand: str) -> bool:
    return operand.lstrip("-").isdecimal()


def _if(e: FunctionEmitter, op: scf.IfOp) -> None:
    then, otherwise, end = e.fresh("then"), e.fresh("else"), e.fresh("end")
    e.do(f"br i1 {e.operand(op.cond)}, label {then}, label {otherwise}")
    incoming = []
    held = list(e.held)
    for label, region in ((then, op.true_region), (otherwise, op.false_region)):
        e.open(label)
        e.held = list(held)  # both sides free what ends with either
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


def _require(e: FunctionEmitter, op: loops.RequireOp) -> None:
    e.leave(e.emit(f"xor i1 {e.operand(op.condition)}, true"), str(op.status.value.data))


def _return(e: FunctionEmitter, op: func.ReturnOp) -> None:
    e.do(f"ret {e.typed(op.operands[0])}")


control: dict[type[Operation], Writer] = {
    scf.ForOp: _for,
    loops.RequireOp: _require,
    scf.IfOp: _if,
    scf.WhileOp: _while,
    scf.YieldOp: lambda e, op: None,
    scf.ConditionOp: lambda e, op: None,
    func.ReturnOp: _return,
}
"""Where control goes."""

_writers: dict[type[Operation], Writer] = {
    **memory.writers,
    **arithmetic.writers,
    **control,
    loops.ParallelOp: partial(emit_parallel, emit_block=emit_block),
    loops.EndOp: lambda e, op: None,
}
