"""Worlds to run plans in: virtual time, and a provider that answers as it is told."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from attrs import define, field

from flowc.runtime.clock import VirtualLoop
from flowc.runtime.environment import Environment
from flowc.runtime.execute import run_plan
from flowc.runtime.plan import Plan
from flowc.runtime.providers.base import (
    Embedding,
    EmbedRequest,
    Request,
    Response,
    Usage,
    estimate_tokens,
)
from flowc.runtime.result import RunResult


@define(eq=False)
class Scripted:
    """A provider that asks a coroutine function; tokens are counted as they are estimated."""

    answer: Callable[[Request], Awaitable[str | Response]]
    requests: list[Request] = field(factory=list)
    in_flight: int = 0
    most: int = 0

    async def generate(self, request: Request) -> Response:
        self.requests.append(request)
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            answer = await self.answer(request)
        finally:
            self.in_flight -= 1
        if isinstance(answer, Response):
            return answer
        return Response(answer, Usage(estimate_tokens(request.prompt), estimate_tokens(answer)))

    async def embed(self, request: EmbedRequest) -> Embedding:
        return Embedding(tuple((float(len(text)), 1.0) for text in request.texts))

    def prompt_bound(self, request: Request) -> int:
        return estimate_tokens(request.prompt)

    async def close(self) -> None:
        pass


def in_virtual_time(work: Callable[[], Awaitable[Any]]) -> Any:
    """What a coroutine gives, in a loop whose clock jumps."""

    async def go() -> Any:
        return await work()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(go())


def virtually(of: Plan, environment: Environment, **arguments: object) -> RunResult:
    """The result of flow `main` in virtual time."""
    return in_virtual_time(lambda: run_plan(of, "main", arguments, environment=environment))
