"""execute: a plan that a model wrote, checked as a whole and then run in parallel by its references.

After Kim et al., "An LLM Compiler for Parallel Function Calling", 2023. A plan is `{"steps": [{"id",
"tool", "arguments"}]}`; the text "$id" as an argument, or inside one, stands for the result of that step.
Nothing runs before the whole plan has been found sound, but for what `early_steps` begins while it is
written, and only tools that the program named may run.
"""

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
from flowc.runtime.scheduler.early_steps import BegunPlan
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.failure import problem_of_tool
from flowc.runtime.scheduler.frames import Frame
from flowc.runtime.scheduler.plan_steps import Step, is_given, ordered, read_steps, substituted
from flowc.runtime.scheduler.tools import call_tool
from flowc.runtime.types import Type, text
from flowc.runtime.values import from_constant, to_json


@frozen(eq=False)
class ExecutePlan:
    """execute: see the module."""

    operations: Mapping[str, Operation]
    functions: Mapping[str, Callable[..., Any]]
    convert: Callable[[Type], Coercer]
    early: frozenset[str] = frozenset()
    """The tools whose steps may begin before the plan is complete."""

    async def __call__(self, engine: Engine, frame: Frame, instruction: Instruction) -> Any:
        """The results of the steps as json, in the order of the plan."""
        begun = frame.slots[instruction.output]
        if not isinstance(begun, BegunPlan):
            return await self._execute(engine, frame, instruction, None)
        try:
            return await self._execute(engine, frame, instruction, begun)
        finally:
            with engine.guarded():
                begun.give_up()

    async def _execute(
        self, engine: Engine, frame: Frame, instruction: Instruction, begun: BegunPlan | None
    ) -> Any:
        steps = read_steps(frame.slots[instruction.inputs[0]], self.operations)
        for step in steps:
            self.check_function(step)
        waves = ordered(steps)
        kept = begun.kept(steps) if begun is not None else {}
        futures: dict[str, asyncio.Task[Any]] = {}
        try:
            async with asyncio.TaskGroup() as group:
                for step in waves:
                    if (early := kept.get(step.id)) is not None:
                        run = _end_of(early)
                    else:
                        run = self.perform(engine, frame, instruction, step, futures)
                    futures[step.id] = group.create_task(run)
        except ExceptionGroup as failures:
            raise _first(failures) from None
        return [to_json(futures[step.id].result(), limit=None) for step in steps]

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
        arguments: list[Any] = []
        for parameter in operation.parameters:
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

        async def once(attempt: int, budgets: tuple[Budget, ...]) -> Any:
            try:
                outcome = await call_tool(engine.in_thread, self.functions[step.tool], arguments)
                return self.convert(operation.result)(outcome)
            except (FlowError, asyncio.CancelledError):
                raise
            except BaseException as error:  # not even SystemExit may end more than this step
                raise FlowError(problem_of_tool(error, operation)) from None

        return await with_attempts(engine, frame, instruction, operation.limits, once)


async def _end_of(begun: "asyncio.Task[Any]") -> Any:
    return await begun


def _first(failures: ExceptionGroup[Exception]) -> Exception:
    error: Exception = failures
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
