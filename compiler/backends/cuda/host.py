"""Host code of kernels that run on a device: the processor's part, as LLVM text.

A function like the CPU's, whose last parameter is the address of a table:

```c
struct flowc_device {
  void *context;      // given back to the functions below
  void *stream;       // given to launch
  void **functions;   // a handle for each gpu.func, in the order of the gpu.module
  int  (*launch)(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                 unsigned shared, void *stream, void **parameters, void **extra);   // as cuLaunchKernel
  void*(*allocate)(void *context, long long bytes);            // null where there is no memory
  void (*release)(void *context, void *pointer, long long bytes);
  int  (*read)(void *context, void *to, const void *from, long long bytes);         // waits for the stream
  int  (*copy)(void *context, void *to, const void *from, long long bytes);         // in stream order
  int  (*product)(void *context, const long long *description);       // see flowc.runtime.device.product
};
```

Memory is asked for and given back in the order of the stream. Where a function answers anything but 0, the
kernel gives back what it holds and ends with the status DEVICE + SITES * answer. Of each memref a gpu.func
gets the pointer, then the extents and then the strides that its type leaves open, as `long long`; numbers as
they are.
"""

from collections.abc import Callable, Mapping, Sequence

from attrs import define, field
from xdsl.dialects import func, gpu, memref
from xdsl.dialects.builtin import DYNAMIC_INDEX, MemRefType, NoneAttr, StridedLayoutAttr
from xdsl.ir import Operation, SSAValue

from flowc.compiler.backends.llvm import arithmetic, memory
from flowc.compiler.backends.llvm.emit import control, write_function
from flowc.compiler.backends.llvm.function import Buffer, FunctionEmitter
from flowc.compiler.backends.llvm.memory import element_address, size_in_bytes
from flowc.dialects.array.types import dtype_of
from flowc.dialects.device import ProductOp
from flowc.runtime.device.product import DTYPES, WORDS
from flowc.runtime.kernel_failures import DEVICE, SITES

TABLE = ("context", "stream", "functions", "launch", "allocate", "release", "read", "copy", "product")
"""The words of the table, in order."""
_MOST = (1 << 32) - 1
"""What a launch takes for a size; more than any device has blocks."""


@define
class HostEmitter(FunctionEmitter):
    """The text of a host function. `places` numbers the functions of the device by name; `loaded` are the
    words of the table that it has read, `asked` the sizes of its memory by pointer."""

    places: Mapping[str, int] = field(factory=dict)
    loaded: dict[str, str] = field(factory=dict)
    asked: dict[str, str] = field(factory=dict)

    def table(self, word: str) -> str:
        """A word of the device's table, loaded where the function starts."""
        if word not in self.loaded:
            cell, self.loaded[word] = self.fresh("cell"), f"%device.{word}"
            place = TABLE.index(word)
            self.scratch.append(f"  {cell} = getelementptr inbounds ptr, ptr %device, i64 {place}")
            self.scratch.append(f"  {self.loaded[word]} = load ptr, ptr {cell}")
        return self.loaded[word]

    def ask(self, word: str, arguments: Sequence[str]) -> None:
        """Calls a function of the table, and leaves where it fails."""
        answer = self.emit(f"call i32 {self.table(word)}({', '.join(arguments)})")
        above = self.emit(f"mul nuw nsw i64 {self.emit(f'zext i32 {answer} to i64')}, {SITES}")
        status = self.emit(f"add nuw nsw i64 {above}, {DEVICE}")
        self.leave(self.emit(f"icmp ne i32 {answer}, 0"), status)

    def room(self, type_: str) -> str:
        """A pointer to a place on the stack."""
        pointer = self.fresh("room")
        self.scratch.append(f"  {pointer} = alloca {type_}")
        return pointer

    def allocate(self, size: str) -> str:
        """Memory of the device; a byte where none is needed, since nothing is not to be had everywhere."""
        some = self.call("llvm.umax.i64", "i64", [f"i64 {size}", "i64 1"])
        pointer = self.emit(f"call ptr {self.table('allocate')}(ptr {self.table('context')}, i64 {some})")
        self.asked[pointer] = some
        return pointer

    def release(self, buffer: Buffer) -> str:
        """The call that gives memory back."""
        context, function = self.table("context"), self.table("release")
        return f"call void {function}(ptr {context}, ptr {buffer.pointer}, i64 {self.asked[buffer.pointer]})"


