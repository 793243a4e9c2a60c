"""Time under control: a loop whose clock jumps to the next timer as soon as nothing else can happen.

Under it a run of hours of simulated latency takes milliseconds, and takes them again exactly. Threads are
real: while one works, the clock stands still and waits for it.
"""

import asyncio
import contextlib
import math
import selectors
from collections.abc import Callable, Iterator
from typing import Any

LOOK = 0.2
"""Real seconds after which a loop whose clock is held looks again whether it still is."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time. `hold` says whether somebody outside the loop still works."""

    _clock_resolution: float

    def __init__(self) -> None:
        self.now = 0.0
        self.holders: list[Callable[[], bool]] = []
        super().__init__(_VirtualSelector(self))

    def time(self) -> float:
        """Virtual seconds."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Lets time pass. Timers are due up to a resolution after now, which floats of years do not have."""
        self.now += seconds
        self._clock_resolution = max(self._clock_resolution, math.ulp(self.now))

    def held(self) -> bool:
        """Whether the clock must stand still."""
        return any(hold() for hold in self.holders)


class _VirtualSelector(selectors.DefaultSelector):
    """Polls for real events; where the loop would wait for a timer, lets the time pass at once."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self.loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, Any]]:
        held = self.loop.held()  # asked before polling: who lets go has posted its news by then
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None:
            return super().select(None)
        if held:  # who works says when that ends; who has worked for too long cannot
            return super().select(LOOK)
        self.loop.advance(timeout)
        return ready


def is_virtual(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether this loop's time is virtual."""
    return isinstance(loop, VirtualLoop)


@contextlib.contextmanager
def clock_held(loop: asyncio.AbstractEventLoop, busy: Callable[[], bool]) -> Iterator[None]:
    """While threads work, as `busy` says, a virtual clock stands still."""
    if not isinstance(loop, VirtualLoop):
        yield
        return
    loop.holders.append(busy)
    try:
        yield
    finally:
        loop.holders.remove(busy)
