"""How hard one model may be asked: calls in flight, requests and tokens a minute, the highest rank first.

The limits hold for every window of sixty seconds, not only on average, because that is how providers count
them.
"""

import asyncio
from collections import deque
from heapq import heappop, heappush
from itertools import count

from flowc.runtime.providers.base import ModelSettings

WINDOW = 60.0


class Window:
    """At most `limit` units in any sixty seconds; None is no limit."""

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.taken: deque[tuple[float, int]] = deque()
        self.total = 0

    def delay(self, now: float, amount: int) -> float:
        """Seconds until `amount` more may be taken. More than the limit itself waits for an empty window."""
        if self.limit is None:
            return 0.0
        while self.taken and self.taken[0][0] + WINDOW <= now:
            self.total -= self.taken.popleft()[1]
        missing = self.total + min(amount, self.limit) - self.limit
        for time, units in self.taken:
            if missing <= 0:
                break
            missing -= units
            if missing <= 0:
                return time + WINDOW - now
        return 0.0

    def take(self, now: float, amount: int) -> None:
        """Takes `amount`."""
        if self.limit is not None:
            self.taken.append((now, amount))
            self.total += amount


class Gate:
    """The entrance to one model, used on one loop. `clock` is the loop's time."""

    def __init__(self, settings: ModelSettings, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.most = settings.max_in_flight
        self.requests = Window(settings.requests_per_minute)
        self.tokens = Window(settings.tokens_per_minute)
        self.in_flight = 0
        self.waiting: list[tuple[float, int, int, asyncio.Future[None]]] = []
        self.sequence = count().__next__
        self.timer: asyncio.TimerHandle | None = None
        self.free = (self.most, settings.requests_per_minute, settings.tokens_per_minute) == (None,) * 3

    async def enter(self, priority: float, tokens: int) -> None:
        """Waits for a place; the smallest priority comes first, among equals the first to ask."""
        if self.free:
            return
        admitted: asyncio.Future[None] = self.loop.create_future()
        heappush(self.waiting, (priority, self.sequence(), tokens, admitted))
        self._admit()
        try:
            await admitted
        except asyncio.CancelledError:
            if admitted.done() and not admitted.cancelled():
                self.leave()
            raise

    def leave(self) -> None:
        """Gives the place back."""
        if not self.free:
            self.in_flight -= 1
            self._admit()

    def _admit(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        while self.waiting:
            _, _, tokens, admitted = self.waiting[0]
            if admitted.done():
                heappop(self.waiting)
                continue
            if self.most is not None and self.in_flight >= self.most:
                return
            now = self.loop.time()
            delay = max(self.requests.delay(now, 1), self.tokens.delay(now, tokens))
            if delay > 0:
                self.timer = self.loop.call_later(delay, self._admit)
                return
            heappop(self.waiting)
            self.requests.take(now, 1)
            self.tokens.take(now, tokens)
            self.in_flight += 1
            admitted.set_result(None)
