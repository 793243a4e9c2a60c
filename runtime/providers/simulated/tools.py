"""Functions that stand in for tools."""

import asyncio
import math
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from flowc.runtime.coerce import Tables
from flowc.runtime.plan import Operation
from flowc.runtime.providers.simulated.answers import value_of
from flowc.runtime.providers.simulated.behaviour import PLAIN, Behaviour
from flowc.runtime.providers.simulated.distributions import Distribution
from flowc.runtime.randomness import seed_of


def simulated_tool(
    operation: Operation,
    tables: Tables,
    seed: int,
    behaviour: Behaviour = PLAIN,
    latency: Distribution | None = None,
) -> Callable[..., Coroutine[Any, Any, Any]]:
    """A function that stands in for a tool: it waits, and gives what depends on its arguments alone.

    Without a `latency` it waits log-normally, with the median of `behaviour`. A call that is made beside an
    equal one gives the same, at a time of its own.
    """
    under_way: Counter[int] = Counter()

    async def stand_in(*arguments: object) -> Any:
        call = (seed, operation.name, *map(repr, arguments))
        key = seed_of(*call)
        chance = random.Random(key)
        seconds = chance.lognormvariate(math.log(behaviour.tool_seconds), behaviour.spread)
        beside = under_way[key]
        times = random.Random(seed_of(*call, "times", *([beside] if beside else [])))
        if latency is not None:
            seconds = latency.sample(times)
        elif beside:
            seconds = times.lognormvariate(math.log(behaviour.tool_seconds), behaviour.spread)
        under_way[key] += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            under_way[key] -= 1
            if not under_way[key]:
                del under_way[key]
        return value_of(operation.result, tables, chance)

    return stand_in
