"""`loops.sort` and `loops.pack` as LLVM text, and masks."""

from xdsl.dialects import vector
from xdsl.dialects.builtin import IntegerType, MemRefType, VectorType

from flowc.compiler.backends.llvm import sort_networks
from flowc.compiler.backends.llvm.function import FunctionEmitter, llvm_type, shuffled, suffix
from flowc.compiler.backends.llvm.memory import element_address
from flowc.dialects import loops


def emit_pack(e: FunctionEmitter, op: loops.PackOp) -> None:
    """Writes the instruction that picks elements, and the count of the mask's bits."""
    assert isinstance(op.vector.type, VectorType)
    type_, lanes = llvm_type(op.vector.type), op.vector.type.element_count()
    name = f"llvm.experimental.vector.compress.{suffix(op.vector.type)}"
    e.values[op.packed] = e.call(name, type_, [e.typed(op.vector), e.typed(op.mask), f"{type_} poison"])
    bits = e.emit(f"bitcast {e.typed(op.mask)} to i{lanes}")
    count = e.call(f"llvm.ctpop.i{lanes}", f"i{lanes}", [f"i{lanes} {bits}"])
    e.values[op.count] = e.emit(f"zext i{lanes} {count} to i64")


def emit_mask(e: FunctionEmitter, op: vector.CreateMaskOp) -> None:
    """Writes which lanes stand before a place; it may be negative or behind all lanes."""
    type_ = op.mask_vector.type
    assert isinstance(type_, VectorType)
    lanes = type_.element_count()
    place = e.operand(op.mask_dim_sizes[0])
    low = e.call("llvm.smax.i64", "i64", [f"i64 {place}", "i64 0"])
    narrow = e.emit(f"trunc i64 {e.call('llvm.smin.i64', 'i64', [f'i64 {low}', f'i64 {lanes}'])} to i32")
    one = e.emit(f"insertelement <{lanes} x i32> poison, i32 {narrow}, i64 0")
    splat = shuffled(e, f"<{lanes} x i32>", one, one, [0] * lanes)
    order = ", ".join(f"i32 {lane}" for lane in range(lanes))
    e.values[op.mask_vector] = e.emit(f"icmp ult <{lanes} x i32> <{order}>, {splat}")


def emit_sort(e: FunctionEmitter, op: loops.SortOp) -> None:
    """Writes a call of the function that sorts so many keys."""
    type_ = op.keys.type
    assert isinstance(type_, MemRefType)
    element = type_.get_element_type()
    assert isinstance(element, IntegerType)
    name = sort_networks.function_name(element.width.data, op.lanes.value.data)
    pointer, _ = element_address(e, op.keys, op.first)
    e.called.add(sort_networks.declaration(name))
    e.do(f"call void @{name}(ptr {pointer}, i64 {e.operand(op.count)})")
