"""Nodes that ask a person."""

import inspect
from functools import partial
from typing import Any

from attrs import frozen

from flowc.runtime.coerce import Coercer, Mismatch
from flowc.runtime.errors import WAITING, FlowError, fail
from flowc.runtime.limits import Budget
from flowc.runtime.people import EVENT, Question
from flowc.runtime.plan import Operation
from flowc.runtime.scheduler.attempts import with_attempts
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.frames import Frame, step_of
from flowc.runtime.scheduler.prompts import Template, rendered
from flowc.runtime.types import text


@frozen(eq=False)
class AskPerson:
    """human: a question, answered through the callback of the run or at the terminal."""

    operation: Operation
    template: Template
    convert: Coercer

    async def __call__(self, engine: Engine, frame: Frame, instruction: Instruction) -> Any:
        """The answer as a value of its type."""
        session = engine.session
        segments = self.template.fill([frame.slots[slot] for slot in instruction.inputs])
        question = Question(
            self.operation.name,
            rendered(segments),
            self.operation.result,
            session.tables,
            step_of(frame, instruction, session.root),
            self.operation.kind,
        )

        async def once(attempt: int, budgets: tuple[Budget, ...]) -> Any:
            ask = session.people
            if ask is None:
                return await self._absent(engine, frame, instruction, question)
            try:
                answer = await engine.in_thread(partial(ask, question))
                if inspect.isawaitable(answer):
                    answer = await answer
                return self.convert(answer)
            except LookupError:
                return await self._absent(engine, frame, instruction, question)
            except Mismatch as mismatch:
                raise fail(
                    "E0731",
                    f"the answer to `{question.operation}` is not a {text(question.result)}",
                    why=str(mismatch),
                    help="answer with " + (" or ".join(question.choices()) or text(question.result)),
                ) from None

        return await with_attempts(engine, frame, instruction, self.operation.limits, once)

    async def _absent(
        self, engine: Engine, frame: Frame, instruction: Instruction, question: Question
    ) -> Any:
        """Nobody can be asked here: a durable run waits, without a process if nothing else is to be done."""
        if engine.keeper is None:
            raise self._nobody(question)
        return await engine.keeper.ask(frame, instruction, question)

    def _nobody(self, question: Question) -> FlowError:
        if question.kind == EVENT:
            return fail(
                WAITING,
                f"`{question.operation}` waits for an event that nobody has told",
                why=question.prompt,
                help=f"tell it with --answer {question.operation}=VALUE",
            )
        return fail(
            WAITING,
            f"`{question.operation}` waits for a person, and nobody can be asked here",
            why=question.prompt,
            help=f"run it at a terminal, or give the answer with --answer {question.operation}=VALUE",
        )
