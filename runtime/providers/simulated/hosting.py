"""A simulated server on an event loop: calls await their jobs, a timer stands at the server's next event."""

import asyncio
from collections.abc import Callable

from attrs import define, field

from flowc.runtime.providers.simulated.serving import INFINITE, Job, Server

Heard = Callable[[int], None]


@define(eq=False)
class Host:
    """Drives one server by the clock of the loop that runs. It holds no loop, so that ended ones go."""

    server: Server
    calls: "dict[Job, tuple[asyncio.Future[None], Heard | None]]" = field(factory=dict)
    timer: asyncio.TimerHandle | None = None
    timed: float = INFINITE

    async def serve(self, job: Job, heard: Heard | None = None) -> None:
        """Waits until the job has ended; `heard` is told of its marks. Cancelling it cancels the job."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        self.calls[job] = (ended, heard)
        self.server.submit(loop.time(), job)
        self._set_timer(loop)
        try:
            await ended
        except asyncio.CancelledError:
            self.calls.pop(job, None)
            self.server.cancel(loop.time(), job)
            self._set_timer(loop)
            raise

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        time = self.server.next_event()
        if time == self.timed:
            return
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        self.timed = time
        if time < INFINITE:
            self.timer = loop.call_at(time, self._tick, time)

    def _tick(self, time: float) -> None:
        """The timer went off. Its own time counts: the loop's may be a rounding error before it."""
        loop = asyncio.get_running_loop()
        self.timer, self.timed = None, INFINITE
        now = max(time, loop.time())
        for _, job, tokens in self.server.advance(now):
            call = self.calls.get(job)
            if call is None:
                continue
            ended, heard = call
            if tokens < job.answer:
                if heard is not None:
                    self._tell(now, job, tokens, heard)
                continue
            del self.calls[job]
            if not ended.done():
                ended.set_result(None)
        self._set_timer(loop)

    def _tell(self, now: float, job: Job, tokens: int, heard: Heard) -> None:
        """Tells of a mark. Who fails to take it fails alone: the others' jobs go on."""
        try:
            heard(tokens)
        except Exception as error:
            ended, _ = self.calls.pop(job)
            self.server.cancel(now, job)
            if not ended.done():
                ended.set_exception(error)
