"""Timing work that may be repeated."""

import time
from collections.abc import Callable, Sequence
from typing import Any

SECONDS = 0.012
"""How long work is repeated, as far as LEAST_TIMES and MOST_TIMES permit."""
LEAST_TIMES, MOST_TIMES = 4, 60
SHORTEST = 20e-6
"""Seconds that are measured at once at least: to read the clock takes part of a microsecond itself."""


def shortest(work: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of the fastest of some repetitions: whatever else goes on on the machine only adds to them.

    `time.thread_time` as the clock leaves out when others had the processor, for work of one thread.
    """
    work()
    start = clock()
    work()
    once = max(clock() - start, 1e-7)
    together = max(1, round(SHORTEST / once))
    times = min(max(round(SECONDS / (once * together)), LEAST_TIMES), MOST_TIMES)
    best = once
    for _ in range(times):
        start = clock()
        for _ in range(together):
            work()
        best = min(best, (clock() - start) / together)
    return best


def quickest_of(
    works: Sequence[Callable[[], Any]], clock: Callable[[], float], seconds: float
) -> list[float]:
    """Seconds of each of several works, done in turns for so many seconds each: what else goes on on the
    machine meets all of them alike. Of a work a quarter of the turns was faster: the fastest of all may owe
    that to a clock that stood still.
    """
    together = []
    for work in works:
        work()
        start = clock()
        work()
        together.append(max(1, round(SHORTEST / max(clock() - start, 1e-7))))
    taken: list[list[float]] = [[] for _ in works]
    end = time.perf_counter() + seconds * len(works)
    while len(taken[0]) < LEAST_TIMES or time.perf_counter() < end:
        for work, times, own in zip(works, together, taken, strict=True):
            start = clock()
            for _ in range(times):
                work()
            own.append((clock() - start) / times)
    return [sorted(own)[len(own) // 4] for own in taken]
