"""execute: a plan that a model wrote, checked as a whole and then run in parallel by its references.

After Kim et al., "An LLM Compiler for Parallel Function Calling", 2023. A plan is `{"steps": [{"id",
"tool", "arguments"}]}`; the text "$id" as an argument, or inside one, stands for the result of that step.
Nothing runs before the whole plan has been found sound, and only tools that the program named may run.
"""

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import frozen

from flowc.runtime.coerce import Coercer, Mismatch
from flowc.runtime.errors import FlowError, fail
from flowc.runtime.limits import Budget
from flowc.runtime.plan import Operation
from flowc.runtime.scheduler.attempts import with_attempts
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.failure import problem_of_tool
from flowc.runtime.scheduler.frames import Frame
from flowc.runtime.scheduler.tools import call_tool
from flowc.runtime.types import Type, text
from flowc.runtime.values import to_json

REFERENCE = re.compile(r"\$[A-Za-z0-9_-]+")

MOST_STEPS = 1000
"""Steps that a plan may have."""


@frozen
class Step:
    """One call: of which tool, with which arguments, after which steps."""

    id: str
    tool: str
    arguments: Mapping[str, Any]
    after: tuple[str, ...]


@frozen(eq=False)
class ExecutePlan:
    """execute: see the module."""

    operations: Mapping[str, Operation]
    functions: Mapping[str, Callable[..., Any]]
    convert: Callable[[Type], Coercer]

    async def __call__(self, engine: Engine, frame: Frame, instruction: Instruction) -> Any:
        """The results of the steps as json, in the order of the plan."""
        steps = read_steps(frame.slots[instruction.inputs[0]], self.operations)
        for step in steps:
            if step.tool not in self.functions:
                raise fail(
                    "E0803",
                    f"tool `{step.tool}` has no Python function",
                    why=f"step `{step.id}` of the plan calls it",
                    help="import it in the program",
                )
        futures: dict[str, asyncio.Task[Any]] = {}
        try:
            async with asyncio.TaskGroup() as group:
                for step in ordered(steps):
                    run = self._run(engine, frame, instruction, step, futures)
                    futures[step.id] = group.create_task(run)
        except ExceptionGroup as failures:
            raise _first(failures) from None
        return [to_json(futures[step.id].result(), limit=None) for step in steps]

    async def _run(
        self,
        engine: Engine,
        frame: Frame,
        instruction: Instruction,
        step: Step,
        futures: Mapping[str, "asyncio.Task[Any]"],
    ) -> Any:
        results = {other: await futures[other] for other in step.after}
        operation = self.operations[step.tool]
        arguments: list[Any] = []
        for parameter in operation.parameters:
            if parameter.name not in step.arguments:
                arguments.append(parameter.default)
                continue
            value = substituted(step.arguments[parameter.name], results)
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
                outcome = await call_tool(engine, self.functions[step.tool], arguments)
                return self.convert(operation.result)(outcome)
            except (FlowError, asyncio.CancelledError):
                raise
            except BaseException as error:  # not even SystemExit may end more than this step
                raise FlowError(problem_of_tool(error, operation)) from None

        return await with_attempts(engine, frame, instruction, operation.limits, once)


def _first(failures: ExceptionGroup[Exception]) -> Exception:
    error: Exception = failures
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def read_steps(plan: Any, operations: Mapping[str, Operation]) -> list[Step]:
    """The steps of a plan, found sound; raises E0840 (form), E0841 (references) or E0842 (arguments)."""
    steps = plan.get("steps") if isinstance(plan, Mapping) else None
    if not isinstance(steps, list) or len(steps) > MOST_STEPS:
        raise fail("E0840", f"a plan is an object with a list of at most {MOST_STEPS} `steps`")
    read: list[Step] = []
    ids: set[str] = set()
    for number, step in enumerate(steps, 1):
        match step:
            case {"id": str(id_), "tool": str(tool), "arguments": dict(arguments)}:
                pass
            case _:
                raise fail(
                    "E0840", f"step {number} of the plan has not the form of a step", why=repr(step)[:200]
                )
        if tool not in operations:
            raise fail(
                "E0840",
                f"step `{id_}` of the plan calls `{tool}`, which it may not",
                help="it may call: " + ", ".join(sorted(operations)),
            )
        if id_ in ids:
            raise fail("E0840", f"two steps of the plan are called `{id_}`")
        ids.add(id_)
        read.append(Step(id_, tool, arguments, ()))
    return _with_order([_with_references(step, ids, operations[step.tool]) for step in read], operations)


def _with_references(step: Step, ids: set[str], operation: Operation) -> Step:
    names = {parameter.name for parameter in operation.parameters}
    if unknown := sorted(set(step.arguments) - names):
        raise fail(
            "E0842", f"step `{step.id}` gives `{step.tool}` the argument `{unknown[0]}`, which it has not"
        )
    for parameter in operation.parameters:
        if parameter.name not in step.arguments and not parameter.optional:
            raise fail("E0842", f"step `{step.id}` calls `{step.tool}` without `{parameter.name}`")
    used = tuple(dict.fromkeys(references(step.arguments)))
    for other in used:
        if other not in ids:
            raise fail("E0841", f"step `{step.id}` refers to `${other}`, and there is no such step")
    return Step(step.id, step.tool, step.arguments, used)


def _with_order(steps: list[Step], operations: Mapping[str, Operation]) -> list[Step]:
    """Writes of a resource keep their place among all uses of it; the rest is free."""
    ordered_steps: list[Step] = []
    uses: list[tuple[str, str, str]] = []
    for step in steps:
        after = list(step.after)
        mine = [(effect.kind, effect.resource or "") for effect in operations[step.tool].effects]
        for kind, resource in mine:
            for other, other_kind, other_resource in uses:
                if resource == other_resource and "writes" in (kind, other_kind) and other not in after:
                    after.append(other)
        uses.extend((step.id, kind, resource) for kind, resource in mine if kind != "pure")
        ordered_steps.append(Step(step.id, step.tool, step.arguments, tuple(after)))
    return ordered_steps


def ordered(steps: list[Step]) -> list[Step]:
    """The steps, each after those it waits for; raises E0841 where they wait for each other."""
    done: set[str] = set()
    left = list(steps)
    result: list[Step] = []
    while left:
        ready = [step for step in left if done.issuperset(step.after)]
        if not ready:
            names = ", ".join(f"`{step.id}`" for step in left[:5])
            raise fail("E0841", f"the steps {names} of the plan wait for each other")
        result.extend(ready)
        done.update(step.id for step in ready)
        left = [step for step in left if step.id not in done]
    return result


def references(value: Any) -> Iterable[str]:
    """The step ids that a value refers to."""
    if isinstance(value, str) and REFERENCE.fullmatch(value):
        yield value[1:]
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def substituted(value: Any, results: Mapping[str, Any]) -> Any:
    """The value with results in place of its references."""
    if isinstance(value, str) and value.startswith("$") and value[1:] in results:
        return results[value[1:]]
    if isinstance(value, Mapping):
        return {name: substituted(item, results) for name, item in value.items()}
    if isinstance(value, list):
        return [substituted(item, results) for item in value]
    return value
