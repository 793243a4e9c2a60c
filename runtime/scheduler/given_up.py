"""Bodies that nobody waits for any more are reached on their threads, as far as a thread can be reached.

The processes that the body has started, and theirs, are told to end (SIGTERM), and after a moment of grace
made to (SIGKILL): what waited for them goes on. And from Python 3.12 on the body's own code is interrupted,
by an exception in its thread. Three things keep that from hitting anything else:

- Threads serve one body after the other, so each says under a lock where its body ends; what was sent to it
  until then and has not arrived arrives there.
- It is sent once: whoever catches what comes late need look for no more. A body that catches everything goes
  on.
- It is sent only while code of the program's own is on top of the thread's stack. Libraries are left alone:
  the locks and pools of connections that they share must not be left half taken. So is who cleans up after a
  child that was ended, until the grace is over.

What waits inside the system for anything but a child is left to itself: it holds no place and no clock, and
its thread ends when it does.
"""

import atexit
import os
import signal
import sys
import sysconfig
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

from flowc.runtime.scheduler.descendants import Descendants, children_of
from flowc.runtime.scheduler.threads import start

GRACE = 2.0
"""Seconds that processes have to end when they are told to, and bodies that clean up after them."""

LOOKED_AFTER = 10.0
"""Seconds for which a body that was given up is looked after; then it is left to itself."""

PAUSE = 0.01
"""Seconds between two looks."""

INTERRUPTS = sys.version_info >= (3, 12)
"""Whether threads are interrupted. In Python 3.11 nothing that is traced or profiled goes on while
an exception is on its way to a thread: the interpreter looks for it in one place for ever.
"""

T = TypeVar("T")


class Abandoned(BaseException):
    """Raised in a body that nobody waits for any more."""


class Body:
    """A body on its thread, from `enter` to `leave`; both are called there, `enter` first.

    `before` are the processes that the thread has from earlier bodies. With `given_up` nobody waits for it.
    """

    __slots__ = ("before", "given_up", "lock", "over", "sent", "system", "thread")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.thread = self.system = 0
        self.before: frozenset[int] = frozenset()
        self.over = self.sent = self.given_up = False

    def enter(self) -> None:
        """Begins it on this thread."""
        with self.lock:
            self.thread, self.system = threading.get_ident(), threading.get_native_id()
            self.before = children_of(self.system)

    def renew(self) -> None:
        """Another begins on the thread, unless this was the last: what was started before is not its own."""
        if not self.over:
            self.before = children_of(self.system)

    def run(self, call: Callable[[], T]) -> T:
        """What `call` gives; when this ends, in whatever way, the thread is out of reach.

        Raises `Abandoned` where it was given up before.
        """
        try:
            try:
                if self.given_up:
                    raise Abandoned
                return call()
            finally:
                self.leave()
        except Abandoned:  # the one that was sent may have come on the way out
            self.leave()
            raise

    def leave(self) -> None:
        """Ends it: nothing is sent to its thread from here on, and what has not arrived arrives here."""
        with self.lock:
            self.over = True
            sent, self.sent = self.sent, False
        if sent:
            _absorb(self.thread)

    def interrupt(self) -> None:
        """Sends the exception, if it has not been sent and the program's own code runs."""
        with self.lock:
            if self.over or self.sent or not self.thread or not INTERRUPTS:
                return
            frame = sys._current_frames().get(self.thread)
            if frame is not None and is_own(frame.f_code.co_filename):
                self.sent = True
                _send(self.thread)

    def started(self) -> frozenset[int]:
        """The processes that it has started and not waited for, while it runs."""
        return frozenset() if self.over or not self.system else children_of(self.system) - self.before


def _send(thread: int) -> None:
    """Has `Abandoned` raised in a thread."""
    import ctypes

    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(Abandoned))


def _absorb(thread: int) -> None:
    """On the thread itself: lets what was sent arrive. Another is sent in its place, for it may have arrived
    before; and one that is only taken back has the interpreter look for it for ever.
    """
    try:
        _send(thread)
        while True:
            pass
    except Abandoned:
        return


