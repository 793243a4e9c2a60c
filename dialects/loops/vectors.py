"""Sorting by vectors: neighbours in memory, and those elements of a vector picked that a mask holds."""

from collections.abc import Sequence

from xdsl.dialects.builtin import IndexType, IntegerAttr, IntegerType, MemRefType, VectorType, i1, i64
from xdsl.ir import SSAValue
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.traits import MemoryReadEffect, MemoryWriteEffect, Pure
from xdsl.utils.exceptions import VerifyException


@irdl_op_definition
class SortOp(IRDLOperation):
    """Puts neighbouring integers in memory in rising unsigned order, by vectors of so many lanes.

    There are at most as many as 32 vectors hold.
    """

    name = "loops.sort"
    keys = operand_def(MemRefType)
    first = var_operand_def(IndexType)
    count = operand_def(IndexType)
    lanes = prop_def(IntegerAttr)
    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())
    assembly_format = "$count `of` $keys `[` $first `]` attr-dict `:` type($keys) `by` $lanes"

    def __init__(self, keys: SSAValue, first: Sequence[SSAValue], count: SSAValue, lanes: int) -> None:
        super().__init__(operands=[keys, first, count], properties={"lanes": IntegerAttr(lanes, i64)})

    def verify_(self) -> None:
        """Checks that there are integers, an index for each axis, and a vector of a power of two."""
        type_, lanes = self.keys.type, self.lanes.value.data
        assert isinstance(type_, MemRefType)
        if not isinstance(type_.get_element_type(), IntegerType):
            raise VerifyException(f"loops.sort orders integers, not {type_}")
        if len(self.first) != type_.get_num_dims():
            raise VerifyException(f"{type_} has {type_.get_num_dims()} axes, not {len(self.first)}")
        if lanes < 2 or lanes & (lanes - 1):
            raise VerifyException(f"{lanes} lanes are not two or a greater power")


@irdl_op_definition
class PackOp(IRDLOperation):
    """The elements where a mask holds, in order, in the first places of a vector; and how many they are.

    What stands behind them is anything.
    """

    name = "loops.pack"
    vector = operand_def(VectorType)
    mask = operand_def(VectorType)
    packed = result_def(VectorType)
    count = result_def(IndexType)
    traits = traits_def(Pure())
    assembly_format = "$vector `,` $mask attr-dict `:` type($vector) `,` type($mask) `->` type($packed)"

    def __init__(self, vector: SSAValue, mask: SSAValue) -> None:
        super().__init__(operands=[vector, mask], result_types=[vector.type, IndexType()])

    def verify_(self) -> None:
        """Checks that there is one truth value an element."""
        vector, mask = self.vector.type, self.mask.type
        assert isinstance(vector, VectorType)
        assert isinstance(mask, VectorType)
        if mask.get_element_type() != i1 or mask.get_shape() != vector.get_shape():
            raise VerifyException(f"{mask} is no mask of {vector}")
        if self.packed.type != vector:
            raise VerifyException(f"{vector} is not packed into {self.packed.type}")
