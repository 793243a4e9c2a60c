"""The world in which all contestants play: who answers what after how long, from a seed, in virtual time.

A call's time depends on the seed, its operation and what tells its calls apart, never on when or by whom it
is made, so that flowc, a graph library and code by hand wait for the same.
"""

import asyncio
import json
import random
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from attrs import define, field, frozen

from flowc.runtime.config import Config
from flowc.runtime.environment import Environment
from flowc.runtime.limits import Price
from flowc.runtime.plan import Operation, Plan
from flowc.runtime.providers.base import (
    Embedding,
    EmbedRequest,
    ModelSettings,
    Request,
    Response,
    Usage,
    estimate_tokens,
)
from flowc.runtime.providers.simulated import value_of
from flowc.runtime.randomness import seed_of
from flowc.runtime.reading import tables_of

BLOCK = 64
"""Characters of a block of a prefix cache, about 16 tokens."""
SPREAD = 3.0
"""Shape of the Gamma distribution of every time: its deviation is 0.58 of its mean."""
PRICE = Price(0.5e-6, 1.5e-6)
HOSTED = 1024
"""Tokens from which on hosted models keep the beginning of a prompt."""
FIRST = 0.1
"""The share of a model's time in which it reads the prompt."""


@frozen
class Times:
    """Mean seconds of operations. `apart` names the parameter that tells the calls of an operation apart."""

    means: Mapping[str, float]
    apart: Mapping[str, str] = field(factory=dict)
    otherwise: float = 0.05
    seed: int = 7

    def seconds(self, operation: str, key: str = "") -> float:
        """How long a call takes."""
        mean = self.means.get(operation, self.otherwise)
        if mean == 0.0:
            return 0.0
        return random.Random(seed_of(self.seed, operation, key)).gammavariate(SPREAD, mean / SPREAD)


@define(eq=False)
class Stage:
    """A provider and tools that wait and answer; it counts what it is asked. `width` is how many calls each
    model takes at once, `least` from how many tokens on a beginning is kept.

    `prefilled` counts prompt tokens that no earlier call had as a prefix, for a cache without a bound that
    holds a prompt once its answer has begun.
    """

    times: Times
    functions: Mapping[str, Callable[..., Any]] = field(factory=dict)
    width: int | None = None
    least: int = HOSTED
    calls: dict[str, int] = field(factory=dict)
    prompted: int = 0
    prefilled: int = 0
    spent: float = 0.0
    _cached: dict[int, float] = field(factory=dict)

    async def wait(self, operation: str, key: str = "") -> None:
        """Lets the time of one call pass."""
        self.calls[operation] = self.calls.get(operation, 0) + 1
        await asyncio.sleep(self.times.seconds(operation, key))

    async def generate(self, request: Request) -> Response:
        """Answers a prompt by its type, after its time."""
        key = self._key(request)
        chance = random.Random(seed_of(self.times.seed, "answer", request.operation, key))
        seconds = self.times.seconds(request.operation, key)
        self._prefill(request.prompt, seconds)
        given = self.functions.get(request.operation)
        value = given(request) if given is not None else value_of(request.result, request.tables, chance)
        text = json.dumps({"value": value}, ensure_ascii=False) if request.schema is not None else str(value)
        self.calls[request.operation] = self.calls.get(request.operation, 0) + 1
        await asyncio.sleep(seconds * FIRST)
        if request.stream is not None:
            request.stream(text[:1])
        await asyncio.sleep(seconds * (1 - FIRST))
        if request.stream is not None:
            request.stream(text[1:])
        usage = Usage(estimate_tokens(request.prompt), estimate_tokens(text))
        self.spent += usage.prompt * PRICE.prompt + usage.answer * PRICE.answer
        return Response(text, usage)

    def _key(self, request: Request) -> str:
        """The text of the hole that tells calls of this operation apart."""
        name = self.times.apart.get(request.operation)
        return next(
            (part.text for part in request.segments if not isinstance(part, str) and part.name == name), ""
        )

    def _prefill(self, prompt: str, seconds: float) -> None:
        """Counts the tokens behind the longest prefix that is cached by now."""
        now = asyncio.get_running_loop().time()
        self.prompted += estimate_tokens(prompt)
        hit, chain = 0, 0
        for start in range(0, len(prompt) - BLOCK + 1, BLOCK):
            chain = hash((chain, prompt[start : start + BLOCK]))
            if hit == start and self._cached.get(chain, now + 1) <= now:
                hit = start + BLOCK
            self._cached.setdefault(chain, now + FIRST * seconds)
        self.prefilled += estimate_tokens(prompt[hit:])

    async def embed(self, request: EmbedRequest) -> Embedding:
        """Turns texts into vectors of one number."""
        await self.wait("embed", "".join(request.texts))
        return Embedding(
            tuple((1.0,) for _ in request.texts), Usage(sum(map(estimate_tokens, request.texts)))
        )

    def prompt_bound(self, request: Request) -> int:
        """As it is counted."""
        return estimate_tokens(request.prompt)

    async def close(self) -> None:
        """Has nothing to let go."""

    def environment(self, plan: Plan) -> Environment:
        """The environment in which a plan meets this stage."""
        tables = tables_of(plan)
        tools = {
            name: self._tool(operation, lambda operation, chance: value_of(operation.result, tables, chance))
            for name, operation in plan.operations.items()
            if operation.kind == "tool"
        }
        aliases = {operation.model for operation in plan.operations.values() if operation.model}
        models = {
            alias: ModelSettings(
                alias,
                provider="stage",
                price=PRICE,
                max_in_flight=self.width,
                prefix_cache=True,
                min_prefix_tokens=self.least,
            )
            for alias in {*aliases, "default"}
        }
        return Environment(tools=tools, config=Config(models=models), providers={"stage": self})

    def _tool(
        self, operation: Operation, made: Callable[[Operation, random.Random], Any]
    ) -> Callable[..., Coroutine[Any, Any, Any]]:
        apart = self.times.apart.get(operation.name)
        names = [parameter.name for parameter in operation.parameters]

        async def stand_in(*arguments: object) -> Any:
            key = str(arguments[names.index(apart)]) if apart is not None else ""
            given = self.functions.get(operation.name)
            chance = random.Random(seed_of(self.times.seed, "result", operation.name, *map(repr, arguments)))
            value = given(*arguments) if given is not None else made(operation, chance)
            await self.wait(operation.name, key)
            return value

        return stand_in
