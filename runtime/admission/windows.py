"""Limits a minute, kept in every window of sixty seconds and not only on average, as providers count them."""

from collections import deque

from attrs import define, field

WINDOW = 60.0


@define(eq=False)
class Taken:
    """What one call took, and when."""

    time: float
    units: int
    counted: bool = True


@define(eq=False)
class Account:
    """What calls have taken and that still counts, in the order in which it was taken."""

    taken: deque[Taken] = field(factory=deque, init=False)
    total: int = field(default=0, init=False)

    def add(self, now: float, amount: int) -> Taken:
        """Counts `amount` from now on."""
        taken = Taken(now, amount)
        self.taken.append(taken)
        self.total += amount
        return taken

    def settle(self, taken: Taken | None, amount: int) -> None:
        """Replaces what a call has taken by what it has really used."""
        if taken is not None and taken.counted:
            self.total += amount - taken.units
            taken.units = amount

    def drop(self) -> Taken:
        """Counts the oldest no more."""
        gone = self.taken.popleft()
        gone.counted = False
        self.total -= gone.units
        return gone


@define(eq=False)
class Window(Account):
    """At most `limit` units in any sixty seconds; None is no limit."""

    limit: int | None

    def delay(self, now: float, amount: int) -> float:
        """Seconds until `amount` more may be taken. More than the limit itself waits for an empty window."""
        if self.limit is None:
            return 0.0
        while self.taken and self.taken[0].time + WINDOW <= now:
            self.drop()
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
        return None if self.limit is None else self.add(now, amount)
