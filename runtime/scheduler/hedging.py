"""Hedging: a call that is later than 95 of 100 were is asked once more, and the first answer counts.

After Dean and Barroso, "The tail at scale", 2013. The second asking is the same in all that an answer may
depend on. It never waits for a place before the gate nor for money: where either is not to be had at once, or
where others might miss it later, the call just goes on. The one that loses is cancelled and spends no more.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from attrs import frozen

from flowc.runtime.expected import SIMULATED
from flowc.runtime.plan import Node
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.foreseeing import late_after
from flowc.runtime.scheduler.frames import Frame
from flowc.runtime.scheduler.speculation import is_doubtful

HEDGE = "hedge"
TICK = 1e-3
"""Seconds that are too short to wait for."""
T = TypeVar("T")
Lost = Callable[["asyncio.Task[Any]"], None]
"""Told of the asking that has lost, which may still be under way."""


def _nothing(*_: object) -> None:
    pass


@frozen(eq=False)
class Second:
    """The second asking: its work, what to do when that is over, who is told which of the two has lost."""

    work: Awaitable[Any]
    over: Callable[["asyncio.Task[Any]"], None] = _nothing
    lost: Lost = _nothing


def others_for(node: Node) -> tuple[int, ...] | None:
    """What the budgets around a call pay for beside its repetition; None where it is not to be repeated."""
    found = node.settings.get(HEDGE)
    if not isinstance(found, list):
        return None
    return tuple(number for number in found if isinstance(number, int))


async def first_of(
    engine: Engine,
    key: tuple[str, str],
    after: Callable[[], float | None],
    ask: Callable[[], Awaitable[T]],
    again: Callable[[], Second | None],
    *,
    lasting: bool = False,
    going_on: Lost = _nothing,
) -> T:
    """The result of `ask`, or of what `again` gives to be asked `after` so many seconds, if that is sooner.

    What is late is asked for at the start, and again when it is about to be: more is known by then.
    A failure counts only where both fail, and then it is that of the first. A `lasting` call outlives its
    run. `going_on` is told of the first asking where it is given up before it has ended.
    """
    loop, latencies = engine.loop, engine.session.latencies
    begun = loop.time()
    latencies.of(key).begun += 1
    if (late := after()) is None:
        result = await ask()
        latencies.note(key, loop.time() - begun)
        return result
    first = _task(engine, ask(), lasting)
    tasks = [first]
    lost: Lost = _nothing
    winner = first
    try:
        while late is not None and not first.done() and (left := begun + late - loop.time()) > TICK:
            await asyncio.wait(tasks, timeout=left)
            late = after()
        second = None if first.done() or late is None else again()
        if second is not None:
            latencies.of(key).again += 1
            tasks.append(_task(engine, second.work, lasting))
            tasks[1].add_done_callback(second.over)
            lost = second.lost
        while (found := _succeeded(tasks)) is None and not all(task.done() for task in tasks):
            await asyncio.wait(
                [task for task in tasks if not task.done()], return_when=asyncio.FIRST_COMPLETED
            )
        winner = found or first
        if found is not None:
            latencies.note(key, loop.time() - begun)
        return await winner
    finally:
        for task in tasks:
            if task is not winner or not task.done():
                task.cancel()
        if not first.done():
            going_on(first)
        if len(tasks) > 1:
            lost(tasks[1] if winner is first else first)


def _task(engine: Engine, work: Awaitable[T], lasting: bool) -> "asyncio.Task[T]":
    async def run() -> T:
        return await work

    task = engine.loop.create_task(run())
    if not lasting:
        engine.waiting.tasks.add(task)
    task.add_done_callback(partial(_done, engine))
    return task


def _done(engine: Engine, task: "asyncio.Task[Any]") -> None:
    engine.waiting.tasks.discard(task)
    if not task.cancelled():
        task.exception()  # one that has lost may have failed, and nobody else asks


def _succeeded(tasks: "list[asyncio.Task[T]]") -> "asyncio.Task[T] | None":
    """The first of the tasks that has ended well."""
    for task in tasks:
        if task.done() and not task.cancelled() and task.exception() is None:
            return task
    return None


async def hedged_tool(
    engine: Engine,
    frame: Frame,
    instruction: Instruction,
    work: Callable[[], Awaitable[T]],
    *,
    lasting: bool = False,
) -> T:
    """The result of a tool, asked once more where it is late and no budget counts its calls."""
    scope = frame.scope
    key = instruction.node.name, ""

    def again() -> Second | None:
        counted = any(
            each.limits.calls is not None or each.limits.memory is not None for each in scope.budgets
        )
        if counted or is_doubtful(scope):
            return None
        with engine.lock:
            note_second(engine, frame, instruction)
        return Second(work())

    after = partial(late_after, engine, *key, 0, 0, SIMULATED if engine.virtual else "")
    return await first_of(engine, key, after, work, again, lasting=lasting)


def note_second(engine: Engine, frame: Frame, instruction: Instruction) -> None:
    """Counts and notes that a call is asked once more, under the lock."""
    engine.session.calls[instruction.node.op] += 1
    engine.note("note", frame, instruction, "asked once more: it was later than usual")
