"""Many runs of one flow: side by side up to a width, sharing what the compiler licensed, results in order."""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from functools import partial
from itertools import islice

from attrs import evolve

from flowc.runtime.clock import clock_held
from flowc.runtime.errors import FlowError
from flowc.runtime.execute import Loaded, run_plan
from flowc.runtime.fingerprint import fingerprint
from flowc.runtime.plan import Function
from flowc.runtime.plan_check import entry
from flowc.runtime.result import RunResult
from flowc.runtime.scheduler.shared import Shared

Arguments = Mapping[str, object]

Ended = RunResult | FlowError
"""How a line of a batch ended; an error where its arguments do not fit."""

USUAL_WIDTH = 64
"""How many runs go on at once where no model says how many calls it takes."""

WIDEST = 256
"""How many runs go on at once at most where the user does not say: each has two threads."""

RUNS_A_PLACE = 2
"""Runs for each call that a model takes at once: while one run is busy elsewhere another one calls."""


async def run_each(
    loaded: Loaded, function: str | None, batch: Sequence[Arguments], *, width: int | None = None
) -> AsyncGenerator[Ended, None]:
    """Runs a flow once for each set of arguments; gives each result once all before it are given.

    Whoever leaves off listening cancels the runs that are under way. Raises `FlowError` E0701 where there is
    no such flow.
    """
    most = width or usual_width(loaded)
    numbers = list(in_order(entry(loaded.plan, function), batch, most))
    loop = asyncio.get_running_loop()
    shared = Shared(tells_failures=True)
    if loaded.environment.record is not None:
        shared.joining = None  # what is recorded must answer any other batch of these lines, too
    ready = sharing(loaded, shared)
    room = asyncio.Semaphore(most)
    outcomes: dict[int, asyncio.Future[Ended]] = {n: loop.create_future() for n in range(len(batch))}
    begun: set[asyncio.Task[Ended]] = set()

    async def one(number: int) -> Ended:
        try:
            return await run_plan(ready, function, batch[number], number=number)
        except FlowError as error:
            return error

    def settle(number: int, task: asyncio.Task[Ended]) -> None:
        begun.discard(task)
        room.release()
        if task.cancelled():
            outcomes[number].cancel()
        elif (error := task.exception()) is not None:
            outcomes[number].set_exception(error)
        else:
            outcomes[number].set_result(task.result())

    async def begin() -> None:
        for number in numbers:
            await room.acquire()
            task = asyncio.create_task(one(number))
            begun.add(task)
            task.add_done_callback(partial(settle, number))

    beginning = asyncio.create_task(begin())
    try:
        with clock_held(loop, shared.busy):
            for number in range(len(batch)):
                yield await outcomes[number]
                del outcomes[number]
    finally:
        left = [beginning, *begun]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await shared.close()
        await loaded.registry.close()


def in_order(flow: Function, batch: Sequence[Arguments], width: int) -> Iterable[int]:
    """The order in which the lines of a batch begin.

    Equal lines begin near each other, so that what a model keeps of a prompt is still there for the others:
    of the next `width` different lines first one each, since only these have work that none has begun, then
    the others in turn. A flow that writes or asks a person keeps the order of the lines.
    """
    if any(effect.kind in ("writes", "human") for effect in flow.effects):
        yield from range(len(batch))
        return
    equal: dict[bytes, deque[int]] = defaultdict(deque)
    for number, arguments in enumerate(batch):
        equal[fingerprint(sorted(arguments.items()))].append(number)
    different = iter(equal.values())
    while near := list(islice(different, width)):
        while near:
            for numbers in near:
                yield numbers.popleft()
            near = [numbers for numbers in near if numbers]


async def run_many(
    loaded: Loaded, function: str | None, batch: Sequence[Arguments], *, width: int | None = None
) -> list[Ended]:
    """The results of `run_each` together."""
    return [ended async for ended in run_each(loaded, function, batch, width=width)]


def sharing(loaded: Loaded, shared: Shared) -> Loaded:
    """The same program, bound so that its runs share what the compiler licensed by this table."""
    bindings = loaded.bindings
    together = type(bindings)(
        bindings.plan, bindings.tools, bindings.kernels, stand_in=bindings.stand_in, batch=True
    )
    return evolve(loaded, bindings=together, shared=shared)


def usual_width(loaded: Loaded) -> int:
    """Runs enough to keep every model of the program as busy as its limit of calls in flight allows."""
    aliases = {operation.model for operation in loaded.plan.operations.values() if operation.kind == "llm"}
    places = [loaded.registry.model(alias).max_in_flight for alias in aliases]
    wanted = [RUNS_A_PLACE * most for most in places if most is not None]
    return min(WIDEST, max(USUAL_WIDTH, *wanted)) if wanted else USUAL_WIDTH
