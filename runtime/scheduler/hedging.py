"""Hedging: a call that is later than 95 of 100 were is asked once more, and the first answer counts.

After Dean and Barroso, "The tail at scale", 2013. The second asking is the same in all that an answer may
depend on. It never waits for a place before the gate nor for money: where either is not to be had at once, or
where others might miss it later, the call just goes on. The one that loses is cancelled and spends no more.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from attrs import evolve, frozen

from flowc.runtime.admission.calls import Call
from flowc.runtime.admission.gate import Gate, Place
from flowc.runtime.limits import USUAL_ANSWER, Budget, Reservation, reserve
from flowc.runtime.plan import Node
from flowc.runtime.providers.base import Provider, ProviderError, Request, Response, Usage
from flowc.runtime.scheduler.abandoning import Graceful
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.frames import Frame
from flowc.runtime.scheduler.speculation import is_doubtful
from flowc.runtime.scheduler.undecided import can_spare

HEDGE = "hedge"
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


Settle = Callable[[Reservation, Usage | None], None]
"""Settles what a call held; a usage of None is not known."""


def others_for(node: Node) -> tuple[int, ...] | None:
    """What the budgets around a call pay for beside its repetition; None where it is not to be repeated."""
    found = node.settings.get(HEDGE)
    if not isinstance(found, list):
        return None
    return tuple(number for number in found if isinstance(number, int))


async def first_of(
    engine: Engine,
    key: tuple[str, str],
    after: float | None,
    ask: Callable[[], Awaitable[T]],
    again: Callable[[], Second | None],
    *,
    lasting: bool = False,
) -> T:
    """The result of `ask`, or of what `again` gives to be asked `after` so many seconds, if that is sooner.

    A failure counts only where both fail, and then it is that of the first. A `lasting` call outlives its
    run.
    """
    loop, latencies = engine.loop, engine.session.latencies
    begun = loop.time()
    if after is None:
        result = await ask()
        latencies.note(key, loop.time() - begun)
        return result
    first = _task(engine, ask(), lasting)
    tasks = [first]
    lost: Lost = _nothing
    winner = first
    try:
        await asyncio.wait(tasks, timeout=after)
        second = None if first.done() else again()
        if second is not None:
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
        if len(tasks) > 1:
            lost(tasks[1] if winner is first else first)


def _task(engine: Engine, work: Awaitable[T], lasting: bool) -> "asyncio.Task[T]":
    async def run() -> T:
        return await work

    task = engine.loop.create_task(run())
    if not lasting:
        engine.tasks.add(task)
    task.add_done_callback(partial(_done, engine))
    return task


def _done(engine: Engine, task: "asyncio.Task[Any]") -> None:
    engine.tasks.discard(task)
    if not task.cancelled():
        task.exception()  # one that has lost may have failed, and nobody else asks


def _succeeded(tasks: "list[asyncio.Task[T]]") -> "asyncio.Task[T] | None":
    """The first of the tasks that has ended well."""
    for task in tasks:
        if task.done() and not task.cancelled() and task.exception() is None:
            return task
    return None


@frozen(eq=False)
class Asking:
    """A request before its provider, with all that asking it once more needs."""

    engine: Engine
    frame: Frame
    instruction: Instruction
    request: Request
    bound: int
    budgets: tuple[Budget, ...]
    provider: Provider
    gate: Gate
    place: Place
    settle: Settle

    async def answer(self) -> Response:
        """The first answer."""
        request = self.request
        others = others_for(self.instruction.node)
        if others is None:
            return await self._ask(request, self.place)
        key = request.operation, request.model.alias
        after = request.model.hedge_after or self.engine.session.latencies.late(key)
        heard = _Heard(request)
        return await first_of(
            self.engine,
            key,
            after,
            lambda: self._ask(heard.request, self.place),
            partial(self._again, others, heard),
        )

    def _again(self, others: tuple[int, ...], heard: "_Heard") -> Second | None:
        """The second asking, where there is a place and money for it now."""
        request, engine = self.request, self.engine
        scope = self.frame.scope
        tokens = self.bound, request.max_tokens if request.max_tokens is not None else USUAL_ANSWER
        if heard.begun or is_doubtful(scope) or len(self.budgets) != len(scope.budgets):
            return None
        place = self.gate.enter_now(Call(engine.session.program, self.instruction.priority, sum(tokens)))
        if place is None:
            return None
        price = request.model.price
        with engine.lock:
            held = None
            if can_spare(scope.budgets, others, tokens, price):
                held = reserve(scope.budgets, *tokens, price, request.operation)
            if isinstance(held, Reservation):
                _note(engine, self.frame, self.instruction)
        if not isinstance(held, Reservation):
            place.leave()
            return None
        return Second(self._second(heard, place), lambda _: place.leave(), partial(self._lost, held))

    async def _ask(self, request: Request, place: Place) -> Response:
        return await Graceful(self.provider.generate(request), place.leave_after)

    async def _second(self, heard: "_Heard", place: Place) -> Response:
        response = await self._ask(evolve(self.request, hedge=1, stream=None), place)
        heard.close(response.text)
        return response

    def _lost(self, held: Reservation, task: "asyncio.Task[Any]") -> None:
        """Settles the second reservation with what the asking that lost has cost, as far as that is known."""
        self.settle(held, _usage_of(task))


def _note(engine: Engine, frame: Frame, instruction: Instruction) -> None:
    engine.session.calls[instruction.node.op] += 1
    engine.note("note", frame, instruction, "asked once more: it was later than usual")


class _Heard:
    """Whether parts of the first answer have been handed on: from then on there is no other answer."""

    def __init__(self, request: Request) -> None:
        self.stream = request.stream
        self.begun = False
        self.closed = False
        self.request = request if request.stream is None else evolve(request, stream=self._part)

    def _part(self, part: str) -> None:
        if self.stream is not None and not self.closed:
            self.begun = True
            self.stream(part)

    def close(self, text: str) -> None:
        """The second answer is there: it is handed on whole, unless the first has begun."""
        if self.begun:
            raise asyncio.CancelledError
        self.closed = True
        if self.stream is not None:
            self.stream(text)


def _usage_of(task: "asyncio.Task[Any]") -> Usage | None:
    if not task.done() or task.cancelled():
        return None
    error = task.exception()
    if error is None:
        response = task.result()
        return response.usage if isinstance(response, Response) else None
    return error.usage if isinstance(error, ProviderError) else None


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
            _note(engine, frame, instruction)
        return Second(work())

    after = engine.session.latencies.late(key)
    return await first_of(engine, key, after, work, again, lasting=lasting)
