"""Tasks that end together: where one fails the others are cancelled, in their order.

A `TaskGroup` cancels in the order of its set, which is another one in each process, and a run in virtual time
is to be the same again.
"""

import asyncio
from collections.abc import Sequence
from typing import Any


async def all_of(tasks: Sequence["asyncio.Task[Any]"]) -> None:
    """Waits for all; raises what failed first. Whatever happens, none of them goes on behind it."""
    failures: list[BaseException] = []
    stopped: asyncio.CancelledError | None = None

    def ended(task: "asyncio.Task[Any]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            failures.append(error)

    for task in tasks:
        task.add_done_callback(ended)
    try:
        if tasks:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    except asyncio.CancelledError as error:
        stopped = error
    for task in tasks:
        task.cancel()
    while left := [task for task in tasks if not task.done()]:
        try:
            await asyncio.wait(left)
        except asyncio.CancelledError as error:
            stopped = error
    if failures:
        raise failures[0]
    if stopped is not None:
        raise stopped
