"""memref and vector accesses as CUDA C++.

A memref is a pointer with extents and strides beside it. Shared memory is declared by a macro, and reached
through `auto`, so that the emulation can put something in its place that watches.
"""

from collections.abc import Sequence
from math import prod

from xdsl.dialects import memref, vector
from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    Float32Type,
    Float64Type,
    IntegerType,
    MemRefType,
    StridedLayoutAttr,
    VectorType,
)
from xdsl.ir import Attribute, Operation, SSAValue

from flowc.compiler.backends.cuda.text_state import (
    Buffer,
    KernelWriter,
    Writer,
    bare,
    c_type,
    is_number,
    product,
    total,
    unsigned_type,
)
from flowc.dialects import device

VECTOR_BYTES = (2, 4, 8, 16)
"""Sizes of vectors that one instruction loads."""


def row_major(w: KernelWriter, extents: Sequence[str], stem: str) -> tuple[str, ...]:
    """The strides of memory without gaps, each of them a name or a number."""
    strides = ["1"]
    for axis in range(len(extents) - 1, 0, -1):
        stride = product(strides[-1], extents[axis])
        if " " in stride:
            name = w.fresh(f"{stem}_s{axis - 1}")
            w.do(f"const idx {name} = {stride};")
            stride = name
        strides.append(stride)
    return tuple(reversed(strides)) if extents else ()


def buffer_of(w: KernelWriter, value: SSAValue) -> Buffer:
    """What is known of a memref."""
    found = w.buffers.get(value)
    if found is None:
        raise ValueError(f"a memref that {value.owner} gives has no CUDA form")
    return found


def offset(w: KernelWriter, memory: SSAValue, indices: Sequence[SSAValue]) -> str:
    """How many elements behind the pointer of a memref a position lies."""
    terms = []
    for index, stride in zip(indices, buffer_of(w, memory).strides, strict=True):
        text = w.operand(index)
        terms.append(product(text, stride))
    return total(terms)


def pointer(w: KernelWriter, memory: SSAValue, indices: Sequence[SSAValue]) -> str:
    """The address of an element."""
    start, behind = buffer_of(w, memory).pointer, offset(w, memory, indices)
    return start if behind == "0" else f"{start} + {behind}"


def element(w: KernelWriter, memory: SSAValue, indices: Sequence[SSAValue]) -> str:
    """An element as something to read or to write."""
    return f"{buffer_of(w, memory).pointer}[{bare(offset(w, memory, indices))}]"


def _load(w: KernelWriter, op: memref.LoadOp) -> None:
    w.declare(op.res, element(w, op.memref, op.indices))


def _store(w: KernelWriter, op: memref.StoreOp) -> None:
    w.do(f"{element(w, op.memref, op.indices)} = {bare(w.operand(op.value))};")


def _dim(w: KernelWriter, op: memref.DimOp) -> None:
    w.values[op.result] = buffer_of(w, op.source).extents[int(w.operand(op.index))]


def _texts(w: KernelWriter, static: Sequence[int], dynamic: Sequence[SSAValue], stem: str) -> tuple[str, ...]:
    """Extents or strides, each a number or a name; the dynamic ones stand apart."""
    given = iter(dynamic)
    return tuple(named(w, w.operand(next(given)), stem) if n == DYNAMIC_INDEX else str(n) for n in static)


def named(w: KernelWriter, text: str, stem: str) -> str:
    """A text that may be written many times: itself if it is short, else a name for it."""
    if is_number(text) or text.isidentifier():
        return text
    name = w.fresh(stem)
    w.do(f"const idx {name} = {text};")
    return name


def _reinterpret(w: KernelWriter, op: memref.ReinterpretCastOp) -> None:
    """The same memory with other extents and strides."""
    name = w.name(op.result, "view")
    source = buffer_of(w, op.source)
    extents = _texts(w, op.static_sizes.get_values(), op.sizes, f"{name}_n")
    strides = _texts(w, op.static_strides.get_values(), op.strides, f"{name}_s")
    (behind,) = _texts(w, op.static_offsets.get_values(), op.offsets, f"{name}_o")
    start = source.pointer
    if behind != "0":
        w.do(f"const auto {name} = {start} + {behind};")
        start = name
    w.buffers[op.result] = Buffer(start, extents, strides, source.element)


