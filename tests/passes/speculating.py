"""A world in which everything takes its time, for branches that start early; and programs that pay."""

import asyncio
import json
from collections.abc import Callable
from random import Random
from typing import Any

from attrs import define
from hypothesis import strategies as st

from flowc.runtime.config import Config
from flowc.runtime.environment import Environment
from flowc.runtime.errors import Problem
from flowc.runtime.limits import Price
from flowc.runtime.providers.base import (
    Embedding,
    EmbedRequest,
    ModelSettings,
    ProviderError,
    Request,
    Response,
    Usage,
)
from tests.passes.flow_text import GeneratedWorld
from tests.passes.running import TOOLS, LetterModel, RecordingWorld


@define
class SlowWorld(RecordingWorld):
    """The generated world, where each call takes a time of its own, drawn from a seed. The model takes so
    many calls at once.
    """

    seed: int = 0
    most: int | None = None

    def environment(self) -> Environment:
        """An environment in which the programs run."""
        model = ModelSettings("default", "letters", max_in_flight=self.most)
        return Environment(
            config=Config(models={"default": model}),
            provider="letters",
            providers={"letters": SlowLetters(self.world, self.seed)},
            tools={name: self._slow(name) for name in TOOLS},
        )

    def _slow(self, name: str) -> Callable[..., Any]:
        answer = self._tool(name)

        async def call(*numbers: int) -> object:
            await asyncio.sleep(delay(self.seed, name, *numbers))
            return answer(*numbers)

        return call


class SlowLetters(LetterModel):
    """The model of the generated world, which takes its time too."""

    def __init__(self, world: GeneratedWorld, seed: int) -> None:
        super().__init__(world)
        self.seed = seed

    async def generate(self, request: Request) -> Response:
        """The number of the prompt, after a while."""
        await asyncio.sleep(delay(self.seed, request.operation, request.prompt))
        return await super().generate(request)


def delay(seed: int, *what: object) -> float:
    """Seconds that a call takes, from 0.1 to 10."""
    return 0.1 * 100 ** Random(f"{seed} {what}").random()


DECLARATIONS = """\
enum Verdict: yes, no

{check}
llm check(text: str) -> Verdict:
    \"\"\"Is this fine? {{text}}\"\"\"

{ask}
llm ask(text: str) -> str:
    \"\"\"Say more of {{text}}\"\"\"

{answer}
llm answer(text: str) -> str:
    \"\"\"Answer {{text}}\"\"\"

"""
DECORATED = (*[""] * 12, "@retry(1, backoff=1ms)", "@cached")


@st.composite
def paying_programs(draw: st.DrawFn) -> str:
    """A program whose flow `main(q)` asks models, some behind conditions, under budgets.

    Most have one condition, and nothing to pay behind it: there branches may start early.
    """
    heads = {name: draw(st.sampled_from(DECORATED)) for name in ("check", "ask", "answer")}
    tokens = draw(st.integers(50, 1200))
    limit = draw(st.sampled_from((f"${tokens}", f"tokens={tokens}", f"${tokens}, tokens={2 * tokens}")))
    inner = draw(st.booleans())
    pad = "        " if inner else "    "
    lines = [f"    with budget({limit}):"] if inner else []
    lines += [f"{pad}{draw(st.sampled_from(('x', 'y')))} = ask(x)"] * draw(st.integers(0, 1))
    for _ in range(draw(st.sampled_from((1, 1, 1, 2)))):
        lines.append(f"{pad}if check({draw(st.sampled_from(('q', 'x', 'x + q')))}) == Verdict.yes:")
        lines += [f"{pad}    x = {draw(BRANCHES)}"]
        if draw(st.integers(0, 4)) == 0:
            lines += [f"{pad}else:", f"{pad}    x = {draw(BRANCHES)}"]
    if draw(st.integers(0, 4)) == 0:
        lines.append(f"{pad}x = ask(q + x)")
    lines.append("    return x + y")
    head = "" if inner else f"@budget({limit})\n"
    body = "    x = q\n    y = q\n" + "\n".join(lines) + "\n"
    return DECLARATIONS.format(**heads) + head + "flow main(q: str) -> str:\n" + body


BRANCHES = st.sampled_from(
    (
        "answer(q)",
        "answer(x)",
        "answer(q + q)",
        "answer(ask(q))",
        "ask(q) + answer(q)",
        "try answer(q) else x",
    )
)


@define
class Paid:
    """A provider that counts what is really spent, of calls that are broken off the whole answer."""

    seed: int
    longest: int
    tokens: int = 0
    cancelled: int = 0

    async def generate(self, request: Request) -> Response:
        """An answer by the prompt alone; some of them fail, and cost all the same."""
        chance = Random(f"{self.seed} {request.operation} {request.prompt} {request.attempt}")
        wanted = chance.randint(1, self.longest)
        answer = min(wanted, request.max_tokens or self.longest)
        usage = Usage(self.prompt_bound(request), answer)
        self.tokens += usage.prompt + usage.answer
        try:
            await asyncio.sleep(delay(self.seed, request.operation, request.prompt))
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if chance.random() < 0.1:
            error = ProviderError(Problem("E0821", "the endpoint failed"))
            error.usage = usage
            raise error
        said: object = f"{request.operation} {len(request.prompt)}"
        if request.schema is not None:
            said = chance.choice(("yes", "no"))
        text = json.dumps({"value": said}) if request.schema is not None else str(said)
        return Response(text, usage, "stop" if answer == wanted else "length")

    async def embed(self, request: EmbedRequest) -> Embedding:
        """No paying program embeds anything."""
        raise NotImplementedError

    def prompt_bound(self, request: Request) -> int:
        """Exact."""
        return len(request.prompt)

    async def close(self) -> None:
        """Has nothing to let go."""

    def environment(self) -> Environment:
        """An environment in which a token costs a dollar."""
        model = ModelSettings("default", "paid", "m", price=Price(1.0, 1.0), max_tokens=self.longest)
        return Environment(config=Config(models={"default": model}), providers={"paid": self})
