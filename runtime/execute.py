"""Runs a plan: the entry of the runtime, as a coroutine and as a plain call."""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from attrs import evolve, frozen

from flowc.runtime.admission.calls import Program
from flowc.runtime.blocking import cancelled, interruptible, run_in_loop
from flowc.runtime.clock import clock_held, is_virtual
from flowc.runtime.collecting import rarely_collected
from flowc.runtime.copies import copying
from flowc.runtime.environment import Environment
from flowc.runtime.errors import FlowError, Problem
from flowc.runtime.plan import Function, Operation, Plan
from flowc.runtime.plan_check import entry
from flowc.runtime.reading import bind_arguments, tables_of
from flowc.runtime.registry import Registry
from flowc.runtime.result import Account, RunResult, status_of
from flowc.runtime.scheduler.binding import Bindings
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.runner import begin
from flowc.runtime.scheduler.session import Session
from flowc.runtime.scheduler.shared import Shared
from flowc.runtime.tools import load_tools
from flowc.runtime.trace.model import Trace


class RunKeeper(Protocol):
    """Keeps one run in a journal, under the name `run`; see `flowc.runtime.durable.keeper`."""

    run: str

    def attach(self, engine: Engine) -> None:
        """The run begins, or goes on, in this engine."""

    async def finish(self, status: str, value: Any, problem: Problem | None) -> None:
        """The run has ended, or stops for now: this is safe when it returns."""


@frozen(eq=False)
class Loaded:
    """A plan made ready for an environment: loading it once saves the work for each further run.

    `shared` is there for a batch: what its runs tell each other.
    """

    plan: Plan
    environment: Environment
    bindings: Bindings
    registry: Registry
    shared: Shared | None = None


def load(plan: Plan, environment: Environment | None = None) -> Loaded:
    """Binds the operations of a plan; raises `FlowError` where a tool cannot be loaded."""
    environment = environment or Environment()
    registry = Registry(environment)
    tools = dict(load_tools(plan, environment))
    stand_in = _stand_in(plan, registry)
    bindings = Bindings(plan, tools, environment.kernels, stand_in=stand_in)
    return Loaded(plan, environment, bindings, registry)


def _steady(loaded: Loaded) -> Loaded:
    """What was loaded, with kernels that give the same bits in every process: others may go on with it."""
    given = loaded.bindings
    if not given.kernels or given.steady:
        return loaded
    bindings = Bindings(loaded.plan, given.tools, given.kernels, given.stand_in, given.batch, steady=True)
    return evolve(loaded, bindings=bindings)


def _stand_in(plan: Plan, registry: Registry) -> Callable[[Operation], Callable[..., Any]] | None:
    """Under the `simulated` provider, tools without a function are simulated too."""
    environment = registry.environment
    if (environment.provider or environment.config.provider) != "simulated":
        return None
    from flowc.runtime.providers.simulated.behaviour import NOTHING
    from flowc.runtime.providers.simulated.distributions import SHAPE, Family
    from flowc.runtime.providers.simulated.reading import LONGEST
    from flowc.runtime.providers.simulated.tools import simulated_tool

    tables = tables_of(plan)
    simulation = environment.config.simulation or NOTHING

    def stand_in(operation: Operation) -> Callable[..., Any]:
        mean = operation.latency or 0.0
        declared = Family(mean, "gamma", SHAPE) if 0 < mean <= LONGEST else None
        latency = simulation.tools.get(operation.name, declared)
        return simulated_tool(operation, tables, environment.chosen_seed, simulation.behaviour, latency)

    return stand_in


async def run_plan(
    plan: Plan | Loaded,
    function: str | None = None,
    arguments: Mapping[str, object] | None = None,
    *,
    environment: Environment | None = None,
    number: int | None = None,
    on_start: Callable[[Engine], None] | None = None,
    keeper: RunKeeper | None = None,
) -> RunResult:
    """Runs a flow on the running loop. What goes wrong in the run is in the result; nothing is raised for
    it. `number` is the place of a run in its batch, `keeper` keeps the run in a journal, and knows what is
    kept of it.

    Raises `FlowError` where there is nothing to run: no such flow, arguments that do not fit, tools not to
    be had. Cancelling the coroutine cancels the run.
    """
    loaded = plan if isinstance(plan, Loaded) else load(plan, environment)
    if keeper is not None:
        loaded = _steady(loaded)
    flow = entry(loaded.plan, function)
    values = bind_arguments(loaded.plan, flow, arguments or {})
    block = loaded.bindings.entry(flow)
    engine = _engine(loaded, flow, number, None if keeper is None else keeper.run)
    if keeper is not None:
        keeper.attach(engine)
    loop = engine.loop
    begun = engine.clock()
    try:
        with clock_held(loop, engine.workers.busy), rarely_collected():
            begin(engine, block, values)
            if on_start is not None:
                on_start(engine)
            trace = Trace(engine.log, flow.name, engine.session.run, begun)
            if keeper is not None and not engine.observed:
                engine.fold = trace.fold  # the journal tells what such a run did, however long it is
            outcome = await _watched(engine, trace, loaded.environment)
            if keeper is not None:
                outcome = await _kept(keeper, outcome)
        ended = engine.clock()
    except asyncio.CancelledError:
        engine.cancel(cancelled())
        raise
    finally:
        await _drained(engine)
        loaded.registry.ended(engine.session.run)
    trace.publish(loaded.environment.subscribers)
    if not isinstance(outcome, Problem):
        outcome = [_handed_out(outcome[0], flow, engine.session)]
    return _result(engine, outcome, trace, begun, ended)