def emit_host(function: func.FuncOp, name: str, attributes: str, places: Mapping[str, int]) -> HostEmitter:
    """Writes the host code of a function whose launches are outlined."""
    e = HostEmitter(attributes, name.strip('"'), writers=writers, pointers="", places=places)
    return write_function(e, function, ["ptr %device"])


def _positive(e: FunctionEmitter, sizes: Sequence[str]) -> str | None:
    """Whether all sizes are above 0; None where that is known to be so."""
    result = None
    for size in sizes:
        if size.startswith("%") or int(size) <= 0:
            more = e.emit(f"icmp sgt i64 {size}, 0")
            result = more if result is None else e.emit(f"and i1 {result}, {more}")
    return result


def _unless_empty(e: FunctionEmitter, sizes: Sequence[str]) -> str | None:
    """Opens a block for what is done where all sizes are above 0; gives the label to go on with after it."""
    some = _positive(e, sizes)
    if some is None:
        return None
    full, end = e.fresh("full"), e.fresh("empty")
    e.do(f"br i1 {some}, label {full}, label {end}")
    e.open(full)
    return end


def _go_on(e: FunctionEmitter, label: str | None) -> None:
    if label is not None:
        e.do(f"br label {label}")
        e.open(label)


def _launch(e: HostEmitter, op: gpu.LaunchFuncOp) -> None:
    grid = [e.operand(size) for size in (op.gridSizeX, op.gridSizeY, op.gridSizeZ)]
    block = [e.operand(size) for size in (op.blockSizeX, op.blockSizeY, op.blockSizeZ)]
    end = _unless_empty(e, grid)
    parameters = _parameters(e, [word for value in op.kernelOperands for word in _words(e, value)])
    place = e.places[op.kernel.nested_references.data[-1].data]
    cell = e.emit(f"getelementptr inbounds ptr, ptr {e.table('functions')}, i64 {place}")
    handle = e.emit(f"load ptr, ptr {cell}")
    shared = op.dynamicSharedMemorySize
    sizes = [f"i32 {_size(e, size)}" for size in (*grid, *block)]
    sizes.append(f"i32 {e.operand(shared) if shared is not None else 0}")
    e.ask("launch", [f"ptr {handle}", *sizes, f"ptr {e.table('stream')}", f"ptr {parameters}", "ptr null"])
    _go_on(e, end)


def _size(e: HostEmitter, size: str) -> str:
    """A size of a launch in 32 bits; one that they do not hold is more than a device takes, and stays so."""
    if not size.startswith("%"):
        return str(min(int(size), _MOST))
    held = e.call("llvm.umin.i64", "i64", [f"i64 {size}", f"i64 {_MOST}"])
    return e.emit(f"trunc i64 {held} to i32")


def _words(e: HostEmitter, value: SSAValue) -> list[str]:
    """A value as a gpu.func takes it."""
    if value not in e.buffers:
        typed = e.typed(value)
        return [f"i8 {e.emit(f'zext {typed} to i8')}"] if typed.startswith("i1 ") else [typed]
    buffer, type_ = e.buffers[value], value.type
    assert isinstance(type_, MemRefType)
    words = [f"ptr {buffer.pointer}"]
    words += [
        f"i64 {extent}"
        for size, extent in zip(type_.get_shape(), buffer.extents, strict=True)
        if size == DYNAMIC_INDEX
    ]
    if isinstance(type_.layout, StridedLayoutAttr):
        known = type_.layout.get_strides()
        words += [
            f"i64 {stride}"
            for fixed, stride in zip(known or (), buffer.strides, strict=True)
            if fixed is None
        ]
    return words


