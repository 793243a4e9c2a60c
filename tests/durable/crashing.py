"""A run that dies at chosen records of its journal, and the world that it acts on and leaves as it is.

Every process is a loop in virtual time. With no threads a run is exactly the same each time, so that a number
says where it dies. Who is dead does nothing more: its tools and models refuse.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define, evolve, field, frozen

from flowc.compiler.driver import Compiled
from flowc.runtime.clock import VirtualLoop
from flowc.runtime.durable import runs
from flowc.runtime.durable.past import Past
from flowc.runtime.environment import Environment
from flowc.runtime.errors import FlowError
from flowc.runtime.journal.memory import MemoryStore
from flowc.runtime.kernels import load as load_kernels
from flowc.runtime.plan import Plan
from flowc.runtime.result import RunResult
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.values import to_json
from flowc.testing.flows.fuses import Fuse as Fuse
from flowc.testing.flows.processes import Kept, Told, looked_up, process, tell
from tests.durable.world import RUN as RUN
from tests.durable.world import World

HOUR = 3600.0
MOST = 80
"""More processes than any run of these tests needs."""


@frozen
class Setting:
    """How a process is set up: its threads (0: none, all on the loop), and how far its clock is off."""

    threads: int = 0
    jump: float = 0.0


@define(eq=False)
class Machine:
    """Processes one after the other that go on with one run of a plan until it has ended."""

    compiled: Compiled
    arguments: Mapping[str, object]
    answers: Mapping[str, object]
    world: World = field(factory=World)
    store: MemoryStore = field(factory=MemoryStore)
    fuses: list[Fuse] = field(factory=list)
    settings: tuple[Setting, ...] = (Setting(),)
    processes: int = 0
    flow: str = "main"
    on_start: Callable[[Engine], None] | None = None
    statuses: list[str] = field(factory=list)

    def last(self) -> RunResult:
        """What the run comes to in the end, whatever it waits for and however often it dies."""
        while self.processes < MOST:
            result = self.process()
            if self.world.dead:
                self.world.dead = False
                self.world.now += 0.001
                self.store = self.store.crashed()
                continue
            assert result is not None
            self.statuses.append(result.status)
            if result.status in runs.FINAL:
                return result
            self._help(result)
        raise AssertionError(f"no end after {self.statuses}: {runs.past_of(self.store, RUN)}")

    @property
    def fuse(self) -> Fuse:
        """The one that burns: the next as soon as one has burnt out."""
        while self.fuses and self.fuses[0].left is not None and self.fuses[0].used >= self.fuses[0].left:
            self.fuses.pop(0)
        if not self.fuses:
            self.fuses.append(Fuse())
        return self.fuses[0]

    def past(self) -> Past:
        """What is kept of the run."""
        return runs.past_of(self.store, RUN)

    def process(self) -> RunResult | None:
        """What one process comes to; None where it has died before it began."""
        setting = self.settings[min(self.processes, len(self.settings) - 1)]
        self.processes += 1

        async def life() -> RunResult | None:
            async with asyncio.timeout(1e8):  # virtual: what hangs ends
                return await self._run(setting)

        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            self.world.loop = loop = runner.get_loop()
            try:
                return runner.run(life())
            except FlowError:
                if not self.world.dead:
                    raise
                return None
            finally:
                self.world.now += loop.time()
                self.world.loop = None

    async def _run(self, setting: Setting) -> RunResult:
        def surroundings() -> Environment:
            return evolve(self.world.environment(setting.threads), kernels=bound(self.compiled))

        return await process(
            self._kept(),
            self.arguments,
            surroundings,
            self.fuse,
            by=lambda: self.world.time() + setting.jump,
            on_start=self.on_start,
        )

    def _kept(self) -> Kept:
        return Kept(RUN, self.plan, self.flow, self.store, self.world, self.world.time)

    @property
    def plan(self) -> Plan:
        """The plan that is run."""
        return self.compiled.plan

    # ---- what people do meanwhile

    def _help(self, result: RunResult) -> None:
        past = self.past()
        if result.status == "in-doubt":
            told = looked_up(self._kept(), {each.key: each.value for each in reversed(self.world.effects)})
            assert told, (past, result.problem)
            self._tell(told)
        elif result.status == "waiting":
            if past.asked:
                step, asked = next(iter(past.asked.items()))
                self._tell([(step, "done", self.answers[asked["operation"]])])
            else:
                slept = [due for key, due in past.until.items() if key.endswith("!sleep")]
                later = [due for due in slept if due > self.world.now]
                self.world.now = min([self.world.now + HOUR, *later])
        else:
            raise AssertionError(result.problem)

    def _tell(self, told: Sequence[Told]) -> None:
        tell(self._kept(), told)


def bound(compiled: Compiled) -> Mapping[str, Callable[..., Any]]:
    """The kernels of a program, ready to be called."""
    kernels = compiled.kernels
    return {} if kernels is None else load_kernels(kernels.object_code, kernels.signatures)


@frozen
class Ending:
    """What of a run must not depend on whether it was broken off."""

    status: str
    code: str | None
    value: object
    writes: Mapping[object, int]


def ending_of(machine: Machine) -> Ending:
    """Drives a run to its end, and looks at the world: no write is there twice but one that may be."""
    result = machine.last()
    keys = Counter(each.key for each in machine.world.effects if not each.idempotent)
    twice = [each for each in machine.world.effects if keys[each.key] > 1 and not each.idempotent]
    assert not twice, twice
    writes = Counter((each.tool, each.arguments) for each in machine.world.effects if not each.idempotent)
    same = {(each.tool, each.arguments, each.key): 1 for each in machine.world.effects if each.idempotent}
    problem = result.problem
    return Ending(
        result.status,
        None if problem is None else problem.code,
        to_json(result.result, limit=None),
        {**writes, **same},
    )
