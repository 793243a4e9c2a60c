"""Child processes in which emulated kernels run, forked from one that has imported what they need: to start
Python takes longer than most kernels run.

There is a server for each kind of environment, with sanitizers and without. It ends with this process.
"""

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from flowc.compiler.backends.cuda.emulation import emulate

TIMED_OUT = -signal.SIGALRM
"""The status of a program that took too long."""
_SERVER = Path(__file__).with_name("emulated_server.py")
_AHEAD = Path(__file__).with_name("emulated_child.py")
_servers: dict[tuple[int, bool], "subprocess.Popen[str]"] = {}
_lock = threading.Lock()


class ServerEnded(Exception):
    """The process from which children are forked could not be started, or has died."""


def run_program(program: Path, folder: Path, *, sanitize: bool, seconds: float) -> int:
    """Runs a Python program with a folder as its argument; gives its status, as `subprocess` does.

    One that takes too long gives TIMED_OUT. What it says stands in the file `said` of the folder
    afterwards. Raises EmulationUnavailable where the C++ compiler has no sanitizer, and ServerEnded.
    """
    place = os.getpid(), sanitize  # a fork of this process has servers of its own
    with _lock:
        server = _servers.get(place) or _started(sanitize)
        _servers[place] = server
        try:
            assert server.stdin is not None
            assert server.stdout is not None
            server.stdin.write(json.dumps([str(program), str(folder), seconds]) + "\n")
            server.stdin.flush()
            answer = server.stdout.readline()
        except BaseException as error:  # an interrupt too: its answer would be taken for the next one's
            _forget(place)
            if isinstance(error, OSError):
                raise ServerEnded(f"the process that runs emulated kernels has ended: {error}") from error
            raise
        if not answer:
            _forget(place)
            raise ServerEnded(
                "the process that runs emulated kernels has ended; it says why on standard error"
            )
    return int(answer)


def _started(sanitize: bool) -> "subprocess.Popen[str]":
    alone = {"OPENBLAS_NUM_THREADS": "1"}  # a fork has none of the other threads
    environment = {**emulate.environment(sanitize=sanitize), **alone}
    return subprocess.Popen(
        [sys.executable, "-P", str(_SERVER), str(_AHEAD)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _forget(place: tuple[int, bool]) -> None:
    """Ends a server: without anybody who asks it ends by itself, but for the program that it waits for."""
    server = _servers.pop(place)
    server.kill()
    with contextlib.suppress(OSError):
        server.communicate()


@atexit.register
def _forget_all() -> None:
    for place in [each for each in _servers if each[0] == os.getpid()]:
        _forget(place)
