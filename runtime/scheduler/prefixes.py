"""Calls whose prompts begin alike: the first goes ahead until its answer begins, the others follow together.

A provider that keeps what it computed for the beginning of a prompt can give it only to calls that come
later. So where `prefix_cache` is set for the model and the common beginning is long enough, one call
computes it, and those that would compute the same at the same time wait for its first token. A leader that
fails, is cancelled or takes longer than `PATIENCE` holds nobody up. The table is one for all runs on a
loop.
"""

import asyncio
from collections import OrderedDict
from hashlib import blake2b

from attrs import define, evolve, field

from flowc.runtime.providers.base import Request, estimate_tokens

PATIENCE = 30.0
"""Seconds that a call waits for the one ahead of it at most."""

WARM = 300.0
"""Seconds after its last use for which a beginning counts as kept: hosted models keep it for minutes."""

MOST = 4096
"""Beginnings that are remembered; the one unused longest is forgotten first."""


@define(eq=False)
class _Beginning:
    """A beginning of prompts: whether it has been computed, and when it was last asked for."""

    computed: asyncio.Future[None]
    used: float


@define(eq=False)
class Lead:
    """A call that goes ahead, for one beginning or several, each longer than the one before."""

    beginnings: list[_Beginning]

    def asking(self, request: Request) -> Request:
        """The request, such that the first part of its answer lets the others go."""
        told = request.stream

        def stream(part: str) -> None:
            self.end()
            if told is not None:
                told(part)

        return evolve(request, stream=stream)

    def end(self) -> None:
        """Lets the others go, whatever came of the call."""
        for beginning in self.beginnings:
            if not beginning.computed.done():
                beginning.computed.set_result(None)


@define(eq=False)
class Prefixes:
    """The beginnings of prompts that were asked for on one loop."""

    known: OrderedDict[tuple[str, bytes], _Beginning] = field(factory=OrderedDict)

    async def enter(self, request: Request) -> Lead | None:
        """Waits until the beginning of a prompt has been computed; a `Lead` for the call that is to do so.

        The text before the first hole is the same in all runs, what follows perhaps in one: so the shorter
        beginning has its turn first.
        """
        lead = Lead([])
        try:
            for length in _lengths(request):
                beginning = await self._turn(request.model.alias, request.prompt[:length])
                if beginning is not None:
                    lead.beginnings.append(beginning)
        except BaseException:
            lead.end()
            raise
        return lead if lead.beginnings else None

    async def _turn(self, alias: str, text: str) -> _Beginning | None:
        """Waits for whoever computes a beginning; gives it to the first to ask, who is to do so."""
        loop = asyncio.get_running_loop()
        key = (alias, blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest())
        now = loop.time()
        known = self.known.get(key)
        if known is None or (known.computed.done() and now - known.used > WARM):
            known = self.known[key] = _Beginning(loop.create_future(), now)
            self.known.move_to_end(key)
            self._forget()
            return known
        known.used = now
        self.known.move_to_end(key)
        if not known.computed.done():
            await asyncio.wait((known.computed,), timeout=PATIENCE)
        return None

    def _forget(self) -> None:
        while len(self.known) > MOST:
            self.known.popitem(last=False)


def _lengths(request: Request) -> list[int]:
    """How far the beginnings of a prompt reach that are worth keeping, the shortest first."""
    first = request.segments[0] if request.segments else ""
    lengths = {len(first) if isinstance(first, str) else 0, request.prefix}
    least = request.model.min_prefix_tokens
    return sorted(
        n for n in lengths if 0 < n <= request.prefix and estimate_tokens(request.prompt[:n]) >= least
    )


def cached_beginning(request: Request) -> bool:
    """Whether the provider may keep the beginning of this prompt."""
    return request.prefix > 0 and request.model.prefix_cache
