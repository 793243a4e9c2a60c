"""What a run teaches about itself: the times of the tasks that have ended correct what was forecast.

Of each category two estimates are kept: the forecast, moved by the median error of the category in this run
(on a logarithmic scale, and shrunk by n / (n + 1) after n tasks); and the median of the category's times in
this run. Whichever has been nearer to the last tasks speaks. A category without a forecast has the second
alone, and before its first task has ended, the median of all.
"""

import math
from bisect import insort
from collections.abc import Sequence

from attrs import define, field

MEMORY = 0.98
"""How much of an error counts one task later."""
ENOUGH = 3
"""After so many tasks of a category its times in this run are taken to be known."""
UNKNOWN = 1.0
"""Seconds of a task of which nothing at all is known: only their being equal matters."""


@define(eq=False)
class _Category:
    errors: list[float] = field(factory=list)
    times: list[float] = field(factory=list)
    moved_error: float = 0.0
    plain_error: float = 0.0


@define(eq=False)
class RunningTimes:
    """Estimates of the tasks of one run. `forecasts` are in seconds, None where there is none."""

    categories: Sequence[str]
    forecasts: Sequence[float | None]
    seen: dict[str, _Category] = field(factory=dict)
    times: list[float] = field(factory=list)

    def estimate(self, task: int) -> float:
        """The seconds that a task will take, as far as is known now."""
        return math.exp(self._logarithm(task))

    def known(self, task: int) -> bool:
        """Whether there is more than the times of other categories to go by."""
        seen = self.seen.get(self.categories[task])
        return self.forecasts[task] is not None or (seen is not None and len(seen.times) >= ENOUGH)

    def ended(self, task: int, seconds: float) -> int:
        """Takes in how long a task took; gives how many of its category have ended.

        A time of zero or less says nothing.
        """
        seen = self.seen.setdefault(self.categories[task], _Category())
        if not 0 < seconds < math.inf:
            return len(seen.times)
        logarithm = math.log(seconds)
        forecast = self.forecasts[task]
        if seen.times and forecast is not None:
            moved = abs(_moved(forecast, seen) - logarithm)
            plain = abs(_median(seen.times) - logarithm)
            seen.moved_error = MEMORY * seen.moved_error + moved
            seen.plain_error = MEMORY * seen.plain_error + plain
        if forecast is not None:
            insort(seen.errors, logarithm - math.log(forecast))
        insort(seen.times, logarithm)
        insort(self.times, logarithm)
        return len(seen.times)

    def _logarithm(self, task: int) -> float:
        seen, forecast = self.seen.get(self.categories[task], _NOTHING), self.forecasts[task]
        if forecast is None:
            times = seen.times or self.times
            return _median(times) if times else math.log(UNKNOWN)
        if len(seen.times) >= ENOUGH and seen.plain_error < seen.moved_error:
            return _median(seen.times)
        return _moved(forecast, seen)


_NOTHING = _Category()


def _moved(forecast: float, seen: _Category) -> float:
    count = len(seen.errors)
    return math.log(forecast) + (count / (count + 1) * _median(seen.errors) if count else 0.0)


def _median(ordered: Sequence[float]) -> float:
    return ordered[len(ordered) // 2]
