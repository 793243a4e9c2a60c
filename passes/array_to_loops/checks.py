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
from flowc.passes.array_to_loops.builder import Index, Range, whole
from flowc.passes.array_to_loops.elements import Lowering
from flowc.passes.array_to_loops.lifetimes import Result, end_lifetimes

INDEX_RANGE, TOO_MANY, EXTENTS_DIFFER, NOTHING_TO_REDUCE, KEY_RANGE, EDGES = range(2, 8)
DECOMPOSITION, ASSERTION, NEGATIVE_EXTENT, SHARE_RANGE, NEGATIVE_POWER = range(8, 13)
"""Codes of a status."""
NO_MEMORY = 1
"""The status where memory could not be had, which the back end reports itself."""

SITES = 16
CHUNK = 1 << 16
"""Positions that a thread looks at before it gets more."""
POSITION_PICOSECONDS = 200


@frozen
class _Frame:
    """Straight-line code interrupted by a check."""

    block: Block
    condition: SSAValue
    failed: int
    location: LocationAttr


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

    @property
    def asked(self) -> set[str]:
        """The choices of the kernel that its loops depend on, fusion apart."""
        return self._lowering.asked

    def require(self, condition: SSAValue, code: int, op: Operation) -> None:
        """Goes on only where the condition holds."""
        s, status = self._lowering, self.status_of(code, op)
        if s.nested:
            s.b.append(loops.RequireOp(condition, status))
            return
        self._frames.append(_Frame(s.b.block, condition, status, op.location))
        s.b.block = s.top.block = Block()

    def require_room(self, extent: Index, asked: Sequence[Index], code: int, op: Operation) -> None:
        """Goes on only where an axis has some position, or none is asked for: what `require_everywhere` then
        finds out itself, where nothing comes before its answer."""

    def require_everywhere(
        self,
        extents: Sequence[Index],
        holds: Callable[[tuple[SSAValue, ...]], SSAValue],
        code: int,
        op: Operation,
    ) -> None:
        """Goes on only where a condition holds at all positions below `extents`; threads share the work."""
        s, status = self._lowering, self.status_of(code, op)
        rest: Index = 1
        for extent in extents[1:]:
            rest = s.top.mul(rest, extent)
        grain = s.top.max(s.top.quotient(CHUNK, s.top.max(rest, 1)), 1)
        work = s.top.quotient(s.top.mul(s.top.mul(extents[0], rest), POSITION_PICOSECONDS), 1000)

        def chunk(low: SSAValue, high: SSAValue) -> None:
            first = Range(low, high)
            s.b.append(loops.RequireOp(_every(s, [first, *map(whole, extents[1:])], holds), status))

        s.b.parallel(extents[0], grain, work, chunk)

    def status_of(self, code: int, op: Operation) -> int:
        """The status for a code at an operator's source position."""
        if op.location not in self.sites:
            self.sites.append(op.location)
        return code + SITES * self.sites.index(op.location)

    def outcome(self) -> SSAValue:
        """The status where every check that was made on the way has held."""
        return self._lowering.b.insert(arith.ConstantOp(IntegerAttr(0, i64)))

    def finish(self, results: Sequence[Result]) -> SSAValue:
        """Frees what was allocated and closes every check; gives the status of the kernel."""
        s = self._lowering
        status = self.outcome()
        code = [*(frame.block for frame in self._frames), s.b.block]
        outliving = end_lifetimes(s.allocated, code, results)
        while self._frames:
            frame = self._frames.pop()
            s.b.append(scf.YieldOp(status))
            then, otherwise = s.b.block, Block()
            s.b.location = frame.location
            s.b.block = otherwise
            for buffer in outliving[len(self._frames)]:
                s.b.append(memref.DeallocOp.get(buffer))
            s.b.append(scf.YieldOp(s.b.insert(arith.ConstantOp(IntegerAttr(frame.failed, i64)))))
            s.b.block = frame.block
            branch = scf.IfOp(frame.condition, [i64], Region(then), Region(otherwise))
            s.b.append(branch)
            status = branch.results[0]
        return status


def _every(
    s: Lowering, ranges: Sequence[Range], holds: Callable[[tuple[SSAValue, ...]], SSAValue]
) -> SSAValue:
    """Whether a condition holds at all positions of some ranges."""
    start = s.b.constant(1, i1)

    def level(at: tuple[SSAValue, ...], so_far: SSAValue) -> SSAValue:
        if len(at) == len(ranges):
            return s.b.insert(arith.AndIOp(so_far, holds(at)))
        here = ranges[len(at)]
        return s.b.loop(here.low, here.high, (so_far,), lambda i, inner: (level((*at, i), inner[0]),))[0]

    return level((), start)
