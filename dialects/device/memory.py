"""Memory of a block of threads, copies into it that run beside the arithmetic, and one atomic exchange."""

from collections.abc import Sequence

from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    FixedBitwidthType,
    IndexType,
    IntegerAttr,
    IntegerType,
    MemRefType,
    StridedLayoutAttr,
    i1,
    i32,
    i64,
)
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import (
    AttrSizedOperandSegments,
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.traits import MemoryAllocEffect, MemoryReadEffect, MemoryWriteEffect, Pure
from xdsl.utils.exceptions import VerifyException

SHARED = IntegerAttr(3, i64)
"""The memory space of what all threads of a block see, numbered as NVVM numbers it."""
COPY_BYTES = 16
"""What one `device.copy_async` copies."""


def is_shared(type_: Attribute) -> bool:
    """Whether a type is memory of a block."""
    return isinstance(type_, MemRefType) and type_.memory_space == SHARED


def verify_position(memory: Attribute, indices: Sequence[SSAValue]) -> None:
    """Raises VerifyException unless there is an index for each axis of a memref."""
    if not isinstance(memory, MemRefType) or memory.get_num_dims() != len(indices):
        raise VerifyException(f"{len(indices)} indices are no position in {memory}")


def verify_shared(memory: Attribute) -> None:
    """Raises VerifyException unless a memref is memory of a block."""
    if not is_shared(memory):
        raise VerifyException(f"{memory} is not shared by the threads of a block (memory space 3)")


@irdl_op_definition
class SharedOp(IRDLOperation):
    """Memory that the threads of a block share, as long as the block runs; what stands in it is anything.

    Each op is its own memory, wherever it stands in the kernel and however often it is met.
    """

    name = "device.shared"
    memory = result_def(MemRefType)
    traits = traits_def(MemoryAllocEffect())
    assembly_format = "attr-dict `:` type($memory)"

    def __init__(self, element: Attribute, extents: Sequence[int]) -> None:
        super().__init__(result_types=[shared_type(element, extents)])

    def verify_(self) -> None:
        """Checks the memory space, and that the size is known."""
        verify_shared(self.memory.type)
        assert isinstance(self.memory.type, MemRefType)
        if DYNAMIC_INDEX in self.memory.type.get_shape():
            raise VerifyException(
                f"{self.memory.type} has no size: device.shared_at is for what is counted later"
            )


@irdl_op_definition
class SharedAtOp(IRDLOperation):
    """A view of the shared memory that the launch asked for, from a byte offset that is a multiple of 16.

    Row-major, without gaps. Views may overlap. `extents` are the sizes of the dynamic axes.
    """

    name = "device.shared_at"
    offset = operand_def(IndexType)
    extents = var_operand_def(IndexType)
    memory = result_def(MemRefType)
    traits = traits_def(Pure())
    assembly_format = "$offset `[` $extents `]` attr-dict `:` type($memory)"

    def __init__(self, offset: SSAValue, element: Attribute, extents: Sequence[int | SSAValue]) -> None:
        sizes = [extent if isinstance(extent, int) else DYNAMIC_INDEX for extent in extents]
        dynamic = [extent for extent in extents if isinstance(extent, SSAValue)]
        super().__init__(operands=[offset, dynamic], result_types=[shared_type(element, sizes)])

    def verify_(self) -> None:
        """Checks the memory space, the layout, and that there is an extent for each dynamic axis."""
        type_ = self.memory.type
        verify_shared(type_)
        assert isinstance(type_, MemRefType)
        if isinstance(type_.layout, StridedLayoutAttr):
            raise VerifyException(f"{type_} has strides: a view of shared memory is row-major")
        wanted = sum(extent == DYNAMIC_INDEX for extent in type_.get_shape())
        if wanted != len(self.extents):
            raise VerifyException(f"{type_} has {wanted} dynamic extents, not {len(self.extents)}")


def shared_type(element: Attribute, extents: Sequence[int]) -> MemRefType[Attribute]:
    """The type of memory of a block."""
    return MemRefType(element, extents, memory_space=SHARED)


@irdl_op_definition
class CopyAsyncOp(IRDLOperation):
    """Starts copying 16 bytes from global to shared memory; writes zeros instead where `condition` is false.

    Both addresses are multiples of 16. Where the condition is false nothing is read, and the source may lie
    outside of its memory. What was copied is there for this thread after `device.wait_copies`, and for
    others after a barrier behind that.
    """

    name = "device.copy_async"
    source = operand_def(MemRefType)
    source_indices = var_operand_def(IndexType)
    target = operand_def(MemRefType)
    target_indices = var_operand_def(IndexType)
    condition = operand_def(i1)
    irdl_options = (AttrSizedOperandSegments(as_property=True),)
    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())
    assembly_format = (
        "$source `[` $source_indices `]` `to` $target `[` $target_indices `]` `if` $condition attr-dict "
        "`:` type($source) `to` type($target)"
    )

    def __init__(
        self,
        source: SSAValue,
        source_indices: Sequence[SSAValue],
        target: SSAValue,
        target_indices: Sequence[SSAValue],
        condition: SSAValue,
    ) -> None:
        super().__init__(operands=[source, source_indices, target, target_indices, condition])

    def verify_(self) -> None:
        """Checks positions, element types and memory spaces."""
        source, target = self.source.type, self.target.type
        assert isinstance(source, MemRefType)
        assert isinstance(target, MemRefType)
        verify_position(source, self.source_indices)
        verify_position(target, self.target_indices)
        verify_shared(target)
        if is_shared(source):
            raise VerifyException("device.copy_async reads global memory, not shared memory")
        element = source.get_element_type()
        if element != target.get_element_type():
            raise VerifyException(f"elements of {source} are none of {target}")
        size = element.size if isinstance(element, FixedBitwidthType) else 0
        if not size or COPY_BYTES % size:
            raise VerifyException(f"16 bytes hold no whole number of {element}")


