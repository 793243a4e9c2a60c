"""The parent's side of a process that runs cases: it may die or hang, and is begun anew."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from attrs import define, field

ROOT = Path(__file__).parents[2]
LAST_WORDS = 4000
"""Characters of what a process said before it died."""
LARGEST = 2048
"""MiB of memory after which a process is begun anew: a leak is no failure of the case that comes next."""
QUIET = {"FLOWC_HISTORY": "none", "FLOWC_JOURNAL": "none", "PYTHONHASHSEED": "0", "FLOWC_HYPOTHESIS": "suite"}


class Died(Exception):
    """The process has ended; why, and its last words."""


class Late(Exception):
    """There was no answer in time."""


class Stopped(Exception):
    """The whole run is over before the answer came."""


@define(eq=False)
class Worker:
    """A process for cases, begun when it is needed."""

    package: str
    scratch: Path
    name: str
    process: "subprocess.Popen[bytes] | None" = None
    loaded: set[str] = field(factory=set)
    rest: bytes = b""

    def ask(self, request: dict[str, Any], limit: float, until: float = float("inf")) -> dict[str, Any]:
        """Asks, and waits for the answer so many seconds.

        Raises Died and Late, after which the next question goes to a new process, and Stopped at the time
        `until`.
        """
        process = self.process or self._begin()
        self._words.write_bytes(b"")
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise Died(self._last_words()) from None
        line = self._line(process, time.monotonic() + limit, until)
        return dict(json.loads(line))

    def load(self, module: str, limit: float = 120.0) -> None:
        """Has a module's campaigns ready."""
        if self.process is None or module not in self.loaded:
            self.ask({"do": "load", "module": module}, limit)
            self.loaded.add(module)

    def kill(self) -> None:
        """Kills the process and what it has begun itself; another thread may wait for its answer."""
        if (process := self.process) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def end(self) -> None:
        """Ends the process; the next question goes to a new one."""
        if (process := self.process) is not None:
            self.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with contextlib.suppress(BrokenPipeError):
                        stream.close()
        self.process, self.rest = None, b""
        self.loaded = set()

    @property
    def _words(self) -> Path:
        return self.scratch / f"{self.name}.stderr"

    def _begin(self) -> "subprocess.Popen[bytes]":
        environment = {**os.environ, **QUIET, "FLOWC_CACHE_DIR": str(self.scratch / "cache")}
        with self._words.open("ab") as words:  # appended to, so that emptying it between cases is safe
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.assurance.child", self.package],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=words,
                cwd=ROOT,
                env=environment,
                start_new_session=True,
            )
        return self.process

    def _line(self, process: "subprocess.Popen[bytes]", due: float, until: float) -> bytes:
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while b"\n" not in self.rest:
                if selector.select(0.2):
                    more = os.read(process.stdout.fileno(), 1 << 16)
                    self.rest += more
                    if not more:
                        raise Died(self._last_words())
                elif process.poll() is not None:  # a process that it has begun may hold the pipe open
                    raise Died(self._last_words())
                elif time.monotonic() > due:
                    self.end()
                    raise Late
                elif time.monotonic() > until:
                    self.end()
                    raise Stopped
        line, _, self.rest = self.rest.partition(b"\n")
        return line

    def _last_words(self) -> str:
        assert self.process is not None
        try:
            status = self.process.wait(10)
        except subprocess.TimeoutExpired:
            status = 0
        how = f"by the signal {signal.Signals(-status).name}" if status < 0 else f"with the status {status}"
        words = self._words.read_bytes()[-LAST_WORDS:].decode(errors="replace")
        self.end()
        return f"the process has ended {how}\n{words}".rstrip()
