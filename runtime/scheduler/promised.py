"""Plain functions on threads, as the loop sees them: a future and the job that settles it."""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

from flowc.runtime.scheduler.given_up import within
from flowc.runtime.scheduler.threads import Job


def promised(loop: asyncio.AbstractEventLoop, function: Callable[[], Any]) -> tuple[asyncio.Future[Any], Job]:
    """What a function will give, and the job to run for that. Who no longer waits is told nothing."""
    outcome: asyncio.Future[Any] = loop.create_future()

    def deliver(value: Any, error: BaseException | None) -> None:
        if outcome.done():
            return
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(value)

    def job() -> None:
        try:
            value = within(function)
        except BaseException as error:
            wrapped = RuntimeError(str(error)) if isinstance(error, StopIteration) else error
            outcome_of = partial(deliver, None, wrapped)
        else:
            outcome_of = partial(deliver, value, None)
        with contextlib.suppress(RuntimeError):  # a body that was given up may outlive the loop
            loop.call_soon_threadsafe(outcome_of)

    return outcome, job
