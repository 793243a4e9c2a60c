"""What no schedule can beat: lower bounds of the makespan, on workers that may differ in speed.

With `s` the speed of the fastest worker and `S` that of all together, a path of `p` seconds takes at least
p / s, and an area of `a` seconds at least a / S. Three bounds follow:

- the critical path: the longest path, over s;
- the work: all seconds, over S;
- head, tail and area: take thresholds h and t, and the tasks that no schedule can begin before h and that
  leave at least t to do when they end. All of them run between h and the makespan less t, so their area over
  S, plus h, plus t, is a bound. The greatest over all thresholds counts. It is the bound of Fernandez and
  Bussell (IEEE Transactions on Computers C-22, 1973) for the intervals that begin or end the schedule.

Transfers and failures only add to a makespan, so they are left out.
"""

from collections.abc import Sequence

from attrs import astuple, frozen

from flowc.passes.simulation.cluster import Cluster
from flowc.passes.simulation.graph import TaskGraph, heads, tails

_NOTHING = float("-inf")
_ROUNDING = 1e-9
"""How far, of itself, a bound may be above a makespan because sums are rounded."""


@frozen
class Bounds:
    """Lower bounds of a makespan, in seconds."""

    critical_path: float
    work: float
    head_tail_area: float

    @property
    def best(self) -> float:
        """The greatest."""
        return max(self.critical_path, self.work, self.head_tail_area)


def below(bounds: Bounds, makespan: float) -> Bounds:
    """The bounds, and where one is above a makespan by rounding alone, the makespan.

    >>> below(Bounds(0.6000000000000001, 0.25, 0.7), 0.6)
    Bounds(critical_path=0.6, work=0.25, head_tail_area=0.7)
    """
    return Bounds(
        *(min(each, makespan) if each <= makespan * (1 + _ROUNDING) else each for each in astuple(bounds))
    )


def lower_bounds(graph: TaskGraph, cluster: Cluster) -> Bounds:
    """The bounds of a graph on a cluster."""
    seconds = graph.seconds
    fastest = max(worker.speed for worker in cluster.workers)
    together = sum(worker.speed for worker in cluster.workers)
    before, after = heads(graph, seconds), tails(graph, seconds)
    longest = max((h + p + t for h, p, t in zip(before, seconds, after, strict=True)), default=0.0)
    return Bounds(
        longest / fastest,
        sum(seconds) / together,
        _head_tail_area(
            [value / fastest for value in before],
            [value / fastest for value in after],
            [value / together for value in seconds],
        ),
    )


def _head_tail_area(before: Sequence[float], after: Sequence[float], areas: Sequence[float]) -> float:
    """The greatest h + area + t over all thresholds, in O(n log n).

    Tasks come in from the greatest head down, so that those of the threshold h are there. A tree over the
    tails in ascending order keeps in each node the area below it, and the greatest of t plus the area of the
    tails from t on that lie below it, over the t that have come in.
    """
    places = {tail: place for place, tail in enumerate(sorted(set(after)))}
    size = 1 << max(len(places) - 1, 0).bit_length()
    area, greatest = [0.0] * (2 * size), [_NOTHING] * (2 * size)
    bound = 0.0
    for task in sorted(range(len(areas)), key=before.__getitem__, reverse=True):
        node = size + places[after[task]]
        area[node] += areas[task]
        greatest[node] = after[task] + area[node]
        while node > 1:
            node //= 2
            left, right = 2 * node, 2 * node + 1
            area[node] = area[left] + area[right]
            greatest[node] = max(greatest[right], greatest[left] + area[right])
        bound = max(bound, before[task] + greatest[1])
    return bound
