"""Priorities from forecast times, and no more of them than the forecasts are worth.

The key of a task is its upward rank, computed from the median of its forecast and corrected by what has
ended in this run. Three things shrink it towards first come, first served:

- within a category times count in factors of two of its median: forecasts are off by a quarter to a half, and
  an order by smaller differences is one by chance, which loses what the order of the file is worth (tasks of
  one branch stand together there, and the first branches end early);
- ranks are compared in steps of a hundredth of the longest path, and within a step the first to be ready
  begins first: forecasts are not better than that, and a later task must not pass for the noise in them;
- of tasks without forecasts nothing is known before some have ended. With only the share `k` of the work
  known, there are k hundred steps: at none, the order is that of arrival.

Nothing is said about workers: a task begins wherever one is free, since a plan that is fixed beforehand
loses to plain first come, first served as soon as times are not what was forecast.
"""

import math
import statistics
from collections.abc import Sequence

from attrs import define, field

from flowc.passes.cost.running_times import RunningTimes
from flowc.passes.simulation.graph import TaskGraph, upward_ranks

FACTOR = 2.0
"""Tasks of a category count as equal where their times are nearer than the root of this."""
STEPS = 100
"""Into how many steps the longest path is cut where all tasks are known."""
RANKINGS = 256
"""How often ranks are computed anew in a run, at most."""
RANKED = 4_000_000
"""How many ranks that are in all, at most: of 100,000 tasks those of all are computed anew 40 times."""


@define(eq=False)
class Learned:
    """The policy. `forecasts` are medians in seconds, None where there is none."""

    graph: TaskGraph
    forecasts: Sequence[float | None]
    running: RunningTimes = field(init=False)
    seconds: list[float] = field(factory=list)
    members: dict[str, list[int]] = field(factory=dict)
    every: float = field(init=False)
    changed: set[str] = field(factory=set)
    since: int = 0

    def __attrs_post_init__(self) -> None:
        categories = [task.traits.category for task in self.graph.tasks]
        for place, name in enumerate(categories):
            self.members.setdefault(name, []).append(place)
        self.every = len(categories) / min(RANKINGS, max(1, RANKED // max(1, len(categories))))
        self.running = RunningTimes(categories, self.forecasts)
        self.seconds = [0.0] * len(categories)
        for name in self.members:
            self.expect(name)

    def expect(self, category: str) -> None:
        """Takes in what is known now of the tasks of a category, in factors of two of their median."""
        places = self.members[category]
        estimates = [self.running.estimate(place) for place in places]
        usual = statistics.median_high(estimates)
        for place, estimate in zip(places, estimates, strict=True):
            self.seconds[place] = usual * FACTOR ** round(math.log(estimate / usual, FACTOR))

    def keys(self) -> Sequence[float]:
        """Steps of the rank; the highest first."""
        ranks = upward_ranks(self.graph, self.seconds)
        whole = sum(self.seconds)
        known = sum(each for place, each in enumerate(self.seconds) if self.running.known(place))
        steps = STEPS * known / whole / max(ranks) if whole else 0.0
        return [-math.floor(rank * steps) for rank in ranks]

    def ended(self, tasks: Sequence[tuple[int, float]]) -> Sequence[float] | None:
        """Learns; new keys when a category has twice as many times as when it last gave some, and
        enough tasks have ended since.
        """
        self.since += len(tasks)
        for place, seconds in tasks:
            count = self.running.ended(place, seconds)
            if count and not count & (count - 1):
                self.changed.add(self.graph.tasks[place].traits.category)
        if not self.changed or self.since < self.every:
            return None
        for name in self.changed:
            self.expect(name)
        self.changed.clear()
        self.since = 0
        return self.keys()
