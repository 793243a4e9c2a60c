"""The world of generated programs: what answers for tools, models and people, and notes what is written.

The reference semantics asks it as a `flowc.compiler.reference.World`, a run through the `environment` around
it. All answers are functions of the arguments, but for what reads a resource that a tool writes: that tells
how many writes came before, so that the order of reads and writes shows in the values.
"""

import asyncio
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any, TypeVar

from attrs import define, field, frozen

from flowc.runtime.config import Config
from flowc.runtime.environment import Environment
from flowc.runtime.limits import Price
from flowc.runtime.people import Question
from flowc.runtime.providers.base import (
    Embedding,
    EmbedRequest,
    Hole,
    ModelSettings,
    Request,
    Response,
    Usage,
    estimate_tokens,
)
from flowc.runtime.scheduler.current import idempotency_key
from flowc.testing.oracles.asking import answered
from flowc.testing.strategies.answers import (
    ANSWERS,
    answer,
    embedded,
    executed,
    idempotent,
    tools,
    undone,
    writes,
)

READS = {"peek": "store"}
"""The tools that read what other tools write."""
IDEMPOTENT = idempotent()
"""The tools whose writes may be made twice in a row."""
PROVIDER = "answering"
PRICE = Price(1e-3, 2e-3)
"""Dollars a token of what models are asked and answer."""

Write = tuple[str, str]
"""A tool and its arguments as JSON."""
W = TypeVar("W", bound=tuple[str, object])


@frozen
class Called:
    """A call of a tool that writes: `key` is its idempotency key, in a run."""

    tool: str
    arguments: str
    result: object
    key: str = ""


@define(eq=False)
class AnsweringWorld:
    """Everything outside a program, as its reference semantics and its runs meet it. `asked` counts the calls
    of each operation, `tokens` and `money` what models took. With `dead` nobody is there any more.
    """

    calls: list[Called] = field(factory=list)
    asked: Counter[str] = field(factory=Counter)
    tokens: int = 0
    money: float = 0.0
    dead: bool = False
    lock: Any = field(factory=Lock)

    # ---- as the reference semantics asks

    def tool(self, name: str, arguments: Mapping[str, Any]) -> object:
        """A tool's result."""
        return self.called(name, arguments)

    def generate(self, name: str, prompt: str, arguments: Mapping[str, Any]) -> object:
        """A model's answer."""
        return answer(name, arguments) if name in ANSWERS else answered(prompt)

    def ask(self, name: str, prompt: str, arguments: Mapping[str, Any]) -> object:
        """A person's answer."""
        return answer(name, arguments)

    def embed(self, texts: Sequence[str]) -> object:
        """A row for each text."""
        return embedded(texts)

    def execute(self, plan: object, tools: Sequence[str]) -> list[object]:
        """The results of its steps."""
        return executed(plan)

    # ---- both

    def called(self, name: str, arguments: Mapping[str, Any], key: str = "") -> object:
        """What a tool answers; writes are noted."""
        with self.lock:  # a call is in one piece, whatever thread it comes from
            if self.dead:
                raise RuntimeError("nobody is there")
            self.asked[name] += 1
            result = answer(name, arguments)
            if name in READS:
                result = (result + self._written(READS[name])) % 13
            if name in writes():
                shown = json.dumps(list(arguments.values()))
                self.calls.append(Called(name, shown, result, key))
            return result

    def _written(self, resource: str) -> int:
        return sum(writes()[each.tool] == resource for each in self.calls)

    def writes(self) -> Mapping[str, list[Write]]:
        """The writes so far, in order, by resource."""
        found: dict[str, list[Write]] = defaultdict(list)
        for each in self.calls:
            note_write(found[writes()[each.tool]], (each.tool, each.arguments))
        return dict(found)

    def limited_calls(self) -> int:
        """How many calls a limit counts: what a transaction takes back is outside of all limits."""
        return sum(count for name, count in self.asked.items() if name not in undone().values())

    def keys(self) -> Mapping[str, int]:
        """How often each call of a tool whose write may not be repeated was made, by its idempotency key."""
        return Counter(each.key for each in self.calls if each.tool not in IDEMPOTENT)


