"""The text of one LLVM function while it is written: names, basic blocks, operands and types."""

import struct
from collections.abc import Sequence

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
from xdsl.ir import Attribute, SSAValue


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
