"""Who answers in a check, as a provider: it takes time, goes wrong where it is to, and counts tokens."""

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, evolve

from flowc.runtime.providers.base import (
    Embedding,
    EmbedRequest,
    Provider,
    Request,
    Response,
    Usage,
    estimate_tokens,
)
from flowc.runtime.providers.simulated.answers import vector_of
from flowc.runtime.randomness import seed_of
from flowc.testing.flows.adversary import ADVERSARIAL, Adversary, Answering, Behaviour
from flowc.testing.flows.faults import delay, provider_error, spoilt
from flowc.testing.flows.scripts import Answer, Function, Scripted

QUICK = (0.05, 0.5)
"""Seconds that a stand-in takes to answer."""


Model = Behaviour | Mapping[str, Answer] | Callable[..., Any] | Provider
"""Who answers in a check: a behaviour, a script, a function of the `Request`, or a provider."""


@define(eq=False)
class Playing:
    """Makes a provider of who answers: takes time, goes wrong where it is to, and counts tokens."""

    answering: Answering
    seed: int

    async def generate(self, request: Request) -> Response:
        """The answer after its time, or the mishap in its place."""
        mishap = self.answering.mishap(request)
        chance = random.Random(seed_of(self.seed, "time", request.prompt, request.step, request.attempt))
        await asyncio.sleep(chance.uniform(*QUICK))
        await delay(mishap)
        if (error := provider_error(mishap)) is not None:
            raise error
        response = spoilt(self.answering.answer(request), mishap, structured=request.schema is not None)
        return counted(request, response)

    async def embed(self, request: EmbedRequest) -> Embedding:
        """Vectors that depend on the texts alone."""
        await asyncio.sleep(QUICK[0])
        vectors = tuple(vector_of(self.seed, each) for each in request.texts)
        return Embedding(vectors, Usage(sum(map(estimate_tokens, request.texts)), 0))

    def prompt_bound(self, request: Request) -> int:
        """Exact: prompts are counted as they are estimated."""
        return estimate_tokens(request.prompt)

    async def close(self) -> None:
        """Nothing is open."""


def counted(request: Request, response: Response) -> Response:
    """An answer with its tokens counted, and cut off where it has more than it may."""
    said, finish = response.text, response.finish
    if request.max_tokens is not None and estimate_tokens(said) > request.max_tokens:
        kept = said.encode("utf-8", "surrogatepass")[: 4 * request.max_tokens]
        said, finish = kept.decode("utf-8", "ignore"), "length"
    usage = Usage(estimate_tokens(request.prompt), max(1, estimate_tokens(said)))
    return evolve(response, text=said, finish=finish, usage=usage, note="a test answered")


def provider_of(
    model: Model | None, seed: int, problems: list[BaseException], *, by_prompt: bool = False
) -> Provider:
    """The provider of a check. Mistakes of a script are added to `problems`, not told to the flow."""
    if model is not None and hasattr(model, "generate"):
        return model  # type: ignore[return-value]
    behaviour = model if isinstance(model, Behaviour) else ADVERSARIAL
    adversary = Adversary(behaviour, seed, by_prompt)
    if model is None or isinstance(model, Behaviour):
        return Playing(adversary, seed)
    if isinstance(model, Mapping):
        return Playing(Scripted(model, adversary, problems=problems), seed)
    if not callable(model):
        raise TypeError(
            "`model` takes a Behaviour, a mapping from llms to answers, a function of the request, or a "
            f"provider, not {model!r}"
        )
    return Playing(Function(Scripted({}, adversary, problems=problems), model), seed)
