"""schedule: the upward rank of each operation, the longest path from its start to the end of its block.

Among ready nodes the runtime starts the highest first (Topcuoglu, Hariri, Wu: HEFT, 2002). Ranks count the
milliseconds of the cost model; successors are those by data and those by effects.
"""

from dataclasses import dataclass

from xdsl.dialects.builtin import FloatAttr, ModuleOp, f64
from xdsl.ir import Block, Operation

from flowc.dialects.flow.effects import Effects
from flowc.passes.cost.model import CostModel, cost_model
from flowc.passes.facts import blocks_of_flows, is_terminator
from flowc.passes.framework import FlowPass, Report
from flowc.passes.order import effect_order


def schedule(module: ModuleOp) -> int:
    """Ranks the operations of every flow; gives how many have a rank."""
    model = cost_model(module)
    effects = Effects()
    return sum(_rank(block, model, effects) for block in blocks_of_flows(module))


def _rank(block: Block, model: CostModel, effects: Effects) -> int:
    later: dict[Operation, list[Operation]] = {}
    for op, earlier in effect_order(block, effects).items():
        for each in earlier:
            later.setdefault(each, []).append(op)
    ranks: dict[Operation, float] = {}
    ranked = 0
    for op in reversed(list(block.ops)):
        users = {_enclosing(use.operation, block) for result in op.results for use in result.uses}
        after = max(
            (ranks.get(user, 0.0) for user in (*users, *later.get(op, ())) if user is not None), default=0.0
        )
        cost = model.cost(op)
        ranks[op] = cost + after
        if cost and not is_terminator(op):
            op.attributes["rank"] = FloatAttr(_rounded(ranks[op]), f64)
            op.attributes["cost"] = FloatAttr(_rounded(cost), f64)
            ranked += 1
    return ranked


def _rounded(milliseconds: float) -> float:
    """Six digits: more would pretend to know."""
    return float(f"{milliseconds:.6g}")


def _enclosing(op: Operation, block: Block) -> Operation | None:
    """The operation of the block that holds `op`, at whatever depth."""
    found: Operation | None = op
    while found is not None and found.parent is not block:
        found = found.parent_op()
    return found


@dataclass(frozen=True)
class SchedulePass(FlowPass):
    """Ranks operations by the longest path behind them."""

    name = "schedule"

    def run(self, module: ModuleOp) -> Report:
        """Runs `schedule`."""
        return Report(schedule(module))
