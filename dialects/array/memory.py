"""Mutable arrays inside a kernel: where one comes from, its value now, and a store into a part of it.

Everything else in the dialect is a value. A `!array.ref` is memory: `array.read` gives the array's value at
that moment, and later writes leave that value alone. What is written to is named by reading: the target of
`array.write` is an `array.read`, seen through views (slice, index, expand, transpose), and means the elements
that those views show.
"""

from typing import ClassVar

from xdsl.dialects.builtin import i64
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import (
    IRDLOperation,
    base,
    irdl_op_definition,
    operand_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.traits import MemoryAllocEffect, MemoryReadEffect, MemoryWriteEffect
from xdsl.utils.exceptions import VerifyException

from flowc.dialects.array import inference, ops
from flowc.dialects.array.types import RefType, ShapeError, dtype_of, is_array_type, shape_of

VIEWS = (ops.SliceOp, ops.IndexOp, ops.ExpandOp, ops.TransposeOp)
"""The operators that only rename positions one to one: what may stand between a write and its memory."""


@irdl_op_definition
class EmptyOp(IRDLOperation):
    """A mutable array of the extents given, one i64 per axis, holding anything."""

    name = "array.empty"
    extents = var_operand_def(i64)
    result = result_def(base(RefType))
    traits = traits_def(MemoryAllocEffect())
    assembly_format = "operands `:` type($result) attr-dict"

    def verify_(self) -> None:
        """One extent an axis."""
        if len(shape_of(self.result.type)) != len(self.extents) or not self.extents:
            raise VerifyException("array.empty needs one extent for each axis, and an axis")


@irdl_op_definition
class VariableOp(IRDLOperation):
    """A mutable array that begins with a value."""

    name = "array.variable"
    source = operand_def()
    result = result_def(base(RefType))
    traits = traits_def(MemoryAllocEffect())
    assembly_format = "$source `:` type($source) attr-dict `->` type($result)"

    def verify_(self) -> None:
        """The reference is to an array of the type of the value."""
        if not shape_of(self.source.type) or self.result.type != RefType(self.source.type):
            raise VerifyException("array.variable refers to an array of the type of its value")


@irdl_op_definition
class ReadOp(IRDLOperation):
    """The value that a mutable array has now."""

    name = "array.read"
    ref = operand_def(base(RefType))
    result = result_def()
    traits = traits_def(MemoryReadEffect())
    assembly_format = "$ref attr-dict `:` type($ref) `->` type($result)"

    def verify_(self) -> None:
        """The value has the type that the reference names."""
        if RefType(self.result.type) != self.ref.type:
            raise VerifyException("array.read gives an array of the type that the reference names")


@irdl_op_definition
class WriteOp(IRDLOperation):
    """Stores a value, broadcast, into the elements that `target` shows; target and value have one dtype."""

    name = "array.write"
    value = operand_def()
    target = operand_def()
    traits = traits_def(MemoryWriteEffect())
    assembly_format = "$value `to` $target attr-dict `:` type($value) `,` type($target)"
    VALUE: ClassVar[int] = 0

    @property
    def ref(self) -> SSAValue:
        """The mutable array that changes."""
        return memory_of(self.target).ref

    def verify_(self) -> None:
        """The target is a read seen through views, and the value fits in it."""
        if not is_array_type(self.value.type) or not is_array_type(self.target.type):
            raise VerifyException("array.write stores an array or a number")
        try:
            memory_of(self.target)
            inference.broadcast_type(self.value.type, shape_of(self.target.type))
        except ShapeError as error:
            raise VerifyException(f"array.write: {error}") from error
        if dtype_of(self.value.type) != dtype_of(self.target.type):
            raise VerifyException("array.write: the value must have the dtype of the array; cast it first")


def memory_of(target: SSAValue) -> ReadOp:
    """The read behind the views of a target; raises ShapeError where there is none."""
    owner = target.owner
    while isinstance(owner, VIEWS):
        owner = owner.source.owner
    if not isinstance(owner, ReadOp):
        raise ShapeError("only an array.read, seen through views, can be written to")
    return owner


def variable(source: SSAValue) -> VariableOp:
    """A mutable array that begins with `source`."""
    return VariableOp.create(operands=[source], result_types=[RefType(source.type)])


def empty(extents: list[SSAValue], type_: Attribute) -> EmptyOp:
    """A mutable array of an array type, holding anything."""
    return EmptyOp.create(operands=extents, result_types=[RefType(type_)])


def read(ref: SSAValue) -> ReadOp:
    """The value of a mutable array now."""
    type_ = ref.type
    if not isinstance(type_, RefType):
        raise ShapeError(f"{type_} is no mutable array")
    return ReadOp.create(operands=[ref], result_types=[type_.value])


def write(value: SSAValue, target: SSAValue) -> WriteOp:
    """Stores a value into what `target` shows."""
    return WriteOp.create(operands=[value, target])
