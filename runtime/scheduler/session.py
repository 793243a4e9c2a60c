"""What one run shares: its providers and their gates, what was spent, answers to be reused, who to ask."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from attrs import Factory, define

from flowc.runtime.admission.calls import Program
from flowc.runtime.admission.gate import Gate
from flowc.runtime.coerce import Tables
from flowc.runtime.latencies import Latencies
from flowc.runtime.people import Ask
from flowc.runtime.plan import Plan
from flowc.runtime.providers.base import ModelSettings, Provider, Usage
from flowc.runtime.scheduler.prefixes import Prefixes
from flowc.runtime.scheduler.shared import Shared


@define(eq=False)
class Session:
    """The state of one run that its calls share; `begun` is the loop's time at its start. Used on the loop,
    but for `spend`, which is under the lock.

    `latencies` are those of the process. `own` has the answers that calls of this run share, `batch` what all
    runs of a batch share; `reused` counts the calls for which another run had paid, `failures` the failures
    of each that this run was told; `renewed` what tells a step from one of the same path in another program.
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
    program: Program = Factory(Program)
    people: Ask | None = None
    stream: Callable[[str, str], None] | None = None
    prefixes: Prefixes = Factory(Prefixes)
    calls: Counter[str] = Factory(Counter)
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    latencies: Latencies = Factory(Latencies)
    own: Shared = Factory(partial(Shared, tells_failures=False))
    batch: Shared | None = None
    reused: Counter[str] = Factory(Counter)
    failures: dict[bytes, int] = Factory(dict)
    renewed: Callable[[str], str] | None = None

    def spend(self, usage: Usage, settings: ModelSettings) -> float:
        """Counts tokens and money; gives the money."""
        money = settings.price.of(usage.prompt, usage.answer, usage.cached, batched=usage.batched)
        self.tokens_in += usage.prompt
        self.tokens_out += usage.answer
        self.cost += money
        return money

    async def once(self, key: bytes, work: Callable[[], Awaitable[Any]]) -> Any:
        """The result of `work` for this key, worked out once a run; who waits takes over from who fails."""
        told, _ = await self.own.tell(key, self.run, work)
        return told.result()


Kernels = Mapping[str, Callable[..., Any]]
"""Compiled kernels by name: each takes and gives arrays."""
