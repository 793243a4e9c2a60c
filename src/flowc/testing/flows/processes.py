"""Processes of a run that is kept in memory: each begins it, or goes on with it, and may die on the way."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import frozen

from flowc.runtime.durable import runs
from flowc.runtime.durable.codec import packed
from flowc.runtime.durable.keeper import Keeping
from flowc.runtime.environment import Environment
from flowc.runtime.execute import load, run_plan
from flowc.runtime.journal.memory import MemoryStore
from flowc.runtime.plan import Plan
from flowc.runtime.reading import bind_arguments
from flowc.runtime.result import RunResult
from flowc.runtime.scheduler.current import call_key
from flowc.runtime.scheduler.engine import Engine
from flowc.testing.flows.fuses import Fuse, Mortal, StepWriter

Told = tuple[str, str, Any]
"""A step, how it has ended ("done", or "retry" for one that has not happened), and with what value."""


@frozen(eq=False)
class Kept:
    """A run in a journal, and the world that its processes act on. `clock` says the seconds of the day."""

    run: str
    plan: Plan
    flow: str
    store: MemoryStore
    world: Mortal
    clock: Callable[[], float]


async def process(
    kept: Kept,
    arguments: Mapping[str, object],
    surroundings: Callable[[], Environment],
    fuse: Fuse,
    *,
    by: Callable[[], float] | None = None,
    on_start: Callable[[Engine], None] | None = None,
) -> RunResult:
    """What one process comes to. `by` is the clock by which it waits: it then waits no longer than one in
    real time does, and ends as `waiting`. Raises FlowError where it dies.
    """
    writer = StepWriter(kept.store, kept.world, fuse)
    journal = runs.Journal(kept.store, writer)  # type: ignore[arg-type]
    function = kept.plan.functions[kept.flow]
    if kept.store.rows():
        keeping = runs.go_on(journal, kept.run, clock=kept.clock)
    else:
        values = bind_arguments(kept.plan, function, arguments)
        keeping = runs.begin(journal, kept.plan, kept.flow, values, {}, run=kept.run, clock=kept.clock)
    if by is not None:
        _wind(keeping, by)
    loaded = load(kept.plan, surroundings())
    names = [each.name for each in function.parameters]
    given = dict(zip(names, runs.arguments_of(kept.store, keeping.past.head), strict=True))
    try:
        return await run_plan(loaded, kept.flow, given, keeper=keeping, on_start=on_start)
    finally:
        await loaded.registry.close()
        writer.close()
        kept.store.release(kept.run)


def looked_up(kept: Kept, done: Mapping[str, object]) -> list[Told]:
    """What somebody says of the steps in doubt who has seen what was done, by its idempotency key."""
    steps = [
        (each.step, call_key(kept.run, each.step)) for each in runs.past_of(kept.store, kept.run).in_doubt()
    ]
    return [(step, "done", done[key]) if key in done else (step, "retry", None) for step, key in steps]


def tell(kept: Kept, told: Sequence[Told]) -> None:
    """Writes down what somebody says, by a process that does nothing else, and does not die."""
    writer = StepWriter(kept.store, kept.world, Fuse())
    keeping = runs.go_on(runs.Journal(kept.store, writer), kept.run, clock=kept.clock)  # type: ignore[arg-type]
    for step, how, value in told:
        blobs: list[tuple[bytes, bytes]] = []
        keeping._append(["told", keeping._now(), step, how, packed(value, blobs)], blobs)
    writer.close()
    kept.store.release(kept.run)


def _wind(keeping: Keeping, clock: Callable[[], float]) -> None:
    """Has a run in virtual time go by a clock of the day, and not wait for long, as one in real time does."""
    attach = keeping.attach

    def attached(engine: Engine) -> None:
        attach(engine)
        keeping.clock, keeping.patient = clock, False

    keeping.attach = attached  # type: ignore[method-assign]
