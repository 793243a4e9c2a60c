"""What the compiled order of a flow's calls is expected to be worth, as a record: a look at a few places."""

from collections.abc import Mapping, Sequence

from xdsl.ir import Operation

from flowc.dialects.flow.declarations import FuncOp
from flowc.passes.cost.decisions import Alternative, Decision
from flowc.passes.cost.model import CostModel
from flowc.passes.cost.spreads import Called, is_sure, seconds_of
from flowc.passes.framework import line_of

Costs = Mapping[Operation, float]
Followers = Mapping[Operation, Sequence[Operation]]

PLACES = 4
"""How many calls run at once, where nothing says it: the limits stand in flowc.toml."""
MOST = 500
"""Operations of a flow beyond which nothing is worked out."""
LEAST_MS = 1.0
"""Shorter operations wait for no place."""
LEAST_SHARE = 0.01
"""Of the time until all is done: less is no gain that a few assumed places could show."""
AS_THEY_COME = "as they come"


def order_decision(
    function: FuncOp, model: CostModel, costs: Costs, ranks: Costs, follow: Followers, choice: str
) -> Decision | None:
    """The order of the operations of a flow by their ranks, beside that in which they become ready.

    `costs` and `ranks` are milliseconds, `follow` has for each operation, the last first, those that wait for
    it. None where the order is not known to gain: all that is long enough to wait finds a place, or at
    the places assumed the other order would end as soon (Graham's anomalies), which others may turn round.
    """
    long = [op for op, cost in costs.items() if cost >= LEAST_MS]
    if not PLACES < len(long) <= len(costs) <= MOST:
        return None
    name = function.sym_name.data
    plain, ranked = _makespans(name, costs, ranks, follow)
    if plain - ranked <= LEAST_SHARE * plain:
        return None
    called = [seconds_of(op, model) for op in long if isinstance(op, Called)]
    return Decision(
        "order",
        line_of(function),
        choice,
        (Alternative(AS_THEY_COME, plain), Alternative(choice, ranked)),
        plain - ranked,
        bool(called) and is_sure(*called),
        f"`{name}`",
        f"{PLACES} places assumed",
    )


def _makespans(name: str, costs: Costs, ranks: Costs, follow: Followers) -> tuple[float, float]:
    """The milliseconds until all is done: first come, first served, and by rank."""
    from flowc.passes.simulation.cluster import identical
    from flowc.passes.simulation.graph import Task, TaskGraph
    from flowc.passes.simulation.policies import Fixed, fifo
    from flowc.passes.simulation.simulator import simulate

    operations = list(follow)[::-1]
    place = {op: number for number, op in enumerate(operations)}
    parents: list[list[int]] = [[] for _ in operations]
    for op, waiting in follow.items():
        for each in waiting:
            parents[place[each]].append(place[op])
    tasks = (Task(op.name, costs[op] / 1e3, tuple(parents[place[op]])) for op in operations)
    graph, places = TaskGraph(name, tuple(tasks)), identical(PLACES)
    by_rank = Fixed([-ranks[op] for op in operations])
    first, second = (simulate(graph, places, policy).makespan for policy in (fifo(graph), by_rank))
    return 1e3 * first, 1e3 * second
