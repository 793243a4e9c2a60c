"""Tensor cores: products of small matrices whose elements lie spread over the registers of a warp.

The layouts of the fragments are those of `mma.sync` and `ldmatrix` in the PTX ISA, section "Matrix
multiply-accumulate operation using mma instruction". With g = lane / 4 and t = lane % 4, and words of 4 bytes
that hold e neighbouring elements (2 of f16 and bf16, 4 of bytes):

| matrix | extents | word | holds |
|---|---|---|---|
| a | 16 x 8e | 0, 1, 2, 3 | row g, g + 8, g, g + 8; columns from e * t, for words 2 and 3 from e * (t + 4) |
| b | 8e x 8 | 0, 1 | column g; rows from e * t, and from e * (t + 4) |
| c | 16 x 8 | 0, 1, 2, 3 | row g, g, g + 8, g + 8; column 2t, 2t + 1, 2t, 2t + 1 |
"""

from collections.abc import Sequence

from xdsl.dialects.builtin import (
    FixedBitwidthType,
    IndexType,
    MemRefType,
    StringAttr,
    UnitAttr,
    VectorType,
    f32,
    i32,
)
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.traits import MemoryReadEffect, NoMemoryEffect, Pure
from xdsl.utils.exceptions import VerifyException

from flowc.dialects.device.memory import verify_position, verify_shared

SUMS: dict[str, Attribute] = {"f16": f32, "bf16": f32, "i8": i32, "u8": i32}
"""The element types that tensor cores multiply, and what they add the products in."""
DEPTH = {"f16": 16, "bf16": 16, "i8": 32, "u8": 32}
"""The k of m16n8k: how many products one element of the result adds up."""


@irdl_op_definition
class MatrixMultiplyOp(IRDLOperation):
    """c + a @ b for a 16 x k, b k x 8 and c 16 x 8: m16n8k16 of f16 and bf16, m16n8k32 of bytes.

    All 32 lanes take part. Sums of bytes wrap around; how sums of f32 are rounded is left to the machine.
    """

    name = "device.matrix_multiply"
    dtype = prop_def(StringAttr)
    a = operand_def(VectorType.constr(i32))
    b = operand_def(VectorType.constr(i32))
    c = operand_def(VectorType)
    result = result_def(VectorType)
    traits = traits_def(NoMemoryEffect())
    assembly_format = (
        "$dtype $a `,` $b `,` $c attr-dict `:` type($a) `,` type($b) `,` type($c) `->` type($result)"
    )

    def __init__(self, dtype: str, a: SSAValue, b: SSAValue, c: SSAValue) -> None:
        super().__init__(operands=[a, b, c], result_types=[c.type], properties={"dtype": StringAttr(dtype)})

    def verify_(self) -> None:
        """Checks the element type and the sizes of the fragments."""
        dtype = self.dtype.data
        if dtype not in SUMS:
            raise VerifyException(f'no tensor core multiplies "{dtype}"; there are {", ".join(SUMS)}')
        wanted = VectorType(i32, [4]), VectorType(i32, [2]), VectorType(SUMS[dtype], [4])
        types = self.a.type, self.b.type, self.c.type
        if types != wanted or self.result.type != wanted[2]:
            raise VerifyException(f"fragments of {dtype} are {', '.join(map(str, wanted))}")


@irdl_op_definition
class LoadMatrixOp(IRDLOperation):
    """Two or four matrices of 8 rows of 16 bytes from shared memory, one word of each a lane.

    Lanes 8i to 8i + 7 give the positions of the rows of matrix i, each at a multiple of 16 bytes; those of
    lanes from 16 on do not matter for two matrices. Word i of a lane holds the 4 bytes from 4 * (lane % 4) on
    of row lane / 4 of matrix i; with `transpose`, which is for elements of 2 bytes, row and column trade
    places. All 32 lanes take part.
    """

    name = "device.load_matrix"
    memory = operand_def(MemRefType)
    indices = var_operand_def(IndexType)
    transpose = opt_prop_def(UnitAttr)
    words = result_def(VectorType.constr(i32))
    traits = traits_def(MemoryReadEffect())
    assembly_format = (
        "$memory `[` $indices `]` (`transpose` $transpose^)? attr-dict `:` type($memory) `->` type($words)"
    )

    def __init__(
        self, memory: SSAValue, indices: Sequence[SSAValue], count: int, *, transpose: bool = False
    ) -> None:
        super().__init__(
            operands=[memory, indices],
            result_types=[VectorType(i32, [count])],
            properties={"transpose": UnitAttr() if transpose else None},
        )

    def verify_(self) -> None:
        """Checks the position, the memory space, the number of matrices and the size of elements."""
        type_ = self.memory.type
        verify_position(type_, self.indices)
        verify_shared(type_)
        assert isinstance(type_, MemRefType)
        if self.words.type not in (VectorType(i32, [2]), VectorType(i32, [4])):
            raise VerifyException(f"two or four matrices are loaded at once, not {self.words.type}")
        element = type_.get_element_type()
        size = element.size if isinstance(element, FixedBitwidthType) else 0
        if size not in ((2,) if self.transpose is not None else (1, 2, 4)):
            raise VerifyException(f"rows of {type_} cannot be loaded this way")


@irdl_op_definition
class PackHalvesOp(IRDLOperation):
    """Two f32, rounded to nearest even, as the halves of a word: `low` in the lower one.

    For fragments of `device.matrix_multiply` that are computed and not loaded.
    """

    name = "device.pack_halves"
    dtype = prop_def(StringAttr)
    low = operand_def(f32)
    high = operand_def(f32)
    word = result_def(i32)
    traits = traits_def(Pure())
    assembly_format = "$dtype $low `,` $high attr-dict"

    def __init__(self, dtype: str, low: SSAValue, high: SSAValue) -> None:
        super().__init__(operands=[low, high], result_types=[i32], properties={"dtype": StringAttr(dtype)})

    def verify_(self) -> None:
        """Checks that the element type has two bytes."""
        if self.dtype.data not in ("f16", "bf16"):
            raise VerifyException(f'"{self.dtype.data}" is no float of two bytes')


@irdl_op_definition
class DotBytesOp(IRDLOperation):
    """total + the sum of the products of four pairs of bytes, four of them in a word. Sums wrap around."""

    name = "device.dot_bytes"
    dtype = prop_def(StringAttr)
    one = operand_def(i32)
    other = operand_def(i32)
    total = operand_def(i32)
    result = result_def(i32)
    traits = traits_def(Pure())
    assembly_format = "$dtype $one `,` $other `,` $total attr-dict"

    def __init__(self, dtype: str, one: SSAValue, other: SSAValue, total: SSAValue) -> None:
        super().__init__(
            operands=[one, other, total], result_types=[i32], properties={"dtype": StringAttr(dtype)}
        )

    def verify_(self) -> None:
        """Checks that elements are bytes."""
        if self.dtype.data not in ("i8", "u8"):
            raise VerifyException(f'"{self.dtype.data}" is no byte')
