"""Plans tried: runs of the real scheduler on stand-ins, in virtual time, ended when real time is up."""

import contextlib
import threading
import time
from hashlib import sha256

from attrs import frozen

from flowc.passes.search.goal import Sample
from flowc.passes.search.space import Place
from flowc.passes.search.stand_ins import Kernels, World, without_code
from flowc.runtime.blocking import run_in_loop
from flowc.runtime.errors import CANCELLED, OVER_BUDGET, FlowError, Problem
from flowc.runtime.execute import load, run_plan
from flowc.runtime.plan import Plan
from flowc.runtime.plan_check import entry
from flowc.runtime.plan_json import dumps
from flowc.runtime.result import RunResult
from flowc.runtime.scheduler.engine import Engine

LIMITS = OVER_BUDGET | {"E0714"}
"""Failures that say that a run reached a limit of its program."""

STOPPED = Problem(CANCELLED, "the search has no time left")


@frozen(eq=False)
class Built:
    """A pipeline's plan, ready to be tried: equal plans have equal digests. `places` are where optional
    passes did something.
    """

    plan: Plan
    kernels: Kernels
    places: frozenset[Place]
    digest: bytes


def built(plan: Plan, kernels: Kernels, places: frozenset[Place]) -> Built:
    """A plan without its Python."""
    bare = without_code(plan)
    return Built(bare, kernels, places, sha256(dumps(bare).encode()).digest())


class Unplayable(Exception):
    """The flow cannot be run on stand-ins at all; `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def tried(candidate: Built, world: World, seed: int, until: float) -> Sample | None:
    """One run from a seed; None where it had not ended at `until`, a time of `time.monotonic`.

    Raises Unplayable where there is nothing to run: no such flow, arguments that do not fit.
    """
    left = until - time.monotonic()
    if left <= 0:
        return None
    environment = world.environment(candidate.plan, candidate.kernels, seed)

    async def work() -> RunResult:
        loaded = load(candidate.plan, environment)
        flow = entry(candidate.plan, world.flow)
        with _Alarm(left) as alarm:
            try:
                given = world.given(candidate.plan, flow, seed)
                return await run_plan(loaded, flow.name, given, on_start=alarm.watch)
            finally:
                await loaded.registry.close()

    try:
        result: RunResult = run_in_loop(environment, work)
    except FlowError as error:
        raise Unplayable(error.problem) from None
    code = result.problem.code if result.problem is not None else ""
    if code == CANCELLED:
        return None
    tokens = result.tokens_in + result.tokens_out
    return Sample(result.wall_ms / 1e3, result.cost_usd, float(tokens), code)


class _Alarm:
    """Ends a run of which too little real time is left: its clock is virtual and would not notice."""

    def __init__(self, seconds: float) -> None:
        self.timer = threading.Timer(seconds, self._ring)
        self.timer.daemon = True
        self.engine: Engine | None = None
        self.rung = False

    def watch(self, engine: Engine) -> None:
        """Begins to watch a run; ends it at once where time is up already."""
        self.engine = engine
        if self.rung:
            self._stop(engine)

    def _ring(self) -> None:
        self.rung = True
        engine = self.engine
        if engine is not None:
            self._stop(engine)

    def _stop(self, engine: Engine) -> None:
        with contextlib.suppress(RuntimeError):  # the loop may have ended just now
            engine.loop.call_soon_threadsafe(engine.cancel, STOPPED)

    def __enter__(self) -> "_Alarm":
        self.timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.timer.cancel()
