"""The text of one LLVM function while it is written: names, basic blocks, operands and types."""

import struct
from collections.abc import Callable, Mapping, Sequence

from attrs import define, field, frozen
from xdsl.dialects.builtin import (
    BFloat16Type,
    Float16Type,
    Float32Type,
    Float64Type,
    IndexType,
    IntegerType,
    VectorType,
)
from xdsl.ir import Attribute, Operation, SSAValue

ALIGNMENT = 64
"""Of all memory that kernels make, in bytes: a cache line and the widest vector."""

# As `malloc` and `free` are known to LLVM, so that memory whose every read was replaced by a register goes.
_ARENA = 'nounwind willreturn mustprogress "alloc-family"="flowc"'
ALLOCATE = (
    f"declare noalias align {ALIGNMENT} ptr @flowc_allocate(i64) allocsize(0) "
    f'allockind("alloc,uninitialized") memory(inaccessiblemem: readwrite) {_ARENA}'
)
FREE = (
    'declare void @flowc_free(ptr allocptr captures(none), i64) allockind("free") '
    f"memory(argmem: readwrite, inaccessiblemem: readwrite) {_ARENA}"
)
"""The functions of `flowc.runtime.native` that give memory and take it back."""


@frozen
class Buffer:
    """A memref: a pointer, its extents and its strides in elements, as LLVM operands.

    `size` is how many bytes were asked for, where the function itself allocated it. Where it was made from
    others, `origins` are the pointers whose memory it may be a part of.
    """

    pointer: str
    extents: tuple[str, ...]
    strides: tuple[str, ...]
    element: str
    size: str = ""
    origins: frozenset[str] = frozenset()

    @property
    def memory(self) -> frozenset[str]:
        """What it may share with another memref: if nothing, the two do not overlap."""
        return self.origins or frozenset([self.pointer])


@define
class Exit:
    """A block that leaves the function: what comes in as its status, and what it does with that.

    It frees the last of what is held and goes on to the block for the rest, which others share: there are as
    many blocks as allocations, however many places leave.
    """

    label: str
    status: str
    ends: tuple[str, ...]
    incoming: list[str] = field(factory=list)

    def lines(self) -> list[str]:
        """The text of the block."""
        return [f"{self.label[1:]}:", f"  {self.status} = phi i64 {', '.join(self.incoming)}", *self.ends]


@define
class FunctionEmitter:
    """The text of one function while it is written.

    `called` are the lines that the module must have for it; `scratch` the `alloca`s that stand at its start;
    `held` the memory that the place being written must free before it may leave; `exits` the blocks that do,
    by the pointers that they free; `outlined` the texts of the functions made of its parallel loops.
    `writers` has what writes each kind of op, `pointers` what LLVM is told of pointers that are parameters.
    """

    attributes: str
    name: str = ""
    values: dict[SSAValue, str] = field(factory=dict)
    buffers: dict[SSAValue, Buffer] = field(factory=dict)
    lines: list[str] = field(factory=list)
    label: str = "%entry"
    called: set[str] = field(factory=set)
    scratch: list[str] = field(factory=list)
    held: list[Buffer] = field(factory=list)
    exits: dict[tuple[str, ...], Exit] = field(factory=dict)
    outlined: list[str] = field(factory=list)
    writers: Mapping[type[Operation], Callable[..., None]] = field(factory=dict)
    pointers: str = "noalias nonnull"
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

    def leave(self, condition: str, status: str) -> None:
        """Frees what is held and returns a status where a condition holds."""
        out, on = self._exit(), self.fresh("on")
        out.incoming.append(f"[ {status}, {self.label} ]")
        self.do(f"br i1 {condition}, label {out.label}, label {on}")
        self.open(on)

    def _exit(self) -> Exit:
        """The block that leaves from here, made with those that it goes on to where there is none yet."""
        pointers = tuple(buffer.pointer for buffer in self.held)
        known = len(pointers)
        while known >= 0 and pointers[:known] not in self.exits:
            known -= 1
        for count in range(known + 1, len(pointers) + 1):
            label, status = self.fresh("leave"), self.fresh("status")
            ends: tuple[str, ...] = (f"  ret i64 {status}",)
            if count:
                following = self.exits[pointers[: count - 1]]
                following.incoming.append(f"[ {status}, {label} ]")
                ends = (f"  {self.release(self.held[count - 1])}", f"  br label {following.label}")
            self.exits[pointers[:count]] = Exit(label, status, ends)
        return self.exits[pointers]

    def allocate(self, size: str) -> str:
        """A pointer to memory of so many bytes, null where there is none."""
        self.called.add(ALLOCATE)
        return self.emit(f"call noalias align {ALIGNMENT} ptr @flowc_allocate(i64 {size})")

    def release(self, buffer: Buffer) -> str:
        """The call that frees memory of `allocate`."""
        self.called.add(FREE)
        return f"call void @flowc_free(ptr {buffer.pointer}, i64 {buffer.size})"

    def text(self, head: str) -> str:
        """The whole function, once it is written."""
        exits = [line for block in self.exits.values() for line in block.lines()]
        return "\n".join([f"{head} {{", "entry:", *self.scratch, *self.lines, *exits, "}"])

    def operand(self, value: SSAValue) -> str:
        """The LLVM operand of a value."""
        return self.values[value]

    def typed(self, value: SSAValue) -> str:
        """The operand with its type before it."""
        return f"{llvm_type(value.type)} {self.values[value]}"


_NAMES: dict[type[Attribute], str] = {
    IndexType: "i64",
    Float64Type: "double",
    Float32Type: "float",
    Float16Type: "half",
    BFloat16Type: "i16",
}


def llvm_type(type_: Attribute) -> str:
    """The LLVM type of a value held in a register."""
    name = _NAMES.get(type(type_))
    if name is not None:
        return name
    match type_:
        case IntegerType():
            return f"i{type_.width.data}"
        case VectorType():
            return f"<{type_.get_shape()[0]} x {llvm_type(type_.get_element_type())}>"
    raise ValueError(f"no LLVM type for {type_}")


def number(value: int | float, type_: Attribute) -> str:
    """A constant operand."""
    if isinstance(type_, IndexType):
        return str(int(value))
    if isinstance(type_, Float64Type | Float32Type | Float16Type):
        exact = struct.unpack("<f", struct.pack("<f", value))[0] if isinstance(type_, Float32Type) else value
        return "0x" + struct.pack(">d", exact).hex().upper()
    if isinstance(type_, IntegerType) and type_.width.data == 1:
        return "true" if value else "false"
    return str(int(value))


def suffix(type_: Attribute) -> str:
    """The suffix of an overloaded intrinsic."""
    match type_:
        case VectorType():
            return f"v{type_.get_shape()[0]}{suffix(type_.get_element_type())}"
        case Float64Type():
            return "f64"
        case Float32Type():
            return "f32"
    return llvm_type(type_)


def shuffled(e: FunctionEmitter, type_: str, one: str, other: str, places: Sequence[int]) -> str:
    """Lanes of two vectors of a type, numbered one vector behind the other."""
    mask = ", ".join(f"i32 {place}" for place in places)
    return e.emit(f"shufflevector {type_} {one}, {type_} {other}, <{len(places)} x i32> <{mask}>")


def joined(e: FunctionEmitter, element: str, width: int, parts: Sequence[str]) -> str:
    """Vectors of `width` elements as one; there are as many as a power of two."""
    while len(parts) > 1:
        pairs = zip(parts[::2], parts[1::2], strict=True)
        parts = [shuffled(e, f"<{width} x {element}>", *pair, range(2 * width)) for pair in pairs]
        width *= 2
    return parts[0]
