"""How many calls a server runs at once, from a trace: behind the largest batch calls wait in a queue.

A queue that is served in its order shows in the trace itself. Were at most `batch` calls served at once, a
call would begin when fewer than that of the earlier ones were still under way, and the trace says when each
ended. So for each size the waiting is taken off, the sum is fitted to the rest, and the size is taken whose
server, simulated, comes nearest to what was measured.
"""

from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush

from attrs import evolve

from flowc.runtime.providers.simulated.traces import LEAST_LATENCY, Call

BETTER, LESS = 0.9, 0.01
"""The part of the error of a server without a queue that one with a queue may leave, and how much less it
must be: what explains little more is no reason to believe in it."""

GROWTH = 1.25
"""From one size that is tried to the next."""

BEST = 4
"""How many sizes are looked at more closely."""

Tried = tuple[float, int, tuple[float, ...]]
"""An error, a largest batch, and the figures that come with it."""


def without_queue(calls: Sequence[Call], batch: int) -> list[Call]:
    """The calls, in order of arrival, as a server saw them that runs `batch` at once: they come when they
    begin.
    """
    begun: list[Call] = []
    last: list[float] = []  # the latest `batch` ends of the calls so far
    for call in calls:
        latency = call.latency or 0.0
        start = max(call.arrival, last[0]) if len(last) == batch else call.arrival
        waited = start - call.arrival
        heappush(last, call.arrival + latency)
        if len(last) > batch:
            heappop(last)
        served = max(LEAST_LATENCY, latency - waited)
        first = None if call.first is None else max(0.0, call.first - waited)
        begun.append(evolve(call, arrival=start, latency=served, first=first))
    return begun


def best_batches(
    most: int,
    start: Callable[[int], tuple[float, ...]],
    error: Callable[[int, Sequence[float]], float],
) -> list[Tried]:
    """Sizes below `most` whose figures, given by `start`, leave the least errors, the best first."""

    def tried(batch: int) -> Tried:
        figures = start(batch)
        return error(batch, figures), batch, figures

    sizes = list(_sizes(most))
    found = sorted(map(tried, sizes))
    if found:
        place = sizes.index(found[0][1])
        between = range(sizes[max(0, place - 1)] + 1, (*sizes, most)[place + 1])
        found += map(tried, sorted({*between} - {*sizes}))
    return sorted(found)[:BEST]


def _sizes(most: int) -> Iterator[int]:
    size = 1
    while size < most:
        yield size
        size = max(size + 1, round(size * GROWTH))
