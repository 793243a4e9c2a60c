"""Waiting for a run from plain code: in a loop of its own, beside one that runs here, until Ctrl-C."""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from types import FrameType
from typing import Any

from flowc.runtime.clock import VirtualLoop
from flowc.runtime.environment import Environment
from flowc.runtime.errors import CANCELLED, Problem
from flowc.runtime.scheduler.engine import Engine


def run_in_loop(environment: Environment, work: Callable[[], Any]) -> Any:
    """Runs a coroutine to its end in a loop that fits the environment, from wherever this is called."""
    simulated = (environment.provider or environment.config.provider) == "simulated"
    factory = VirtualLoop if simulated else None

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        with asyncio.Runner(loop_factory=factory) as runner, _kept_handler():
            return runner.run(work())
    return _in_thread_of_its_own(factory, work)


@contextlib.contextmanager
def _kept_handler() -> Iterator[None]:
    """Puts back what handled the signals before, while the loop that is told of them is still there."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    finally:
        for number, handler in handlers:
            if handler is not None:
                signal.signal(number, handler)


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


def interruptible(engine: Engine) -> None:
    """On the main thread, Ctrl-C cancels the run; the second one is Python's own. A run that is kept is also
    cancelled when the process is asked to end (SIGTERM): what must not be made twice may end before.

    A plain handler, as `asyncio.Runner` has one: those of a loop cost more than a small run.
    """
    if threading.current_thread() is not threading.main_thread():
        return

    def interrupt(number: int, at: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        engine.loop.call_soon_threadsafe(engine.cancel, cancelled())

    def terminate(number: int, at: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        engine.loop.call_soon_threadsafe(engine.cancel, cancelled())

    signal.signal(signal.SIGINT, interrupt)
    if engine.keeper is not None and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, terminate)


def cancelled() -> Problem:
    """The problem of a run that was ended from outside."""
    return Problem(
        CANCELLED,
        "the run was cancelled",
        why="it was interrupted before it ended; calls under way were broken off",
        help="`--trace FILE` keeps what was obtained until then",
    )
