"""Embeddings that several runs of a batch ask for at the same moment, as one request.

What is joined depends on nothing but the texts, so each run is given the vectors that it would have been
given alone. It pays for its own texts. Where a joint request fails, each asks alone: what is wrong with one
text, or with so many at once, must not fail the runs of the others. Nor does a joint request go beyond a
limit a minute that each of them kept.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any

from attrs import Factory, define, evolve

from flowc.runtime.providers.base import (
    Embedding,
    EmbedRequest,
    ModelSettings,
    ProviderError,
    Usage,
    byte_bound,
)
from flowc.runtime.scheduler.counting import is_credible

MOMENT = 1e-6
"""Seconds for which a request waits for others: in virtual time, those of the same instant."""

MOST_TEXTS, MOST_BYTES = 64, 200_000
"""Texts, and bytes of them, in a joint request: as many as providers take at once."""

Begun = Callable[[], None]
Send = Callable[[EmbedRequest, Begun], Awaitable[Embedding]]
"""Asks the provider; says when it really begins, since from then on it may cost something."""


class Apart(Exception):
    """A joint request failed: who asked is to ask alone. `usage` is what it pays of what that cost all the
    same; None where that is not known.
    """

    def __init__(self, usage: Usage | None) -> None:
        super().__init__("a joint request failed")
        self.usage = usage


@define(eq=False)
class _Asked:
    request: EmbedRequest
    send: Send
    begun: Begun
    answered: "asyncio.Future[Embedding]"
    beside: "Sequence[_Asked]" = ()
    task: "asyncio.Task[None] | None" = None


@define(eq=False)
class Joining:
    """The requests that wait for their moment to end, by model; used on one loop."""

    waiting: dict[ModelSettings, list[_Asked]] = Factory(dict)

    async def embed(self, request: EmbedRequest, send: Send, begun: Begun) -> Embedding:
        """The vectors of a request, which is sent with others of its moment."""
        loop = asyncio.get_running_loop()
        asked = _Asked(request, send, begun, loop.create_future())
        if request.model not in self.waiting:
            self.waiting[request.model] = []
            loop.call_later(MOMENT, self._send, request.model)
        self.waiting[request.model].append(asked)
        try:
            return await asked.answered
        finally:
            if asked.task is not None and all(each.answered.done() for each in asked.beside):
                asked.task.cancel()  # nobody waits for it any more

    def _send(self, model: ModelSettings) -> None:
        for together in _rounds([each for each in self.waiting.pop(model) if not each.answered.done()]):
            task = asyncio.get_running_loop().create_task(_ask(together))
            for each in together:
                each.beside, each.task = together, task


def _rounds(asked: Sequence[_Asked]) -> Iterator[list[_Asked]]:
    """Those that go together, in order."""
    together: list[_Asked] = []
    texts = size = 0
    most = min(MOST_BYTES, next((each.request.model.tokens_per_minute or MOST_BYTES for each in asked), 0))
    for each in asked:
        more = sum(map(byte_bound, each.request.texts))
        if together and (texts + len(each.request.texts) > MOST_TEXTS or size + more > most):
            yield together
            together, texts, size = [], 0, 0
        together.append(each)
        texts, size = texts + len(each.request.texts), size + more
    if together:
        yield together


async def _ask(together: Sequence[_Asked]) -> None:
    first = together[0]
    texts = [each.request.texts for each in together]
    joint = evolve(first.request, texts=tuple(text for each in texts for text in each))

    def begun() -> None:
        for each in together:
            each.begun()

    endings: Sequence[Embedding | Exception]
    try:
        endings = _parts(await first.send(joint, begun), texts)
    except asyncio.CancelledError:
        for each in together:
            each.answered.cancel()
        raise
    except Exception as error:
        usage = error.usage if isinstance(error, ProviderError) else None
        endings = [error] if len(texts) == 1 else [Apart(share) for share in _shares(usage, texts)]
    for each, ending in zip(together, endings, strict=True):
        if each.answered.done():
            continue
        if isinstance(ending, Exception):
            each.answered.set_exception(ending)
        else:
            each.answered.set_result(ending)


def _parts(found: Embedding, texts: Sequence[tuple[str, ...]]) -> Sequence[Embedding | Exception]:
    """The vectors of each, and what it pays; nobody has those that cannot be told apart."""
    if len(texts) == 1:
        return [found]
    import numpy

    rows = numpy.asarray(found.vectors)
    ends = [0, *accumulate(map(len, texts))]
    shares = _shares(found.usage, texts)
    if len(rows) != ends[-1]:
        return [Apart(share) for share in shares]
    return [evolve(found, vectors=rows[ends[n] : ends[n + 1]], usage=share) for n, share in enumerate(shares)]


def _shares(usage: Usage | None, texts: Sequence[tuple[str, ...]]) -> list[Any]:
    """What each pays of what all cost: by the most that its texts can count, so that none pays more than its
    budgets hold for it. Counts that cannot be are left to each.
    """
    if not is_credible(usage):
        return [usage] * len(texts)
    ends = [0, *accumulate(sum(map(byte_bound, each)) for each in texts)]
    all_bytes = max(1, ends[-1])

    def part(count: int, n: int) -> int:
        return count * ends[n + 1] // all_bytes - count * ends[n] // all_bytes

    return [
        evolve(
            usage, prompt=part(usage.prompt, n), answer=part(usage.answer, n), cached=part(usage.cached, n)
        )
        for n in range(len(texts))
    ]
