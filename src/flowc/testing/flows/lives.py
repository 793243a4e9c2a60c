"""The life of a run that is kept: in as many processes as it takes, of which one may be killed.

The journal is in memory and time is virtual, so that a number says where a process dies. What happens
outside, such as the calls of tools, outlives it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define, evolve, field

from flowc.runtime.durable import runs
from flowc.runtime.durable.codec import packed
from flowc.runtime.durable.keeper import Keeping
from flowc.runtime.errors import FlowError
from flowc.runtime.execute import load, run_plan
from flowc.runtime.journal.memory import MemoryStore
from flowc.runtime.reading import bind_arguments
from flowc.runtime.result import RunResult
from flowc.runtime.scheduler.current import call_key
from flowc.runtime.scheduler.engine import Engine
from flowc.testing.flows.calls import Call
from flowc.testing.flows.checking import LONGEST, in_virtual_time
from flowc.testing.flows.fuses import Fuse, StepWriter
from flowc.testing.flows.stage import Stage
from flowc.testing.flows.targets import Target

RUN = "tested"
HOUR = 3600.0
BEGUN = 1_000_000.0
MOST_PROCESSES = 400
"""A run that sleeps or waits takes a process for each hour: more than this is a run without an end."""


@define(eq=False)
class Life:
    """A run from its begin to its end, in as many processes as it takes."""

    target: Target
    arguments: Mapping[str, object]
    stage: Stage
    fuse: Fuse
    store: MemoryStore = field(factory=MemoryStore)
    now: float = BEGUN
    loop: asyncio.AbstractEventLoop | None = None
    in_doubt: list[str] = field(factory=list)

    def time(self) -> float:
        """Seconds of the day, which go on from process to process."""
        return self.now + (0.0 if self.loop is None else self.loop.time())

    def last(self) -> RunResult | None:
        """What the run comes to in the end; None where it has none."""
        self.stage.clock = lambda: self.time() - BEGUN
        for _ in range(MOST_PROCESSES):
            result = self._process()
            if self.stage.dead:
                self.stage.dead = False
                self.store = self.store.crashed()
                self.now += 0.001
                self.fuse = evolve(self.fuse, left=None)
            elif result is None or result.status in runs.FINAL or not self._help(result):
                return result
        return None

    def _process(self) -> RunResult | None:
        async def life() -> RunResult | None:
            self.loop = asyncio.get_running_loop()
            try:
                async with asyncio.timeout(LONGEST):
                    return await self._run()
            except TimeoutError:
                return None
            except FlowError:
                if not self.stage.dead:
                    raise
                return None
            finally:
                self.now, self.loop = self.time(), None

        return in_virtual_time(life)

    async def _run(self) -> RunResult:
        writer = StepWriter(self.store, self.fuse, self._die)
        journal = runs.Journal(self.store, writer)  # type: ignore[arg-type]
        plan = self.target.plan
        keeping = self._keeping(journal)
        _wound(keeping, self.time)
        loaded = load(plan, self.stage.environment())
        values = runs.arguments_of(self.store, keeping.past.head)
        names = [each.name for each in self.target.function.parameters]
        given = dict(zip(names, values, strict=True))
        try:
            return await run_plan(loaded, self.target.flow, given, keeper=keeping)
        finally:
            await loaded.registry.close()
            writer.close()
            self.store.release(RUN)

    def _die(self) -> None:
        self.stage.dead = True

    def _keeping(self, journal: runs.Journal) -> Keeping:
        if self.store.rows():
            return runs.go_on(journal, RUN, clock=self.time)
        plan, flow = self.target.plan, self.target.flow
        values = bind_arguments(plan, self.target.function, self.arguments)
        return runs.begin(journal, plan, flow, values, {}, run=RUN, clock=self.time)

    # ---- what people do meanwhile

    def _help(self, result: RunResult) -> bool:
        """Whether the run can go on by now: somebody has looked, or time has passed."""
        past = runs.past_of(self.store, RUN)
        if result.status == "in-doubt":
            steps = [intent.step for intent in past.in_doubt()]
            self.in_doubt += steps
            self._tell([self._looked_up(step) for step in steps])
            return bool(steps)
        if result.status != "waiting" or past.asked:
            return False
        later = [due for key, due in past.until.items() if key.endswith("!sleep") and due > self.now]
        self.now = min(later, default=self.now + HOUR)
        return True

    def _looked_up(self, step: str) -> tuple[str, str, Any]:
        key = call_key(RUN, step)
        done = [each for each in effects_of(self.stage) if each.key == key]
        return (step, "done", done[0].result) if done else (step, "retry", None)

    def _tell(self, told: Sequence[tuple[str, str, Any]]) -> None:
        """By a process that does nothing else, and does not die."""
        writer = StepWriter(self.store, Fuse(), lambda: None)
        keeping = runs.go_on(runs.Journal(self.store, writer), RUN, clock=self.time)  # type: ignore[arg-type]
        for step, how, value in told:
            blobs: list[tuple[bytes, bytes]] = []
            keeping._append(["told", keeping._now(), step, how, packed(value, blobs)], blobs)
        writer.close()
        self.store.release(RUN)


def _wound(keeping: Keeping, clock: Callable[[], float]) -> None:
    """Has a run in virtual time go by a clock of the day, and not wait for long, as one in real time does."""
    attach = keeping.attach

    def attached(engine: Engine) -> None:
        attach(engine)
        keeping.clock, keeping.patient = clock, False

    keeping.attach = attached  # type: ignore[method-assign]


def effects_of(stage: Stage) -> list[Call]:
    return [each for each in stage.log.calls if each.writes and each.ended and not each.failure]
