"""The `simulated` provider: latency, tokens and faults from a seed, answers that fit their type.

Every answer depends on the seed, the step and the attempt alone, so a run gives the same again whatever the
order in which its parallel calls happen to be served. Time passes on the loop's clock, which the runtime
makes virtual.
"""

import asyncio
import json
import math
import random
from collections.abc import Callable, Coroutine
from typing import Any

from attrs import define, frozen

from flowc.runtime.coerce import Tables
from flowc.runtime.errors import Problem
from flowc.runtime.plan import Json, Operation
from flowc.runtime.providers.base import (
    Embedding,
    EmbedRequest,
    ProviderError,
    Request,
    Response,
    Usage,
    estimate_tokens,
)
from flowc.runtime.randomness import seed_of
from flowc.runtime.types import Array, Dict, Enum, List, Optional, PlanOf, Record, Scalar, Tuple, Type

WORDS = [
    "the",
    "plan",
    "waits",
    "for",
    "its",
    "longest",
    "branch",
    "while",
    "every",
    "other",
    "call",
    "has",
    "ended",
    "and",
    "nothing",
    "is",
    "repeated",
    "because",
    "an",
    "answer",
    "that",
    "was",
    "obtained",
    "stays",
    "with",
    "the",
    "run",
    "until",
    "a",
    "person",
    "or",
    "a",
    "tool",
    "needs",
    "it",
    "again",
]
DEEPEST = 4
"""How deep a simulated record may contain itself."""
EMBEDDING = 64
"""Dimensions of simulated vectors."""


@frozen
class Behaviour:
    """How a simulated model behaves: seconds to the first token, tokens a second, and how often it fails.

    Latencies are log-normal with this median and spread, as measured for hosted models. Faults are shares
    of calls.
    """

    first_token: float = 0.4
    spread: float = 0.35
    tokens_per_second: float = 80.0
    answer_tokens: int = 60
    rate_limited: float = 0.0
    server_error: float = 0.0
    reset: float = 0.0
    truncated: float = 0.0
    not_json: float = 0.0
    wrong_schema: float = 0.0
    tool_seconds: float = 0.2


