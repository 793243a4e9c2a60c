"""Timing work that may be repeated."""

import time
from collections.abc import Callable
from typing import Any

SECONDS = 0.012
"""How long work is repeated, as far as LEAST_TIMES and MOST_TIMES permit."""
LEAST_TIMES, MOST_TIMES = 4, 60
SHORTEST = 20e-6
"""Seconds that are measured at once at least: to read the clock takes part of a microsecond itself."""


def shortest(work: Callable[[], Any]) -> float:
    """Seconds of the fastest of some repetitions: whatever else goes on on the machine only adds to them."""
    work()
    start = time.perf_counter()
    work()
    once = max(time.perf_counter() - start, 1e-7)
    together = max(1, round(SHORTEST / once))
    times = min(max(round(SECONDS / (once * together)), LEAST_TIMES), MOST_TIMES)
    best = once
    for _ in range(times):
        start = time.perf_counter()
        for _ in range(together):
            work()
        best = min(best, (time.perf_counter() - start) / together)
    return best
