"""Vectors of sort keys: several sorted as one sequence, and those elements picked that a mask holds."""

from collections.abc import Sequence

from xdsl.dialects.builtin import IndexType, IntegerType, VectorType, i1
from xdsl.ir import SSAValue
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    result_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException


@irdl_op_definition
class SortOp(IRDLOperation):
    """Sorts the integers of all vectors, taken as one sequence, in rising unsigned order.

    There are two vectors or a greater power of two, and as many elements in each.
    """

    name = "loops.sort"
    vectors = var_operand_def(VectorType)
    sorted = var_result_def(VectorType)
    traits = traits_def(Pure())
    assembly_format = "$vectors attr-dict `:` type($vectors) `->` type($sorted)"

    def __init__(self, vectors: Sequence[SSAValue]) -> None:
        super().__init__(operands=[vectors], result_types=[[vector.type for vector in vectors]])

    def verify_(self) -> None:
        """Checks that all vectors have one type, of integers, and powers of two."""
        types = {value.type for value in (*self.vectors, *self.sorted)}
        if len(types) != 1 or len(self.vectors) != len(self.sorted):
            raise VerifyException("loops.sort takes vectors of one type and gives as many")
        (type_,) = types
        assert isinstance(type_, VectorType)
        if not isinstance(type_.get_element_type(), IntegerType):
            raise VerifyException(f"loops.sort orders integers, not {type_}")
        if len(self.vectors) < 2 or any(
            count & (count - 1) for count in (len(self.vectors), type_.element_count())
        ):
            raise VerifyException(f"{len(self.vectors)} of {type_} are not two or a greater power")


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
