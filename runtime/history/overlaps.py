"""Spans of time that overlap: how many there were at once, added up over time."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, pairwise


class Overlaps:
    """The sum over time of a `rate` that depends on how many of some spans there are at once."""

    def __init__(self, spans: Iterable[tuple[float, float]], rate: Callable[[int], float]) -> None:
        changes = sorted([edge for start, end in spans for edge in ((start, 1), (end, -1))])
        self.times = [time for time, _ in changes]
        self.rates = [rate(count) for count in accumulate(change for _, change in changes)]
        steps = ((b - a) * each for (a, b), each in zip(pairwise(self.times), self.rates, strict=False))
        self.totals = [0.0, *accumulate(steps)]

    def until(self, time: float) -> float:
        """The sum until then."""
        at = bisect_right(self.times, time) - 1
        return self.totals[at] + (time - self.times[at]) * self.rates[at] if at >= 0 else 0.0


def shared_out(spans: Sequence[tuple[float, float]]) -> list[float]:
    """How much of the time each span has, where all that there are at once have equal shares of it.

    >>> shared_out([(0.0, 2.0), (1.0, 3.0)])
    [1.5, 1.5]
    """
    shares = Overlaps(spans, lambda count: 1.0 / count if count else 0.0)
    return [shares.until(end) - shares.until(start) for start, end in spans]
