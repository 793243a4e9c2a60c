"""Requests of one batch, sent together to the provider's endpoint for many, and answers by their ids.

Requests are gathered until none has come for a moment; what comes later, as a second attempt does, goes into
another round. Nothing is believed of the answers: one that is missing, or there twice and different, fails
its own call alone.
"""

import asyncio
from collections.abc import Sequence
from itertools import count

from attrs import evolve

from flowc.runtime.errors import Problem
from flowc.runtime.providers.base import BatchProvider, ProviderError, Request, Response, Usage
from flowc.runtime.scheduler.abandoning import GRACE, is_cancelled

MOMENT = 0.05
"""Seconds without a further request after which a round is sent."""

Answers = dict[str, Response | ProviderError | None]


class Collector:
    """Stands in a provider's place for the calls of one batch; used on one loop."""

    def __init__(self, provider: BatchProvider, loop: asyncio.AbstractEventLoop) -> None:
        self.provider = provider
        self.loop = loop
        self.waiting: dict[str, tuple[Request, asyncio.Future[Response]]] = {}
        self.timer: asyncio.TimerHandle | None = None
        self.rounds: set[asyncio.Task[None]] = set()
        self.sequence = count().__next__

    async def generate(self, request: Request) -> Response:
        """Answers one prompt, in the same round as others that are asked now."""
        answered: asyncio.Future[Response] = self.loop.create_future()
        self.waiting[f"{self.sequence()}:{request.step}"] = (request, answered)
        if self.timer is not None:
            self.timer.cancel()
        self.timer = self.loop.call_later(MOMENT, self._send)
        return await answered

    def _send(self) -> None:
        self.timer = None
        asked = {id_: each for id_, each in self.waiting.items() if not each[1].done()}
        self.waiting = {}
        if asked:
            task = self.loop.create_task(self._round(asked))
            self.rounds.add(task)
            task.add_done_callback(self.rounds.discard)

    async def _round(self, asked: dict[str, tuple[Request, asyncio.Future[Response]]]) -> None:
        answers: Answers = {}
        failure: ProviderError | None = None
        try:
            given = await self.provider.generate_many({id_: request for id_, (request, _) in asked.items()})
            answers = by_id(given)
        except ProviderError as error:
            failure = error
        except (Exception, asyncio.CancelledError) as error:
            if is_cancelled(error):
                raise
            failure = _unknown_cost(ProviderError(_broken(type(error).__name__)))
        for id_, (request, answered) in asked.items():
            if answered.done():
                continue
            answer = failure or (answers[id_] if id_ in answers else _missing(request))
            if answer is None:
                answered.set_exception(_contradicted(request))
            elif isinstance(answer, Response):
                answered.set_result(_batched(answer))
            else:
                answered.set_exception(answer)

    async def close(self) -> None:
        """Ends what is under way; a provider that goes on after a moment of grace is left to itself."""
        if self.timer is not None:
            self.timer.cancel()
        for task in self.rounds:
            task.cancel()
        if self.rounds:
            await asyncio.wait(self.rounds, timeout=GRACE)


def _batched(answer: Response) -> Response:
    """An answer whose usage says that it came in a batch, if it has a usage that can say so."""
    usage: object = answer.usage  # a provider may give anything
    return evolve(answer, usage=evolve(usage, batched=True)) if isinstance(usage, Usage) else answer


def by_id(given: Sequence[tuple[str, object]]) -> Answers:
    """The answers by their ids; None where two for the same id differ. What is no answer is passed over."""
    found: Answers = {}
    for id_, answer in given:
        if not isinstance(answer, Response | ProviderError):
            continue
        found[id_] = answer if id_ not in found or found[id_] == answer else None
    return found


def _missing(request: Request) -> ProviderError:
    problem = Problem(
        "E0847",
        f"the provider's batch has no answer for `{request.operation}`",
        why=f"the call {request.step} was sent with others, and theirs came back without it",
        help="`@retry(2)` sends it again; `batch = false` in flowc.toml asks one by one",
    )
    return ProviderError(problem)


def _contradicted(request: Request) -> ProviderError:
    problem = Problem(
        "E0848",
        f"the provider's batch has two different answers for `{request.operation}`",
        why=f"nothing tells which one belongs to the call {request.step}",
        help="`@retry(2)` sends it again; `batch = false` in flowc.toml asks one by one",
    )
    return _unknown_cost(ProviderError(problem))


def _broken(error: str) -> Problem:
    return Problem(
        "E0847",
        "the provider's batch gave no answers that could be read",
        why=f"{error} was raised by its endpoint for many requests",
        help="`batch = false` in flowc.toml asks one by one",
    )


def _unknown_cost(error: ProviderError) -> ProviderError:
    error.usage = None
    return error
