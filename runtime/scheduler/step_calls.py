"""The tools that a plan may call, and the call that a step of it is."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from flowc.runtime.coerce import Coercer, Mismatch
from flowc.runtime.errors import FlowError, fail
from flowc.runtime.limits import Budget
from flowc.runtime.plan import Operation
from flowc.runtime.scheduler.attempts import with_attempts
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.current import current_step
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.failure import problem_of_tool
from flowc.runtime.scheduler.frames import Frame
from flowc.runtime.scheduler.keeping import Part
from flowc.runtime.scheduler.plan_steps import Step, is_given, substituted
from flowc.runtime.scheduler.tools import call_tool
from flowc.runtime.types import Type, text
from flowc.runtime.values import from_constant


@frozen(eq=False)
class PlanTools:
    """What a program lets a plan call: the tools, their Python functions, and how values get a type."""

    operations: Mapping[str, Operation]
    functions: Mapping[str, Callable[..., Any]]
    convert: Callable[[Type], Coercer]

    def check_function(self, step: Step) -> None:
        """Raises E0803 where nothing says what the tool of a step does."""
        if step.tool not in self.functions:
            raise fail(
                "E0803",
                f"tool `{step.tool}` has no Python function",
                why=f"step `{step.id}` of the plan calls it",
                help="import it in the program",
            )

    async def perform(
        self,
        engine: Engine,
        frame: Frame,
        instruction: Instruction,
        step: Step,
        futures: Mapping[str, "asyncio.Task[Any]"],
    ) -> Any:
        """The result of a step, after those that it waits for. To give it up leaves those alone."""
        results = {other: await asyncio.shield(futures[other]) for other in step.after}
        operation = self.operations[step.tool]
        arguments = self._arguments(step, results)
        part = Part(f"/{step.id}:{step.tool}", operation, arguments)

        async def once(attempt: int, budgets: tuple[Budget, ...]) -> Any:
            try:
                with current_step(engine.session, frame, instruction, part.inner):
                    outcome = await call_tool(engine.in_thread, self.functions[step.tool], arguments)
                return self.convert(operation.result)(outcome)
            except (FlowError, asyncio.CancelledError):
                raise
            except BaseException as error:  # not even SystemExit may end more than this step
                raise FlowError(problem_of_tool(error, operation)) from None

        async def work() -> Any:
            return await with_attempts(engine, frame, instruction, operation.limits, once, part)

        if engine.keeper is None:
            return await work()
        return await engine.keeper.perform(frame, instruction, part, work)

    def _arguments(self, step: Step, results: Mapping[str, Any]) -> list[Any]:
        """What a step gives its tool; raises E0842 where a value has another type than the tool wants."""
        arguments: list[Any] = []
        for parameter in self.operations[step.tool].parameters:
            if is_given(step, parameter):
                value = substituted(step.arguments[parameter.name], results)
            else:
                value = from_constant(parameter.default)
            try:
                arguments.append(self.convert(parameter.type)(value))
            except Mismatch as mismatch:
                raise fail(
                    "E0842",
                    f"step `{step.id}` gives `{step.tool}` a `{parameter.name}` of another type",
                    why=f"{mismatch}; the tool wants {text(parameter.type)}",
                    help="`@retry` on the llm that plans asks for another plan",
                ) from None
        return arguments
