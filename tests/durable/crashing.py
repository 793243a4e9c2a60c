"""A run that dies at chosen records of its journal, and the world that it acts on and leaves as it is.

Every process is a loop in virtual time. With no threads a run is exactly the same each time, so that a number
says where it dies. Who is dead does nothing more: its tools and models refuse.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define, evolve, field, frozen

from flowc.compiler.driver import Compiled
from flowc.runtime.clock import VirtualLoop
from flowc.runtime.durable import runs
from flowc.runtime.durable.codec import packed
from flowc.runtime.durable.keeper import Keeping
from flowc.runtime.durable.past import Past
from flowc.runtime.errors import FlowError, fail
from flowc.runtime.execute import load, run_plan
from flowc.runtime.journal.frames import Framer
from flowc.runtime.journal.memory import MemoryStore
from flowc.runtime.kernels import load as load_kernels
from flowc.runtime.plan import Plan
from flowc.runtime.reading import bind_arguments
from flowc.runtime.result import RunResult
from flowc.runtime.scheduler.current import call_key
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.values import to_json
from tests.durable.world import RUN as RUN
from tests.durable.world import World

LINGER = 3
"""Records that nobody waits for are written together with so many others."""
HOUR = 3600.0
MOST = 80
"""More processes than any run of these tests needs."""


@define(eq=False)
class Fuse:
    """Burns out with the `left`-th record from now on; with `keeps` that one, and all before it, is safe."""

    left: int | None = None
    keeps: bool = False
    used: int = 0

    def burns(self) -> bool:
        """Counts a record: whether it is the last one."""
        self.used += 1
        return self.used == self.left


@define(eq=False)
class StepWriter:
    """Writes to a store as `Writer` does, but on no thread of its own: what is done is the same each time."""

    store: MemoryStore
    world: World
    fuse: Fuse
    runs: dict[str, Framer] = field(factory=dict)
    blobs: dict[bytes, bytes] = field(factory=dict)
    position: int = 0
    pending: int = 0
    lock: Any = field(factory=threading.Lock)

    def open(self, run: str, first: int, chain: int) -> None:
        self.runs[run] = Framer(run, first, chain)

    def append(
        self,
        run: str,
        payload: bytes,
        *,
        blobs: Sequence[tuple[bytes, bytes]] = (),
        status: str = "",
        sync: bool = False,
    ) -> int:
        with self.lock:
            self._live()
            framer = self.runs[run]
            framer.add(payload)
            framer.status = status or framer.status
            self.blobs.update(blobs)
            self.position += 1
            self.pending += 1
            if self.fuse.burns():
                if self.fuse.keeps:
                    self._write()
                self.world.dead = True
                self._live()
            if self.pending > LINGER:
                self._write()
            return self.position

    def wait(self, position: int, *, sync: bool) -> None:
        with self.lock:
            self._live()
            self._write()

    def durable(self, position: int, *, sync: bool) -> "asyncio.Future[None]":
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        try:
            self.wait(position, sync=sync)
        except FlowError as error:
            future.set_exception(error)
        else:
            loop.call_soon(_release, future)
        return future

    def close(self) -> None:
        with self.lock:
            if not self.world.dead:
                self._write()

    def _live(self) -> None:
        if self.world.dead:
            raise fail("E0911", "the process has died")

    def _write(self) -> None:
        segments = [framer.take() for framer in self.runs.values() if framer.waiting]
        if segments:
            self.store.append(segments, self.blobs, sync=True)
        self.blobs, self.pending = {}, 0


def _release(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


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
        writer = StepWriter(self.store, self.world, self.fuse)
        journal = runs.Journal(self.store, writer)  # type: ignore[arg-type]
        keeping = self._keeping(journal)
        _wound(keeping, lambda: self.world.time() + setting.jump)
        environment = evolve(self.world.environment(setting.threads), kernels=bound(self.compiled))
        loaded = load(self.plan, environment)
        values = runs.arguments_of(self.store, keeping.past.head)
        names = [each.name for each in self.plan.functions[self.flow].parameters]
        arguments = dict(zip(names, values, strict=True))
        try:
            return await run_plan(loaded, self.flow, arguments, keeper=keeping, on_start=self.on_start)
        finally:
            await loaded.registry.close()
            writer.close()
            self.store.release(RUN)

    def _keeping(self, journal: runs.Journal) -> Keeping:
        if self.store.rows():
            return runs.go_on(journal, RUN, clock=self.world.time)
        values = bind_arguments(self.plan, self.plan.functions[self.flow], self.arguments)
        return runs.begin(journal, self.plan, self.flow, values, {}, run=RUN, clock=self.world.time)

    @property
    def plan(self) -> Plan:
        """The plan that is run."""
        return self.compiled.plan

    # ---- what people do meanwhile

    def _help(self, result: RunResult) -> None:
        past = self.past()
        if result.status == "in-doubt":
            told = [self._looked_up(intent.step) for intent in past.in_doubt()]
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

    def _looked_up(self, step: str) -> tuple[str, str, Any]:
        """What somebody says who has looked whether a call has happened."""
        key = call_key(RUN, step)
        done = [each for each in self.world.effects if each.key == key]
        return (step, "done", done[0].value) if done else (step, "retry", None)

    def _tell(self, told: Sequence[tuple[str, str, Any]]) -> None:
        """By a process that does nothing else, and does not die."""
        writer = StepWriter(self.store, self.world, Fuse())
        keeping = runs.go_on(runs.Journal(self.store, writer), RUN, clock=self.world.time)  # type: ignore[arg-type]
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
