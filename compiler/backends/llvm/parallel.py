"""`loops.parallel` as LLVM text: the body becomes a function, which the thread pool calls for each chunk.

What the body takes from around it travels in a structure on the stack of the function that launches it. The
function that the pool calls unpacks the structure and calls the body proper, whose parameters say again that
its pointers do not alias: LLVM makes the same vector code of it as of a plain loop.
"""

from collections.abc import Callable, Sequence

from attrs import define, field
from xdsl.ir import Block

from flowc.compiler.backends.llvm.function import Buffer, FunctionEmitter, llvm_type
from flowc.dialects import loops
from flowc.passes.captures import captured

LAUNCH = "declare void @flowc_parallel(ptr, ptr, i64, i64, i64) nounwind"
"""Of `flowc.runtime.native`."""


@define
class _Captures:
    """The operands of the launching function that the body needs, with their types and names in the body, and
    for pointers the memory that they may point into."""

    body: FunctionEmitter
    types: dict[str, str] = field(factory=dict)
    names: dict[str, str] = field(factory=dict)
    memory: dict[str, frozenset[str]] = field(factory=dict)

    def take(self, operand: str, type_: str) -> str:
        """What an operand is called in the body; constants are themselves."""
        if not operand.startswith("%"):
            return operand
        if operand not in self.names:
            self.types[operand], self.names[operand] = type_, self.body.fresh("c")
        return self.names[operand]

    def take_buffer(self, buffer: Buffer) -> Buffer:
        """A memref as the body sees it: memory that is not the body's to free."""
        self.memory[buffer.pointer] = buffer.memory
        return Buffer(
            self.take(buffer.pointer, "ptr"),
            tuple(self.take(extent, "i64") for extent in buffer.extents),
            tuple(self.take(stride, "i64") for stride in buffer.strides),
            buffer.element,
            origins=buffer.memory,
        )

    def parameters(self) -> list[str]:
        """The parameters of the body: pointers are said not to alias unless two may point into one memory."""
        result = ["i64 %low", "i64 %high"]
        for operand, name in self.names.items():
            type_ = self.types[operand]
            if type_ == "ptr":
                others = [memory for other, memory in self.memory.items() if other != operand]
                apart = all(self.memory[operand].isdisjoint(memory) for memory in others)
                type_ = "ptr noalias nonnull" if apart else "ptr nonnull"
            result.append(f"{type_} {name}")
        return result


def emit_parallel(
    e: FunctionEmitter, op: loops.ParallelOp, emit_block: Callable[[FunctionEmitter, Block], None]
) -> None:
    """Writes the launch, and the functions of the body into `outlined`."""
    name = f"{e.name}.{e.fresh('parallel')[1:]}"
    body = FunctionEmitter(e.attributes, name, called=e.called, outlined=e.outlined, writers=e.writers)
    captures = _Captures(body)
    for value in captured(op.body):
        if value in e.buffers:
            body.buffers[value] = captures.take_buffer(e.buffers[value])
        else:
            body.values[value] = captures.take(e.operand(value), llvm_type(value.type))
    low, high = op.body.block.args
    body.values[low], body.values[high] = "%low", "%high"
    emit_block(body, op.body.block)
    body.do("ret i64 0")
    head = f'define internal i64 @"{body.name}"({", ".join(captures.parameters())}) {e.attributes}'
    e.outlined.append(body.text(head))
    e.outlined.append(_chunk(body, list(captures.types.values())))
    _launch(e, op, captures)


def _record(types: Sequence[str]) -> str:
    """The structure that travels: a status, then the captured operands."""
    return f"{{ {', '.join(['i64', *types])} }}"


def _chunk(body: FunctionEmitter, types: Sequence[str]) -> str:
    """The function that the pool calls: unpacks the structure, and keeps the largest status of all chunks."""
    e = FunctionEmitter(body.attributes, f"{body.name}.chunk")
    arguments = ["i64 %low", "i64 %high"]
    for place, type_ in enumerate(types, 1):
        cell = e.emit(f"getelementptr inbounds {_record(types)}, ptr %environment, i64 0, i32 {place}")
        arguments.append(f"{type_} {e.emit(f'load {type_}, ptr {cell}')}")
    status = e.emit(f'call i64 @"{body.name}"({", ".join(arguments)})')
    if body.exits:
        failed = e.emit(f"icmp ne i64 {status}, 0")
        e.do(f"br i1 {failed}, label %failed, label %end")
        e.open("%failed")
        e.emit(f"atomicrmw umax ptr %environment, i64 {status} monotonic")
        e.do("br label %end")
        e.open("%end")
    e.do("ret void")
    return e.text(
        f'define internal void @"{e.name}"(ptr %environment, i64 %low, i64 %high) {body.attributes}'
    )


def _launch(e: FunctionEmitter, op: loops.ParallelOp, captures: _Captures) -> None:
    body = captures.body
    record, environment = _record(list(captures.types.values())), e.fresh("environment")
    e.scratch.append(f"  {environment} = alloca {record}")
    e.do(f"store i64 0, ptr {environment}")
    for place, (operand, type_) in enumerate(captures.types.items(), 1):
        cell = e.emit(f"getelementptr inbounds {record}, ptr {environment}, i64 0, i32 {place}")
        e.do(f"store {type_} {operand}, ptr {cell}")
    e.called.add(LAUNCH)
    range_ = ", ".join(f"i64 {e.operand(value)}" for value in (op.extent, op.grain, op.work))
    e.do(f'call void @flowc_parallel(ptr @"{body.name}.chunk", ptr {environment}, {range_})')
    if body.exits:
        status = e.emit(f"load i64, ptr {environment}")
        e.leave(e.emit(f"icmp ne i64 {status}, 0"), status)
