"""What each pass is worth: a program a user would write, at -O2 with and without the pass.

Calls take their time on the virtual clock, so the figures are exact: a call waits 100 ms, nothing else does.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from attrs import frozen

from benchmarks.measure import Row, Table
from benchmarks.rounds import Options
from flowc.runtime.config import Config
from flowc.runtime.providers.base import Embedding, EmbedRequest, ModelSettings, Request, Response, Usage

DECLARATIONS = """
tool fetch(url: str) -> str reads web
tool note(text: str) -> none writes diary
tool rank(text: str) -> int pure

@model("small")
llm ask(text: str) -> str:
    \"\"\"{text}\"\"\"

"""


@frozen
class Waiting:
    """A provider that answers with the prompt, after `answer` has waited."""

    answer: Callable[[str], Awaitable[str]]

    async def generate(self, request: Request) -> Response:
        """Answers one prompt."""
        return Response(await self.answer(request.prompt), Usage(1, 1))

    async def embed(self, request: EmbedRequest) -> Embedding:
        """Turns texts into vectors of one number."""
        return Embedding(tuple((1.0,) for _ in request.texts))

    def prompt_bound(self, request: Request) -> int:
        """The most tokens that the prompt can count."""
        return len(request.prompt)

    async def close(self) -> None:
        """Has nothing to let go."""


@frozen
class Case:
    """A pass, a program in which it fires, and what the program shows."""

    removed: str
    shows: str
    body: str


CASES = (
    Case(
        "parallelise",
        "ten independent reads in a loop",
        """flow main() -> int:
    pages: list[str] = []
    for i in range(10):
        pages = pages + [fetch(str(i))]
    return len(pages)
""",
    ),
    Case(
        "merge-calls",
        "the same page asked for by three branches, one after another",
        """flow main() -> int:
    a = rank(fetch("a"))
    note("one")
    b = rank(fetch("a"))
    note("two")
    c = rank(fetch("a"))
    return a + b + c
""",
    ),
    Case(
        "inline",
        "two helper flows, each with a part that the other need not wait for",
        """flow first(x: str) -> int:
    return rank(fetch(x))

flow second(x: str, before: int) -> int:
    own = rank(fetch(x))
    return own + before

flow main() -> int:
    return second("b", first("a"))
""",
    ),
    Case(
        "cse",
        "a pure call written twice",
        """flow main() -> int:
    return rank("a") + rank("a")
""",
    ),
    Case(
        "dce",
        "a list built for a message that is no longer written",
        """flow main() -> int:
    pages = [fetch(str(i)) for i in range(10)]
    lines = ["page: " + page for page in pages]
    message = join(", ", lines)
    return len(pages)
""",
    ),
    Case(
        "schedule",
        "a model that takes two calls at once: four short questions, then a chain of three",
        """flow main() -> str:
    s = ask("1") + ask("2") + ask("3") + ask("4")
    return s + ask(ask(ask("5")))
""",
    ),
)


def run(_: Options) -> Table:
    """Calls, nodes and virtual milliseconds, with every pass and with one left out."""
    rows: list[Row] = []
    for case in CASES:
        calls, nodes, wall = figures(case.body, ())
        without_calls, without_nodes, without_wall = figures(case.body, (case.removed,))
        rows.append(
            {
                "pass": case.removed,
                "program": case.shows,
                "calls": calls,
                "calls_without": without_calls,
                "nodes": nodes,
                "nodes_without": without_nodes,
                "virtual_ms": round(wall, 1),
                "ms_without": round(without_wall, 1),
                "gain": round(without_wall / wall, 2) if wall else "",
            }
        )
    return Table("passes", "What each pass is worth at -O2 (calls wait 100 ms of virtual time)", tuple(rows))


def figures(body: str, removed: Sequence[str]) -> tuple[int, int, float]:
    """Calls made, nodes run and virtual milliseconds of a program at -O2 without some passes."""
    from flowc.compiler.driver import Options, compile_text
    from flowc.passes.pipelines import PIPELINES
    from flowc.runtime.clock import VirtualLoop
    from flowc.runtime.execute import Environment, run_plan

    made = 0

    async def answer(value: str) -> str:
        nonlocal made
        made += 1
        await asyncio.sleep(0.1)
        return value

    async def rank(text: str) -> int:
        return len(await answer(text))

    async def note(text: str) -> None:
        await answer(text)

    names = [each.name for each in PIPELINES["O2"] if each.name not in removed]
    compiled = compile_text(DECLARATIONS + body, "case.flow", options=Options(pipeline=",".join(names)))
    environment = Environment(
        tools={"fetch": answer, "note": note, "rank": rank},
        config=Config(models={"small": ModelSettings("small", provider="waiting", max_in_flight=2)}),
        providers={"waiting": Waiting(answer)},
    )
    loop = VirtualLoop()
    try:
        result = loop.run_until_complete(run_plan(compiled.plan, "main", {}, environment=environment))
    finally:
        loop.close()
    if result.status != "ok":
        raise RuntimeError(f"the benchmark's flow ended {result.status}: {result.problem}")
    return made, result.nodes, result.wall_ms
