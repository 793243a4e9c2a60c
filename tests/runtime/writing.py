"""Answers that come part by part: a provider that writes them in virtual time, and what comes of a run."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from attrs import define, field, frozen

from flowc.compiler import driver
from flowc.runtime.clock import VirtualLoop
from flowc.runtime.environment import Environment
from flowc.runtime.errors import Problem
from flowc.runtime.execute import run_plan
from flowc.runtime.providers.base import Embedding, EmbedRequest, ProviderError, Request, Response, Usage
from flowc.runtime.result import RunResult


@frozen
class Attempt:
    """How one attempt of an answer comes: what is heard of it, a part a second, and what it is then.

    `cuts` are the places between the parts; the connection breaks instead of part `broken`; `told` is what is
    heard, where that is not what the answer is in the end.
    """

    text: str
    cuts: tuple[int, ...] = ()
    broken: int | None = None
    told: str | None = None

    def heard(self) -> list[str]:
        """The parts of what is heard."""
        text = self.text if self.told is None else self.told
        places = [0, *sorted(cut % (len(text) + 1) for cut in self.cuts), len(text)]
        return [text[a:b] for a, b in pairwise(places)]


@define
class Writing:
    """A provider that writes the answers of `writers` part by part, one a second, and gives all others as
    `other` says, within a second. Without `writers` it writes everything so.
    """

    attempts: Sequence[Attempt]
    writers: Sequence[str] = ()
    other: Callable[[Request], str] = "answer to {0.prompt}".format
    asked: list[tuple[str, float]] = field(factory=list)

    async def generate(self, request: Request) -> Response:
        """An attempt, as it was told to come; or another answer, whose prompt and time are kept."""
        if self.writers and request.operation not in self.writers:
            self.asked.append((request.prompt, asyncio.get_running_loop().time()))
            await asyncio.sleep(1.0)
            return Response(self.other(request), Usage(1, 1))
        attempt = self.attempts[min(request.attempt, len(self.attempts)) - 1]
        for number, part in enumerate(attempt.heard()):
            await asyncio.sleep(1.0)
            if number == attempt.broken:
                raise ProviderError(Problem("E0821", "the connection broke"))
            if request.stream is not None:
                request.stream(part)
        return Response(attempt.text, Usage(1, 1))

    async def embed(self, request: EmbedRequest) -> Embedding:
        """Nothing is embedded here."""
        raise NotImplementedError

    def prompt_bound(self, request: Request) -> int:
        """No prompt is long."""
        return 100

    async def close(self) -> None:
        """There is nothing to close."""


@define
class Told:
    """What came of a run: result or problem, when; which calls began when, which ended, what was noted."""

    result: object = None
    problem: str | None = None
    seconds: float = 0.0
    begun: list[tuple[str, float]] = field(factory=list)
    ended: list[str] = field(factory=list)
    noted: list[str] = field(factory=list)

    def at(self, text: str) -> list[float]:
        """When the calls with this argument began."""
        return [at for said, at in self.begun if said == text]

    def end(self, run: RunResult, seconds: float) -> None:
        """Takes what a run ended with, and when."""
        self.result, self.problem, self.seconds = run.result, run.problem and run.problem.code, seconds


def ran(
    text: str,
    provider: Writing,
    tools: Mapping[str, Callable[..., Any]],
    level: int = 2,
    options: driver.Options | None = None,
) -> tuple[RunResult, float]:
    """How a program that has no arguments ends, and after how many seconds of virtual time."""
    environment = Environment(tools=dict(tools), providers={"writing": provider}, provider="writing")
    compiled = driver.compile_text(text, "main.flow", level=level, options=options)
    loop = VirtualLoop()
    try:
        run = loop.run_until_complete(run_plan(compiled.plan, "main", {}, environment=environment))
        return run, loop.time()
    finally:
        loop.close()
