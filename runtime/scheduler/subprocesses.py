"""Processes that coroutine tools start through asyncio end with the call that did, where it is cancelled.

A loop runs the coroutines of many calls on one thread, so the system cannot say which of them started a
process. The loop can: its two methods that start one note it for the call in whose context they run, which
tasks that the call starts inherit.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import wraps
from typing import Any, TypeVar

from flowc.runtime.scheduler.abandoning import GRACE
from flowc.runtime.scheduler.given_up import end_processes

PATIENCE = 0.75 * GRACE
"""Seconds after which processes end by force: before whoever waits for the call no longer does."""

LOOK = 0.01
"""Seconds between two looks whether a process has ended."""

T = TypeVar("T")
Transports = list[asyncio.SubprocessTransport]

_started: ContextVar[Transports | None] = ContextVar("flowc_started", default=None)
_MARK = "_flowc_notes_processes"


async def with_processes(call: Callable[[], Awaitable[T]]) -> T:
    """What a coroutine function gives. Where it is cancelled, this ends when its processes have."""
    _note_processes(asyncio.get_running_loop())
    started: Transports = []
    _started.set(started)
    try:
        return await call()
    except asyncio.CancelledError:
        await _end(started)
        raise
    except GeneratorExit:  # the loop is closed
        for transport in started:
            transport.close()
        raise


async def _end(started: Transports) -> None:
    running = [transport for transport in started if transport.get_returncode() is None]
    processes = frozenset(found for each in running if (found := each.get_pid()) is not None)
    end_processes(processes, PATIENCE)
    while any(transport.get_returncode() is None for transport in running):
        await asyncio.sleep(LOOK)
    for transport in running:
        transport.close()


def _note_processes(loop: asyncio.AbstractEventLoop) -> None:
    """Has a loop note which call starts a process, from now on."""
    if getattr(loop, _MARK, False):
        return
    try:
        for name in ("subprocess_exec", "subprocess_shell"):
            setattr(loop, name, _noting(getattr(loop, name)))
        setattr(loop, _MARK, True)
    except AttributeError:  # a loop that lets nobody change it
        return


def _noting(start: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(start)
    async def noting(*arguments: Any, **named: Any) -> Any:
        transport, protocol = await start(*arguments, **named)
        started = _started.get()
        if started is not None:
            started.append(transport)
        return transport, protocol

    return noting