def _parameters(e: HostEmitter, words: Sequence[str]) -> str:
    """An array of pointers to copies of the words, as a launch takes them."""
    if not words:
        return "null"
    record = f"{{ {', '.join(word.rsplit(' ', 1)[0] for word in words)} }}"
    copies, pointers = e.room(record), e.room(f"[{len(words)} x ptr]")
    for place, word in enumerate(words):
        cell = e.emit(f"getelementptr inbounds {record}, ptr {copies}, i64 0, i32 {place}")
        e.do(f"store {word}, ptr {cell}")
        e.do(f"store ptr {cell}, ptr {e.emit(f'getelementptr inbounds ptr, ptr {pointers}, i64 {place}')}")
    return pointers


def _read(e: HostEmitter, op: memref.LoadOp) -> None:
    """An element of device memory, once everything before it is done."""
    address, element = element_address(e, op.memref, op.indices)
    place = e.room(element)
    size = size_in_bytes(element)
    e.ask("read", [f"ptr {e.table('context')}", f"ptr {place}", f"ptr {address}", f"i64 {size}"])
    e.values[op.res] = e.emit(f"load {element}, ptr {place}")


def _copy(e: HostEmitter, op: gpu.MemcpyOp) -> None:
    type_ = op.dst.type
    assert isinstance(type_, MemRefType)
    if not isinstance(type_.layout, NoneAttr):
        raise ValueError(f"gpu.memcpy copies dense memory, not {type_}")
    target, source = e.buffers[op.dst], e.buffers[op.src]
    end = _unless_empty(e, target.extents)
    size = str(size_in_bytes(target.element))
    for extent in target.extents:
        size = e.emit(f"mul nsw i64 {size}, {extent}")
    pointers = [f"ptr {target.pointer}", f"ptr {source.pointer}"]
    e.ask("copy", [f"ptr {e.table('context')}", *pointers, f"i64 {size}"])
    _go_on(e, end)


def _product(e: HostEmitter, op: ProductOp) -> None:
    left, right, result = (e.buffers[value] for value in (op.left, op.right, op.result))
    end = _unless_empty(e, result.extents)
    words = [str(DTYPES.index(_dtype(value))) for value in (op.left, op.result)]
    words += [*result.extents[:-2], "1"][:1]
    words += [*result.extents[-2:], left.extents[-1]]
    description = e.room(f"[{WORDS} x i64]")
    typed = [f"i64 {word}" for word in words]
    for buffer in (left, right, result):
        typed.append(f"ptr {buffer.pointer}")
        typed += [f"i64 {stride}" for stride in ["0", *buffer.strides][-3:]]
    for place, word in enumerate(typed):
        cell = e.emit(f"getelementptr inbounds i64, ptr {description}, i64 {place}")
        e.do(f"store {word}, ptr {cell}")
    e.ask("product", [f"ptr {e.table('context')}", f"ptr {description}"])
    _go_on(e, end)


def _dtype(value: SSAValue) -> str:
    assert isinstance(value.type, MemRefType)
    return dtype_of(value.type.get_element_type())


_AS_ON_THE_PROCESSOR: Sequence[type[Operation]] = (
    memref.AllocOp,
    memref.DeallocOp,
    memref.DimOp,
    memref.ReinterpretCastOp,
    memref.ExtractAlignedPointerAsIndexOp,
)
"""Ops on memory that host code only asks for and counts."""

writers: dict[type[Operation], Callable[..., None]] = {
    **arithmetic.writers,
    **control,
    **{kind: memory.writers[kind] for kind in _AS_ON_THE_PROCESSOR},
    memref.LoadOp: _read,
    gpu.LaunchFuncOp: _launch,
    gpu.MemcpyOp: _copy,
    ProductOp: _product,
}
"""What host code may do."""
