"""memref and vector accesses as LLVM text.

A memref is a pointer with extents and strides as separate values, so that `getelementptr inbounds` sees plain
multiplications; address arithmetic cannot overflow inside an object and says so (`nsw`).
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from xdsl.dialects import memref, vector
from xdsl.dialects.builtin import DYNAMIC_INDEX, MemRefType, VectorType
from xdsl.ir import Operation, SSAValue

from flowc.compiler.backends.llvm.function import (
    ALIGNMENT,
    Buffer,
    FunctionEmitter,
    llvm_type,
    suffix,
)
from flowc.dialects import loops

OUT_OF_MEMORY = 1
"""The status of a function that could not get memory."""

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


def element_address(
    e: FunctionEmitter, value: SSAValue, indices: Sequence[SSAValue], inside: str = "inbounds "
) -> tuple[str, str]:
    """The pointer to an element of a memref, and the element's type."""
    buffer = e.buffers[value]
    offset = "0"
    for index, stride in zip(indices, buffer.strides, strict=True):
        offset = _sum(e, offset, _product(e, e.operand(index), stride))
    if offset == "0":
        return buffer.pointer, buffer.element
    return e.emit(
        f"getelementptr {inside}{buffer.element}, ptr {buffer.pointer}, i64 {offset}"
    ), buffer.element


