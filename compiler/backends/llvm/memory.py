"""memref and vector accesses as LLVM text.

A memref is a pointer with extents and strides as separate values, so that `getelementptr inbounds` sees plain
multiplications; address arithmetic cannot overflow inside an object and says so (`nsw`).
"""

from collections.abc import Callable, Sequence
from typing import Any

from xdsl.dialects import memref, vector
from xdsl.dialects.builtin import DYNAMIC_INDEX, MemRefType
from xdsl.ir import Operation, SSAValue

from flowc.compiler.backends.llvm.function import Buffer, FunctionEmitter, llvm_type

Writer = Callable[[FunctionEmitter, Any], None]


def row_major(e: FunctionEmitter, extents: Sequence[str]) -> tuple[str, ...]:
    """The strides of contiguous memory of these extents."""
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
    e.buffers[op.memref] = Buffer(pointer, tuple(extents), row_major(e, extents), element, base)


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


writers: dict[type[Operation], Writer] = {
    memref.AllocOp: _alloc,
    memref.DeallocOp: _dealloc,
    memref.DimOp: _dim,
    memref.LoadOp: _load,
    memref.StoreOp: _store,
    vector.LoadOp: _vector_load,
    vector.StoreOp: _vector_store,
}
