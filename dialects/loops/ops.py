"""What structured loops need beyond scf and memref: a parallel range, streaming stores and prefetch."""

from collections.abc import Sequence
from typing import ClassVar

from xdsl.dialects.builtin import (
    FixedBitwidthType,
    FloatAttr,
    IndexType,
    IntegerAttr,
    MemRefType,
    SignlessIntegerConstraint,
    UnitAttr,
    VectorType,
    f32,
    i1,
    i8,
    i32,
    i64,
)
from xdsl.ir import Attribute, Region, SSAValue
from xdsl.irdl import (
    AnyAttr,
    IRDLOperation,
    ParamAttrConstraint,
    VarConstraint,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    region_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.traits import (
    IsTerminator,
    MemoryWriteEffect,
    NoMemoryEffect,
    Pure,
    RecursiveMemoryEffect,
    SingleBlockImplicitTerminator,
)
from xdsl.utils.exceptions import VerifyException

PLAIN = "loops.plain"
"""Marks an `scf.for` that is to be left as it is written, neither made vectors of nor unrolled."""
ROLLED = "loops.rolled"
"""Marks an `scf.for` of a known number of rounds not to be unrolled: vectors are made of its rounds."""
UNPREDICTABLE = "loops.unpredictable"
"""Marks an `arith.select` between which no processor foresees: it shall not become a branch."""
MASKED = "loops.masked"
"""Marks an `scf.for` whose rounds become whole vectors and a masked one; written out where their number is
known."""
LANES = "loops.lanes"
"""Has the number of rounds of an `scf.for` that become one vector. LLVM alone would take as many as the
widest numbers fill a vector with, also where those that are read are narrower."""


def _verify_position(base: Attribute, indices: Sequence[SSAValue]) -> None:
    if not isinstance(base, MemRefType) or base.get_num_dims() != len(indices):
        raise VerifyException(f"{len(indices)} indices are no position in {base}")


@irdl_op_definition
class EndOp(IRDLOperation):
    """Ends the body of `loops.parallel`."""

    name = "loops.end"
    assembly_format = "attr-dict"
    traits = traits_def(IsTerminator(), NoMemoryEffect())


@irdl_op_definition
class ParallelOp(IRDLOperation):
    """Runs its body for each chunk [k * grain, min((k + 1) * grain, extent)), in any order, perhaps at once.

    `work` estimates the nanoseconds of the whole range, by which the run chooses how many threads take part.
    Chunks must write disjoint memory. The body sees the values around it and carries none: partial results
    go to memory, at low / grain, and are combined afterwards in order, so that nothing depends on the number
    of threads. Inside a chunk, those of another `loops.parallel` run in order.
    """

    name = "loops.parallel"
    extent = operand_def(IndexType)
    grain = operand_def(IndexType)
    work = operand_def(IndexType)
    body = region_def("single_block")
    traits = traits_def(SingleBlockImplicitTerminator(EndOp), RecursiveMemoryEffect())
    assembly_format = "$extent `grain` $grain `work` $work $body attr-dict"

    def __init__(self, extent: SSAValue, grain: SSAValue, work: SSAValue, body: Region) -> None:
        super().__init__(operands=[extent, grain, work], regions=[body])

    def verify_(self) -> None:
        """Checks the body's arguments."""
        if tuple(self.body.block.arg_types) != (IndexType(), IndexType()):
            raise VerifyException("the body of loops.parallel takes two indices: low and high")


@irdl_op_definition
class StreamOp(IRDLOperation):
    """Stores a vector past the caches, at an address aligned to the vector's size.

    For results that the cache would not keep beside what they are made of. Other threads may see it late:
    `loops.fence` ends a run of such stores.
    """

    name = "loops.stream"
    vector = operand_def(VectorType)
    base = operand_def(MemRefType)
    indices = var_operand_def(IndexType)
    traits = traits_def(MemoryWriteEffect())
    assembly_format = "$vector `,` $base `[` $indices `]` attr-dict `:` type($vector) `,` type($base)"

    def __init__(self, vector: SSAValue, base: SSAValue, indices: Sequence[SSAValue]) -> None:
        super().__init__(operands=[vector, base, indices])

    def verify_(self) -> None:
        """Checks that the element types agree, and the size of the vector."""
        vector, base = self.vector.type, self.base.type
        assert isinstance(vector, VectorType)
        _verify_position(base, self.indices)
        element = vector.get_element_type()
        if not isinstance(base, MemRefType) or base.get_element_type() != element:
            raise VerifyException(f"a vector of {element} cannot be stored in {base}")
        size = element.size if isinstance(element, FixedBitwidthType) else 0
        if size * vector.element_count() not in (16, 32, 64):
            raise VerifyException(f"{vector} is not 16, 32 or 64 bytes")


@irdl_op_definition
class FenceOp(IRDLOperation):
    """Makes all streaming stores before it visible to other threads before any later store."""

    name = "loops.fence"
    assembly_format = "attr-dict"
    traits = traits_def(MemoryWriteEffect())


@irdl_op_definition
class PrefetchOp(IRDLOperation):
    """Asks for the cache line of an element, which need not exist.

    It is said to write, so that no pass takes it for dead.
    """

    name = "loops.prefetch"
    base = operand_def(MemRefType)
    indices = var_operand_def(IndexType)
    traits = traits_def(MemoryWriteEffect())
    assembly_format = "$base `[` $indices `]` attr-dict `:` type($base)"

    def __init__(self, base: SSAValue, indices: Sequence[SSAValue]) -> None:
        super().__init__(operands=[base, indices])

    def verify_(self) -> None:
        """Checks the number of indices."""
        _verify_position(self.base.type, self.indices)


@irdl_op_definition
class StepOp(IRDLOperation):
    """The step along an axis that stretches beside longer ones: 0 where it is 1 long, else 1.

    For an extent of 0 it is -1, which no loop gets to use. A loop whose positions are multiplied by it asks
    once whether it is 1, and is a loop over neighbours then.
    """

    name = "loops.step"
    extent = operand_def(IndexType)
    step = result_def(IndexType)
    traits = traits_def(Pure())
    assembly_format = "$extent attr-dict"

    def __init__(self, extent: SSAValue) -> None:
        super().__init__(operands=[extent], result_types=[IndexType()])


@irdl_op_definition
class OpaqueOp(IRDLOperation):
    """A constant that LLVM does not see through, so that a choice between it and another number stays one.

    With the least number there is, LLVM makes `max(so_far, condition ? x : least)` a choice between
    `max(so_far, x)` and `so_far`, and then no vectors of the loop.
    """

    name = "loops.opaque"
    _T: ClassVar = VarConstraint("T", AnyAttr())
    value = prop_def(
        IntegerAttr.constr(SignlessIntegerConstraint & _T) | ParamAttrConstraint(FloatAttr, (AnyAttr(), _T))
    )
    result = result_def(_T)
    traits = traits_def(Pure())
    assembly_format = "attr-dict $value"

    def __init__(self, value: IntegerAttr | FloatAttr) -> None:
        super().__init__(result_types=[value.get_type()], properties={"value": value})


@irdl_op_definition
class PairDotOp(IRDLOperation):
    """Adds the products of two pairs of bf16 to each number: first that of the upper halves of the words,
    then that of the lower ones, each as one fused operation of f32.

    One that `flushes` may take subnormal numbers, sums and results for zero, as VDPBF16PS does.
    """

    name = "loops.pair_dot"
    left = operand_def(VectorType.constr(i32))
    right = operand_def(VectorType.constr(i32))
    sums = operand_def(VectorType.constr(f32))
    flushes = opt_prop_def(UnitAttr)
    result = result_def(VectorType)
    traits = traits_def(Pure())
    assembly_format = (
        "$left `,` $right `,` $sums (`flushes` $flushes^)? attr-dict `:` "
        "type($left) `,` type($right) `,` type($sums) `->` type($result)"
    )

    def __init__(self, left: SSAValue, right: SSAValue, sums: SSAValue, *, flushes: bool = False) -> None:
        super().__init__(
            operands=[left, right, sums],
            result_types=[sums.type],
            properties={"flushes": UnitAttr() if flushes else None},
        )


@irdl_op_definition
class QuadDotOp(IRDLOperation):
    """Adds the products of the signed bytes of two words, four and four, to each number, wrapping around."""

    name = "loops.quad_dot"
    left = operand_def(VectorType.constr(i32))
    right = operand_def(VectorType.constr(i32))
    sums = operand_def(VectorType.constr(i32))
    result = result_def(VectorType)
    traits = traits_def(Pure())
    assembly_format = (
        "$left `,` $right `,` $sums attr-dict `:` "
        "type($left) `,` type($right) `,` type($sums) `->` type($result)"
    )

    def __init__(self, left: SSAValue, right: SSAValue, sums: SSAValue) -> None:
        super().__init__(operands=[left, right, sums], result_types=[sums.type])


@irdl_op_definition
class DotOp(IRDLOperation):
    """Adds the products of pairs of signed bytes to numbers, four to each, wrapping around.

    Which four is left open: processors have instructions for neighbours (VPDPBUSD, or VPMADDWD once they are
    widened).
    """

    name = "loops.dot"
    left = operand_def(VectorType)
    right = operand_def(VectorType)
    sums = operand_def(VectorType)
    result = result_def(VectorType)
    traits = traits_def(Pure())
    assembly_format = (
        "$left `,` $right `,` $sums attr-dict `:` "
        "type($left) `,` type($right) `,` type($sums) `->` type($result)"
    )

    def __init__(self, left: SSAValue, right: SSAValue, sums: SSAValue) -> None:
        super().__init__(operands=[left, right, sums], result_types=[sums.type])

    def verify_(self) -> None:
        """Checks that there are four bytes a sum."""
        left, sums = self.left.type, self.sums.type
        assert isinstance(left, VectorType)
        assert isinstance(sums, VectorType)
        if left.get_element_type() != i8 or sums.get_element_type() != i32:
            raise VerifyException(f"loops.dot adds products of i8 to i32, not of {left} to {sums}")
        if left.element_count() != 4 * sums.element_count():
            raise VerifyException(f"{left} is not four bytes for each sum of {sums}")


@irdl_op_definition
class RequireOp(IRDLOperation):
    """Ends the function with a status where a condition does not hold, once the memory it holds is freed.

    Inside `loops.parallel` it ends the chunk; the function ends after the range, with the largest status.
    """

    name = "loops.require"
    condition = operand_def(i1)
    status = prop_def(IntegerAttr.constr(i64))
    traits = traits_def(MemoryWriteEffect())
    assembly_format = "$condition `else` $status attr-dict"

    def __init__(self, condition: SSAValue, status: int) -> None:
        super().__init__(operands=[condition], properties={"status": IntegerAttr(status, i64)})
