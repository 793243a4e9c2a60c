"""Nodes that ask a model for text, with what they may spend reserved before and settled after."""

from collections.abc import Mapping
from typing import Any

from attrs import evolve, frozen

from flowc.runtime.coerce import Coercer
from flowc.runtime.errors import FlowError, fail
from flowc.runtime.limits import Budget, Reservation
from flowc.runtime.plan import Json, Operation
from flowc.runtime.providers.base import Request
from flowc.runtime.randomness import seed_of
from flowc.runtime.scheduler.asking import Attempt
from flowc.runtime.scheduler.attempts import with_attempts
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.collector import Collector
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.entering import remaining
from flowc.runtime.scheduler.frames import Frame, step_of
from flowc.runtime.scheduler.prompts import Template, length_of, parse_answer, rendered
from flowc.runtime.scheduler.reserving import reserved
from flowc.runtime.scheduler.reuse import is_shared, question_key
from flowc.runtime.scheduler.speculation import decided
from flowc.runtime.scheduler.streaming import Streamed


@frozen(eq=False)
class Generate:
    """generate: one call of an `llm`, counted, limited, checked and, where licensed, reused.

    With a `collector` it goes to the provider along with the other calls of its batch. `streamed` says what
    may begin with a part of the answer.
    """

    operation: Operation
    template: Template
    convert: Coercer
    schema: Mapping[str, Json] | None
    collector: Collector | None = None
    streamed: Streamed | None = None

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
            seed=seed_of(session.seed, path, 1),
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
            step = f"{operation.name}#{key.hex()}"
            request = evolve(request, step=step, seed=seed_of(session.seed, step, 1))
        shared = key if is_shared(instruction.node) else None
        listener = self.streamed.listener(engine, frame, instruction) if self.streamed is not None else None

        async def once(attempt: int, budgets: tuple[Budget, ...]) -> Any:
            asked = request
            if attempt > 1:
                seed = seed_of(session.seed, request.step, attempt)
                asked = evolve(request, attempt=attempt, seed=seed)

            async def ask_once(heard: Request) -> Any:
                return await self._once(engine, frame, instruction, heard, budgets, shared)

            return await (listener.attempt(asked, ask_once) if listener is not None else ask_once(asked))

        async def ask() -> Any:
            return await with_attempts(engine, frame, instruction, operation.limits, once)

        once_only = key is not None and (operation.cached or shared is not None)
        if frame.scope.budgets and (once_only or operation.limits.timeout is not None):
            await decided(engine, frame.scope)  # neither others nor its own deadline may wait for that
        answer = await (session.once(key, ask) if key is not None and once_only else ask())
        if listener is not None:
            listener.keep(answer)
        return answer

    async def _once(
        self,
        engine: Engine,
        frame: Frame,
        instruction: Instruction,
        request: Request,
        budgets: tuple[Budget, ...],
        key: bytes | None,
    ) -> Any:
        bound = engine.session.provider(request.model).prompt_bound(request)
        held = await reserved(
            engine, frame.scope, budgets, bound, request.max_tokens, request.model, request.operation
        )
        if held is not None:
            request = evolve(request, max_tokens=held.answer)
        in_turn = key is not None or self.operation.limits.timeout is not None
        attempt = Attempt(engine, frame, instruction, request, bound, budgets, self.collector, key, in_turn)
        response = await attempt.answer(held)
        if response.finish == "length" and held is not None and held.lowered:
            raise _cut_by_budget(request, held)
        return parse_answer(request.operation, request.result, self.convert, response)


def _cut_by_budget(request: Request, held: Reservation) -> FlowError:
    return fail(
        "E0722",
        f"the budget left `{request.operation}` only {held.answer} tokens, too few to answer",
        why="an answer is shortened to what the budget allows, and this one was cut off there",
        help="raise the budget, or ask for less",
    )