def _alloca(w: KernelWriter, op: memref.AllocaOp) -> None:
    """An array of the thread's own: in registers, where all indices are known once loops are written out."""
    type_ = op.memref.type
    assert isinstance(type_, MemRefType)
    shape = type_.get_shape()
    if DYNAMIC_INDEX in shape or isinstance(type_.layout, StridedLayoutAttr):
        raise ValueError(f"memref.alloca of unknown size: {type_}")
    name, kind = w.name(op.memref, "own"), c_type(type_.get_element_type())
    w.do(f"alignas(16) {kind} {name}[{prod(shape)}];")
    extents = tuple(map(str, shape))
    w.buffers[op.memref] = Buffer(name, extents, row_major(w, extents, name), type_.get_element_type())


def _shared(w: KernelWriter, op: device.SharedOp) -> None:
    type_ = op.memory.type
    assert isinstance(type_, MemRefType)
    name, shape = w.name(op.memory, "shared"), type_.get_shape()
    w.do(f"FLOWC_SHARED({c_type(type_.get_element_type())}, {name}, {prod(shape)});")
    extents = tuple(map(str, shape))
    w.buffers[op.memory] = Buffer(name, extents, row_major(w, extents, name), type_.get_element_type())


def _shared_at(w: KernelWriter, op: device.SharedAtOp) -> None:
    type_ = op.memory.type
    assert isinstance(type_, MemRefType)
    name = w.name(op.memory, "shared")
    extents = _texts(w, type_.get_shape(), op.extents, f"{name}_n")
    count = "1"
    for extent in extents:
        count = product(count, extent)
    kind, helper = c_type(type_.get_element_type()), w.call("shared_at")
    w.do(f"const auto {name} = {helper}<{kind}>({w.operand(op.offset)}, {count});")
    w.buffers[op.memory] = Buffer(name, tuple(extents), row_major(w, extents, name), type_.get_element_type())


def _lanes(type_: Attribute) -> int:
    """How many elements a vector has that is loaded at once."""
    assert isinstance(type_, VectorType)
    if (
        type_.get_num_dims() != 1
        or type_.element_count() * _size(type_.get_element_type()) not in VECTOR_BYTES
    ):
        raise ValueError(f"{type_} is not 2, 4, 8 or 16 bytes")
    return type_.element_count()


def _size(type_: Attribute) -> int:
    return {"double": 8, "long long": 8, "idx": 8, "float": 4, "int": 4, "bool": 1, "signed char": 1}.get(
        c_type(type_), 2
    )


def _vector_load(w: KernelWriter, op: vector.LoadOp) -> None:
    w.helpers.add("vec")
    lanes = _lanes(op.result.type)
    w.declare(op.result, f"{w.call('load')}<{lanes}>({pointer(w, op.base, op.indices)})")


def _vector_store(w: KernelWriter, op: vector.StoreOp) -> None:
    _lanes(op.vector.type)
    w.do(f"{w.call('store')}({pointer(w, op.base, op.indices)}, {w.operand(op.vector)});")


def _position(op: vector.ExtractOp | vector.InsertOp) -> int:
    (position,) = op.static_position.get_values()
    if position == DYNAMIC_INDEX:
        raise ValueError("a place in a vector must be known: registers have no indices")
    return int(position)


def _extract(w: KernelWriter, op: vector.ExtractOp) -> None:
    w.define(op.result, f"{w.operand(op.vector)}.at[{_position(op)}]")


def _insert(w: KernelWriter, op: vector.InsertOp) -> None:
    name = w.name(op.result)
    w.do(f"{c_type(op.result.type)} {name} = {w.operand(op.dest)};")
    w.do(f"{name}.at[{_position(op)}] = {w.operand(op.source)};")
    w.values[op.result] = name


def _broadcast(w: KernelWriter, op: vector.BroadcastOp) -> None:
    w.helpers.add("vec")
    assert isinstance(op.vector.type, VectorType)
    lanes = ", ".join([w.operand(op.source)] * op.vector.type.element_count())
    w.declare(op.vector, f"{{{{{lanes}}}}}")


def _bitcast(w: KernelWriter, op: vector.BitcastOp) -> None:
    w.declare(op.result, f"{w.call('same_bits')}<{c_type(op.result.type)}>({w.operand(op.source)})")