@define(eq=False)
class Simulated:
    """A model that is a random number generator."""

    seed: int = 0
    behaviour: Behaviour = Behaviour()

    async def generate(self, request: Request) -> Response:
        """An answer of the right type after a plausible time, or a fault."""
        chance = random.Random(
            seed_of(self.seed, request.operation, request.prompt, request.step, request.attempt)
        )
        prompt = estimate_tokens(request.prompt)
        await asyncio.sleep(self._latency(chance))
        self._fault(chance)
        wanted = max(1, round(chance.gauss(1.0, 0.25) * self.behaviour.answer_tokens))
        if request.schema is None:
            text = _text(chance, wanted)
        else:
            text = json.dumps({"value": value_of(request.result, request.tables, chance)}, ensure_ascii=False)
        answer = max(1, estimate_tokens(text))
        finish = "stop"
        limit = request.max_tokens
        if chance.random() < self.behaviour.truncated or (limit is not None and answer > limit):
            answer = min(answer, limit or answer)
            text, finish = text[: max(1, answer * 4 // 2)], "length"
        elif chance.random() < self.behaviour.not_json:
            text = "Sure! Here is what you asked for: " + text[1:]
        elif chance.random() < self.behaviour.wrong_schema and request.schema is not None:
            text = json.dumps({"value": {"unexpected": True}})
        await asyncio.sleep(answer / self.behaviour.tokens_per_second)
        if request.stream is not None:
            request.stream(text)
        return Response(text, Usage(prompt, answer), finish, f"simulated from seed {self.seed}")

    async def embed(self, request: EmbedRequest) -> Embedding:
        """Vectors that depend on the texts alone."""
        chance = random.Random(seed_of(self.seed, "embed", request.step))
        await asyncio.sleep(self._latency(chance))
        vectors = tuple(_vector(self.seed, text) for text in request.texts)
        return Embedding(vectors, Usage(sum(map(estimate_tokens, request.texts)), 0))

    def prompt_bound(self, request: Request) -> int:
        """Exact: the provider counts as it is estimated."""
        return estimate_tokens(request.prompt)

    async def close(self) -> None:
        """Nothing is open."""

    def _latency(self, chance: random.Random) -> float:
        return chance.lognormvariate(math.log(self.behaviour.first_token), self.behaviour.spread)

    def _fault(self, chance: random.Random) -> None:
        for code, share, message, after in (
            ("E0820", self.behaviour.rate_limited, "the endpoint takes no more requests now", 2.0),
            ("E0821", self.behaviour.server_error, "the endpoint failed", None),
            ("E0822", self.behaviour.reset, "the connection to the endpoint broke", None),
        ):
            if chance.random() < share:
                problem = Problem(code, message, "a simulated fault", "`@retry` bridges short failures")
                raise ProviderError(problem, after=after)


def simulated_tool(
    operation: Operation, tables: Tables, seed: int, behaviour: Behaviour = Behaviour()
) -> Callable[..., Coroutine[Any, Any, Any]]:
    """A function that stands in for a tool: it waits, and gives what depends on its arguments alone."""

    async def stand_in(*arguments: object) -> Any:
        chance = random.Random(seed_of(seed, operation.name, *map(repr, arguments)))
        await asyncio.sleep(chance.lognormvariate(math.log(behaviour.tool_seconds), behaviour.spread))
        return value_of(operation.result, tables, chance)

    return stand_in


def value_of(type_: Type, tables: Tables, chance: random.Random, depth: int = 0) -> Json:
    """A JSON value of a type, as chance has it."""
    match type_:
        case Scalar(name):
            return _scalar(name, chance)
        case Enum(name):
            return chance.choice(tables.enums[name])
        case Optional(inner):
            absent = depth >= DEEPEST or chance.random() < 0.25
            return None if absent else value_of(inner, tables, chance, depth + 1)
        case List(element):
            count = 0 if depth >= DEEPEST else chance.randint(1, 4)
            return [value_of(element, tables, chance, depth + 1) for _ in range(count)]
        case Dict(value):
            count = 0 if depth >= DEEPEST else chance.randint(1, 3)
            return {chance.choice(WORDS): value_of(value, tables, chance, depth + 1) for _ in range(count)}
        case Tuple(items):
            return [value_of(item, tables, chance, depth + 1) for item in items]
        case Record(name):
            return {field: value_of(of, tables, chance, depth + 1) for field, of in tables.records[name]}
        case Array(dtype, dims):
            return _array(dtype, tuple(dim if isinstance(dim, int) else 4 for dim in dims), chance)
        case PlanOf(tools):
            return {"steps": [{"id": "1", "tool": chance.choice(tools), "arguments": {}}] if tools else []}


def _scalar(name: str, chance: random.Random) -> Json:
    match name:
        case "str":
            return _text(chance, 8)
        case "bool":
            return chance.random() < 0.5
        case "none":
            return None
        case "bytes":
            return {"$bytes": ""}
        case "json":
            return {"text": _text(chance, 8)}
        case "int" | "i64" | "i32" | "i16" | "i8" | "u8":
            return chance.randint(0, 100)
    return round(chance.random(), 6)


def _array(dtype: str, shape: tuple[int, ...], chance: random.Random) -> Json:
    if not shape:
        return _scalar("bool" if dtype == "bool" else dtype, chance)
    return [_array(dtype, shape[1:], chance) for _ in range(shape[0])]


def _text(chance: random.Random, tokens: int) -> str:
    words = [chance.choice(WORDS) for _ in range(max(1, tokens * 4 // 6))]
    return (" ".join(words)).capitalize() + "."


def _vector(seed: int, text: str) -> tuple[float, ...]:
    chance = random.Random(seed_of(seed, "vector", text))
    numbers = [chance.gauss(0.0, 1.0) for _ in range(EMBEDDING)]
    length = math.sqrt(sum(number * number for number in numbers))
    return tuple(number / length for number in numbers)
