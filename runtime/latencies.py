"""How long calls take: the latest latencies of each operation in this process, and when one is late."""

from bisect import bisect_left, insort
from collections import deque

from attrs import define, field

FEWEST = 20
"""Calls of which nothing is said about what is usual."""
KEPT = 200
"""The latest latencies that count."""
SPARE = 0.05
"""The share of calls that may be asked again by what earlier runs have shown: as many as are late there."""
CLEARLY = 1.1
"""How many times the usual a late call has taken at least: calls that all take as long are not late."""


@define(eq=False)
class Sample:
    """The latest latencies of one operation, in seconds: in the order they came, and sorted; how many calls
    that may be asked again have `begun`, and how many of them were.
    """

    order: deque[float] = field(factory=deque)
    ranked: list[float] = field(factory=list)
    begun: int = 0
    again: int = 0

    def note(self, seconds: float) -> None:
        """Takes in a latency, and lets go of the oldest."""
        insort(self.ranked, seconds)
        self.order.append(seconds)
        if len(self.order) > KEPT:
            del self.ranked[bisect_left(self.ranked, self.order.popleft())]

    def late(self) -> float | None:
        """The 95th percentile, by the nearest rank; None while there are too few."""
        count = len(self.ranked)
        return self.ranked[-(-count * 95 // 100) - 1] if count >= FEWEST else None


@define(eq=False)
class Latencies:
    """The samples by operation and model."""

    samples: dict[tuple[str, str], Sample] = field(factory=dict)

    def note(self, key: tuple[str, str], seconds: float) -> None:
        """Takes in how long a call took."""
        self.of(key).note(seconds)

    def of(self, key: tuple[str, str]) -> Sample:
        """The sample of an operation and a model."""
        return self.samples.setdefault(key, Sample())

    def can_spare(self, key: tuple[str, str]) -> bool:
        """Whether one more call may be asked again before this process knows itself what is late: times of
        earlier runs may be wrong for all calls of this one.
        """
        sample = self.of(key)
        return sample.again < max(1.0, SPARE * sample.begun)

    def late(self, key: tuple[str, str]) -> float | None:
        """Seconds after which a call is later than 95 of 100 were; None where that is not known yet."""
        sample = self.samples.get(key)
        late = None if sample is None else sample.late()
        return None if late is None else late * CLEARLY
