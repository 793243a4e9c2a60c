"""What one run shares: its providers and their gates, what was spent, answers to be reused, who to ask."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from attrs import Factory, define

from flowc.runtime.coerce import Tables
from flowc.runtime.people import Ask
from flowc.runtime.plan import Plan
from flowc.runtime.providers.base import ModelSettings, Provider, Usage
from flowc.runtime.rates import Gate

_AGAIN = object()


@define(eq=False)
class Session:
    """The state of one run that its calls share; `begun` is the loop's time at its start. Used on the loop,
    but for `spend`, which is under the lock.
    """

    plan: Plan
    tables: Tables
    root: str
    run: str
    seed: int
    begun: float
    model: Callable[[str | None], ModelSettings]
    provider: Callable[[ModelSettings], Provider]
    gate: Callable[[ModelSettings], Gate]
    people: Ask | None = None
    stream: Callable[[str, str], None] | None = None
    calls: Counter[str] = Factory(Counter)
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    memo: dict[str, asyncio.Future[Any]] = Factory(dict)

    def spend(self, usage: Usage, settings: ModelSettings) -> float:
        """Counts tokens and money; gives the money."""
        money = settings.price.of(usage.prompt, usage.answer)
        self.tokens_in += usage.prompt
        self.tokens_out += usage.answer
        self.cost += money
        return money

    async def once(self, key: str, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """The result of `work` for this key, worked out once a run; who waits takes over from who fails."""
        while True:
            known = self.memo.get(key)
            if known is not None:
                result = await asyncio.shield(known)
                if result is not _AGAIN:
                    return result
                continue
            mine: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            self.memo[key] = mine
            try:
                result = await work()
            except BaseException:
                del self.memo[key]
                mine.set_result(_AGAIN)
                raise
            mine.set_result(result)
            return result


Kernels = Mapping[str, Callable[..., Any]]
"""Compiled kernels by name: each takes and gives arrays."""
