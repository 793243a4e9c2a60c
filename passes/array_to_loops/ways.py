"""What differs between machines when straight-line code is lowered: processors share these walks through a
kernel with devices that launch grids of threads."""

from collections.abc import Callable, Mapping, Sequence

from attrs import frozen
from xdsl.ir import Operation, SSAValue

from flowc.dialects.array import ops
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.checks import Checks
from flowc.passes.array_to_loops.elements import Lowering, Place
from flowc.passes.array_to_loops.groups import Group
from flowc.passes.array_to_loops.stages import Stage

Body = Callable[[tuple[Index, ...]], None]
"""Code at one position."""


@frozen
class Ways:
    """How code for one kind of machine is made.

    `stage` says how an operator that needs storage is computed, `ready` makes stages ready to be grouped;
    `together` computes the stages of a group into the places of those values that are used beyond it, `alone`
    an operator with a form of its own into the memory of each result, `finished_product` a product whose
    elements an operator finishes. `sweep` runs code at all positions below some extents, in any order, and
    `number` stores a number that was computed.
    """

    stage: Callable[[Operation], Stage]
    ready: Callable[[Lowering, Sequence[Stage]], list[Stage]]
    together: Callable[[Lowering, Checks, Group, Mapping[SSAValue, Place]], None]
    alone: Callable[[Lowering, Checks, Operation, Sequence[SSAValue | None]], None]
    finished_product: Callable[[Lowering, ops.ContractOp, Operation, Place], None]
    sweep: Callable[[Lowering, Sequence[Index], Body], None]
    number: Callable[[Lowering, SSAValue, Place], None]


def ways_of(s: Lowering) -> Ways:
    """How code is made for the machine that a kernel is lowered for."""
    assert isinstance(s.ways, Ways)
    return s.ways