def _pointer_as_index(w: KernelWriter, op: memref.ExtractAlignedPointerAsIndexOp) -> None:
    w.define(op.aligned_pointer, f"(idx)(long long){buffer_of(w, op.source).pointer}")


ADDF, ADDI, ASSIGN, MAXIMUMF, MAXS, MAXU, MINIMUMF, MINS, MINU, MULF, MULI, ORI, ANDI, _, _, XORI = range(16)
"""The kinds of `memref.atomic_rmw`, as MLIR numbers them."""
_signed_atomics = {ASSIGN: "atomicExch", MAXS: "atomicMax", MINS: "atomicMin"}
_unsigned_atomics = {
    ADDI: "atomicAdd", MAXU: "atomicMax", MINU: "atomicMin",
    ORI: "atomicOr", ANDI: "atomicAnd", XORI: "atomicXor",
}  # fmt: skip
_float_atomics = {ADDF: "atomicAdd", ASSIGN: "atomicExch"}
_looped_atomics = {
    MAXIMUMF: "atomic_maximum", MINIMUMF: "atomic_minimum", MULF: "atomic_multiply", MULI: "atomic_multiply",
}  # fmt: skip


def _atomic(w: KernelWriter, op: memref.AtomicRMWOp) -> None:
    """One step that no other thread sees half of; gives what stood there before."""
    kind, type_ = op.kind.value.data, op.value.type
    at, value = pointer(w, op.memref, op.indices), w.operand(op.value)
    wide = isinstance(type_, IntegerType) and type_.width.data in (32, 64)
    if kind in _looped_atomics and (wide or isinstance(type_, Float32Type | Float64Type)):
        text = f"{w.call(_looped_atomics[kind])}({at}, {value})"
    elif kind in _float_atomics and (
        isinstance(type_, Float32Type) or (isinstance(type_, Float64Type) and kind == ADDF)
    ):
        text = f"{_float_atomics[kind]}({at}, {value})"
    elif kind in _signed_atomics and wide:
        text = _as_integers(w, _signed_atomics[kind], type_, at, value, signed=kind != ASSIGN)
    elif kind in _unsigned_atomics and wide:
        text = _as_integers(w, _unsigned_atomics[kind], type_, at, value, signed=False)
    else:
        raise ValueError(f"no CUDA form for atomic operation {kind} on {type_}")
    if op.result.first_use is None:
        w.do(f"{text};")
    else:
        w.declare(op.result, text)


def _as_integers(w: KernelWriter, name: str, type_: Attribute, at: str, value: str, *, signed: bool) -> str:
    """A call of an atomic function, on the integers of the sign for which CUDA has it."""
    if signed:
        return f"{name}({at}, {value})"
    unsigned = unsigned_type(type_)
    return f"({c_type(type_)}){name}({w.call('as')}<{unsigned}>({at}), ({unsigned}){value})"


def _compare_exchange(w: KernelWriter, op: device.CompareExchangeOp) -> None:
    at, type_ = pointer(w, op.memory, op.indices), op.old.type
    unsigned = unsigned_type(type_)
    arguments = f"{w.call('as')}<{unsigned}>({at}), ({unsigned}){w.operand(op.expected)}"
    text = f"({c_type(type_)})atomicCAS({arguments}, ({unsigned}){w.operand(op.desired)})"
    if op.old.first_use is None:
        w.do(f"{text};")
    else:
        w.declare(op.old, text)


writers: dict[type[Operation], Writer] = {
    memref.LoadOp: _load,
    memref.StoreOp: _store,
    memref.DimOp: _dim,
    memref.ReinterpretCastOp: _reinterpret,
    memref.AllocaOp: _alloca,
    memref.ExtractAlignedPointerAsIndexOp: _pointer_as_index,
    memref.AtomicRMWOp: _atomic,
    vector.LoadOp: _vector_load,
    vector.StoreOp: _vector_store,
    vector.ExtractOp: _extract,
    vector.InsertOp: _insert,
    vector.BroadcastOp: _broadcast,
    vector.BitcastOp: _bitcast,
    device.SharedOp: _shared,
    device.SharedAtOp: _shared_at,
    device.CompareExchangeOp: _compare_exchange,
}
