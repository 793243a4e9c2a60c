"""What the 32 threads of a warp do together, and the order of their memory accesses."""

from typing import ClassVar

from xdsl.dialects.builtin import (
    BFloat16Type,
    Float16Type,
    Float32Type,
    Float64Type,
    IndexType,
    IntegerAttr,
    IntegerType,
    StringAttr,
    i1,
    i32,
    i64,
)
from xdsl.ir import SSAValue
from xdsl.irdl import (
    AnyAttr,
    IRDLOperation,
    VarConstraint,
    irdl_op_definition,
    operand_def,
    prop_def,
    result_def,
    traits_def,
)
from xdsl.traits import MemoryReadEffect, MemoryWriteEffect, NoMemoryEffect
from xdsl.utils.exceptions import VerifyException

WARP = 32
"""Threads of a warp."""
SHUFFLES = ("xor", "down", "up", "idx")
"""How a lane finds whose value it takes: its own number xor, plus or minus the operand, or the operand."""

_NUMBERS = (Float16Type, BFloat16Type, Float32Type, Float64Type, IndexType)


@irdl_op_definition
class ShuffleOp(IRDLOperation):
    """The value that another lane of the warp holds; all 32 lanes take part.

    Lanes are counted within neighbours of `width`, a power of two up to 32; that of `idx` modulo it. Where
    `down`, `up` or `xor` would leave them, a lane keeps its own value.
    """

    name = "device.shuffle"
    _T: ClassVar = VarConstraint("T", AnyAttr())
    kind = prop_def(StringAttr)
    value = operand_def(_T)
    lane = operand_def(i32)
    width = prop_def(IntegerAttr.constr(i64))
    result = result_def(_T)
    traits = traits_def(NoMemoryEffect())
    assembly_format = "$kind $value `,` $lane `width` $width attr-dict `:` type($value)"

    def __init__(self, kind: str, value: SSAValue, lane: SSAValue, width: int = WARP) -> None:
        properties = {"kind": StringAttr(kind), "width": IntegerAttr(width, i64)}
        super().__init__(operands=[value, lane], result_types=[value.type], properties=properties)

    def verify_(self) -> None:
        """Checks kind, width and type."""
        if self.kind.data not in SHUFFLES:
            raise VerifyException(f'"{self.kind.data}" is no shuffle; there are {", ".join(SHUFFLES)}')
        if self.width.value.data not in (1, 2, 4, 8, 16, 32):
            raise VerifyException(f"{self.width.value.data} lanes are no power of two up to {WARP}")
        type_ = self.value.type
        whole = isinstance(type_, IntegerType) and type_.width.data in (1, 8, 16, 32, 64)
        if not whole and not isinstance(type_, _NUMBERS):
            raise VerifyException(f"{type_} cannot be shuffled")


@irdl_op_definition
class BallotOp(IRDLOperation):
    """The conditions of all 32 lanes as the bits of a number, that of lane 0 the lowest."""

    name = "device.ballot"
    condition = operand_def(i1)
    lanes = result_def(i32)
    traits = traits_def(NoMemoryEffect())
    assembly_format = "$condition attr-dict"

    def __init__(self, condition: SSAValue) -> None:
        super().__init__(operands=[condition], result_types=[i32])


@irdl_op_definition
class SyncWarpOp(IRDLOperation):
    """Waits for all lanes of the warp; what they wrote before is seen by all of them after."""

    name = "device.sync_warp"
    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())
    assembly_format = "attr-dict"


@irdl_op_definition
class FenceOp(IRDLOperation):
    """Makes what this thread wrote before visible to the whole device before what it writes after."""

    name = "device.fence"
    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())
    assembly_format = "attr-dict"
