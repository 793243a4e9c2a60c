"""Who stands in for models, tools, people and kernels: each takes the time that it is expected to take, and
gives a value of which nothing is known. Nothing outside is asked, and no code of a program runs.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define, evolve, field, frozen

from flowc.passes.simulation.guesses import Guesses
from flowc.passes.simulation.unknown import Unknown, UnknownArray, Unsure, described, is_unknown
from flowc.runtime.kernel_calls import sizer
from flowc.runtime.kernel_signature import KernelSignature
from flowc.runtime.limits import Budget
from flowc.runtime.plan import Operation
from flowc.runtime.providers.base import (
    Embedding,
    EmbedRequest,
    Hole,
    Provider,
    Request,
    Response,
    Segment,
    Usage,
    estimate_tokens,
)
from flowc.runtime.scheduler.attempts import with_attempts
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.embeddings import Embed
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.frames import Frame
from flowc.runtime.scheduler.models import Generate
from flowc.runtime.scheduler.prompts import Template
from flowc.runtime.scheduler.sleeping import LONGEST
from flowc.runtime.values import as_text

DIMENSIONS = 64
"""Of the vectors that texts become."""
HOLE_TOKENS = 200
"""Tokens of what fills a hole of a prompt, where no run has shown how long prompts are."""
LONGEST_PROMPT = 1_000_000
"""Characters that stand for what is unknown of a prompt, at most."""
PLANNED_CALLS = 5
"""Calls that the steps of a plan make which a model writes, one after the other."""

KernelTime = Callable[[Sequence[Any] | None], float]
"""Seconds of a call of a kernel with such arguments, of which only types and shapes count, or, of None, with
arrays of a size that is assumed. Raises one of `NOT_SAID` where that cannot be said."""
NOT_SAID = (LookupError, TypeError, ValueError, AttributeError, Unsure)


@define(eq=False)
class Foreseen:
    """A provider of which each call takes what calls of its operation are expected to take.

    `name` is the provider that it stands in for. Where no run is known, `described` answers if it is there;
    the models of `always` it answers in any case, with `all_described` all.
    """

    name: str
    operations: Mapping[str, Operation]
    guesses: Guesses
    described: Provider | None = None
    always: frozenset[str] = frozenset()
    all_described: bool = False
    under_way: Counter[str] = field(factory=Counter)

    async def generate(self, request: Request) -> Response:
        """Some answer, of which only the tokens and the time mean something."""
        if self.described is not None and self._as_described(request.operation, request.model.alias):
            return evolve(await self.described.generate(request), text=ANSWER, finish="stop")
        prompt, alias = estimate_tokens(request.prompt), request.model.alias
        operation = self.operations[request.operation]
        tokens, seconds = self.guesses.answer(operation, self.name, prompt, self.under_way[alias])
        if request.max_tokens is not None:
            tokens = min(tokens, request.max_tokens)
        self.under_way[alias] += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self.under_way[alias] -= 1
        return Response(ANSWER, Usage(prompt, tokens))

    async def generate_many(self, requests: Mapping[str, Request]) -> Sequence[tuple[str, Response]]:
        """The answers to many requests, when all are there."""
        found = await asyncio.gather(*map(self.generate, requests.values()))
        return list(zip(requests, found, strict=True))

    async def embed(self, request: EmbedRequest) -> Embedding:
        """Vectors that mean nothing."""
        if self.described is not None and self._as_described("embed", request.model.alias):
            return await self.described.embed(request)
        await asyncio.sleep(self.guesses.embedding(self.name))
        return Embedding(((0.0,),) * len(request.texts), Usage(sum(map(estimate_tokens, request.texts)), 0))

    def _as_described(self, operation: str, alias: str) -> bool:
        return self.all_described or alias in self.always or not self.guesses.knows(operation, self.name)

    def prompt_bound(self, request: Request) -> int:
        """What is counted is what is estimated."""
        return estimate_tokens(request.prompt)

    async def close(self) -> None:
        """Nothing is open."""


ANSWER = json.dumps({"value": 0})
"""What a stand-in of a model writes: it is never read."""


@frozen
class Filled(Template):
    """A prompt with holes of which some are unknown: text stands there, as much as prompts usually have."""

    operation: str = ""
    provider: str = ""
    guesses: Guesses = field(factory=Guesses, eq=False)

    def fill(self, values: Sequence[Any]) -> tuple[Segment, ...]:
        """The segments; equal values give equal texts, unknown ones among them."""
        parts: list[Segment] = []
        unknown: list[int] = []
        for part in self.parts:
            if isinstance(part, str):
                parts.append(part)
                continue
            value = values[part[0]]
            if is_unknown(value):
                unknown.append(len(parts))
            parts.append(Hole(part[1], value, described(value) if is_unknown(value) else as_text(value)))
        if not unknown:
            return tuple(parts)
        known = sum(len(each if isinstance(each, str) else each.text) for each in parts)
        wanted = self.guesses.prompt(self.operation, self.provider)
        size = 4 * HOLE_TOKENS if wanted is None else max(0, 4 * wanted - known) // len(unknown)
        for place in unknown:
            hole = parts[place]
            assert isinstance(hole, Hole)
            parts[place] = evolve(hole, text=hole.text.ljust(min(size, LONGEST_PROMPT), "."))
        return tuple(parts)


@frozen(eq=False)
class Asked(Generate):
    """generate: through the gate and all that the runtime does about a call; the answer is unknown."""

    begun: Callable[[], None] = field(kw_only=True)

    async def __call__(self, engine: Engine, frame: Frame, instruction: Instruction) -> Any:
        """An unknown value."""
        self.begun()
        await Generate.__call__(self, engine, frame, instruction)
        return Unknown()


@frozen(eq=False)
class Embedded(Embed):
    """embed: as many texts as are given, or as a list of unknown length is taken to have."""

    guesses: Guesses
    begun: Callable[[], None]

    def texts(self, frame: Frame, instruction: Instruction) -> tuple[str, ...]:
        """Texts that stand for those that are unknown."""
        value = frame.slots[instruction.inputs[0]]
        if isinstance(value, Unknown):
            value = value.settled(self.guesses.items(instruction.node))
        return tuple(
            described(each).ljust(4 * HOLE_TOKENS, ".") if is_unknown(each) else each for each in value
        )

    async def __call__(self, engine: Engine, frame: Frame, instruction: Instruction) -> Any:
        """An array of which the elements are unknown."""
        self.begun()
        found = await Embed.__call__(self, engine, frame, instruction)
        return UnknownArray((len(found), DIMENSIONS), "f32")


def waiting(
    operation: Operation, seconds: Callable[[], float], begun: Callable[[], None]
) -> Callable[..., Any]:
    """A person: under the limits of the question, and asked again as they say."""

    async def wait(engine: Engine, frame: Frame, instruction: Instruction) -> Any:
        begun()

        async def once(attempt: int, budgets: tuple[Budget, ...]) -> Any:
            await asyncio.sleep(seconds())
            return Unknown()

        return await with_attempts(engine, frame, instruction, operation.limits, once)

    return wait


async def sleeping(begun: Callable[[], None], engine: Engine, frame: Frame, instruction: Instruction) -> None:
    """A sleep: for as long as it says, or no time where that is not known."""
    begun()
    seconds = frame.slots[instruction.inputs[0]]
    await asyncio.sleep(seconds if isinstance(seconds, float) and 0 <= seconds <= LONGEST else 0.0)


def planned(
    operations: Sequence[Operation], seconds: Callable[[Operation], float], begun: Callable[[], None]
) -> Callable[..., Any]:
    """The steps of a plan that a model writes: a few calls of its tools, one after the other."""

    async def wait(engine: Engine, frame: Frame, instruction: Instruction) -> Any:
        begun()
        for number in range(PLANNED_CALLS if operations else 0):
            await asyncio.sleep(seconds(operations[number % len(operations)]))
        return Unknown()

    return wait


@define(eq=False)
class Processor:
    """What kernels share: each takes all cores, so one runs after the other, in the order in which they
    come.
    """

    free: float = 0.0

    async def work(self, now: float, seconds: float) -> float:
        """Waits until work of so many seconds that comes now is done; gives how long it waited before it."""
        begun = max(self.free, now)
        self.free = begun + seconds
        await asyncio.sleep(self.free - now)
        return begun - now


def computing(
    processor: Processor,
    signature: KernelSignature | None,
    seconds: Callable[[Frame, Sequence[Any]], float],
    begun: Callable[[], None],
) -> Callable[..., Any]:
    """A kernel: it takes its time on the processor, and gives arrays of the shapes that it would give."""

    async def wait(engine: Engine, frame: Frame, instruction: Instruction) -> Any:
        begun()
        arguments = [frame.slots[slot] for slot in instruction.inputs]
        waited = await processor.work(engine.loop.time(), seconds(frame, arguments))
        engine.note("spent", frame, instruction, {"waited_s": waited})
        results = _results(signature, arguments) if signature is not None else None
        count = len(instruction.outputs)
        if results is None or len(results) != count:
            results = [Unknown() for _ in range(count)]
        return results[0] if count == 1 else tuple(results)

    return wait


def _results(signature: KernelSignature, arguments: Sequence[Any]) -> list[Unknown] | None:
    """Arrays of the shapes of the results; None where the arguments do not say them."""
    bound: dict[str, int] = {}
    try:
        for parameter, argument in zip(signature.params, arguments, strict=True):
            names = zip(parameter.dims, argument.shape if parameter.dims else (), strict=True)
            bound |= {name: size for name, size in names if isinstance(name, str)}
        shapes = [[sizer(extent)(bound, arguments) for extent in each.dims] for each in signature.results]
    except NOT_SAID:
        return None
    return [
        UnknownArray(shape, each.dtype) if shape else Unknown()
        for shape, each in zip(shapes, signature.results, strict=True)
    ]
