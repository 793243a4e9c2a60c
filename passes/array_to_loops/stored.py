"""Values whose elements lie in memory, be it as those of others that they view: where, and along which axis
neighbours are neighbours there."""

from collections.abc import Container
from typing import TypeGuard

from xdsl.dialects import memref
from xdsl.dialects.builtin import DYNAMIC_INDEX, MemRefType, NoneAttr, StridedLayoutAttr
from xdsl.ir import Attribute, Block, Operation, SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.types import dtype_of, shape_of
from flowc.passes.array_positions import stride
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.elements import Lowering, Viewing

LINE_BYTES = 64
"""A line of the cache."""


def is_viewed(op: Operation | Block, s: Lowering) -> TypeGuard[Viewing]:
    """Whether an operator's elements lie where those of its source do, and positions in it are arithmetic."""
    return op in s.inside if isinstance(op, ops.GatherOp) else isinstance(op, Viewing)


def stored_as_held(s: Lowering, value: SSAValue, dtype: str) -> bool:
    """Whether the elements of a value lie in memory, in the form in which numbers of a dtype are held."""
    return dtype != "bool" and stored_as(s, value, dtype, scalars.held_type(dtype))


def stored_as(
    s: Lowering, value: SSAValue, dtype: str, element: Attribute, widened: Container[str] = ()
) -> bool:
    """Whether the elements of a value lie in memory as those of a type and are numbers of a dtype, perhaps
    converted to those `widened`."""
    while value not in s.buffers:
        op = value.owner
        converts = isinstance(op, ops.CastOp) and dtype_of(value.type) in widened
        if value in s.tiles or not (converts or is_viewed(op, s)):
            return False
        assert isinstance(op, Operation)
        value = op.operands[0]
    same = scalars.element_type(s.buffers[value]) == element
    return same and dtype_of(value.type) == dtype and value not in s.tiles


def located(s: Lowering, value: SSAValue, at: tuple[Index, ...]) -> tuple[SSAValue, list[Index]]:
    """Where an element of such a value lies."""
    while value not in s.buffers:
        op = value.owner
        if isinstance(op, ops.CastOp):
            value = op.source
            continue
        assert is_viewed(op, s)
        at, value = s.viewed(op, at), op.source
    return s.buffers[value], list(at)


def contiguous_axis(s: Lowering, value: SSAValue) -> int | None:
    """The axis along which elements are neighbours in memory, or, if they are computed, their operands'."""
    rank = len(shape_of(value.type))
    if value in s.buffers:
        return rank - 1 if rank and has_unit_stride(s.buffers[value]) else None
    op = value.owner
    if isinstance(op, ops.CastOp):
        return contiguous_axis(s, op.source)
    if not is_viewed(op, s):
        return rank - 1 if rank else None
    axis = contiguous_axis(s, op.source)
    if axis is None:
        return None
    match op:
        case ops.TransposeOp():
            return [int(origin) for origin in op.permutation.get_values()].index(axis)
        case ops.SliceOp():
            return axis if s.extents.slice_range(op, axis)[1] == 1 else None
        case ops.IndexOp():
            gone = op.axis.value.data
            return None if gone == axis else axis - (gone < axis)
        case ops.GatherOp():
            picked = len(shape_of(op.indices.type))
            along = [own for own in range(picked) if stride(op.indices, own) == 1]
            return picked + axis - 1 if axis else next(iter(along), None)
    return axis + (op.axis.value.data <= axis)


def has_unit_stride(buffer: SSAValue) -> bool:
    """Whether neighbours along the last axis are neighbours in memory."""
    assert isinstance(buffer.type, MemRefType)
    layout = buffer.type.layout
    if isinstance(layout, NoneAttr):
        return True
    return isinstance(layout, StridedLayoutAttr) and list(layout.get_strides() or ())[-1:] == [1]


def line_at(s: Lowering, buffer: SSAValue, start: Index, length: Index) -> SSAValue:
    """Elements that lie together, as an array of one axis."""
    element = scalars.element_type(buffer)
    type_ = MemRefType(element, [DYNAMIC_INDEX], StridedLayoutAttr([1], None))
    operands = [s.b.index(start)], [s.b.index(length)]
    return s.b.insert(memref.ReinterpretCastOp.from_dynamic(buffer, *operands, [1], type_))
