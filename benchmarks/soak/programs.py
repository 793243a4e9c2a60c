"""What is soaked: small programs that call models, tools, processes and kernels, and what they call.

What is called draws from one seeded source what it does: it answers, fails, takes too long, or never ends.
"""

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define

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
from flowc.runtime.scheduler.given_up import INTERRUPTS

DECLARED = """
@model("moody")
@retry(2, backoff=1ms)
@timeout(50ms)
llm ask(number: int) -> str:
    \"\"\"What is {number}?\"\"\"

@model("moody")
llm judge(text: str) -> int:
    \"\"\"How good is {text}?\"\"\"

@timeout(30ms)
tool wait(number: int) -> int reads world
tool later(number: int) -> int reads world
@timeout(100ms)
tool process(number: int) -> int reads world
tool processes(number: int) -> int reads world

kernel squares(x: f32[n]) -> f32:
    return sum(x * x)
"""

FLOWS = {
    "answers": """
@budget(tokens=20000)
flow main(count: int) -> list[str]:
    return [try ask(number) else "none" for number in range(count)]
""",
    "waits": """
flow main(count: int) -> int:
    return sum([try wait(number) else 0 for number in range(count)])
""",
    "race": """
flow main(count: int) -> int:
    return try race(later(count), wait(count)) else 0
""",
    "processes": """
@timeout(200ms)
flow main(count: int) -> int:
    return process(count) + processes(count)
""",
    "judged": """
@timeout(100ms)
flow main(count: int) -> list[int]:
    return [judge(ask(number)) for number in range(count)]
""",
    "numbers": """
flow main(count: int) -> f32:
    return squares(embed([ask(number) for number in range(4)])[0])
""",
}


@define(eq=False)
class Moody:
    """A provider that answers most of the time."""

    chance: random.Random

    async def generate(self, request: Request) -> Response:
        """An answer, a failure, or nothing for a long time."""
        match self.chance.choice(("answer", "answer", "refuse", "break", "hang", "nonsense")):
            case "refuse":
                raise ProviderError(Problem("E0820", "too many"), after=self.chance.random() / 100)
            case "break":
                raise ProviderError(Problem("E0822", "the connection broke"))
            case "hang":
                await asyncio.sleep(3600)
            case "nonsense":
                return Response("no number" * 100, Usage(10, 200))
        await asyncio.sleep(self.chance.random() / 100)
        text = "7" if request.schema is None else '{"value": 7}'
        return Response(text, Usage(estimate_tokens(request.prompt), 2))

    async def embed(self, request: EmbedRequest) -> Embedding:
        """A thousand numbers a text."""
        return Embedding(tuple((float(len(text)),) * 1000 for text in request.texts), Usage(10, 0))

    def prompt_bound(self, request: Request) -> int:
        """Bytes."""
        return len(request.prompt)

    async def close(self) -> None:
        """Nothing is open."""


def tools(chance: random.Random) -> Mapping[str, Callable[..., Any]]:
    """The functions of the tools. They run for ever only where something can end them."""

    moods = ("answer", "answer", "fail", "late", *(("loop",) if INTERRUPTS else ()))

    def wait(number: int) -> int:
        match chance.choice(moods):
            case "fail":
                raise ValueError(f"{number}: as it happens")
            case "late":
                time.sleep(0.05)
            case "loop":
                while True:
                    number += 1
        return number

    def later(number: int) -> int:
        time.sleep(chance.random() / 20)
        return number

    def process(number: int) -> int:
        seconds = chance.choice((0, 0, 60))
        return subprocess.run(["sleep", str(seconds)], check=False).returncode

    async def processes(number: int) -> int:
        seconds = chance.choice((0, 60))
        command = sys.executable if number < 0 else "sleep"
        child = await asyncio.create_subprocess_exec(command, str(seconds), stdout=subprocess.PIPE)
        await child.communicate()
        return number

    return {"wait": wait, "later": later, "process": process, "processes": processes}
