"""reshape as loops: memory that lies dense is seen with other extents; anything else is copied first."""

from xdsl.dialects import memref
from xdsl.dialects.builtin import DYNAMIC_INDEX, MemRefType
from xdsl.ir import SSAValue

from flowc.dialects.array import memory
from flowc.dialects.array.irregular import ScatterOp
from flowc.dialects.array.reshape import ReshapeOp
from flowc.dialects.array.types import dtype_of
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.checks import EXTENTS_DIFFER, Checks
from flowc.passes.array_to_loops.elements import Lowering, Place
from flowc.passes.array_to_loops.overlap import scatters_in_place
from flowc.passes.array_to_loops.segment import copy


def lower_reshape(s: Lowering, checks: Checks, op: ReshapeOp) -> None:
    """The elements in row-major order under other extents."""
    before, after = s.sizes(op.source), s.sizes(op.result)
    first, second = s.b.product(before), s.b.product(after)
    if not (isinstance(first, int) and isinstance(second, int)):
        checks.require(s.b.compare("eq", s.b.index(first), s.b.index(second)), EXTENTS_DIFFER, op)
    buffer = s.buffers.get(op.source)
    changes = isinstance(op.source.owner, memory.ReadOp) and not _is_scattered_to(op)
    if buffer is None or op.source not in s.contiguous or changes:
        buffer = s.allocate(scalars.stored_type(dtype_of(op.source.type)), before)
        copy(s, op.source, Place(buffer))
    s.settle(op.result, Place(_seen(s, buffer, after)))


def _is_scattered_to(op: ReshapeOp) -> bool:
    """Whether memory is seen with other extents only to be changed where it is."""
    return any(
        isinstance(use.operation, ScatterOp) and use.index == 0 and scatters_in_place(use.operation)
        for use in op.result.uses
    )


def _seen(s: Lowering, buffer: SSAValue, extents: list[Index]) -> SSAValue:
    strides: list[Index] = [1]
    for extent in reversed(extents[1:]):
        strides.insert(0, s.b.mul(strides[0], extent))
    shape = [extent if isinstance(extent, int) else DYNAMIC_INDEX for extent in extents]
    type_ = MemRefType(scalars.element_type(buffer), shape)
    return s.b.insert(memref.ReinterpretCastOp.from_dynamic(buffer, [0], extents, strides, type_))