@irdl_op_definition
class CommitCopiesOp(IRDLOperation):
    """Closes a group: the copies of this thread since the last one."""

    name = "device.commit_copies"
    traits = traits_def(MemoryWriteEffect())
    assembly_format = "attr-dict"


@irdl_op_definition
class WaitCopiesOp(IRDLOperation):
    """Waits until at most the `pending` latest groups of this thread are still being copied."""

    name = "device.wait_copies"
    pending = prop_def(IntegerAttr.constr(i64))
    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())
    assembly_format = "$pending attr-dict"

    def __init__(self, pending: int) -> None:
        super().__init__(properties={"pending": IntegerAttr(pending, i64)})

    def verify_(self) -> None:
        """Checks that the number is one that instructions can hold."""
        if not 0 <= self.pending.value.data < 64:
            raise VerifyException(f"{self.pending.value.data} groups cannot be pending")


@irdl_op_definition
class CompareExchangeOp(IRDLOperation):
    """Stores `desired` where `expected` stands, in one step; gives what stood there before."""

    name = "device.compare_exchange"
    memory = operand_def(MemRefType)
    indices = var_operand_def(IndexType)
    expected = operand_def(IntegerType)
    desired = operand_def(IntegerType)
    old = result_def(IntegerType)
    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())
    assembly_format = (
        "$memory `[` $indices `]` `,` $expected `,` $desired attr-dict "
        "`:` type($memory) `,` type($expected) `,` type($desired) `->` type($old)"
    )

    def __init__(
        self, memory: SSAValue, indices: Sequence[SSAValue], expected: SSAValue, desired: SSAValue
    ) -> None:
        super().__init__(operands=[memory, indices, expected, desired], result_types=[expected.type])

    def verify_(self) -> None:
        """Checks the position, and that all four types are i32 or all i64."""
        verify_position(self.memory.type, self.indices)
        assert isinstance(self.memory.type, MemRefType)
        types = {self.memory.type.get_element_type(), self.expected.type, self.desired.type, self.old.type}
        if types not in ({i32}, {i64}):
            raise VerifyException("device.compare_exchange is for i32 or for i64")
