"""Runs a plan: the entry of the runtime, as a coroutine and as a plain call."""

import asyncio
import contextlib
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any

from attrs import frozen

from flowc.runtime.admission.calls import Program
from flowc.runtime.clock import VirtualLoop, clock_held, is_virtual
from flowc.runtime.environment import Environment
from flowc.runtime.errors import CANCELLED, Problem
from flowc.runtime.plan import Function, Operation, Plan
from flowc.runtime.plan_check import entry
from flowc.runtime.reading import bind_arguments, tables_of
from flowc.runtime.registry import Registry
from flowc.runtime.result import RunResult, status_of
from flowc.runtime.scheduler.binding import Bindings
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.runner import begin
from flowc.runtime.scheduler.session import Session
from flowc.runtime.scheduler.shared import Shared
from flowc.runtime.tools import load_tools
from flowc.runtime.trace.measures import measure
from flowc.runtime.trace.model import Trace


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
    bindings = Bindings(plan, tools, environment.kernels, stand_in=_stand_in(plan, registry))
    return Loaded(plan, environment, bindings, registry)


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
) -> RunResult:
    """Runs a flow on the running loop. What goes wrong in the run is in the result; nothing is raised for
    it. `number` is the place of a run in its batch.

    Raises `FlowError` where there is nothing to run: no such flow, arguments that do not fit, tools not to
    be had. Cancelling the coroutine cancels the run.
    """
    loaded = plan if isinstance(plan, Loaded) else load(plan, environment)
    flow = entry(loaded.plan, function)
    values = bind_arguments(loaded.plan, flow, arguments or {})
    block = loaded.bindings.entry(flow)
    engine = _engine(loaded, flow, number)
    loop = engine.loop
    begun = engine.clock()
    try:
        with clock_held(loop, engine.workers.busy):
            begin(engine, block, values)
            if on_start is not None:
                on_start(engine)
            trace = Trace(engine.log, flow.name, engine.session.run, begun)
            outcome = await _watched(engine, trace, loaded.environment)
        ended = engine.clock()
    except asyncio.CancelledError:
        engine.cancel(cancelled())
        raise
    finally:
        await _drained(engine)
        loaded.registry.ended(engine.session.run)
    trace.publish(loaded.environment.subscribers)
    return _result(engine, outcome, trace, begun, ended)


def _engine(loaded: Loaded, flow: Function, number: int | None) -> Engine:
    """The engine of one run, with its session. In virtual time its name is known beforehand, too."""
    environment, registry = loaded.environment, loaded.registry
    loop = asyncio.get_running_loop()
    virtual = is_virtual(loop)
    seed = environment.chosen_seed
    name = f"{seed:016x}" if number is None else f"{seed:016x}.{number}"
    run = name if virtual else secrets.token_hex(8)
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
        provider=registry.provider,
        gate=registry.gate,
        program=program,
        prefixes=registry.prefixes(),
        people=environment.people,
        stream=environment.stream,
        batch=loaded.shared,
        latencies=registry.latencies,
    )
    clock = loop.time if virtual else time.perf_counter
    engine = Engine(session, loop, clock, threads=environment.threads, virtual=virtual)
    engine.observed = environment.keep or bool(environment.subscribers)
    return engine


async def _watched(engine: Engine, trace: Trace, environment: Environment) -> Problem | list[Any]:
    """The outcome; until then subscribers are told what happens, a few times a second."""
    if not environment.subscribers:
        return await engine.outcome
    while not engine.outcome.done():
        trace.publish(environment.subscribers)
        await asyncio.wait((engine.outcome,), timeout=PUBLISH_EVERY)
    return engine.outcome.result()


PUBLISH_EVERY = 0.05
"""Seconds between two looks at what subscribers have not been told yet."""


async def _drained(engine: Engine) -> None:
    """Waits until no coroutine of the run is left: the cancelled ones may still have something to close."""
    while engine.tasks:
        for task in engine.tasks:
            task.cancel()
        await asyncio.wait(engine.tasks)