def size_in_bytes(element: str) -> int:
    """The size of an element of an LLVM type; a truth value takes a byte."""
    return {"double": 8, "float": 4, "half": 2}.get(element) or max(int(element[1:]) // 8, 1)


def _alloc(e: FunctionEmitter, op: memref.AllocOp) -> None:
    type_ = op.memref.type
    assert isinstance(type_, MemRefType)
    element = llvm_type(type_.get_element_type())
    dynamic = iter(op.dynamic_sizes)
    extents = [e.operand(next(dynamic)) if n == DYNAMIC_INDEX else str(n) for n in type_.get_shape()]
    size = _bytes(e, extents, element)
    pointer = e.allocate(size)
    e.leave(e.emit(f"icmp eq ptr {pointer}, null"), str(OUT_OF_MEMORY))
    buffer = Buffer(pointer, tuple(extents), row_major(e, extents), element, size)
    e.buffers[op.memref] = buffer
    e.held.append(buffer)


def _bytes(e: FunctionEmitter, extents: Sequence[str], element: str) -> str:
    """The size of memory of these extents. Where 64 bits do not hold it, there is no such memory."""
    known = prod(int(extent) for extent in extents if not extent.startswith("%"))
    size = str(known * size_in_bytes(element))
    for extent in extents:
        if extent.startswith("%"):
            e.called.add("declare {i64, i1} @llvm.smul.with.overflow.i64(i64, i64)")
            both = e.emit(f"call {{i64, i1}} @llvm.smul.with.overflow.i64(i64 {size}, i64 {extent})")
            size = e.emit(f"extractvalue {{i64, i1}} {both}, 0")
            e.leave(e.emit(f"extractvalue {{i64, i1}} {both}, 1"), str(OUT_OF_MEMORY))
    return size


def _dealloc(e: FunctionEmitter, op: memref.DeallocOp) -> None:
    buffer = e.buffers[op.memref]
    e.held.remove(buffer)
    e.do(e.release(buffer))


def _alloca(e: FunctionEmitter, op: memref.AllocaOp) -> None:
    """Scratch of the function, however often the op is met: its extents are numbers."""
    type_ = op.memref.type
    assert isinstance(type_, MemRefType)
    shape = type_.get_shape()
    if DYNAMIC_INDEX in shape:
        raise ValueError(f"memref.alloca of unknown size: {type_}")
    element, pointer = llvm_type(type_.get_element_type()), e.fresh("scratch")
    e.scratch.append(f"  {pointer} = alloca [{prod(shape)} x {element}], align {ALIGNMENT}")
    extents = tuple(map(str, shape))
    e.buffers[op.memref] = Buffer(pointer, extents, row_major(e, extents), element)


def _dim(e: FunctionEmitter, op: memref.DimOp) -> None:
    e.values[op.result] = e.buffers[op.source].extents[int(e.operand(op.index))]


def _load(e: FunctionEmitter, op: memref.LoadOp) -> None:
    buffer, *indices = op.operands
    address, element = element_address(e, buffer, indices)
    e.values[op.results[0]] = e.emit(f"load {element}, ptr {address}")


def _store(e: FunctionEmitter, op: memref.StoreOp) -> None:
    value, buffer, *indices = op.operands
    address, element = element_address(e, buffer, indices)
    e.do(f"store {element} {e.operand(value)}, ptr {address}")


def _vector_load(e: FunctionEmitter, op: vector.LoadOp) -> None:
    address, element = element_address(e, op.base, op.indices)
    e.values[op.result] = e.emit(
        f"load {llvm_type(op.result.type)}, ptr {address}, align {size_in_bytes(element)}"
    )


def _vector_store(e: FunctionEmitter, op: vector.StoreOp) -> None:
    address, element = element_address(e, op.base, op.indices)
    e.do(f"store {e.typed(op.vector)}, ptr {address}, align {size_in_bytes(element)}")


def _masked_load(e: FunctionEmitter, op: vector.MaskedLoadOp) -> None:
    address, element = element_address(e, op.base, op.indices, inside="")
    type_ = op.result.type
    arguments = [f"ptr align {size_in_bytes(element)} {address}", e.typed(op.mask), e.typed(op.pass_thru)]
    e.values[op.result] = e.call(f"llvm.masked.load.{suffix(type_)}.p0", llvm_type(type_), arguments)


def _masked_store(e: FunctionEmitter, op: vector.MaskedStoreOp) -> None:
    address, element = element_address(e, op.base, op.indices, inside="")
    value, mask = op.value_to_store, op.mask
    name, aligned = f"llvm.masked.store.{suffix(value.type)}.p0", f"ptr align {size_in_bytes(element)}"
    e.called.add(f"declare void @{name}({llvm_type(value.type)}, {aligned}, {llvm_type(mask.type)})")
    e.do(f"call void @{name}({e.typed(value)}, {aligned} {address}, {e.typed(mask)})")


def _stream(e: FunctionEmitter, op: loops.StreamOp) -> None:
    address, element = element_address(e, op.base, op.indices)
    vector_type = op.vector.type
    assert isinstance(vector_type, VectorType)
    aligned = vector_type.element_count() * size_in_bytes(element)
    e.called.add("!0 = !{i32 1}")
    e.do(f"store {e.typed(op.vector)}, ptr {address}, align {aligned}, !nontemporal !0")


def _fence(e: FunctionEmitter, op: loops.FenceOp) -> None:
    e.do("fence seq_cst")


def _prefetch(e: FunctionEmitter, op: loops.PrefetchOp) -> None:
    address, _ = element_address(e, op.base, op.indices, inside="")
    e.called.add("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
    e.do(f"call void @llvm.prefetch.p0(ptr {address}, i32 0, i32 3, i32 1)")


def _reinterpret(e: FunctionEmitter, op: memref.ReinterpretCastOp) -> None:
    """The same memory with other extents and strides."""

    def numbers(static: Sequence[int], dynamic: Sequence[SSAValue]) -> tuple[str, ...]:
        given = iter(dynamic)
        return tuple(e.operand(next(given)) if n == DYNAMIC_INDEX else str(n) for n in static)

    source = e.buffers[op.source]
    extents = numbers(op.static_sizes.get_values(), op.sizes)
    strides = numbers(op.static_strides.get_values(), op.strides)
    (offset,) = numbers(op.static_offsets.get_values(), op.offsets)
    pointer = source.pointer
    if offset != "0":
        pointer = e.emit(f"getelementptr inbounds {source.element}, ptr {pointer}, i64 {offset}")
    e.buffers[op.result] = Buffer(pointer, extents, strides, source.element, origins=source.memory)


def _pointer_as_index(e: FunctionEmitter, op: memref.ExtractAlignedPointerAsIndexOp) -> None:
    e.values[op.aligned_pointer] = e.emit(f"ptrtoint ptr {e.buffers[op.source].pointer} to i64")


writers: dict[type[Operation], Writer] = {
    memref.ExtractAlignedPointerAsIndexOp: _pointer_as_index,
    loops.StreamOp: _stream,
    loops.FenceOp: _fence,
    loops.PrefetchOp: _prefetch,
    memref.AllocaOp: _alloca,
    memref.ReinterpretCastOp: _reinterpret,
    memref.AllocOp: _alloc,
    memref.DeallocOp: _dealloc,
    memref.DimOp: _dim,
    memref.LoadOp: _load,
    memref.StoreOp: _store,
    vector.LoadOp: _vector_load,
    vector.MaskedLoadOp: _masked_load,
    vector.MaskedStoreOp: _masked_store,
    vector.StoreOp: _vector_store,
}
