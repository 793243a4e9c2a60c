"""The operator that gives the elements of an array, in row-major order, another shape."""

from collections.abc import Sequence

from xdsl.dialects.builtin import i64
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import irdl_op_definition, operand_def, result_def, var_operand_def

from flowc.dialects.array.ops import FORMAT, ArrayOperation
from flowc.dialects.array.types import Shape, ShapeError, array_type, dtype_of, shape_of


@irdl_op_definition
class ReshapeOp(ArrayOperation):
    """The elements in row-major order with other extents, one i64 each; as many elements, or a run-time
    error."""

    name = "array.reshape"
    source = operand_def()
    extents = var_operand_def(i64)
    result = result_def()
    assembly_format = FORMAT

    def infer(self) -> tuple[Attribute, ...]:
        return (reshape_type(self.source.type, shape_of(self.result.type), len(self.extents)),)


def reshape_type(source: Attribute, shape: Shape, extents: int) -> Attribute:
    """The type of a reshape; raises ShapeError for one whose numbers of elements are known to differ."""
    if len(shape) != extents or not shape or not shape_of(source):
        raise ShapeError(f"{len(shape)} axes need as many extents, not {extents}")
    before, after = _count(shape_of(source)), _count(shape)
    if before is not None and after is not None and before != after:
        raise ShapeError(f"{before} elements cannot become {after}")
    return array_type(dtype_of(source), shape)


def _count(shape: Shape) -> int | None:
    total = 1
    for extent in shape:
        if not isinstance(extent, int):
            return None
        total *= extent
    return total


def reshape(source: SSAValue, extents: Sequence[SSAValue], shape: Shape) -> ReshapeOp:
    """`source` with other extents; `shape` says what is known of them."""
    return ReshapeOp.create(
        operands=[source, *extents], result_types=[reshape_type(source.type, shape, len(extents))]
    )
