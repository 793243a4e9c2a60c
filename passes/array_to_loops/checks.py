"""What can go wrong only at run time, and how a kernel stops when it does.

A check opens an `scf.if`: the rest of the kernel stands in its then-branch, the else-branch yields a status.
So nothing after a failed check runs, and the code stays structured. Within the loops of the kernel itself a
check leaves the function instead (`loops.require`). A status is `code + 16 * site`; site
numbers the source positions of a kernel, which its signature lists.
"""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.dialects import arith, memref, scf
from xdsl.dialects.builtin import IntegerAttr, LocationAttr, i1, i64
from xdsl.ir import Block, Operation, Region, SSAValue

from flowc.dialects import loops
from flowc.passes.array_to_loops.elements import Lowering

INDEX_RANGE, TOO_MANY, EXTENTS_DIFFER, NOTHING_TO_REDUCE, KEY_RANGE, EDGES = 2, 3, 4, 5, 6, 7
"""Codes of a status; 1 is memory that could not be had, which the back end reports itself."""

SITES = 16


@frozen
class _Frame:
    """Straight-line code interrupted by a check."""

    block: Block
    condition: SSAValue
    failed: int
    location: LocationAttr
    allocated: list[SSAValue]


class Checks:
    """The open checks of one kernel, innermost last."""

    def __init__(self, lowering: Lowering) -> None:
        self._lowering = lowering
        self._frames: list[_Frame] = []
        self.sites: list[LocationAttr] = []

    @property
    def groups(self) -> Sequence[tuple[Operation, ...]]:
        """The operators of the kernel by the loops that compute them, in order."""
        return self._lowering.groups

    def require(self, condition: SSAValue, code: int, op: Operation) -> None:
        """Goes on only where the condition holds."""
        s = self._lowering
        if op.location not in self.sites:
            self.sites.append(op.location)
        status = code + SITES * self.sites.index(op.location)
        if s.nested:
            s.b.append(loops.RequireOp(condition, status))
            return
        self._frames.append(_Frame(s.b.block, condition, status, op.location, s.allocated))
        s.allocated = []
        s.b.block = s.top.block = Block()

    def finish(self) -> SSAValue:
        """Frees what was allocated and closes every check; gives the status of the kernel."""
        s = self._lowering
        status = s.b.insert(arith.ConstantOp(IntegerAttr(0, i64)))
        self._free()
        while self._frames:
            frame = self._frames.pop()
            s.b.append(scf.YieldOp(status))
            then, otherwise = s.b.block, Block()
            s.b.location = frame.location
            s.b.block = otherwise
            s.b.append(scf.YieldOp(s.b.insert(arith.ConstantOp(IntegerAttr(frame.failed, i64)))))
            s.b.block = frame.block
            branch = scf.IfOp(frame.condition, [i64], Region(then), Region(otherwise))
            s.b.append(branch)
            status = branch.results[0]
            s.allocated = frame.allocated
            self._free()
        return status

    def _free(self) -> None:
        for buffer in reversed(self._lowering.allocated):
            self._lowering.b.append(memref.DeallocOp.get(buffer))


def every(
    s: Lowering, extents: Sequence[int | SSAValue], holds: Callable[[tuple[SSAValue, ...]], SSAValue]
) -> SSAValue:
    """Whether a condition holds at all positions below `extents`."""
    start = s.b.constant(1, i1)

    def level(at: tuple[SSAValue, ...], so_far: SSAValue) -> SSAValue:
        if len(at) == len(extents):
            return s.b.insert(arith.AndIOp(so_far, holds(at)))
        return s.b.loop(0, extents[len(at)], (so_far,), lambda i, inner: (level((*at, i), inner[0]),))[0]

    return level((), start)
