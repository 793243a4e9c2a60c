"""Products of matrices by the library that the device's maker ships, asked for by host code."""

from xdsl.dialects.builtin import MemRefType, f32, f64, i8, i32
from xdsl.dialects.builtin import bf16 as bf16_type
from xdsl.dialects.builtin import f16 as f16_type
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import IRDLOperation, irdl_op_definition, operand_def, traits_def
from xdsl.traits import MemoryReadEffect, MemoryWriteEffect
from xdsl.utils.exceptions import VerifyException

RESULTS: dict[Attribute, tuple[Attribute, ...]] = {
    f64: (f64,),
    f32: (f32,),
    f16_type: (f16_type, f32),
    bf16_type: (bf16_type, f32),
    i8: (i32,),
}
"""The element types of factors, and which ones their product may have."""


@irdl_op_definition
class ProductOp(IRDLOperation):
    """result = left @ right in device memory, in stream order: [..., m, k] by [..., k, n] to [..., m, n].

    All have two axes, or three with equal extents in front: so many products. Strides say what is transposed.
    Products are exact and summed in f32 (f16, bf16, f32), f64 or i32, which wraps around.
    """

    name = "device.product"
    left = operand_def(MemRefType)
    right = operand_def(MemRefType)
    result = operand_def(MemRefType)
    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())
    assembly_format = (
        "$left `,` $right `into` $result attr-dict `:` type($left) `,` type($right) `into` type($result)"
    )

    def __init__(self, left: SSAValue, right: SSAValue, result: SSAValue) -> None:
        super().__init__(operands=[left, right, result])

    def verify_(self) -> None:
        """Checks ranks and element types."""
        types = [self.left.type, self.right.type, self.result.type]
        assert all(isinstance(type_, MemRefType) for type_ in types)
        ranks = {type_.get_num_dims() for type_ in types if isinstance(type_, MemRefType)}
        if ranks not in ({2}, {3}):
            raise VerifyException("a product takes matrices, or stacks of as many matrices")
        left, right, result = (type_.get_element_type() for type_ in types if isinstance(type_, MemRefType))
        if left != right or result not in RESULTS.get(left, ()):
            raise VerifyException(f"there is no product of {left} and {right} in {result}")
