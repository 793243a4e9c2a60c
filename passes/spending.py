"""What the budgets around an operation have to pay for, as far as that is known before the run.

Work that may turn out to be for nothing (a branch started early, a call asked twice) must not take from a
budget what the program needs later. It cannot, where everything else that draws on the budget is known to
hold its worst case already. That is so where the rest is a number of single calls of models that are made
exactly once, without retries: the runtime counts them as they reserve, and lets the doubtful call draw on the
budget only after the last. Anything else is not known, and then nothing doubtful is tried in the budget.
"""

from collections.abc import Mapping, Sequence

from attrs import define, field, frozen
from xdsl.ir import Block, Operation, Region

from flowc.dialects.agent.calls import EmbedOp, GenerateOp
from flowc.dialects.agent.declarations import DeclarationOp
from flowc.dialects.flow import control
from flowc.dialects.flow.attributes import LimitsAttr
from flowc.dialects.flow.declarations import FuncOp
from flowc.dialects.flow.effects import Effects
from flowc.passes.facts import callee_of

PAID = ("money", "tokens")
COUNTED = ("calls", "memory")


@frozen
class Spending:
    """For each budget around an operation, from the outermost of its flow inwards, how many calls beside the
    doubtful one draw on it; or why that is not known."""

    others: tuple[int, ...] = ()
    unknown: str = ""


@define
class Spendings:
    """What the budgets of a module have to pay for; each thing is found out once."""

    declarations: Mapping[str, DeclarationOp]
    effects: Effects
    leading: dict[Operation, set[Operation]] = field(factory=dict)
    known: dict[tuple[Block | None, Region | None], Spending] = field(factory=dict)

    def around(self, op: Operation, doubtful: Region | None = None) -> Spending:
        """What budgets around `op` pay for beside what is in doubt: a branch of `op`, or its repetition."""
        path = _around(op)
        if not any(_limits(owner).keys() & {*PAID, *COUNTED} for owner in path):
            return Spending()
        key = op.parent_block(), doubtful
        if key not in self.known:
            self.known[key] = self._counted(path, doubtful)
        found = self.known[key]
        if found.others and op in self._leading(path[0]):
            return Spending(unknown="the budget around it pays for later calls too")
        return found

    def _counted(self, path: Sequence[Operation], doubtful: Region | None) -> Spending:
        found: list[int] = []
        for place, owner in enumerate(path):
            limits = _limits(owner)
            if not limits.keys() & {*PAID, *COUNTED}:
                continue
            if counted := [name for name in COUNTED if name in limits]:
                return Spending(unknown=f"a budget of {counted[0]} around it counts what is given up as well")
            if limits.get("retries", 0):
                return Spending(unknown="what is under the budget around it may be tried again")
            counter = _Counter(self.declarations, self.effects, doubtful, frozenset(path[place:]))
            number = counter.region(owner.regions[0])
            if number is None or (doubtful is not None and counter.region(doubtful) != 1):
                return Spending(unknown=NOT_SINGLE)
            found.append(number)
        return Spending(tuple(found))

    def _leading(self, function: Operation) -> set[Operation]:
        if function not in self.leading:
            self.leading[function] = _leading_to_calls(function)
        return self.leading[function]


NOT_SINGLE = "what the budget around it has to pay for is not known to be single calls"


def _leading_to_calls(function: Operation) -> set[Operation]:
    """The operations whose values reach a call of a model, directly or by way of others."""
    found: set[Operation] = set()
    pending: list[Operation] = [op for op in function.walk() if isinstance(op, GenerateOp | EmbedOp)]
    while pending:
        op = pending.pop()
        ends = [block.last_op for region in op.regions for block in region.blocks]
        for value in (*op.operands, *(value for end in ends if end is not None for value in end.operands)):
            owner = value.owner
            if isinstance(owner, Operation) and owner not in found:
                found.add(owner)
                pending.append(owner)
    return found


def _around(op: Operation) -> list[Operation]:
    """The operations around `op`, from its flow inwards, `op` the last."""
    path = [op]
    while (outer := path[-1].parent_op()) is not None and not isinstance(path[-1], FuncOp):
        path.append(outer)
    return path[::-1]


def _limits(op: Operation) -> dict[str, float | int]:
    if isinstance(op, FuncOp | control.LimitOp) and isinstance(op.limits, LimitsAttr):
        return dict(op.limits.data)
    return {}


@frozen
class _Counter:
    """Counts the calls of models that are made exactly once; None where a number is not to be had.

    `path` leads to the operation asked about: of a branch on it, the other branch is not taken.
    """

    declarations: Mapping[str, DeclarationOp]
    effects: Effects
    doubtful: Region | None
    path: frozenset[Operation]

    def region(self, region: Region) -> int | None:
        """How many calls a region makes."""
        total = 0
        for op in region.block.ops:
            number = self._of(op)
            if number is None:
                return None
            total += number
        return total

    def _of(self, op: Operation) -> int | None:
        if isinstance(op, GenerateOp | EmbedOp):
            return self._call(op)
        if isinstance(op, control.IfOp) and op in self.path:
            return self._branch(op)
        if isinstance(op, control.TransactionOp):
            return self.region(op.body)
        if isinstance(op, control.LimitOp) and not _limits(op).get("retries", 0):
            return self.region(op.body)
        return None if op in self.path or self.effects.of(op).llm else 0

    def _branch(self, op: control.IfOp) -> int | None:
        """The branch that leads on, and no other; where the path ends, branches that spend nothing."""
        for region in op.regions:
            if any(inner in self.path for inner in region.block.ops):
                return self.region(region)
        sure = [region for region in op.regions if region is not self.doubtful]
        return None if any(self.effects.of_region(region).llm for region in sure) else 0

    def _call(self, op: GenerateOp | EmbedOp) -> int | None:
        if isinstance(op, EmbedOp):
            return 1
        declaration = self.declarations.get(callee_of(op))
        if declaration is None or declaration.setting.get("cached"):
            return None
        limits = dict(declaration.limits.data) if declaration.limits is not None else {}
        return None if limits.get("retries", 0) else 1
