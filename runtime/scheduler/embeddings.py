"""Nodes that ask a model for vectors, in as few requests as the budgets around them allow."""

from collections.abc import Callable
from math import inf
from typing import Any

from attrs import evolve, frozen

from flowc.runtime.admission.calls import Call
from flowc.runtime.errors import fail
from flowc.runtime.limits import Budget, Price
from flowc.runtime.plan import Limits
from flowc.runtime.providers.base import (
    Embedding,
    EmbedRequest,
    ProviderError,
    Usage,
    byte_bound,
    estimate_tokens,
    name_of,
)
from flowc.runtime.randomness import seed_of
from flowc.runtime.scheduler.attempts import with_attempts
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.counting import is_credible
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.entering import entered, learn, learn_failure, remaining
from flowc.runtime.scheduler.frames import Frame, step_of
from flowc.runtime.scheduler.joining import Apart
from flowc.runtime.scheduler.reserving import account, reserved
from flowc.runtime.scheduler.reuse import embedding_key, is_shared, share, size_of_answer
from flowc.runtime.scheduler.speculation import is_doubtful


def affordable(texts: tuple[str, ...], budgets: tuple[Budget, ...], price: Price) -> int:
    """How many texts to embed together such that budgets can hold their worst case; at least one.

    Asked for one by one they would be settled one by one, and a batch must not fail where those would not.
    """
    left = min((budget.left_tokens() for budget in budgets), default=inf)
    if price.prompt > 0:
        left = min((left, *(budget.left_money() / price.prompt for budget in budgets)))
    if left == inf:
        return len(texts)
    count = 0
    for count, text in enumerate(texts):
        left -= byte_bound(text)
        if left < 0:
            return max(1, count)
    return count + 1


@frozen(eq=False)
class Embed:
    """embed: texts to the rows of an array."""

    model: str | None

    def texts(self, frame: Frame, instruction: Instruction) -> tuple[str, ...]:
        """The texts to embed."""
        return tuple(frame.slots[instruction.inputs[0]])

    async def __call__(self, engine: Engine, frame: Frame, instruction: Instruction) -> Any:
        """An f32 array with one row a text."""
        texts = self.texts(frame, instruction)
        step = step_of(frame, instruction, engine.session.root)
        settings = engine.session.model(self.model)
        seed = seed_of(engine.session.seed, step)
        request = EmbedRequest(texts, settings, step, seed, program=engine.session.run)

        import numpy

        if not texts:  # no call is made for nothing
            return numpy.zeros((0, 0), dtype="float32")

        async def once(attempt: int, budgets: tuple[Budget, ...]) -> Any:
            rest = evolve(request, attempt=attempt)
            parts: list[Any] = []
            if engine.keeper is not None:
                most = sum(map(byte_bound, texts))
                held = most, settings.price.of(most, 0)
                model = settings.provider, name_of(settings)
                await engine.keeper.intend(frame, instruction, attempt, held=held, asked=model)
            while rest.texts:
                count = affordable(rest.texts, budgets, settings.price)
                part = evolve(rest, texts=rest.texts[:count])
                key = embedding_key(part) if is_shared(instruction.node) else None
                rest = evolve(rest, texts=rest.texts[count:])
                whole = not rest.texts
                asked = part, budgets, key, attempt, whole
                try:
                    rows = await self._once(engine, frame, instruction, *asked, alone=attempt > 1)
                except Apart:
                    rows = await self._once(engine, frame, instruction, *asked, alone=True)
                parts.append(rows)
            return parts[0] if len(parts) == 1 else numpy.concatenate(parts)

        return await with_attempts(engine, frame, instruction, Limits(), once)

    async def _once(
        self,
        engine: Engine,
        frame: Frame,
        instruction: Instruction,
        request: EmbedRequest,
        budgets: tuple[Budget, ...],
        key: bytes | None,
        attempt: int,
        whole: bool,
        *,
        alone: bool,
    ) -> Any:
        session = engine.session
        bound = sum(map(byte_bound, request.texts))
        scope, model = frame.scope, request.model
        held = await reserved(engine, scope, budgets, bound, 0, model, "embed", whole=whole)
        gate = session.gate(request.model)
        usage: Usage | None = Usage()
        paid = True

        def begun() -> None:
            nonlocal usage
            usage = None

        async def send(asked: EmbedRequest, begun: Callable[[], None]) -> Embedding:
            tokens, expected = (sum(map(count, asked.texts)) for count in (byte_bound, estimate_tokens))
            rank = -remaining(frame, instruction)
            call = Call(session.program, rank, tokens, expected=expected)
            place = await entered(engine, frame.scope, gate, call, in_turn=key is not None)
            begun()
            try:
                embedding = await session.provider(request.model).embed(asked)
                if is_credible(embedding.usage):
                    learn(place, asked, embedding)
                return embedding
            except ProviderError as error:
                learn_failure(place, error)
                raise
            finally:
                place.leave()

        async def ask() -> Embedding:
            joining = None if session.batch is None else session.batch.joining
            if joining is None or alone or is_doubtful(scope):
                return await send(request, begun)
            return await joining.embed(request, send, begun)

        try:
            told, paid = await share(engine, frame, instruction, key, attempt, ask, size_of_answer)
            embedding: Embedding = told.result()
            usage = embedding.usage if is_credible(embedding.usage) else None
        except ProviderError as error:
            usage = error.usage if is_credible(error.usage) else None
            raise
        except Apart as error:
            usage = error.usage if is_credible(error.usage) else usage
            raise
        finally:
            known = usage if usage is not None else Usage(sum(map(estimate_tokens, request.texts)), 0, True)
            certain = usage is not None
            account(engine, frame, instruction, request.model, held, known, certain=certain, paid=paid)
        return _rows(embedding, request)


def _rows(embedding: Embedding, request: EmbedRequest) -> Any:
    """The vectors as an array, one row for each text that was sent."""
    import numpy

    vectors = numpy.asarray(embedding.vectors, dtype="float32")
    if vectors.ndim != 2 or len(vectors) != len(request.texts):
        raise fail(
            "E0836",
            "the provider did not give one vector a text",
            why=f"{len(request.texts)} texts were sent, and an array of shape {vectors.shape} came back",
            help="check that the model is one for embeddings",
        )
    return vectors
