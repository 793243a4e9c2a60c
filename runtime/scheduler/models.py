"""Nodes that ask a model: generate and embed, with what they may spend reserved before and settled after."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from attrs import evolve, frozen

from flowc.runtime.coerce import Coercer
from flowc.runtime.errors import FlowError, fail
from flowc.runtime.limits import Budget, Reservation, reserve, settle
from flowc.runtime.plan import Json, Limits, Operation
from flowc.runtime.providers.base import (
    EmbedRequest,
    ModelSettings,
    ProviderError,
    Request,
    Usage,
    byte_bound,
    estimate_tokens,
)
from flowc.runtime.randomness import seed_of
from flowc.runtime.scheduler.attempts import with_attempts
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.frames import Frame, step_of
from flowc.runtime.scheduler.prompts import Template, parse_answer, rendered
from flowc.runtime.schema import wrapped
from flowc.runtime.types import STR
from flowc.runtime.values import canonical


@frozen(eq=False)
class Generate:
    """generate: one call of an `llm`, counted, limited, checked and, where licensed, reused."""

    operation: Operation
    template: Template
    convert: Coercer

    async def __call__(self, engine: Engine, frame: Frame, instruction: Instruction) -> Any:
        """The value of the answer."""
        session = engine.session
        operation = self.operation
        segments = self.template.fill([frame.slots[slot] for slot in instruction.inputs])
        step = step_of(frame, instruction, session.root)
        settings = session.model(operation.model)
        request = Request(
            operation=operation.name,
            result=operation.result,
            tables=session.tables,
            prompt=rendered(segments),
            segments=segments,
            schema=None if operation.result == STR else wrapped(operation.result, session.tables),
            model=settings,
            temperature=operation.temperature,
            max_tokens=operation.max_tokens if operation.max_tokens is not None else settings.max_tokens,
            step=step,
            program=session.run,
            begun=session.begun,
            rank=-instruction.priority,
        )
        if session.stream is not None:
            stream = session.stream
            request = evolve(request, stream=lambda part: stream(step, part))

        async def ask() -> Any:
            async def once(attempt: int, budgets: tuple[Budget, ...]) -> Any:
                seed = seed_of(session.seed, step, attempt)
                asked = evolve(request, attempt=attempt, seed=seed)
                return await self._once(engine, frame, instruction, asked, budgets)

            return await with_attempts(engine, frame, instruction, operation.limits, once)

        if operation.cached:
            return await session.once(reuse_key(frame, request), ask)
        return await ask()

    async def _once(
        self,
        engine: Engine,
        frame: Frame,
        instruction: Instruction,
        request: Request,
        budgets: tuple[Budget, ...],
    ) -> Any:
        session = engine.session
        provider = session.provider(request.model)
        gate = session.gate(request.model)
        bound = provider.prompt_bound(request)
        held = await reserved(engine, budgets, bound, request.max_tokens, request.model, request.operation)
        if held is not None:
            request = evolve(request, max_tokens=held.answer)
        usage: Usage | None = Usage()  # what waits before the gate has cost nothing yet
        try:
            await gate.enter(instruction.priority, bound + (request.max_tokens or 0))
            usage = None
            try:
                response = await provider.generate(request)
            finally:
                gate.leave()
            usage = response.usage
            if response.note:
                with engine.lock:
                    engine.note("note", frame, instruction, response.note)
        except ProviderError as error:
            usage = error.usage
            raise
        finally:
            known = usage if usage is not None else Usage(estimate_tokens(request.prompt), 0, True)
            account(engine, frame, instruction, request.model, held, known, certain=usage is not None)
        if response.finish == "length" and held is not None and held.lowered:
            raise _cut_by_budget(request, held)
        return parse_answer(request.operation, request.result, self.convert, response)


def account(
    engine: Engine,
    frame: Frame,
    instruction: Instruction,
    model: ModelSettings,
    held: Reservation | None,
    usage: Usage,
    *,
    certain: bool,
) -> None:
    """Settles a call. What a broken-off call cost is not known, so the budgets take its worst case."""
    awake: list[Callable[[], None]] = []
    with engine.lock:
        money = engine.session.spend(usage, model)
        engine.note("spent", frame, instruction, spent_on(model, usage, money))
        if held is not None and certain:
            awake = settle(held, usage.prompt + usage.answer, money)
        elif held is not None:
            awake = settle(held, held.tokens, held.money)
    for wake in awake:
        wake()


def spent_on(model: ModelSettings, usage: Usage, money: float) -> dict[str, Json]:
    """What one call cost, for the trace."""
    return {
        "model": model.model or model.alias,
        "provider": model.provider,
        "tokens_in": usage.prompt,
        "tokens_out": usage.answer,
        "estimated": usage.estimated,
        "cost_usd": money,
    }


def _cut_by_budget(request: Request, held: Reservation) -> FlowError:
    return fail(
        "E0722",
        f"the budget left `{request.operation}` only {held.answer} tokens, too few to answer",
        why="an answer is shortened to what the budget allows, and this one was cut off there",
        help="raise the budget, or ask for less",
    )


async def reserved(
    engine: Engine,
    budgets: tuple[Budget, ...],
    bound: int,
    answer: int | None,
    model: ModelSettings,
    operation: str,
) -> Reservation | None:
    """Holds the worst case of a call in its budgets, waiting for others to settle where needed."""
    counting = tuple(
        budget for budget in budgets if budget.limits.tokens is not None or budget.limits.money is not None
    )
    if not counting:
        return None
    while True:
        settled: asyncio.Future[None] = engine.loop.create_future()
        with engine.lock:
            held = reserve(counting, bound, answer, model.price, operation)
            if held != "wait":
                return held
            for budget in counting:
                budget.waiters.append(partial(_settle, settled))
        await settled


def _settle(settled: asyncio.Future[None]) -> None:
    if not settled.done():
        settled.set_result(None)


def reuse_key(frame: Frame, request: Request) -> str:
    """What two calls must share to be one call: all that is asked, and the ballot they belong to."""
    ballots: list[int] = []
    at: Frame | None = frame
    while at is not None:
        if at.instruction is not None and at.instruction.node.op == "vote":
            ballots.append(at.position)
        at = at.parent
    settings = (request.model.provider, request.model.model, request.temperature, request.max_tokens)
    return canonical([request.operation, request.prompt, list(map(str, settings)), list(ballots)])


@frozen(eq=False)
class Embed:
    """embed: texts to the rows of an array."""

    model: str | None

    async def __call__(self, engine: Engine, frame: Frame, instruction: Instruction) -> Any:
        """An f32 array with one row a text."""
        texts = tuple(frame.slots[instruction.inputs[0]])
        step = step_of(frame, instruction, engine.session.root)
        settings = engine.session.model(self.model)
        request = EmbedRequest(texts, settings, step, seed_of(engine.session.seed, step))

        async def once(attempt: int, budgets: tuple[Budget, ...]) -> Any:
            return await self._once(engine, frame, instruction, request, budgets)

        return await with_attempts(engine, frame, instruction, Limits(), once)

    async def _once(
        self,
        engine: Engine,
        frame: Frame,
        instruction: Instruction,
        request: EmbedRequest,
        budgets: tuple[Budget, ...],
    ) -> Any:
        import numpy

        session = engine.session
        if not request.texts:
            return numpy.zeros((0, 0), dtype="float32")
        bound = sum(map(byte_bound, request.texts))
        held = await reserved(engine, budgets, bound, 0, request.model, "embed")
        gate = session.gate(request.model)
        usage: Usage | None = Usage()
        try:
            await gate.enter(instruction.priority, bound)
            usage = None
            try:
                embedding = await session.provider(request.model).embed(request)
            finally:
                gate.leave()
            usage = embedding.usage
        except ProviderError as error:
            usage = error.usage
            raise
        finally:
            known = usage if usage is not None else Usage(sum(map(estimate_tokens, request.texts)), 0, True)
            account(engine, frame, instruction, request.model, held, known, certain=usage is not None)
        vectors = numpy.asarray(embedding.vectors, dtype="float32")
        if vectors.ndim != 2 or len(vectors) != len(request.texts):
            raise fail(
                "E0836",
                "the provider did not give one vector a text",
                why=f"{len(request.texts)} texts were sent, and an array of shape {vectors.shape} came back",
                help="check that the model is one for embeddings",
            )
        return vectors
