"""HEFT: Topcuoglu, Hariri and Wu, IEEE Transactions on Parallel and Distributed Systems 13(3), 2002.

Tasks are placed in the order of their upward ranks, each on the worker where it ends first, in the first
gap between placed tasks that is long enough. Ranks count mean times over the workers: the seconds of a task
over the mean of speeds, and what is fetched over the bandwidth times the chance that parent and child stand
on different workers. The plan is made before anything runs, from the true times.
"""

from bisect import bisect_right, insort

from flowc.passes.simulation.cluster import Cluster
from flowc.passes.simulation.graph import TaskGraph
from flowc.passes.simulation.schedule import Placement, Schedule

Gaps = list[tuple[float, float]]
"""The free times of a worker, in order; the last has no end."""


def heft(graph: TaskGraph, cluster: Cluster) -> Schedule:
    """The plan. Workers are taken not to fail."""
    gaps: list[Gaps] = [[(0.0, float("inf"))] for _ in cluster.workers]
    placed: dict[int, Placement] = {}
    ranks = mean_ranks(graph, cluster)
    position = {task: place for place, task in enumerate(graph.order)}
    for task in sorted(graph.order, key=lambda task: (-ranks[task], position[task])):
        best = _best(task, graph, cluster, placed, gaps)
        placed[task] = best
        _take(gaps[best.worker], best)
    order = sorted(placed.values(), key=lambda each: (each.end, each.task))
    return Schedule(tuple(order), order[-1].end if order else 0.0)


def mean_ranks(graph: TaskGraph, cluster: Cluster) -> list[float]:
    """The upward ranks, with what is fetched between a task and its child."""
    workers = len(cluster.workers)
    speed = sum(worker.speed for worker in cluster.workers) / workers
    moved = (1 - 1 / workers) / cluster.bandwidth if cluster.bandwidth is not None else 0.0
    ranks = [0.0] * len(graph.tasks)
    for place in reversed(graph.order):
        own = graph.tasks[place]
        ranks[place] += own.seconds / speed
        sizes = own.fetched or (0,) * len(own.parents)
        for parent, size in zip(own.parents, sizes, strict=True):
            ranks[parent] = max(ranks[parent], ranks[place] + size * moved)
    return ranks


def _best(
    task: int, graph: TaskGraph, cluster: Cluster, placed: dict[int, Placement], gaps: list[Gaps]
) -> Placement:
    """Where and when a task ends first; of equal ends the first worker's."""
    own = graph.tasks[task]
    parents = [placed[parent] for parent in own.parents]
    ready = max((parent.end for parent in parents), default=0.0)
    best: Placement | None = None
    for worker, described in enumerate(cluster.workers):
        taken = own.seconds / described.speed
        if cluster.bandwidth is not None:
            pairs = zip(parents, own.fetched, strict=False)
            taken += sum(size for parent, size in pairs if parent.worker != worker) / cluster.bandwidth
        free = gaps[worker]
        if best is not None and max(ready, free[0][0]) + taken >= best.end:
            continue
        start = _first(free, ready, taken)
        if best is None or start + taken < best.end:
            best = Placement(task, worker, start, start + taken)
        if cluster.uniform and start == ready:
            break
    assert best is not None
    return best


def _first(gaps: Gaps, ready: float, taken: float) -> float:
    """The first moment from `ready` on at which a worker is free for so long."""
    place = max(bisect_right(gaps, (ready, float("inf"))) - 1, 0)
    for begin, end in gaps[place:]:
        start = max(begin, ready)
        if start + taken <= end:
            return start
    raise AssertionError("the last gap has no end")


def _take(gaps: Gaps, placed: Placement) -> None:
    """Takes the time of a placement out of a gap."""
    if placed.start == placed.end:
        return
    place = bisect_right(gaps, (placed.start, float("inf"))) - 1
    begin, end = gaps.pop(place)
    for gap in ((begin, placed.start), (placed.end, end)):
        if gap[0] < gap[1]:
            insort(gaps, gap)
