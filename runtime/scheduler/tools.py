"""Tool nodes: quick plain functions as bodies, everything that waits or may be repeated on the loop."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from functools import partial
from typing import Any

from flowc.runtime.coerce import Coercer
from flowc.runtime.limits import Budget
from flowc.runtime.plan import Limits, Node, Operation
from flowc.runtime.scheduler.abandoning import Graceful
from flowc.runtime.scheduler.attempts import with_attempts
from flowc.runtime.scheduler.blocks import BODY, WAIT, Behaviour, Instruction, Pace, Undo
from flowc.runtime.scheduler.bodies import calling
from flowc.runtime.scheduler.current import current_step
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.frames import Frame
from flowc.runtime.scheduler.hedging import hedged_tool, others_for
from flowc.runtime.scheduler.reuse import call_key, is_shared, share, stamped
from flowc.runtime.scheduler.subprocesses import with_processes


def bind_tool(
    node: Node,
    operation: Operation,
    function: Callable[..., Any],
    convert: Coercer,
    pace: Pace,
    *,
    batch: bool = False,
    undos: tuple[Undo, ...] = (),
) -> Behaviour:
    """A call of a tool. Without limits a plain function runs where the runner stands, unless the runs of a
    batch share the call, or a transaction may have to wait for it and take it back.
    """
    effectful = any(effect.kind != "pure" for effect in operation.effects)
    shared = batch and is_shared(node)
    writes = tuple(effect.resource or "" for effect in operation.effects if effect.kind == "writes")
    hedged = others_for(node) is not None
    plain = not (is_async(function) or shared or hedged or undos) and operation.limits == Limits()
    if plain:
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
        key = call_key(frame, operation.name, arguments) if shared else None
        table = engine.session.batch if shared else None
        taken_back = bool(undos) and frame.scope.done is not None
        own = partial(engine.in_thread, scope=None if taken_back else frame.scope)
        in_thread = own if table is None else partial(table.call, pace=pace)

        async def asked_for() -> Any:
            with current_step(engine.session, frame, instruction):
                return convert(await call_tool(in_thread, function, arguments))

        async def work() -> Any:
            if not hedged:
                return await asked_for()
            lasting = table is not None
            return await hedged_tool(engine, frame, instruction, asked_for, lasting=lasting)

        async def once(attempt: int, budgets: tuple[Budget, ...]) -> Any:
            asked = None if key is None else stamped(table, key, writes)
            told, _ = await share(engine, frame, instruction, asked, attempt, work, lasting=True)
            return told.result()

        return await with_attempts(engine, frame, instruction, operation.limits, once)

    return Behaviour(WAIT, call, effectful=effectful, operation=operation, undos=undos)


def call_tool(
    in_thread: Callable[[Callable[[], Any]], Awaitable[Any]],
    function: Callable[..., Any],
    arguments: list[Any],
) -> Awaitable[Any]:
    """Calls a tool's function from the loop: a coroutine function here, a plain one on a thread. Neither
    holds up who no longer waits for it.
    """
    call = partial(function, *arguments)
    if is_async(function):
        return Graceful(with_processes(call), _left_alone)
    return in_thread(partial(copy_context().run, call))  # a thread of its own knows in which step it is


def _left_alone(task: "asyncio.Task[Any]") -> None:
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # nobody else asks


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling `function` gives a coroutine."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
