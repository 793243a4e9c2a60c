"""Operations that several calls share: who comes first makes the call, the others are told how it ended.

One table serves a run, another all runs of a batch; each is used on one loop. Where an owner is cancelled,
its call is too, and one of those that wait makes it in its place; a `lasting` call, one that costs nothing
to let go on, goes on for whoever asks next. A failure is told as a result is where the table says so, so
that what depends on it fails without repeating it. What has ended is kept up to a number of bytes; what was
asked least recently goes first, and is made again should it be asked again.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from types import TracebackType
from typing import Any

from attrs import Factory, define, frozen

from flowc.runtime.scheduler.blocks import Pace
from flowc.runtime.scheduler.given_up import Body, reach, serve
from flowc.runtime.scheduler.joining import Joining
from flowc.runtime.scheduler.promised import promised
from flowc.runtime.scheduler.threads import start
from flowc.runtime.values import size_of

KEPT_BYTES = 256 << 20
"""How much the results that a table keeps may hold together."""

THREADS = 256
"""How many plain functions run at once for a batch."""

ENTRY_BYTES = 512
"""What an entry needs beside its value."""


@frozen(eq=False)
class Told:
    """How an operation ended, and which run made it."""

    run: str
    value: Any = None
    error: BaseException | None = None
    trace: TracebackType | None = None

    def result(self) -> Any:
        """The value; raises the failure, with the trace of the call that failed and no other."""
        if self.error is not None:
            raise self.error.with_traceback(self.trace)
        return self.value


Ending = asyncio.Future[Told | None]
"""How a call under way ends; None where its owner was cancelled."""


@define(eq=False)
class Shared:
    """The table. `tells_failures` says whether a failure is told and kept; where it is not, who waits makes
    the call in turn. `made` counts the calls that were made, `joined` those that were told instead. Where
    `joining` is None embeddings are not asked for together.
    """

    tells_failures: bool
    limit: int = KEPT_BYTES
    made: int = 0
    joined: int = 0
    kept: int = 0
    under_way: dict[bytes, Ending] = Factory(dict)
    ended: OrderedDict[bytes, tuple[Told, int]] = Factory(OrderedDict)
    written: dict[str, tuple[bytes, int]] = Factory(dict)
    writes: int = 0
    working: int = 0
    tasks: set[asyncio.Task[Told]] = Factory(set)
    joining: Joining | None = Factory(Joining)
    threads: asyncio.Semaphore = Factory(partial(asyncio.Semaphore, THREADS))

    async def tell(
        self,
        key: bytes,
        run: str,
        work: Callable[[], Awaitable[Any]],
        size: Callable[[Any], int] = size_of,
        *,
        lasting: bool = False,
    ) -> tuple[Told, bool]:
        """How the operation of this key ended, and whether this call made it."""
        while True:
            known = self.ended.get(key)
            if known is not None:
                self.ended.move_to_end(key)
                self.joined += 1
                return known[0], False
            ending = self.under_way.get(key)
            if ending is None:
                self.under_way[key] = asyncio.get_running_loop().create_future()
                self.made += 1
                making = self._make(key, run, work, size)
                return await (self._lasting(making) if lasting else making), True
            told = await asyncio.shield(ending)
            if told is not None:
                self.joined += 1
                return told, False

    async def _make(
        self, key: bytes, run: str, work: Callable[[], Awaitable[Any]], size: Callable[[Any], int]
    ) -> Told:
        ending = self.under_way[key]
        try:
            told = Told(run, await work())
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) or not self.tells_failures:
                del self.under_way[key]
                ending.set_result(None)
                raise
            told = Told(run, error=error, trace=error.__traceback__)
        del self.under_way[key]
        self._keep(key, told, ENTRY_BYTES + size(told.value))
        ending.set_result(told)
        return told

    async def _lasting(self, making: Coroutine[Any, Any, Told]) -> Told:
        task = asyncio.create_task(making)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return await asyncio.shield(task)

    async def call(self, function: Callable[[], Any], pace: Pace) -> Any:
        """The result of a plain function: run here where its calls are quick, else on a thread of no run."""

        def timed() -> Any:
            start = time.perf_counter()
            try:
                return function()
            finally:
                pace.note(time.perf_counter() - start)

        if not pace.slow:
            return timed()
        async with self.threads:
            outcome, job = promised(asyncio.get_running_loop(), timed)
            self.working += 1
            outcome.add_done_callback(self._rested)
            body = Body()
            start(partial(serve, body, job))
            try:
                return await outcome
            except asyncio.CancelledError:
                reach(body)
                raise

    def _rested(self, _: object) -> None:
        self.working -= 1

    def busy(self) -> bool:
        """Whether a thread works: a virtual clock stands still for it."""
        return self.working > 0

    async def close(self) -> None:
        """Ends the calls that still go on: nobody will ask."""
        for task in tuple(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def _keep(self, key: bytes, told: Told, size: int) -> None:
        if size <= self.limit:
            self.ended[key] = told, size
            self.kept += size
        while self.kept > self.limit:
            _, (_, freed) = self.ended.popitem(last=False)
            self.kept -= freed

    def stamp(self, resources: tuple[str, ...], key: bytes) -> int:
        """The number of an idempotent write: that of the last write begun on each of these resources where
        that was the same write, since to repeat it changes nothing; a new one otherwise.
        """
        last = {self.written.get(resource, (b"", 0)) for resource in resources}
        if len(last) == 1 and (found := next(iter(last)))[0] == key:
            return found[1]
        self.writes += 1
        self.written.update(dict.fromkeys(resources, (key, self.writes)))
        return self.writes
