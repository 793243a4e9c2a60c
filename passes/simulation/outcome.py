"""One simulation with what it is judged by: a lower bound, and first come, first served beside it."""

from collections.abc import Sequence

from attrs import frozen

from flowc.passes.simulation.bounds import Bounds, below, lower_bounds
from flowc.passes.simulation.cluster import Cluster, identical
from flowc.passes.simulation.graph import TaskGraph
from flowc.passes.simulation.heft import heft, mean_ranks
from flowc.passes.simulation.learned import Learned
from flowc.passes.simulation.oracle import oracle
from flowc.passes.simulation.policies import Fixed, PolicyName, by_chance, fifo
from flowc.passes.simulation.schedule import Schedule, utilisation
from flowc.passes.simulation.simulator import simulate


@frozen
class Outcome:
    """A schedule, the same tasks first come, first served, and the bounds; times are in seconds."""

    graph: TaskGraph
    cluster: Cluster
    schedule: Schedule
    fifo: Schedule
    bounds: Bounds

    @property
    def ratio(self) -> float:
        """The makespan over the best lower bound; 1 where both are zero."""
        return self.schedule.makespan / self.bounds.best if self.bounds.best else 1.0

    @property
    def utilisation(self) -> float:
        """The share of the workers' time that was used."""
        return utilisation(self.schedule, self.graph, self.cluster)


def as_it_ran(graph: TaskGraph, schedule: Schedule) -> Outcome:
    """A schedule that a run has made, on as many identical workers as it used at once."""
    cluster = identical(1 + max((placed.worker for placed in schedule.placements), default=0))
    bounds = below(lower_bounds(graph, cluster), schedule.makespan)
    return Outcome(graph, cluster, schedule, schedule, bounds)


def outcome(
    graph: TaskGraph,
    cluster: Cluster,
    policy: PolicyName,
    seed: int = 0,
    forecasts: Sequence[float | None] = (),
) -> Outcome:
    """Simulates a graph. `forecasts` are for `learned`: seconds of each task, None where there is none."""
    first = simulate(graph, cluster, fifo(graph), seed)
    match policy:
        case "fifo":
            schedule = first
        case "random":
            schedule = simulate(graph, cluster, by_chance(graph, seed), seed)
        case "learned":
            expected = forecasts or [None] * len(graph.tasks)
            schedule = simulate(graph, cluster, Learned(graph, expected), seed)
        case "heft":
            plan = heft(graph, cluster)
            if cluster.fails:  # the plan breaks with the first failure; what stays of it is its order
                plan = simulate(graph, cluster, Fixed(plan.starts(len(graph.tasks))), seed)
            ranks = Fixed([-rank for rank in mean_ranks(graph, cluster)])
            schedule = min(plan, simulate(graph, cluster, ranks, seed), key=lambda each: each.makespan)
        case "oracle":
            schedule = oracle(graph, cluster, seed)
    bounds = below(lower_bounds(graph, cluster), schedule.makespan)
    return Outcome(graph, cluster, schedule, first, bounds)
