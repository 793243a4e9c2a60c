"""What lies inside operations, and when those of a block are expected to end: what speculate decides by."""

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation, Region, SSAValue

from flowc.dialects.flow.control import IfOp, LimitOp
from flowc.dialects.flow.declarations import CallOp, FuncOp
from flowc.dialects.flow.effects import Effects, Summary
from flowc.passes.cost.model import CostModel
from flowc.passes.facts import DISPATCHED, callee_of, flows_of
from flowc.passes.framework import line_of
from flowc.passes.order import effect_order, is_guarded

ANY, UNKNOWN = "*", "?"
"""Beside the names of resources: whatever is written, and what may be anything."""


class Inside:
    """What lies inside operations, found out once for each: branches nest deep where flows return early."""

    def __init__(self) -> None:
        self._reads: dict[Operation, tuple[SSAValue, ...]] = {}
        self._lines: dict[Operation, frozenset[int]] = {}

    def reads(self, op: Operation) -> tuple[SSAValue, ...]:
        """The values an operation reads from outside, those that its regions read too."""
        if not op.regions:
            return tuple(op.operands)
        if op not in self._reads:
            found = dict.fromkeys(op.operands)
            for region in op.regions:
                made = made_in(region)
                read = (value for inner in region.block.ops for value in self.reads(inner))
                found.update((value, None) for value in read if value not in made)
            self._reads[op] = tuple(found)
        return self._reads[op]

    def forget(self, op: Operation) -> None:
        """Forgets the operands of an operation, which has got others."""
        self._reads.pop(op, None)

    def lines(self, op: Operation) -> frozenset[int]:
        """The lines of the calls that an operation is, or holds."""
        if op not in self._lines:
            inner = (self.lines(each) for region in op.regions for each in region.block.ops)
            own = frozenset((line_of(op),) if isinstance(op, DISPATCHED) else ())
            self._lines[op] = own.union(*inner)
        return self._lines[op]


class Deadlines:
    """Which operations hold a block or a flow with a time limit. Its time would run from the early start."""

    def __init__(self, module: ModuleOp) -> None:
        self._flows = flows_of(module)
        self._known: dict[Operation, bool] = {}

    def inside(self, op: Operation) -> bool:
        """Whether there is one in an operation, or in what it calls."""
        if not op.regions and not isinstance(op, CallOp):
            return False
        if op not in self._known:
            self._known[op] = False  # what calls itself is refused by the checker
            self._known[op] = self._found(op)
        return self._known[op]

    def _found(self, op: Operation) -> bool:
        if isinstance(op, CallOp):
            callee = self._flows.get(callee_of(op))
            return callee is not None and self.inside(callee)
        limits = op.limits if isinstance(op, LimitOp | FuncOp) else None
        if limits is not None and "timeout" in dict(limits.data):
            return True
        return any(self.inside(inner) for region in op.regions for inner in region.block.ops)


def made_in(region: Region) -> set[SSAValue]:
    """The values that the operations of a region give, and its arguments."""
    return {*region.block.args, *(result for op in region.block.ops for result in op.results)}


class Times:
    """When the operations of a block are expected to end, in milliseconds from its start."""

    def __init__(self, block: Block, inside: Inside, effects: Effects, costs: CostModel) -> None:
        self.ends: dict[Operation, float] = {}
        self.guarded = is_guarded(block)
        self.written: dict[Operation, dict[str, float]] = {}
        written: dict[str, float] = {}
        for op, earlier in effect_order(block, effects).items():
            ready = max(
                (*map(self.of, inside.reads(op)), *(self.ends[each] for each in earlier)), default=0.0
            )
            end = self.ends[op] = ready + costs.cost(op)
            if isinstance(op, IfOp):
                self.written[op] = dict(written)
            summary = effects.of(op)
            if not summary.commutes_with_itself:
                for resource in (
                    *summary.writes,
                    ANY,
                    *((UNKNOWN,) if summary.unknown or summary.sleep else ()),
                ):
                    written[resource] = max(end, written.get(resource, 0.0))

    def of(self, value: SSAValue) -> float:
        """When a value is there; values from outside the block are from the start."""
        owner = value.owner
        return self.ends.get(owner, 0.0) if isinstance(owner, Operation) else 0.0

    def last_write(self, summary: Summary, before: IfOp) -> float:
        """When the last write before a branch ends that what `summary` does has to wait for."""
        waits = {*summary.reads, UNKNOWN, *((ANY,) if self.guarded and not summary.pure else ())}
        written = self.written[before]
        return max((written.get(resource, 0.0) for resource in waits), default=0.0)