@cache
def is_own(file: str) -> bool:
    """Whether a file of code is the program's: no library's, none of the system's, none of the runtime's."""
    if file.startswith("<"):
        return False
    path = str(Path(file).resolve())
    return not path.startswith(_libraries()) and not any(folder in path for folder in _PACKAGES)


_PACKAGES = f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}"


@cache
def _libraries() -> tuple[str, ...]:
    folders = [Path(str(sysconfig.get_path(name))) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    runtime = Path(__file__).parents[1]
    return tuple(str(folder.resolve()) + os.sep for folder in (*folders, runtime))


class _Given:
    """A body that is looked after, or processes without one."""

    def __init__(self, body: Body | None, processes: frozenset[int], grace: float) -> None:
        self.body = body
        self.grace = grace
        self.processes = processes
        self.found = Descendants()
        self.begun = time.monotonic()
        self.looked = False

    def look(self) -> bool:
        """One look; false where no other is needed."""
        age = time.monotonic() - self.begun
        body = self.body
        if body is not None:
            with body.lock:  # it stays in its body meanwhile
                self.found.add(body.started)
        elif not self.looked:
            self.found.add(self._own)
        self.found.grow()
        self.found.tell(signal.SIGKILL if age > self.grace else signal.SIGTERM)
        if body is not None and (not self.looked or age > self.grace):
            body.interrupt()
        self.looked = True
        alive = self.found.alive()
        if age < LOOKED_AFTER and (alive or (body is not None and not body.over)):
            return True
        self.found.close(reap=body is not None and body.over)
        return False

    def _own(self) -> frozenset[int]:
        return frozenset(process for process in self.processes if _is_child(process))

    def holds(self) -> bool:
        """Whether a process may still have to be ended."""
        return not self.looked or bool(self.found.held)


def _is_child(process: int) -> bool:
    try:
        status = Path(f"/proc/{process}/stat").read_bytes()
    except OSError:
        return False
    return int(status.rpartition(b")")[2].split()[1]) == os.getpid()


def _is_needed(given: _Given) -> bool:
    try:
        return given.look()
    except OSError:  # no descriptors are left, for instance: later there may be some
        return time.monotonic() - given.begun < LOOKED_AFTER


class _Care:
    """Looks after what was given up, on one thread that is there only as long as there is something."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.given: list[_Given] = []

    def take(self, given: _Given) -> None:
        with self.lock:
            self.given.append(given)
            if len(self.given) == 1:
                start(self._look_after)

    def _look_after(self) -> None:
        while True:
            with self.lock:
                given = tuple(self.given)
            over = {each for each in given if not _is_needed(each)}
            with self.lock:
                self.given = [each for each in self.given if each not in over]
                if not self.given:
                    return
            time.sleep(PAUSE)

    def finish(self) -> None:
        """Waits, at the end of the program, until no process is left that has to be ended."""
        until = time.monotonic() + GRACE + 1.0
        while any(each.holds() for each in tuple(self.given)) and time.monotonic() < until:
            time.sleep(PAUSE)


_care = [_Care()]


def reach(body: Body) -> None:
    """Nobody waits for this body any more. Returns at once."""
    with body.lock:
        body.given_up = True
        runs = bool(body.thread) and not body.over
    if runs:
        _care[0].take(_Given(body, frozenset(), GRACE))


def end_processes(processes: frozenset[int], grace: float) -> None:
    """Ends processes that this one has started, and theirs; after `grace` seconds by force. Does not wait."""
    if processes:
        _care[0].take(_Given(None, processes, grace))


_here = threading.local()


def serve(body: Body, job: Callable[[], None]) -> None:
    """Runs a job, whose `within` is a body of this thread."""
    body.enter()
    _here.body = body
    try:
        job()
    finally:
        _here.body = None
        body.leave()


def within(call: Callable[[], T]) -> T:
    """What `call` gives, which is what can be reached of the body that this thread serves."""
    body: Body | None = getattr(_here, "body", None)
    return call() if body is None else body.run(call)


def _reset() -> None:
    """A forked child has none of its parent's bodies, and must not end its children."""
    _care[0] = _Care()


os.register_at_fork(after_in_child=_reset)
atexit.register(lambda: _care[0].finish())
