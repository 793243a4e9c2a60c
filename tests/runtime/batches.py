"""Programs for batches, and a world that counts every call it answers."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, field
from hypothesis import strategies as st

from flowc.compiler import driver
from flowc.runtime.batch import Ended, run_many
from flowc.runtime.config import Config
from flowc.runtime.environment import Environment
from flowc.runtime.errors import Problem
from flowc.runtime.execute import load, run_plan
from flowc.runtime.plan import Plan
from flowc.runtime.providers.base import (
    Embedding,
    EmbedRequest,
    ModelSettings,
    ProviderError,
    Request,
    Response,
    Usage,
    estimate_tokens,
)
from flowc.runtime.result import RunResult
from tests.runtime.worlds import in_virtual_time

HEADER = """\
tool look(i: int) -> int reads db
tool work(i: int) -> int pure
tool shaky(i: int) -> int reads web
@retry(1)
tool again(i: int) -> int reads web
tool put(i: int) -> int writes store idempotent

@retry(2)
@model("m", temperature=0)
llm judge(i: int) -> int:
    \"\"\"Judge {i}\"\"\"

@cached
@model("m")
llm recall(i: int) -> int:
    \"\"\"Recall {i}\"\"\"

@model("m")
llm guess(i: int) -> int:
    \"\"\"Guess {i}\"\"\"

"""
CALLS = ("look", "work", "shaky", "again", "put", "judge", "recall", "guess")
STEADY = ("look", "work", "shaky", "again", "judge", "recall")
VARIABLES = ("a", "b", "c")


@st.composite
def programs(draw: st.DrawFn) -> str:
    """A flow `main(n)` that calls what may be shared and what may not, and sometimes fails."""
    lines = [f"{name} = {draw(st.integers(0, 3))} + n" for name in VARIABLES]
    for _ in range(draw(st.integers(1, 6))):
        lines += draw(_statements())
    lines.append("return a + 100 * b + 10000 * c")
    return HEADER + "flow main(n: int) -> int:\n" + "".join(f"    {line}\n" for line in lines)


@st.composite
def _calls(draw: st.DrawFn) -> str:
    name, of = draw(st.sampled_from(CALLS)), draw(st.sampled_from((*VARIABLES, "n")))
    return f"{name}(({of} + {draw(st.integers(0, 2))}) % 7)"


@st.composite
def _statements(draw: st.DrawFn) -> list[str]:
    target, call, other = draw(st.sampled_from(VARIABLES)), draw(_calls()), draw(_calls())
    match draw(st.integers(0, 7)):
        case 0 | 1:
            return [f"{target} = {call}"]
        case 2:
            return [f"{target} = {call} + {other}"]
        case 3:
            return [f"{target} = try {call} else {draw(st.integers(0, 9))}"]
        case 4:
            return ["if a % 2 == 0:", f"    {target} = {call}", "else:", f"    {target} = {other}"]
        case 5:
            name = draw(st.sampled_from(STEADY))
            return [f"{target} = sum([{name}((x + {target}) % 7) for x in range(4)])"]
        case 6:
            return [f"{target} = vote(judge({target} % 7), max=3, lead=2)"]
    return ["with retry(1):", f"    {target} = {call} + {other}"]


@define
class World:
    """Tools and a model whose answers depend on what is asked alone. `fail` are the arguments at which
    `shaky` and `again` fail; every third question to `judge` fails at the first attempt.
    """

    fail: frozenset[int] = frozenset()
    made: Counter[tuple[str, object]] = field(factory=Counter)
    prompts: list[Request] = field(factory=list)

    def environment(self, **settings: Any) -> Environment:
        """An environment in which the programs run."""
        return Environment(
            config=Config(models={"m": ModelSettings("m", "counting", "m-1", **settings)}),
            providers={"counting": self},
            tools={"look": self.look, "work": self.work, "shaky": self.shaky, "again": self.again}
            | {"put": self.put, "fetch": self.fetch, "send": self.send, "flaky": self.flaky},
        )

    async def look(self, i: int) -> int:
        self.made["look", i] += 1
        await asyncio.sleep(0.1 * (1 + i % 4))
        return i * 7 % 11

    def work(self, i: int) -> int:
        self.made["work", i] += 1
        return i * 5 % 13

    def shaky(self, i: int) -> int:
        self.made["shaky", i] += 1
        if i in self.fail:
            raise ValueError(f"shaky fails at {i}")
        return i * 3 % 17

    async def again(self, i: int) -> int:
        self.made["again", i] += 1
        await asyncio.sleep(0.1)
        if i in self.fail:
            raise ValueError(f"again fails at {i}")
        return i * 2 % 5

    def flaky(self, i: int) -> int:
        """Fails the first time."""
        self.made["flaky", i] += 1
        if self.made["flaky", i] == 1:
            raise ValueError(f"flaky fails at {i}")
        return i

    async def put(self, i: int) -> int:
        self.made["put", i] += 1
        await asyncio.sleep(0.05)
        return i

    async def fetch(self, url: str) -> str:
        self.made["fetch", url] += 1
        await asyncio.sleep(1)
        return f"page {url}"

    async def send(self, text: str) -> None:
        self.made["send", text] += 1

    async def generate(self, request: Request) -> Response:
        self.made[request.operation, request.prompt] += 1
        self.prompts.append(request)
        await asyncio.sleep(0.5)
        number = int(re.findall(r"\d+", request.prompt)[-1])
        if number % 3 == 0 and request.attempt == 1 and request.operation == "judge":
            raise ProviderError(Problem("E0821", "the endpoint failed"))
        text = json.dumps({"value": number * 4 % 9})
        return Response(text, Usage(estimate_tokens(request.prompt), 3))

    async def embed(self, request: EmbedRequest) -> Embedding:
        self.made["embed", request.texts] += 1
        return Embedding(tuple((float(len(text)), 1.0) for text in request.texts), Usage(9, 0))

    def prompt_bound(self, request: Request) -> int:
        return estimate_tokens(request.prompt)

    async def close(self) -> None:
        pass


def compiled(text: str, level: int = 2) -> Plan:
    """The plan of a program."""
    return driver.compile_text(text, "batch.flow", level=level).plan


def alone(plan: Plan, environment: Environment, arguments: Mapping[str, object]) -> RunResult:
    """One run by itself."""
    return in_virtual_time(lambda: run_plan(plan, "main", arguments, environment=environment))


def together(
    plan: Plan, environment: Environment, lines: Sequence[Mapping[str, object]], width: int = 16
) -> list[Ended]:
    """The runs of a batch."""
    return in_virtual_time(lambda: run_many(load(plan, environment), "main", lines, width=width))