async def _kept(keeper: RunKeeper, outcome: Problem | list[Any]) -> Problem | list[Any]:
    """The outcome, once it is safe; the journal's own problem where it cannot be."""
    problem = outcome if isinstance(outcome, Problem) else None
    value = None if isinstance(outcome, Problem) else outcome[0]
    try:
        await keeper.finish(status_of(problem), value, problem)
    except FlowError as error:
        return error.problem
    return outcome


def _engine(loaded: Loaded, flow: Function, number: int | None, kept: str | None = None) -> Engine:
    """The engine of one run, with its session. In virtual time its name is known beforehand, too."""
    environment, registry = loaded.environment, loaded.registry
    endpoints = registry.endpoints()
    loop = asyncio.get_running_loop()
    virtual = is_virtual(loop)
    seed = environment.chosen_seed
    name = f"{seed:016x}" if number is None else f"{seed:016x}.{number}"
    run = kept or (name if virtual else secrets.token_hex(8))
    submitter = environment.config.submitter if environment.submitter is None else environment.submitter
    program = Program(run, loop.time(), submitter, environment.config.weight)
    session = Session(
        plan=loaded.plan,
        tables=tables_of(loaded.plan),
        root=flow.name,
        run=run,
        seed=seed,
        begun=loop.time(),
        model=registry.model,
        provider=endpoints.provider,
        gate=endpoints.gate,
        program=program,
        prefixes=endpoints.prefixes,
        people=environment.people,
        stream=environment.stream,
        batch=loaded.shared,
        latencies=registry.latencies,
    )
    clock = loop.time if virtual else time.perf_counter
    engine = Engine(session, loop, clock, threads=environment.threads, virtual=virtual)
    engine.observed = environment.keep or bool(environment.subscribers)
    return engine


def _handed_out(value: Any, flow: Function, session: Session) -> Any:
    """The result for the caller, who may change it: parts of it may be constants of the plan, or of the
    results of other runs of a batch. Elsewhere arrays are the caller's own.
    """
    copy = copying(flow.result, session.tables, arrays=session.batch is not None)
    return value if copy is None else copy(value)


async def _watched(engine: Engine, trace: Trace, environment: Environment) -> Problem | list[Any]:
    """The outcome; until then subscribers are told what happens, a few times a second."""
    if not environment.subscribers:
        return await _outcome(engine)
    while not engine.outcome.done():
        trace.publish(environment.subscribers)
        await asyncio.wait((engine.outcome,), timeout=PUBLISH_EVERY)
    return await _outcome(engine)


async def _outcome(engine: Engine) -> Problem | list[Any]:
    """What the run came to. A journal that cannot be written is a problem of the run, not of the engine."""
    try:
        return await engine.outcome
    except FlowError as error:
        return error.problem


PUBLISH_EVERY = 0.05
"""Seconds between two looks at what subscribers have not been told yet."""


async def _drained(engine: Engine) -> None:
    """Waits until no coroutine of the run is left: the cancelled ones may still have something to close."""
    tasks = engine.waiting.tasks
    while tasks:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _result(
    engine: Engine, outcome: Problem | list[Any], trace: Trace, begun: float, ended: float
) -> RunResult:
    session = engine.session
    problem = outcome if isinstance(outcome, Problem) else None
    trace.conclude(ended - begun, problem)
    return RunResult(
        run=session.run,
        status=status_of(problem),
        result=None if isinstance(outcome, Problem) else outcome[0],
        problem=problem,
        wall_ms=trace.wall * 1e3,
        shared=session.reused.total(),
        tokens_in=session.tokens_in,
        tokens_out=session.tokens_out,
        cost_usd=session.cost,
        virtual=engine.virtual,
        trace=trace,
        account=partial(_account, trace, session.calls.total() - session.reused.total()),
    )


def _account(trace: Trace, waited_for: int) -> Account:
    """What the log says of an ended run, in which so many calls were made on the loop."""
    measures = trace.measures
    assert measures is not None
    return Account(
        critical_path_ms=min(measures.critical, trace.wall) * 1e3,
        overhead_ms=max(0.0, trace.wall - measures.covered) * 1e3,
        nodes=measures.nodes,
        calls=waited_for + sum(measures.calls.values()),
    )


def run(
    plan: Plan | Loaded,
    function: str | None = None,
    arguments: Mapping[str, object] | None = None,
    *,
    environment: Environment | None = None,
    keeper: RunKeeper | None = None,
) -> RunResult:
    """Runs a flow and waits for it. Inside a running loop it takes a thread of its own.

    Under the `simulated` provider time is virtual. Ctrl-C ends the run as cancelled; a second one ends the
    program.
    """
    loaded = plan if isinstance(plan, Loaded) else load(plan, environment)
    result: RunResult = run_in_loop(loaded.environment, lambda: _closing(loaded, function, arguments, keeper))
    return result


async def _closing(
    loaded: Loaded,
    function: str | None,
    arguments: Mapping[str, object] | None,
    keeper: RunKeeper | None,
) -> RunResult:
    try:
        return await run_plan(loaded, function, arguments, on_start=interruptible, keeper=keeper)
    finally:
        await loaded.registry.close()
