"""Runs of generated programs that are kept in a journal, die at chosen records, and are gone on with."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from attrs import define, field

from flowc.runtime.durable import runs
from flowc.runtime.environment import Environment
from flowc.runtime.errors import FlowError
from flowc.runtime.journal.memory import MemoryStore
from flowc.runtime.plan import Plan
from flowc.runtime.result import RunResult
from flowc.testing.flows.checking import in_virtual_time
from flowc.testing.flows.fuses import Fuse
from flowc.testing.flows.processes import Kept, looked_up, process, tell
from flowc.testing.oracles.worlds import AnsweringWorld

RUN = "generated"
BEGUN = 1_000_000.0
MOST = 40
"""More processes than a run takes that dies a few times, and is asked about what is in doubt."""
HANGS = 1e6
"""Virtual seconds that no generated program takes."""

Death = tuple[int, bool]
"""With which record of its journal a process dies, counted from 1, and whether that one is safe."""


def interrupted(
    plan: Plan,
    arguments: Mapping[str, object],
    world: AnsweringWorld,
    surroundings: Callable[[], Environment],
    deaths: Sequence[Death] = (),
) -> RunResult:
    """What a kept run of `main` comes to in the end; each process but the last dies so. What is in doubt then
    is looked up in the world. Raises AssertionError for a run that has no end.
    """
    life = _Life(plan, arguments, world, surroundings, [Fuse(*each) for each in deaths])
    for _ in range(MOST):
        result = life.process()
        if world.dead:
            world.dead = False
            life.store = life.store.crashed()
        elif result is not None and result.status == "in-doubt":
            life.look_up()
        elif result is not None:
            return result
        else:
            break
    raise AssertionError(f"a run that is gone on with has no end: {runs.past_of(life.store, RUN)}")


@define(eq=False)
class _Life:
    """A run from its begin to its end, in as many processes as it takes."""

    plan: Plan
    arguments: Mapping[str, object]
    world: AnsweringWorld
    surroundings: Callable[[], Environment]
    fuses: list[Fuse]
    store: MemoryStore = field(factory=MemoryStore)

    def process(self) -> RunResult | None:
        """What one process comes to; None for one that has died, or hangs."""
        return in_virtual_time(self._life)

    async def _life(self) -> RunResult | None:
        try:
            async with asyncio.timeout(HANGS):
                return await self._run(self.fuses.pop(0) if self.fuses else Fuse())
        except TimeoutError:
            return None
        except FlowError:
            if not self.world.dead:
                raise
            return None

    async def _run(self, fuse: Fuse) -> RunResult:
        return await process(self._kept(), self.arguments, self.surroundings, fuse)

    def look_up(self) -> None:
        """Tells the journal of each step in doubt whether it has happened."""
        tell(self._kept(), looked_up(self._kept(), {each.key: each.result for each in self.world.calls}))

    def _kept(self) -> Kept:
        return Kept(RUN, self.plan, "main", self.store, self.world, lambda: BEGUN)
