"""What a fuzz target is, and what it must hold: any bytes are read, or refused in coded words, soon and in
little memory.
"""

import contextlib
import hashlib
import resource
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from types import FrameType

from attrs import frozen

SECONDS = 5.0
"""Of the processor for one input; the slowest sound one takes a hundredth of that."""
MEBIBYTES = 512
"""That one input may take."""
LARGEST = 16_384
"""Bytes of a mutated input."""

Mutate = Callable[[Random, Sequence[bytes]], bytes]
"""Makes an input of the corpus."""


@frozen
class Target:
    """A reader of bytes that come from outside.

    `run` gives the bytes to the reader and swallows the errors that the reader documents; all others are
    failures. `share` is how often it is drawn beside the others: the reciprocal of what it costs.
    """

    name: str
    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    mutate: Mutate
    share: float = 1.0
    seconds: float = SECONDS


@frozen
class Failure:
    """What went wrong with an input. `place` tells it from other failures: the exception, and where."""

    target: str
    data: bytes
    place: str
    said: str

    @property
    def name(self) -> str:
        """A name for the file that keeps the input."""
        return f"{self.target}-{hashlib.sha256(self.data).hexdigest()[:12]}"


class Hung(BaseException):
    """The input took longer than it may. No `except Exception` of a reader hides it."""


def attempt(target: Target, data: bytes) -> Failure | None:
    """Gives one input to a target, and says how it failed, if it did."""
    before = _peak()
    try:
        with warnings.catch_warnings(action="ignore"), _no_longer_than(target.seconds):
            target.run(data)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return Failure(target.name, data, _place(error), _said(error))
    grown = (_peak() - before) >> 20
    if grown > MEBIBYTES:
        return Failure(target.name, data, "memory", f"it took {grown} MiB more than all before it")
    return None


@contextlib.contextmanager
def little_memory(mebibytes: int = 2 * MEBIBYTES) -> Iterator[None]:
    """No more than so much beyond what the process has: what asks for more gets a MemoryError."""
    if not sys.platform.startswith("linux"):
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    size = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    wanted = size + (mebibytes << 20)
    if soft == resource.RLIM_INFINITY or wanted < soft:
        resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextlib.contextmanager
def _no_longer_than(seconds: float) -> Iterator[None]:
    """Raises `Hung` when the process has worked so long; waiting for others does not count. Only the first
    thread can be told: in another the campaign's own limit must do.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def hung(number: int, frame: FrameType | None) -> None:
        raise Hung(f"it took more than {seconds:g} s")

    before = signal.signal(signal.SIGPROF, hung)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _place(error: BaseException) -> str:
    """The exception and the last line of ours below the target; of a recursion or a hang, only what it is."""
    kind = type(error).__name__
    if isinstance(error, RecursionError | Hung | MemoryError):
        return kind
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "site-packages" not in f.filename]
    last = frames[-1] if frames else None
    return kind if last is None else f"{kind} in {last.filename.rpartition('/')[2]}:{last.lineno}"


def _said(error: BaseException) -> str:
    lines = traceback.format_exception(error)
    text = "".join(lines)
    return text if len(text) < 4000 else f"{text[:2000]}\n...\n{text[-2000:]}"
