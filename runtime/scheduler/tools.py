"""Tool nodes: quick plain functions as bodies, everything that waits or may be repeated on the loop."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from flowc.runtime.coerce import Coercer
from flowc.runtime.limits import Budget
from flowc.runtime.plan import Limits, Node, Operation
from flowc.runtime.scheduler.attempts import with_attempts
from flowc.runtime.scheduler.blocks import BODY, WAIT, Behaviour, Instruction, Pace
from flowc.runtime.scheduler.bodies import calling
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.frames import Frame


def bind_tool(
    node: Node, operation: Operation, function: Callable[..., Any], convert: Coercer, pace: Pace
) -> Behaviour:
    """A call of a tool. Without limits a plain function runs where the runner stands."""
    effectful = any(effect.kind != "pure" for effect in operation.effects)
    if not is_async(function) and operation.limits == Limits():
        return Behaviour(
            BODY,
            calling(function, node.inputs),
            convert=convert,
            pace=pace,
            charged=True,
            effectful=effectful,
            operation=operation,
        )

    async def call(engine: Engine, frame: Frame, instruction: Instruction) -> Any:
        arguments = [frame.slots[slot] for slot in instruction.inputs]

        async def once(attempt: int, budgets: tuple[Budget, ...]) -> Any:
            return convert(await call_tool(engine, function, arguments))

        return await with_attempts(engine, frame, instruction, operation.limits, once)

    return Behaviour(WAIT, call, effectful=effectful, operation=operation)


async def call_tool(engine: Engine, function: Callable[..., Any], arguments: list[Any]) -> Any:
    """Calls a tool's function from the loop: a coroutine function here, a plain one on a thread."""
    if is_async(function):
        return await function(*arguments)
    return await engine.in_thread(partial(function, *arguments))


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling `function` gives a coroutine."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
