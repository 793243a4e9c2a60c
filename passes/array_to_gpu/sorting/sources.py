"""What is known of numbers before they are put in order."""

from xdsl.dialects.builtin import BFloat16Type, Float16Type
from xdsl.ir import Operation, SSAValue

from flowc.dialects.array import ops
from flowc.passes.array_to_gpu.launch import sweep
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_gpu.sorting.items import MOST_POSITIONS
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.checks import NO_MEMORY, Checks


def memory_of(s: DeviceLowering, value: SSAValue) -> SSAValue | None:
    """The memory that the elements of a value are read from as they are; None where they are computed."""
    while not s.stored(value):
        if not isinstance(value.owner, Operation) or not ops.is_view(value.owner):
            return None
        value = value.owner.operands[0]
    return s.buffers.get(value)


def is_rounded(s: DeviceLowering, value: SSAValue) -> bool:
    """Whether the elements of a value have been rounded to a half format: they lie in memory of that type."""
    memory = memory_of(s, value)
    return memory is not None and isinstance(scalars.element_type(memory), Float16Type | BFloat16Type)


def keep(s: DeviceLowering, value: SSAValue) -> None:
    """Computes the elements of a value into memory, unless they lie there."""
    if memory_of(s, value) is None:
        place = s.temporary(value)
        sweep(s, s.sizes(value), lambda at: s.store(s.element(value, at), place, at))
        s.settle(value, place)


def require_countable(s: DeviceLowering, checks: Checks, length: Index, op: Operation) -> None:
    """Goes on only where lines are short enough for positions of 31 bits; no device has memory for longer
    ones."""
    if isinstance(length, SSAValue) and not s.narrow:
        checks.require(s.b.compare("sle", length, s.b.index(MOST_POSITIONS)), NO_MEMORY, op)
