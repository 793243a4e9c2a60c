"""The text of one CUDA kernel while it is written: names, types, operands and lines."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, field, frozen
from xdsl.dialects import arith, memref, scf, vector
from xdsl.dialects.builtin import (
    BFloat16Type,
    FileLineColLoc,
    Float16Type,
    Float32Type,
    Float64Type,
    IndexType,
    IntegerType,
    VectorType,
    i1,
)
from xdsl.ir import Attribute, Operation, SSAValue

from flowc.compiler.backends.cuda.text_names import RESERVED

LONGEST_INLINE = 48
"""An expression of more characters gets a name, also where it is used once."""

_signed = {1: "bool", 8: "signed char", 16: "short", 32: "int", 64: "long long"}
_unsigned = {1: "bool", 8: "unsigned char", 16: "unsigned short", 32: "unsigned", 64: "unsigned long long"}
_atom = re.compile(r"[\w.:]+(<[\w ]+>)?(\([^()]*\))?(\[\w+\])?")
_inside = (
    arith.SignlessIntegerBinaryOperation,
    arith.FloatingPointLikeBinaryOperation,
    arith.CmpiOp,
    arith.CmpfOp,
    arith.SelectOp,
    arith.IndexCastOp,
    memref.LoadOp,
    memref.StoreOp,
    vector.LoadOp,
    vector.StoreOp,
    scf.IfOp,
)
"""Ops whose text may hold the text of an operand in place of a name."""


@frozen
class Buffer:
    """A memref: a pointer, its extents and its strides in elements, as C++ expressions without operators.

    `element` is the type of what lies there.
    """

    pointer: str
    extents: tuple[str, ...]
    strides: tuple[str, ...]
    element: Attribute


@define
class KernelWriter:
    """The text of one kernel while it is written.

    `helpers` are the functions of ours that it calls; `together` says whether threads wait for one another;
    `line` is the line of the program whose code was written last.
    """

    values: dict[SSAValue, str] = field(factory=dict)
    buffers: dict[SSAValue, Buffer] = field(factory=dict)
    lines: list[str] = field(factory=list)
    helpers: set[str] = field(factory=set)
    together: bool = False
    depth: int = 1
    line: int = 0
    taken: dict[str, int] = field(factory=dict)

    def fresh(self, stem: str) -> str:
        """A name that nothing else in the kernel has: the stem where it is free."""
        clean = re.sub(r"\W", "_", stem, flags=re.ASCII).strip("_") or "value"
        clean = f"v{clean}" if clean[0].isdigit() else clean
        while True:
            count = self.taken[clean] = self.taken.get(clean, 0) + 1
            name = clean if count == 1 else f"{clean}_{count}"
            if name not in RESERVED and (name == clean or name not in self.taken):
                self.taken.setdefault(name, 1)
                return name

    def name(self, value: SSAValue, stem: str = "v") -> str:
        """A name for a value: its own where the IR has one."""
        return self.fresh(value.name_hint or stem)

    def do(self, text: str) -> None:
        """Appends a line at the depth of the block."""
        self.lines.append(f"{'  ' * self.depth}{text}" if text else "")

    def define(self, value: SSAValue, text: str) -> None:
        """The value of an expression without effects: it gets a name, or goes into its only user."""
        if value.first_use is None:
            return
        user = value.get_user_of_unique_use()
        if user is not None and _may_hold(user, value) and len(text) <= LONGEST_INLINE:
            self.values[value] = text if _atom.fullmatch(text) else f"({text})"
        else:
            self.declare(value, text)

    def declare(self, value: SSAValue, text: str) -> str:
        """Computes a value here and now; gives its name."""
        name = self.name(value)
        self.do(f"const {c_type(value.type)} {name} = {text};")
        self.values[value] = name
        return name

    def call(self, helper: str) -> str:
        """The name by which a function of ours is called."""
        self.helpers.add(helper)
        return f"flowc::{helper}"

    def operand(self, value: SSAValue) -> str:
        """The text of a value, which binds closer than any operator."""
        return self.values[value]

    def operands(self, op: Operation) -> list[str]:
        """The texts of all operands."""
        return [self.values[value] for value in op.operands]

    def place(self, op: Operation) -> None:
        """A comment with the line of the program, where it is another than before."""
        location = op.location
        if isinstance(location, FileLineColLoc) and location.line.data not in (0, self.line):
            self.line = location.line.data
            self.do(f"// line {self.line}")


Writer = Callable[[KernelWriter, Any], None]
"""What writes an op of one kind."""


def bare(text: str) -> str:
    """A text that stands alone, without the parentheses that an operand needs."""
    if not text.startswith("("):
        return text
    depth = 0
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if not depth:
            return text[1:-1] if place == len(text) - 1 else text
    return text


def _may_hold(user: Operation, value: SSAValue) -> bool:
    return isinstance(user, _inside) and user.parent is value.owner.parent


def c_type(type_: Attribute) -> str:
    """The C++ type of a value in a register, and of an element in memory. f16 and bf16 are their bits."""
    match type_:
        case IndexType():
            return "idx"
        case IntegerType() if type_.width.data in _signed:
            return _signed[type_.width.data]
        case Float64Type():
            return "double"
        case Float32Type():
            return "float"
        case Float16Type() | BFloat16Type():
            return "unsigned short"
        case VectorType():
            return f"flowc::vec<{c_type(type_.get_element_type())}, {type_.element_count()}>"
    raise ValueError(f"no CUDA type for {type_}")


def unsigned_type(type_: Attribute) -> str:
    """The unsigned C++ type of as many bits."""
    if isinstance(type_, IntegerType) and type_.width.data in _unsigned:
        return _unsigned[type_.width.data]
    if isinstance(type_, IndexType):
        return "uidx"
    raise ValueError(f"{type_} has no unsigned form")


def signed_operand(w: KernelWriter, value: SSAValue) -> str:
    """A value as a signed number: of one bit, true is -1."""
    text = w.operand(value)
    return f"(-(int){text})" if value.type == i1 else text


def product(a: str, b: str) -> str:
    """a * b, computed here where both are numbers."""
    if a == "1" or b == "1":
        return b if a == "1" else a
    if "0" in (a, b):
        return "0"
    if is_number(a) and is_number(b):
        return str(int(a) * int(b))
    return f"{a} * {b}"


def total(terms: Sequence[str]) -> str:
    """The sum of the terms that are not 0."""
    constant = sum(int(term) for term in terms if is_number(term))
    others = [term for term in terms if not is_number(term)]
    if constant or not others:
        others.append(str(constant))
    return " + ".join(others)


def is_number(text: str) -> bool:
    """Whether a text is an integer written out."""
    return text.lstrip("-").isdecimal()
