"""The life of a run that is kept: in as many processes as it takes, of which one may be killed.

The journal is in memory and time is virtual, so that a number says where a process dies. What happens
outside, such as the calls of tools, outlives it.
"""

import asyncio
from collections.abc import Mapping

from attrs import define, evolve, field

from flowc.runtime.durable import runs
from flowc.runtime.errors import FlowError
from flowc.runtime.journal.memory import MemoryStore
from flowc.runtime.result import RunResult
from flowc.testing.flows.calls import Call
from flowc.testing.flows.checking import LONGEST, in_virtual_time
from flowc.testing.flows.fuses import Fuse
from flowc.testing.flows.processes import Kept, looked_up, process, tell
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
        surroundings = self.stage.environment
        return await process(self._kept(), self.arguments, surroundings, self.fuse, by=self.time)

    def _kept(self) -> Kept:
        return Kept(RUN, self.target.plan, self.target.flow, self.store, self.stage, self.time)

    # ---- what people do meanwhile

    def _help(self, result: RunResult) -> bool:
        """Whether the run can go on by now: somebody has looked, or time has passed."""
        past = runs.past_of(self.store, RUN)
        if result.status == "in-doubt":
            done = {each.key: each.result for each in reversed(effects_of(self.stage))}
            told = looked_up(self._kept(), done)
            self.in_doubt += [step for step, _, _ in told]
            tell(self._kept(), told)
            return bool(told)
        if result.status != "waiting" or past.asked:
            return False
        later = [due for key, due in past.until.items() if key.endswith("!sleep") and due > self.now]
        self.now = min(later, default=self.now + HOUR)
        return True


def effects_of(stage: Stage) -> list[Call]:
    return [each for each in stage.log.calls if each.writes and each.ended and not each.failure]
