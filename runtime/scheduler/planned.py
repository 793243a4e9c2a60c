"""execute: a plan that a model wrote, checked as a whole and then run in parallel by its references.

After Kim et al., "An LLM Compiler for Parallel Function Calling", 2023. A plan is `{"steps": [{"id",
"tool", "arguments"}]}`; the text "$id" as an argument, or inside one, stands for the result of that step.
Nothing runs before the whole plan has been found sound, but for what `early_steps` begins while it is
written, and only tools that the program named may run.
"""

import asyncio
from typing import Any

from attrs import frozen

from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.early_steps import BegunPlan
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.frames import Frame
from flowc.runtime.scheduler.plan_steps import ordered, read_steps
from flowc.runtime.scheduler.step_calls import PlanTools
from flowc.runtime.scheduler.together import all_of
from flowc.runtime.values import to_json


@frozen(eq=False)
class ExecutePlan:
    """execute: see the module."""

    tools: PlanTools
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
        steps = read_steps(frame.slots[instruction.inputs[0]], self.tools.operations)
        for step in steps:
            self.tools.check_function(step)
        waves = ordered(steps)
        kept = begun.kept(steps) if begun is not None else {}
        futures: dict[str, asyncio.Task[Any]] = {}
        for step in waves:
            if (early := kept.get(step.id)) is not None:
                run = _end_of(early)
            else:
                run = self.tools.perform(engine, frame, instruction, step, futures)
            futures[step.id] = engine.loop.create_task(run)
        await all_of([*futures.values()])
        return [to_json(futures[step.id].result(), limit=None) for step in steps]


async def _end_of(begun: "asyncio.Task[Any]") -> Any:
    return await begun