def _result(
    engine: Engine, outcome: Problem | list[Any], trace: Trace, begun: float, ended: float
) -> RunResult:
    session = engine.session
    problem = outcome if isinstance(outcome, Problem) else None
    measures = measure(engine.log)
    wall = ended - begun
    trace.conclude(measures, wall, problem)
    return RunResult(
        run=session.run,
        status=status_of(problem),
        result=None if isinstance(outcome, Problem) else outcome[0],
        problem=problem,
        wall_ms=wall * 1e3,
        critical_path_ms=min(measures.critical, wall) * 1e3,
        overhead_ms=max(0.0, wall - measures.covered) * 1e3,
        nodes=measures.nodes,
        calls=sum(measures.calls.values()) + session.calls.total() - session.reused.total(),
        shared=session.reused.total(),
        tokens_in=session.tokens_in,
        tokens_out=session.tokens_out,
        cost_usd=session.cost,
        virtual=engine.virtual,
        trace=trace,
    )


def cancelled() -> Problem:
    """The problem of a run that was ended from outside."""
    return Problem(
        CANCELLED,
        "the run was cancelled",
        why="it was interrupted before it ended; calls under way were broken off",
        help="`--trace FILE` keeps what was obtained until then",
    )


def run(
    plan: Plan | Loaded,
    function: str | None = None,
    arguments: Mapping[str, object] | None = None,
    *,
    environment: Environment | None = None,
) -> RunResult:
    """Runs a flow and waits for it. Inside a running loop it takes a thread of its own.

    Under the `simulated` provider time is virtual. Ctrl-C ends the run as cancelled; a second one ends the
    program.
    """
    loaded = plan if isinstance(plan, Loaded) else load(plan, environment)
    result: RunResult = run_in_loop(loaded.environment, lambda: _closing(loaded, function, arguments))
    return result


async def _closing(loaded: Loaded, function: str | None, arguments: Mapping[str, object] | None) -> RunResult:
    try:
        return await run_plan(loaded, function, arguments, on_start=_interruptible)
    finally:
        await loaded.registry.close()


def run_in_loop(environment: Environment, work: Callable[[], Any]) -> Any:
    """Runs a coroutine to its end in a loop that fits the environment, from wherever this is called."""
    simulated = (environment.provider or environment.config.provider) == "simulated"
    factory = VirtualLoop if simulated else None

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        with _kept_handler(), asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(work())
    return _in_thread_of_its_own(factory, work)


@contextlib.contextmanager
def _kept_handler() -> Iterator[None]:
    """Puts back what handled Ctrl-C before: a loop that closes leaves Python's own handler behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if handler is not None:
            signal.signal(signal.SIGINT, handler)


def _in_thread_of_its_own(
    factory: Callable[[], asyncio.AbstractEventLoop] | None, work: Callable[[], Any]
) -> Any:
    """Runs a coroutine beside a loop that is running here; an interrupt here cancels it there.

    An interrupt may come as early as in `Thread.start`, which waits until the thread runs: each side first
    says where it stands and then looks at the other, so that one of them ends the run.
    """
    outcome: Future[Any] = Future()
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = Future()
    interrupted = threading.Event()

    async def marked() -> Any:
        task = asyncio.current_task()
        assert task is not None
        started.set_result((asyncio.get_running_loop(), task))
        if interrupted.is_set():
            raise asyncio.CancelledError
        return await work()

    def there() -> None:
        try:
            with asyncio.Runner(loop_factory=factory) as runner:
                value = runner.run(marked())
        except BaseException as error:
            outcome.set_exception(error)
        else:
            outcome.set_result(value)

    thread = threading.Thread(target=there, name="flowc-run")
    try:
        thread.start()
        return outcome.result()
    except KeyboardInterrupt:
        interrupted.set()
        if started.done() and not outcome.done():
            loop, task = started.result()
            with contextlib.suppress(RuntimeError):  # it may have ended by itself meanwhile
                loop.call_soon_threadsafe(task.cancel)
        raise
    finally:
        if thread.is_alive():
            thread.join()


def _interruptible(engine: Engine) -> None:
    """On the main thread, Ctrl-C cancels the run; the handler that was there returns with the first one."""
    if threading.current_thread() is not threading.main_thread():
        return
    loop = engine.loop

    def interrupt() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        engine.cancel(cancelled())

    with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
        loop.add_signal_handler(signal.SIGINT, interrupt)
