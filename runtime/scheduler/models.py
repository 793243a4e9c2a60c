"""Nodes that ask a model for text, with what they may spend reserved before and settled after."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from attrs import evolve, frozen

from flowc.runtime.coerce import Coercer
from flowc.runtime.errors import FlowError, fail
from flowc.runtime.fingerprint import fingerprint
from flowc.runtime.limits import Budget, Reservation, opened, reserve, settle
from flowc.runtime.plan import Json, Operation
from flowc.runtime.providers.base import (
    ModelSettings,
    ProviderError,
    Request,
    Response,
    Usage,
    estimate_tokens,
)
from flowc.runtime.randomness import seed_of
from flowc.runtime.scheduler.attempts import with_attempts
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.collector import Collector
from flowc.runtime.scheduler.counting import estimated, incredible, is_credible
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.entering import call_of, entered, learn, learn_failure, remaining
from flowc.runtime.scheduler.frames import Frame, Scope, step_of
from flowc.runtime.scheduler.hedging import Asking
from flowc.runtime.scheduler.prefixes import cached_beginning
from flowc.runtime.scheduler.prompts import Template, length_of, parse_answer, rendered
from flowc.runtime.scheduler.reuse import (
    is_shared,
    question_key,
    share,
    size_of_answer,
)
from flowc.runtime.scheduler.speculation import decided, in_doubt, is_doubtful, may_spend
from flowc.runtime.scheduler.streaming import with_elements


@frozen(eq=False)
class Generate:
    """generate: one call of an `llm`, counted, limited, checked and, where licensed, reused.

    With a `collector` it goes to the provider along with the other calls of its batch. `element` checks the
    items of an answer that is a list or a plan, where something may begin with the first of them.
    """

    operation: Operation
    template: Template
    convert: Coercer
    schema: Mapping[str, Json] | None
    collector: Collector | None = None
    element: Coercer | None = None

    async def __call__(self, engine: Engine, frame: Frame, instruction: Instruction) -> Any:
        """The value of the answer."""
        session = engine.session
        operation = self.operation
        segments = self.template.fill([frame.slots[slot] for slot in instruction.inputs])
        path = step_of(frame, instruction, session.root)
        settings = session.model(operation.model)
        request = Request(
            operation=operation.name,
            result=operation.result,
            tables=session.tables,
            prompt=rendered(segments),
            segments=segments,
            schema=self.schema,
            model=settings,
            temperature=operation.temperature,
            max_tokens=operation.max_tokens if operation.max_tokens is not None else settings.max_tokens,
            step=path,
            program=session.run,
            begun=session.begun,
            rank=remaining(frame, instruction),
            prefix=length_of(segments[: self.template.shared]),
        )
        if session.stream is not None:
            stream = session.stream
            request = evolve(request, stream=lambda part: stream(path, part))
        key = None
        if operation.cached or operation.temperature == 0:
            key = question_key(frame, request)  # the answer belongs to the question, not to the step
            request = evolve(request, step=f"{operation.name}#{key.hex()}")
        shared = key if is_shared(instruction.node) else None

        async def once(attempt: int, budgets: tuple[Budget, ...]) -> Any:
            seed = seed_of(session.seed, request.step, attempt)
            asked = evolve(request, attempt=attempt, seed=seed)

            async def ask_once(heard: Request) -> Any:
                return await self._once(engine, frame, instruction, heard, budgets, shared)

            return await with_elements(engine, frame, instruction, self.element, asked, ask_once)

        async def ask() -> Any:
            return await with_attempts(engine, frame, instruction, operation.limits, once)

        once_only = key is not None and (operation.cached or shared is not None)
        if frame.scope.budgets and (once_only or operation.limits.timeout is not None):
            await decided(engine, frame.scope)  # neither others nor its own deadline may wait for that
        if key is not None and once_only:
            return await session.once(key, ask)
        return await ask()

    async def _once(
        self,
        engine: Engine,
        frame: Frame,
        instruction: Instruction,
        request: Request,
        budgets: tuple[Budget, ...],
        key: bytes | None,
    ) -> Any:
        session = engine.session
        provider = session.provider(request.model)
        gate = session.gate(request.model)
        bound = provider.prompt_bound(request)
        held = await reserved(
            engine, frame.scope, budgets, bound, request.max_tokens, request.model, request.operation
        )
        if held is not None:
            request = evolve(request, max_tokens=held.answer)
        usage: Usage | None = Usage()  # what waits before the gate has cost nothing yet
        paid, doubted = True, False
        came = asked = engine.clock()

        def settle_second(second: Reservation, spent: Usage | None) -> None:
            known = spent if spent is not None else Usage(estimate_tokens(request.prompt), 0, True)
            account(engine, frame, instruction, request.model, second, known, certain=spent is not None)

        def counted(response: Response) -> Response:
            nonlocal doubted
            if is_credible(response.usage):
                return response
            doubted = True
            with engine.lock:
                engine.note("note", frame, instruction, incredible(request, response.usage))
            return evolve(response, usage=estimated(request, response))

        async def ask() -> Response:
            nonlocal usage, asked
            if self.collector is not None:  # the endpoint for batches has limits of its own
                usage = None
                return counted(await self.collector.generate(request))
            goes_ahead = cached_beginning(request) and not is_doubtful(frame.scope)
            lead = await session.prefixes.enter(request) if goes_ahead else None
            try:
                call = call_of(engine, request, bound, gate)
                in_turn = key is not None or self.operation.limits.timeout is not None
                place = await entered(engine, frame.scope, gate, call, in_turn=in_turn)
                usage, asked = None, engine.clock()
                try:
                    sent = request if lead is None else lead.asking(request)
                    asking = Asking(
                        engine, frame, instruction, sent, bound, budgets, provider, gate, place, settle_second
                    )
                    response = await asking.answer()
                    response = counted(response)
                    learn(place, request, response.usage)
                    return response
                except ProviderError as error:
                    learn_failure(place, error)
                    raise
                finally:
                    place.leave()
            finally:
                if lead is not None:
                    lead.end()

        try:
            key = None if key is None else fingerprint(key, request.max_tokens)
            told, paid = await share(engine, frame, instruction, key, request.attempt, ask, size_of_answer)
            response: Response = told.result()
            if not paid and request.stream is not None:
                request.stream(response.text)
            usage = response.usage
            if response.note:
                with engine.lock:
                    engine.note("note", frame, instruction, response.note)
        except ProviderError as error:
            usage = error.usage if is_credible(error.usage) else None
            raise
        finally:
            known = usage if usage is not None else Usage(estimate_tokens(request.prompt), 0, True)
            certain = usage is not None and not doubted
            waited = asked - came
            account(
                engine, frame, instruction, request.model, held, known, waited, certain=certain, paid=paid
            )
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
    waited: float = 0.0,
    *,
    certain: bool,
    paid: bool = True,
) -> None:
    """Settles a call. What a broken-off call cost is not known, so the budgets take its worst case; what
    another call has paid counts for the budgets alone. `waited` is how many seconds it stood before the gate.
    """
    awake: list[Callable[[], None]] = []
    with engine.lock:
        if paid:
            money = engine.session.spend(usage, model)
            engine.note("spent", frame, instruction, spent_on(model, usage, money, waited))
        else:
            money = model.price.of(usage.prompt, usage.answer)
        if held is not None and certain:
            awake = settle(held, usage.prompt + usage.answer, money)
        elif held is not None:
            awake = settle(held, held.tokens, held.money)
    for wake in awake:
        wake()


def spent_on(model: ModelSettings, usage: Usage, money: float, waited: float) -> dict[str, Json]:
    """What one call cost, for the trace: it waited before the gate, and then in the queue of the provider."""
    return {
        "model": model.model or model.alias,
        "provider": model.provider,
        "tokens_in": usage.prompt,
        "tokens_out": usage.answer,
        "cached": usage.cached,
        "waited_s": waited,
        "queued_s": usage.queued,
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
    scope: Scope,
    budgets: tuple[Budget, ...],
    bound: int,
    answer: int | None,
    model: ModelSettings,
    operation: str,
    *,
    whole: bool = True,
) -> Reservation | None:
    """Holds the worst case of a call in its budgets, waiting for others to settle where needed.

    A call that may not be wanted draws only on what the budgets can spare, and waits for the decision where
    that is too little. One that is not `whole` is followed by more of the same operation, so that the budgets
    do not know yet what that will take.
    """
    counting = tuple(
        budget for budget in budgets if budget.limits.tokens is not None or budget.limits.money is not None
    )
    if not counting:
        return None
    while True:
        settled: asyncio.Future[None] = engine.loop.create_future()
        wake = partial(_settle, settled)
        with engine.lock:
            if may_spend(scope, bound, answer, model.price):
                held = reserve(counting, bound, answer, model.price, operation)
                if held != "wait":
                    awake = opened(counting[in_doubt(scope) :]) if whole else []
                    break
            elif scope.undecided is not None:
                scope.undecided.wait(wake)
            for budget in counting:
                budget.waiters.append(wake)
        await settled
    for each in awake:
        each()
    return held


def _settle(settled: asyncio.Future[None]) -> None:
    if not settled.done():
        settled.set_result(None)