def note_write(before: list[W], write: W, idempotent: frozenset[str] = IDEMPOTENT) -> None:
    """Adds a write, unless it is idempotent and repeats the last one."""
    if not (write[0] in idempotent and before and before[-1] == write):
        before.append(write)


@frozen(eq=False)
class AnsweringProvider:
    """The models of a world, as a run asks them. `latency` says how many virtual seconds the call of a prompt
    takes.
    """

    world: AnsweringWorld
    latency: Callable[[str], float] | None = None

    async def generate(self, request: Request) -> Response:
        """The answer as JSON, or as plain text where no schema asks for more, in parts where it is heard."""
        if self.latency is not None:
            await asyncio.sleep(self.latency(request.prompt))
        holes = {part.name: part.value for part in request.segments if isinstance(part, Hole)}
        known = request.operation in ANSWERS
        found = answer(request.operation, holes) if known else answered(request.prompt)
        text = str(found) if request.schema is None else json.dumps({"value": found})
        if request.max_tokens is not None:
            text = text[: 4 * request.max_tokens]
        world = self.world
        with world.lock:
            if world.dead:
                raise RuntimeError("nobody is there")
            usage = Usage(estimate_tokens(request.prompt), estimate_tokens(text))
            world.asked[request.operation] += 1
            world.tokens += usage.prompt + usage.answer
            world.money += PRICE.of(usage.prompt, usage.answer)
        for place in range(0, len(text), 7):
            if request.stream is not None:
                request.stream(text[place : place + 7])
                await asyncio.sleep(0)
        return Response(text, usage)

    async def embed(self, request: EmbedRequest) -> Embedding:
        """A row for each text."""
        tokens = sum(map(estimate_tokens, request.texts))
        with self.world.lock:
            self.world.tokens += tokens
            self.world.money += PRICE.of(tokens, 0)
        rows = tuple(tuple(float(each) for each in row) for row in embedded(request.texts))
        return Embedding(rows, Usage(tokens, 0))

    def prompt_bound(self, request: Request) -> int:
        """How many tokens a prompt may have."""
        return estimate_tokens(request.prompt)

    async def close(self) -> None:
        """There is nothing to close."""


def environment(
    world: AnsweringWorld,
    *,
    kernels: Mapping[str, Callable[..., Any]] | None = None,
    threads: int = 4,
    in_flight: int | None = None,
    heard: Callable[[str, str], None] | None = None,
    latency: Callable[[str], float] | None = None,
) -> Environment:
    """What a run meets of a world. Models answer so many calls at once, and after the `latency` of a prompt;
    `heard` gets the parts of their answers.
    """
    names = ("default", "small")
    models = {each: ModelSettings(each, price=PRICE, max_in_flight=in_flight) for each in names}
    return Environment(
        config=Config(models=models),
        provider=PROVIDER,
        providers={PROVIDER: AnsweringProvider(world, latency)},
        people=_person(world),
        tools={name: _tool(world, name, parameters) for name, parameters in tools().items()},
        kernels=kernels or {},
        threads=threads,
        stream=heard,
    )


def _tool(world: AnsweringWorld, name: str, parameters: Sequence[str]) -> Callable[..., object]:
    def call(*arguments: Any) -> object:
        key = idempotency_key() if name in writes() else ""
        return world.called(name, dict(zip(parameters, arguments, strict=False)), key)

    return call


def _person(world: AnsweringWorld) -> Callable[[Question], object]:
    def ask(question: Question) -> object:
        found = re.fullmatch(r"tag: (-?\d+)text: (.*)\.", question.prompt, re.DOTALL)
        if found is None:
            raise ValueError(f"nobody understands {question.prompt!r}")
        with world.lock:
            world.asked[question.operation] += 1
        return answer(question.operation, {"tag": int(found[1]), "text": found[2]})

    return ask
