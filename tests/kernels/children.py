"""Work in a child process, so that a crash is an answer."""

import faulthandler
import os
import signal
import traceback
from collections.abc import Callable

SECONDS = 120


def in_child(work: Callable[[], object]) -> None:
    """Runs the work in a fork of this process; raises AssertionError with what went wrong there."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _answer(work, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        raise AssertionError(f"the kernel died of {signal.Signals(os.WTERMSIG(status)).name}")
    if said:
        raise AssertionError(said)


def _answer(work: Callable[[], object], writing: int) -> None:
    faulthandler.disable()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(SECONDS)
    said = ""
    try:
        work()
    except BaseException:
        said = traceback.format_exc()
    finally:
        os.write(writing, said.encode()[-60_000:])
        os._exit(0)
