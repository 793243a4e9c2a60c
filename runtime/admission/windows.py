"""Limits a minute, kept in every window of sixty seconds and not only on average, as providers count them."""

from collections import deque

from attrs import define

WINDOW = 60.0


@define(eq=False)
class Taken:
    """What one call took, and when."""

    time: float
    units: int
    counted: bool = True


class Window:
    """At most `limit` units in any sixty seconds; None is no limit."""

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.taken: deque[Taken] = deque()
        self.total = 0

    def delay(self, now: float, amount: int) -> float:
        """Seconds until `amount` more may be taken. More than the limit itself waits for an empty window."""
        if self.limit is None:
            return 0.0
        while self.taken and self.taken[0].time + WINDOW <= now:
            gone = self.taken.popleft()
            gone.counted = False
            self.total -= gone.units
        missing = self.total + min(amount, self.limit) - self.limit
        for each in self.taken:
            if missing <= 0:
                break
            missing -= each.units
            if missing <= 0:
                return each.time + WINDOW - now
        return 0.0

    def take(self, now: float, amount: int) -> Taken | None:
        """Takes `amount`; None where nothing is counted."""
        if self.limit is None:
            return None
        taken = Taken(now, amount)
        self.taken.append(taken)
        self.total += amount
        return taken

    def settle(self, taken: Taken | None, amount: int) -> None:
        """Replaces what a call has taken by what it has really used."""
        if taken is not None and taken.counted:
            self.total += amount - taken.units
            taken.units = amount
