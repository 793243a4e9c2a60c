"""What each pass is worth: a program a user would write, at -O2 or -O3 with and without the pass.

Calls take their time on the virtual clock, so the figures are exact: a call waits 100 ms, one of a model
0.1 ms more for each token of its prompt that the model has not seen, nothing else does.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from random import Random

from attrs import define, field, frozen

from benchmarks.measure import Row, Table
from benchmarks.pass_programs import CASES, DECLARATIONS
from benchmarks.rounds import Options
from flowc.runtime.config import Config
from flowc.runtime.plan import Json
from flowc.runtime.providers.base import (
    Embedding,
    EmbedRequest,
    ModelSettings,
    Request,
    Response,
    Usage,
    estimate_tokens,
)
from flowc.runtime.providers.simulated.answers import value_of
from flowc.runtime.types import PlanOf

SMALL = ModelSettings("small", provider="waiting", max_in_flight=2)
LARGE = ModelSettings("large", provider="waiting", prefix_cache=True)
PREFILL = 0.0001
"""Seconds that a model takes for each token of a prompt that it has not seen."""

WORD = 0.01
"""Seconds that a model takes for each word of a list or a plan."""

ITEMS = 4
"""How many times as long lists are as simulated ones."""

STEPS: Json = {
    "steps": [
        *({"id": f"page{i}", "tool": "fetch", "arguments": {"url": str(i)}} for i in range(4)),
        *({"id": f"rank{i}", "tool": "rank", "arguments": {"text": f"$page{i}"}} for i in range(4)),
        {"id": "end", "tool": "note", "arguments": {"text": "$page3"}},
    ]
}
"""A plan that a model writes."""


WRITTEN = ("report", "essay")
"""The models whose records and texts come word by word, as lists and plans do."""


def common(first: str, second: str) -> int:
    """How many characters two texts begin with alike."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(first), len(second)))


@define
class Waiting:
    """A provider that answers with the prompt, after `answer` has waited.

    It keeps what it computed for prompts whose answers have begun; `prefilled` counts the tokens of prompts
    that were not there, `decoded` those of answers.
    """

    answer: Callable[[str], Awaitable[str]]
    kept: list[str] = field(factory=list)
    prefilled: int = 0
    decoded: int = 0

    async def generate(self, request: Request) -> Response:
        """Answers one prompt."""
        there = max((common(request.prompt, each) for each in self.kept), default=0)
        new = estimate_tokens(request.prompt[there:])
        self.prefilled += new
        await asyncio.sleep(new * PREFILL)
        self.kept.append(request.prompt)
        if request.stream is not None:
            request.stream("")
        text = await self.answer(request.prompt)
        written = request.operation in WRITTEN
        if request.schema is not None:
            value = value_of(request.result, request.tables, Random(request.operation))
            value = value * ITEMS if isinstance(value, list) else value
            value = STEPS if isinstance(request.result, PlanOf) else value
            text = json.dumps({"value": value})
            written = written or isinstance(value, list) or value is STEPS
        await self._write(text.split(" ") if written else [], request)
        self.decoded += estimate_tokens(text)
        return Response(text, Usage(estimate_tokens(request.prompt), estimate_tokens(text)))

    async def _write(self, words: Sequence[str], request: Request) -> None:
        for word in words:
            await asyncio.sleep(WORD)
            if request.stream is not None:
                request.stream(word + " ")

    async def embed(self, request: EmbedRequest) -> Embedding:
        """Turns texts into vectors of one number."""
        await self.answer("")
        return Embedding(tuple((1.0,) for _ in request.texts))

    def prompt_bound(self, request: Request) -> int:
        """The most tokens that the prompt can count."""
        return len(request.prompt)

    async def close(self) -> None:
        """Has nothing to let go."""


def run(_: Options) -> Table:
    """Calls, nodes, tokens and virtual milliseconds, with every pass and with one left out."""
    rows: list[Row] = []
    for case in CASES:
        with_pass = figures(case.body, (), case.level)
        without = figures(case.body, (case.removed,), case.level)
        rows.append(
            {
                "pass": case.removed,
                "program": case.shows,
                "calls": with_pass.calls,
                "calls_without": without.calls,
                "nodes": with_pass.nodes,
                "nodes_without": without.nodes,
                "prefilled": with_pass.prefilled,
                "prefilled_without": without.prefilled,
                "decoded": with_pass.decoded,
                "decoded_without": without.decoded,
                "virtual_ms": round(with_pass.wall, 1),
                "ms_without": round(without.wall, 1),
                "gain": round(without.wall / with_pass.wall, 2) if with_pass.wall else "",
            }
        )
    return Table(
        "passes",
        "What each pass is worth at -O2, speculate and hedge at -O3 (virtual time: a call waits 100 ms, "
        "and 0.1 ms for each new token of a prompt)",
        tuple(rows),
    )


@frozen
class Figures:
    """Calls made, nodes run, tokens that a provider that caches had to compute, virtual milliseconds."""

    calls: int
    nodes: int
    prefilled: int
    decoded: int
    wall: float


def figures(body: str, removed: Sequence[str], level: str = "O2") -> Figures:
    """What a program at a level without some passes takes."""
    from flowc.compiler.driver import Options, compile_text
    from flowc.passes.pipelines import PIPELINES
    from flowc.runtime.clock import VirtualLoop
    from flowc.runtime.execute import Environment, run_plan
    from flowc.runtime.kernels import load

    made = 0
    seen: set[str] = set()

    async def answer(value: str) -> str:
        nonlocal made
        made += 1
        late = value == "late" and value not in seen
        seen.add(value)
        await asyncio.sleep(3.0 if late else 0.1)
        return value

    async def rank(text: str) -> int:
        return len(await answer(text))

    async def note(text: str) -> None:
        await answer(text)

    names = [each.name for each in PIPELINES[level] if each.name not in removed]
    compiled = compile_text(DECLARATIONS + body, "case.flow", options=Options(pipeline=",".join(names)))
    provider = Waiting(answer)
    kernels = compiled.kernels
    environment = Environment(
        tools={"fetch": answer, "note": note, "rank": rank},
        config=Config(models={"small": SMALL, "large": LARGE}),
        providers={"waiting": provider},
        provider="waiting",
        kernels=load(kernels.object_code, kernels.signatures) if kernels is not None else {},
    )
    loop = VirtualLoop()
    try:
        result = loop.run_until_complete(run_plan(compiled.plan, "main", {}, environment=environment))
    finally:
        loop.close()
    if result.status != "ok":
        raise RuntimeError(f"the benchmark's flow ended {result.status}: {result.problem}")
    return Figures(made, result.nodes, provider.prefilled, provider.decoded, result.wall_ms)
