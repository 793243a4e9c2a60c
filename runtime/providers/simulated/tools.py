"""Functions that stand in for tools."""

import asyncio
import math
import random
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

    Without a `latency` it waits log-normally, with the median of `behaviour`.
    """

    async def stand_in(*arguments: object) -> Any:
        call = (seed, operation.name, *map(repr, arguments))
        chance = random.Random(seed_of(*call))
        seconds = chance.lognormvariate(math.log(behaviour.tool_seconds), behaviour.spread)
        if latency is not None:
            seconds = latency.sample(random.Random(seed_of(*call, "times")))
        await asyncio.sleep(seconds)
        return value_of(operation.result, tables, chance)

    return stand_in
