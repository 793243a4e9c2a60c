"""The best schedule that is found knowing all times: what perfect forecasts could gain.

No polynomial algorithm finds the optimum (the problem is NP-hard), so this is a search on the simulator: the
plan of HEFT and list schedules by several ranks, the best of them improved by forward and backward passes
(Li and Willis, European Journal of Operational Research 56, 1992; "justification" in Valls, Ballestin and
Quintanilla, EJOR 165, 2005), then the same from ranks with noise, until a lower bound is met or the budget
is spent.
"""

import random
from collections.abc import Iterator, Sequence

from attrs import frozen

from flowc.passes.simulation.bounds import lower_bounds
from flowc.passes.simulation.cluster import Cluster
from flowc.passes.simulation.graph import TaskGraph, reversed_graph, tails, upward_ranks
from flowc.passes.simulation.heft import heft
from flowc.passes.simulation.policies import Fixed, fifo
from flowc.passes.simulation.schedule import Schedule
from flowc.passes.simulation.simulator import simulate
from flowc.runtime.randomness import seed_of

TASKS = 30_000
"""The budget: how many tasks are simulated in all, beside the first schedules."""
PASSES = 6
"""Forward and backward passes from one schedule, at most."""
ROUNDS = 40
"""Starts with noise, at most."""
_MET = 1 + 1e-9


@frozen
class _Problem:
    graph: TaskGraph
    backward: TaskGraph
    cluster: Cluster
    seed: int


def oracle(graph: TaskGraph, cluster: Cluster, seed: int = 0) -> Schedule:
    """The best schedule found. `seed` decides the noise, and when workers fail."""
    problem = _Problem(graph, reversed_graph(graph), cluster, seed)
    bound = lower_bounds(graph, cluster).best * _MET
    planned = heft(graph, cluster)
    first = [_run(problem, keys) for keys in _orders(graph)]
    if cluster.fails:  # a plan does not know of failures; its starts are an order like others
        first.append(_run(problem, planned.starts(len(graph.tasks))))
    else:
        first.append(planned)
    best = min(first, key=lambda each: each.makespan)
    spent = 0
    chance = random.Random(seed_of("oracle", seed))
    starts = _with_noise(problem, chance)
    candidate = best
    while best.makespan > bound and spent < TASKS:
        for better in _improved(problem, candidate):
            spent += 2 * len(graph.tasks)
            if better.makespan < best.makespan:
                best = better
            if best.makespan <= bound or spent >= TASKS:
                break
        following = next(starts, None)
        if following is None:
            break
        spent += len(graph.tasks)
        candidate = following
        best = min(best, candidate, key=lambda each: each.makespan)
    return best


def _run(problem: _Problem, keys: Sequence[float]) -> Schedule:
    return simulate(problem.graph, problem.cluster, Fixed(keys), problem.seed)


def _orders(graph: TaskGraph) -> Iterator[Sequence[float]]:
    """Several orders that are good for some graphs."""
    seconds = graph.seconds
    ranks = upward_ranks(graph, seconds)
    after = tails(graph, seconds)
    yield fifo(graph).values
    yield [-rank for rank in ranks]
    yield [-tail for tail in after]
    yield [-each for each in seconds]
    yield [-(rank + own) for rank, own in zip(ranks, seconds, strict=True)]


def _improved(problem: _Problem, schedule: Schedule) -> Iterator[Schedule]:
    """Schedules that a backward pass by the ends of one, and a forward pass by the starts of that, give."""
    tasks = len(problem.graph.tasks)
    for _ in range(PASSES):
        ends = [0.0] * tasks
        for placed in schedule.placements:
            ends[placed.task] = placed.end
        backward = simulate(problem.backward, problem.cluster, Fixed([-end for end in ends]), problem.seed)
        for placed in backward.placements:
            ends[placed.task] = placed.end
        following = _run(problem, [-end for end in ends])
        yield following
        if following.makespan >= schedule.makespan:
            return
        schedule = following


def _with_noise(problem: _Problem, chance: random.Random) -> Iterator[Schedule]:
    """List schedules by ranks of times that are off by up to a third."""
    for _ in range(ROUNDS):
        seconds = [task.seconds * chance.uniform(0.75, 1.33) for task in problem.graph.tasks]
        yield _run(problem, [-rank for rank in upward_ranks(problem.graph, seconds)])
