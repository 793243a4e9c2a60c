"""The world of durable runs in tests: tools that note what they change, a model that counts its answers."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from attrs import define, field, frozen

from flowc.runtime.environment import Environment
from flowc.runtime.errors import Problem
from flowc.runtime.providers.base import (
    Embedding,
    EmbedRequest,
    ProviderError,
    Request,
    Response,
    Usage,
    estimate_tokens,
)
from flowc.runtime.scheduler.current import idempotency_key
from flowc.runtime.values import record_class

RUN = "r"
"""The name of every run here."""

HEADER = '''
record Item:
    name: str
    size: int

tool work(i: int) -> int pure
tool ponder(i: int) -> int pure
tool look(i: int) -> int reads web
tool slow(i: int) -> int reads web
tool shaky(i: int) -> int reads web
@retry(3, backoff=100ms)
tool flaky(i: int) -> int reads web
@retry(3, backoff=100ms)
tool hopeless(i: int) -> int reads web
tool put(i: int) -> int writes db
tool drip(i: int) -> int writes db
tool broken(i: int) -> int writes db
tool mark(i: int) -> none writes diary
tool shelve(i: int) -> int writes shelf idempotent
tool send(i: int) -> int writes mail undo unsend
tool unsend(i: int, result: int) -> none writes mail
tool item(i: int) -> Item writes db
tool data(i: int) -> bytes writes db
tool many(i: int) -> list[Item] writes db
tool table(i: int) -> dict[str, float] writes db
tool rows(i: int) -> f32[n, 3] reads web
tool total(rows: f32[n, 3]) -> float writes db
tool search(i: int) -> int reads web

llm say(i: int) -> str:
    """Say {i}."""

@retry(2, backoff=200ms)
llm guess(i: int) -> int:
    """Guess {i}."""

llm arrange(i: int) -> plan[search, put]:
    """Arrange {i}."""

llm tell(i: int) -> str:
    """Tell all of {i}."""

llm misplan(i: int) -> plan[search, shaky, put]:
    """Plan {i} badly."""

human approve(i: int) -> bool:
    """May {i} be?"""

event arrived(i: int) -> int:
    """The parcel {i}."""

kernel unit(x: f32[n, d]) -> f32[n, d]:
    return x / sqrt(sum(x * x, axis=1, keepdims=true) + 1.0)
'''
"""What every program of these tests may use."""


@frozen
class Effect:
    """A write that has happened: by which call, and what the call gave."""

    tool: str
    arguments: object
    key: str
    value: object
    idempotent: bool = False


@define(eq=False)
class World:
    """What lasts: it outlives the processes that act on it. `dead` says that the present one has died."""

    now: float = 1_000_000.0
    effects: list[Effect] = field(factory=list)
    calls: Counter[tuple[str, object]] = field(factory=Counter)
    asked: int = 0
    tokens: int = 0
    dead: bool = False
    loop: asyncio.AbstractEventLoop | None = None

    def time(self) -> float:
        """The seconds of the day, which go on from process to process."""
        return self.now + (0.0 if self.loop is None else self.loop.time())

    def environment(self, threads: int) -> Environment:
        """What a process runs in."""
        names = [line.split("(")[0].split()[-1] for line in HEADER.splitlines() if line.startswith("tool ")]
        tools: dict[str, Callable[..., Any]] = {name: self._tool(name, getattr(self, name)) for name in names}
        tools |= {name: self._slow(tools[name]) for name in ("ponder", "slow", "drip")}
        return Environment(
            provider="counting",
            providers={"counting": Model(self)},
            tools=tools,
            threads=threads,
        )

    def _tool(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if self.dead:
                raise RuntimeError("nobody is there")
            self.calls[name, repr(arguments)] += 1
            return function(*arguments)

        return call

    def _slow(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def call(i: int) -> Any:
            await asyncio.sleep(0.01 * (i % 7 + 1))
            value = function(i)
            await asyncio.sleep(0.01)
            return value

        return call

    def _write(self, tool: str, i: Any, value: Any, *, idempotent: bool = False) -> Any:
        self.effects.append(Effect(tool, i, idempotency_key(), value, idempotent))
        return value

    # ---- tools that write nothing

    def work(self, i: int) -> int:
        return (i * 7 + 3) % 101

    def ponder(self, i: int) -> int:
        return (i * 5 + 2) % 103

    def look(self, i: int) -> int:
        return i * 2 % 97

    def slow(self, i: int) -> int:
        return i * 3 % 89

    def search(self, i: int) -> int:
        return i + 1000

    def shaky(self, i: int) -> int:
        if i % 3 == 0:
            raise ValueError(f"{i} is a multiple of three")
        return i % 11

    def flaky(self, i: int) -> int:
        if self.calls["flaky", repr((i,))] <= i % 3:
            raise ValueError("not yet")
        return i

    def hopeless(self, i: int) -> int:
        raise ValueError("never")

    def rows(self, i: int) -> Any:
        return np.arange(3 * i, dtype=np.float32).reshape(i, 3) / np.float32(7)

    # ---- tools that write

    def put(self, i: int) -> int:
        return int(self._write("put", i, i * 10 + 1))

    def drip(self, i: int) -> int:
        return int(self._write("drip", i, i * 5))

    def broken(self, i: int) -> int:
        raise ValueError("nothing was written")

    def mark(self, i: int) -> None:
        self._write("mark", i, None)

    def shelve(self, i: int) -> int:
        return int(self._write("shelve", i, i % 5, idempotent=True))

    def send(self, i: int) -> int:
        return int(self._write("send", i, i + 7))

    def unsend(self, i: int, result: int) -> None:
        assert result == i + 7
        self._write("unsend", i, None)

    def item(self, i: int) -> Any:
        return self._write("item", i, _item(f"n{i} \u20ac", i * 10**20))

    def data(self, i: int) -> bytes:
        return bytes(self._write("data", i, bytes(range(i)) * 200))

    def many(self, i: int) -> Any:
        return self._write("many", i, [_item("x" * 50 * k, k) for k in range(i)])

    def table(self, i: int) -> Any:
        return self._write("table", i, {"$": 0.1 * i, "b": float("inf"), "c": -0.0})

    def total(self, rows: Any) -> float:
        return float(self._write("total", rows.tobytes(), float(rows.sum())))


def _item(name: str, size: int) -> Any:
    return record_class("Item", ("name", "size"))(name, size)


@define(eq=False)
class Model:
    """A provider that answers from the prompt alone, fails the first time for some prompts, and counts."""

    world: World

    async def generate(self, request: Request) -> Response:
        world, prompt = self.world, request.prompt
        number = int("".join(filter(str.isdigit, prompt.split("\n")[0])) or 0)
        if world.dead:
            raise _failure("nobody is there")
        world.asked += 1
        asked = world.calls[request.operation, prompt] = world.calls[request.operation, prompt] + 1
        fails = request.operation == "guess" and number % 2 and asked == 1
        text = "" if fails else _answer(request.operation, number)
        text = text if request.max_tokens is None else text[: 4 * request.max_tokens]
        usage = Usage(estimate_tokens(prompt), estimate_tokens(text))
        world.tokens += 0 if fails else usage.prompt + usage.answer  # whether anybody hears the answer or not
        await asyncio.sleep(0.05 * (number % 5 + 1))
        if fails:
            raise _failure("not now")
        return Response(text, usage)

    async def embed(self, request: EmbedRequest) -> Embedding:
        self.world.asked += 1
        tokens = sum(map(estimate_tokens, request.texts))
        self.world.tokens += tokens
        await asyncio.sleep(0.02)
        return Embedding(tuple((float(len(text)), 1.0) for text in request.texts), Usage(tokens, 0))

    def prompt_bound(self, request: Request) -> int:
        return estimate_tokens(request.prompt)

    async def close(self) -> None:
        pass


def _answer(operation: str, number: int) -> str:
    if operation == "say":
        return f"It is {number}."
    if operation == "tell":
        return f"{number} is a number. " * 60
    if operation == "guess":
        return json.dumps({"value": number % 4})
    last = "shaky" if operation == "misplan" else "put"
    steps = [
        {"id": "a", "tool": "search", "arguments": {"i": number}},
        {"id": "b", "tool": "put", "arguments": {"i": "$a"}},
        {"id": "c", "tool": last, "arguments": {"i": 3}},
    ]
    return json.dumps({"value": {"steps": steps}})


def _failure(message: str) -> ProviderError:
    return ProviderError(Problem("E0830", message))
