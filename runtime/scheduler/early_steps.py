"""Steps of a plan that begin while a model still writes the rest of it.

A step begins as soon as it is written and all that it refers to has begun, if giving it up leaves nothing
behind: its tool is pure, or reads what no tool of the plan may write. All others wait for the whole plan.
Steps that turn out to be part of no sound plan are cancelled; of those that are, none is made twice.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from flowc.runtime.errors import FlowError, Problem, fail
from flowc.runtime.fingerprint import fingerprint
from flowc.runtime.plan import Operation
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.frames import Frame, Scope
from flowc.runtime.scheduler.plan_steps import MOST_STEPS, Step, check_arguments, read_step
from flowc.runtime.scheduler.step_calls import PlanTools


def beginning_early(operations: Mapping[str, Operation]) -> frozenset[str]:
    """The tools of a plan whose calls may be given up without a trace, and come in any order."""
    effects = [effect for operation in operations.values() for effect in operation.effects]
    written = {effect.resource for effect in effects if effect.kind == "writes"}
    return frozenset(
        name
        for name, operation in operations.items()
        if all(
            effect.kind == "pure" or (effect.kind == "reads" and effect.resource not in written)
            for effect in operation.effects
        )
    )


class BegunPlan:
    """What has been heard of a plan, and its steps that run. All but `kept` happens under the lock."""

    def __init__(self, engine: Engine, frame: Frame, instruction: Instruction) -> None:
        self.engine = engine
        self.frame = frame
        self.instruction = instruction
        self.tools: PlanTools = instruction.act.tools
        self.early: frozenset[str] = instruction.act.early
        self.scope = Scope(frame.scope, _ignore)
        self.count = 0
        self.ids: set[str] = set()
        self.missing: dict[str, int] = {}
        self.referring: dict[str, list[tuple[int, Step]]] = {}
        self.begun: dict[str, tuple[int, Step]] = {}
        self.tasks: dict[str, asyncio.Task[Any]] = {}

    def more(self, items: list[Any]) -> None:
        """Takes further steps, and begins those that may; where one is unsound, the plan cannot be sound."""
        for item in items:
            self.count += 1
            if self.scope.cancelled:
                return
            try:
                self._hear(self.count - 1, item)
            except (FlowError, RecursionError):
                self.give_up()

    def _hear(self, place: int, item: Any) -> None:
        step = read_step(place + 1, item, self.ids, self.tools.operations)
        if place >= MOST_STEPS:
            raise fail("E0840", f"a plan has at most {MOST_STEPS} steps")
        check_arguments(step, self.tools.operations[step.tool])
        self.tools.check_function(step)
        self.ids.add(step.id)
        if step.tool not in self.early:
            return
        missing = [other for other in step.after if other not in self.tasks]
        self.missing[step.id] = len(missing)
        for other in missing:
            self.referring.setdefault(other, []).append((place, step))
        if not missing:
            self._begin(place, step)

    def _begin(self, place: int, step: Step) -> None:
        """Begins a step whose references have begun, and those for which it was the last one missing."""
        ready = [(place, step)]
        for at, each in ready:
            self.begun[each.id] = at, each
            self.tasks[each.id] = self._task(each)
            for later in self.referring.pop(each.id, ()):
                self.missing[later[1].id] -= 1
                if not self.missing[later[1].id]:
                    ready.append(later)

    def _task(self, step: Step) -> "asyncio.Task[Any]":
        run = self.tools.perform(self.engine, self.frame, self.instruction, step, self.tasks)
        task = self.engine.waiting.start(run, self.scope)
        self.scope.waiting += 1
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        if not task.cancelled():
            task.exception()  # a failure counts when the turn of the plan has come
        with self.engine.guarded():
            self.scope.waiting -= 1
            self.engine.settle(self.scope)

    def kept(self, steps: list[Step]) -> Mapping[str, "asyncio.Task[Any]"]:
        """Those of the tasks that are steps of this plan, and read no others; the rest is cancelled."""
        found: dict[str, asyncio.Task[Any]] = {}
        if self.scope.cancelled:
            return found
        for id_, (place, step) in self.begun.items():
            same = place < len(steps) and _is_same(steps[place], step)
            if same and found.keys() >= {*step.after}:
                found[id_] = self.tasks[id_]
            else:
                self.tasks[id_].cancel()
        return found

    def give_up(self) -> None:
        """Cancels what runs."""
        if not self.scope.cancelled:
            self.engine.stop_scope(self.scope, abandon=True)
            self.engine.settle(self.scope)


def _is_same(one: Step, other: Step) -> bool:
    """Whether two steps are one call, to the type of each part and the order of members."""
    calls = [(step.id, step.tool, step.arguments) for step in (one, other)]
    return repr(calls[0]) == repr(calls[1]) and fingerprint(*calls[0]) == fingerprint(*calls[1])


def _ignore(problem: Problem) -> None:
    """The scope of early steps fails by nothing: what fails in it fails with its plan."""
