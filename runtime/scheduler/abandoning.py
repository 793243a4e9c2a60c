"""Calls of providers that ignore their cancellation: after a moment of grace they are left to themselves.

A provider may need a moment to let go, to close a connection for instance, and gets it. What goes on after
that does so in a task of its own, and who waited is free: the run ends, and the place in flight is given back
once the call has really ended.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

GRACE = 1.0
"""Seconds that a cancelled call has to end."""

TURNS = 8
"""Parts of that time, in each of which it has its turn."""

T = TypeVar("T")


def is_cancelled(error: BaseException) -> bool:
    """Whether an error is the cancellation of the task that runs, and none that some other code made up."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


class Graceful(Generic[T]):
    """An awaitable that does as its coroutine does, but ends within `GRACE` seconds of being cancelled.

    `abandoned` is told of the task in which a coroutine goes on that did not.
    """

    def __init__(self, work: Coroutine[Any, Any, T], abandoned: Callable[["asyncio.Task[T]"], None]) -> None:
        self.work = work
        self.abandoned = abandoned

    def __await__(self) -> Generator[Any, Any, T]:
        return self._wait()

    def _wait(self) -> Generator[Any, Any, T]:
        steps = self.work.__await__()
        error: BaseException | None = None
        grace: _Grace | None = None
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        before = task.cancelling()
        try:
            while True:
                try:
                    waited = steps.send(None) if error is None else steps.throw(error)
                except StopIteration as ended:
                    value: T = ended.value
                    return value
                error = None
                try:
                    yield waited
                except asyncio.CancelledError as cancelled:
                    if grace is None or task.cancelling() <= before + 1:
                        if grace is not None:
                            grace.end()
                        grace = _Grace(loop, task, before)
                    elif not grace.left:
                        task.uncancel()  # the grace's own: a time limit around this counts the others
                        self.abandoned(_left(loop.create_task(_rest(steps, cancelled))))
                        raise
                    error = cancelled
                except BaseException as failure:
                    error = failure
        finally:
            if grace is not None:
                grace.end()


class _Grace:
    """The time that a cancelled task has to end, in turns of the loop: while others hold that up it does not
    pass. Then the task is cancelled again, unless it has dealt with its cancellation: that of a time limit
    inside it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, task: "asyncio.Task[Any]", before: int) -> None:
        self.loop = loop
        self.task = task
        self.before = before
        self.left = TURNS
        self.timer = loop.call_later(GRACE / TURNS, self._turn)

    def _turn(self) -> None:
        self.left -= 1
        if self.task.cancelling() <= self.before:
            return
        if self.left:
            self.timer = self.loop.call_later(GRACE / TURNS, self._turn)
        else:
            self.task.cancel()

    def end(self) -> None:
        """It has ended, or its grace begins anew."""
        self.timer.cancel()


def _left(task: "asyncio.Task[T]") -> "asyncio.Task[T]":
    """A task that nobody waits for, not even a loop that closes, and that may never end."""
    asyncio.tasks._unregister_task(task)
    setattr(task, COMPLAINS, False)
    return task


COMPLAINS = "_log_destroy_pending"
"""Whether a task says so where it is let go of before its end."""


async def _rest(steps: Generator[Any, Any, T], error: BaseException) -> T:
    """What a coroutine still does, going on where `error` met it."""
    return await _Rest(steps, error)


class _Rest(Generic[T]):
    def __init__(self, steps: Generator[Any, Any, T], error: BaseException) -> None:
        self.steps = steps
        self.error: BaseException | None = error

    def __await__(self) -> Generator[Any, Any, T]:
        while True:
            try:
                error, self.error = self.error, None
                waited = self.steps.send(None) if error is None else self.steps.throw(error)
            except StopIteration as ended:
                value: T = ended.value
                return value
            try:
                yield waited
            except GeneratorExit:  # the loop is closed
                self.steps.close()
                raise
            except BaseException as failure:
                self.error = failure
