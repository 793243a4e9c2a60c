"""schedule: the upward rank of each operation, the longest path from its start to the end of its block.

Among ready nodes the runtime starts the highest first (Topcuoglu, Hariri, Wu: HEFT, 2002). Ranks count the
milliseconds of the cost model, those of calls seldom seen drawn towards the usual (`cost/caution.py`);
successors are those by data and those by effects.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xdsl.dialects.builtin import FloatAttr, ModuleOp, f64
from xdsl.ir import Block, Operation

from flowc.dialects.flow.effects import Effects
from flowc.passes.cost.caution import ranking_costs
from flowc.passes.cost.model import LONGEST_MS, cost_model
from flowc.passes.facts import blocks_inside, flows_of, is_terminator
from flowc.passes.framework import Findings, FlowPass, OptionProblem, Report
from flowc.passes.order import effect_order
from flowc.passes.order_decision import Costs, Followers, order_decision

PATH, WORK, ARRIVAL = "path", "work", "arrival"
ORDERS = (PATH, WORK, ARRIVAL)
"""What goes first: the longest path behind an operation, the most work behind it, or what is ready first."""

FIRST: Mapping[str, str] = {PATH: "longest path first", WORK: "most work first"}

LARGEST = 2000
"""Operations of a block of which the work behind each is summed up; larger ones take the longest path."""


def schedule(module: ModuleOp, order: str = PATH) -> Report:
    """Ranks the operations of every flow; says how many have a rank, and what the order is worth."""
    model, effects, findings = cost_model(module), Effects(), Findings("schedule")
    ranking = ranking_costs(module, model)
    for function in flows_of(module).values():
        for block in blocks_inside(function):
            follow = _followers(block, effects)
            costs = {op: model.cost(op) for op in follow}
            weights = costs if ranking is model else {op: ranking.cost(op) for op in follow}
            ranks = _ranks(follow, weights, order)
            findings.fired += _write(ranks, costs)
            if block is function.body.block and order != ARRIVAL:
                decision = order_decision(function, model, costs, ranks, follow, FIRST[order])
                findings.decisions.extend(() if decision is None else (decision,))
    return findings.report()


def _followers(block: Block, effects: Effects) -> Followers:
    """For each operation of a block, the last first, those that wait for it."""
    later: dict[Operation, list[Operation]] = {}
    for op, earlier in effect_order(block, effects).items():
        for each in earlier:
            later.setdefault(each, []).append(op)
    found: dict[Operation, Sequence[Operation]] = {}
    for op in reversed(list(block.ops)):
        users = {_enclosing(use.operation, block) for result in op.results for use in result.uses}
        found[op] = [user for user in (*users, *later.get(op, ())) if user is not None]
    return found


def _ranks(follow: Followers, costs: Costs, order: str) -> dict[Operation, float]:
    """What goes first: the operation with the highest rank, in milliseconds."""
    if order == ARRIVAL:
        return dict.fromkeys(follow, 0.0)
    ranks: dict[Operation, float] = {}
    if order == PATH or len(follow) > LARGEST:
        for op, waiting in follow.items():
            ranks[op] = costs[op] + max((ranks.get(each, 0.0) for each in waiting), default=0.0)
        return ranks
    behind: dict[Operation, set[Operation]] = {}
    for op, waiting in follow.items():
        behind[op] = {op}.union(*(behind.get(each, ()) for each in waiting))
        ranks[op] = math.fsum(map(costs.__getitem__, behind[op]))  # exact, so that no order of sets shows
    return ranks


def _write(ranks: Costs, costs: Costs) -> int:
    """Puts ranks and costs on operations; gives on how many."""
    written = 0
    for op, rank in ranks.items():
        if (cost := costs[op]) and not is_terminator(op):
            op.attributes["rank"] = FloatAttr(_rounded(rank), f64)
            op.attributes["cost"] = FloatAttr(_rounded(cost), f64)
            written += 1
    return written


def _rounded(milliseconds: float) -> float:
    """Six digits: more would pretend to know."""
    return float(f"{min(LONGEST_MS, milliseconds):.6g}")


def _enclosing(op: Operation, block: Block) -> Operation | None:
    """The operation of the block that holds `op`, at whatever depth."""
    found: Operation | None = op
    while found is not None and found.parent is not block:
        found = found.parent_op()
    return found


@dataclass(frozen=True)
class SchedulePass(FlowPass):
    """Ranks operations by the longest path behind them; by all the work there with `order` of "work", and not
    at all with "arrival".
    """

    name = "schedule"
    order: str = PATH

    def __post_init__(self) -> None:
        if self.order not in ORDERS:
            raise OptionProblem(f"the order is one of {', '.join(ORDERS)}, not {self.order!r:.40}")

    def run(self, module: ModuleOp) -> Report:
        """Runs `schedule`."""
        return schedule(module, self.order)
