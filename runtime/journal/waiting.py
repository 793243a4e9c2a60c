"""Futures of event loops that wait for records to be written."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from attrs import frozen

from flowc.runtime.errors import FlowError, Problem


@frozen(eq=False)
class Waiting:
    """A future that waits for a position, and perhaps for that to be synced."""

    position: int
    sync: bool
    future: asyncio.Future[None]


def settle(waiting: Iterable[Waiting], problem: Problem | None) -> None:
    """Ends the futures, those of a loop with one call."""
    loops: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for each in waiting:
        loops.setdefault(each.future.get_loop(), []).append(each.future)
    for loop, futures in loops.items():
        with suppress(RuntimeError):  # a loop that is closed
            loop.call_soon_threadsafe(_end, futures, problem)


def _end(futures: list[asyncio.Future[None]], problem: Problem | None) -> None:
    for future in futures:
        if future.done():  # given up meanwhile
            continue
        if problem is None:
            future.set_result(None)
        else:
            future.set_exception(FlowError(problem))
