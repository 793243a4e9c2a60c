"""What finds a fault: quick tests, which find most in seconds, then campaigns, in a copy of the tree."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from attrs import define, field, frozen

from tests.assurance.campaign import UNSHRUNK
from tests.assurance.mutants.model import Area

LIMIT = 1200.0
"""Seconds for all tests of an area; what is not found by then has survived."""
FAILED = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - (?:assert .*|\w[\w.]*(?::.*)?))?$", re.MULTILINE)
"""The names of tests may have spaces."""


@frozen
class Verdict:
    """Whether a fault was found, by what, after how many seconds."""

    killed: bool
    by: str
    seconds: float


@define
class Means:
    """What may find the faults of an area: but for `failing`, tests and campaigns that fail without any."""

    area: Area
    clean: Path
    failing: set[str] = field(factory=set)

    def verdict(self, copy: Path, seconds: float) -> Verdict:
        """What becomes of the fault that is in the copy: what finds it finds it again, and finds nothing in
        the clean tree.
        """
        begun = time.monotonic()
        by = self._tests(copy)
        if by.startswith("nothing"):
            by = self._campaigns(copy, seconds) or by
        killed = not by.startswith("nothing")
        return Verdict(killed, by, round(time.monotonic() - begun, 1))

    def _campaigns(self, copy: Path, seconds: float) -> str:
        for name in self.area.campaigns if seconds > 0 else ():
            if name in self.failing or not _campaign(name, copy, seconds):
                continue
            if not _campaign(name, self.clean, seconds):
                return f"campaign {name}"
            self.failing.add(name)
        return ""

    def _tests(self, copy: Path) -> str:
        unsteady: set[str] = set()
        until = time.monotonic() + LIMIT
        while time.monotonic() < until:
            left = [argument for each in {*self.failing, *unsteady} for argument in ("--deselect", each)]
            status, said = _pytest(["-x", *left, *self.area.tests], copy, until - time.monotonic())
            if status in (0, None):
                return "nothing" if status == 0 else "nothing in time"
            found = FAILED.search(said)
            if found is None:
                return f"the tests end with the status {status}"
            test = found[1]
            if _pytest([test], self.clean, LIMIT)[0] != 0:
                self.failing.add(test)
            elif _pytest([test], copy, LIMIT)[0] != 0:
                return test
            else:
                unsteady.add(test)
        return "nothing in time"


PYTEST = (
    "-p",
    "tests.assurance.mutants.unshrunk",
    "-q",
    "-n",
    "0",
    "-p",
    "no:cacheprovider",
    "--timeout",
    "60",
    "--tb",
    "no",
    "-rfE",
)


def _campaign(name: str, copy: Path, seconds: float) -> bool:
    """Whether a campaign finds something."""
    arguments = ["-m", "tests.assurance", name, "--seconds", f"{seconds:g}", "--seed", "1", "--workers", "1"]
    status, _ = _run([*arguments, "--first"], copy, seconds + 120.0)
    if status == 2:
        raise ValueError(f"there is no campaign {name}")
    return status not in (0, None)


def _pytest(arguments: list[str], copy: Path, limit: float) -> tuple[int | None, str]:
    return _run(["-m", "pytest", *PYTEST, *arguments], copy, limit)


def _run(arguments: list[str], copy: Path, limit: float) -> tuple[int | None, str]:
    """Runs Python in a copy: its status, None where it has not ended in time, and what it has said."""
    with tempfile.TemporaryDirectory(prefix="flowc-mutant-") as scratch, tempfile.TemporaryFile() as said:
        environment = {
            **os.environ,
            "PYTHONPATH": str(copy / "src"),
            "PYTHONHASHSEED": "0",
            UNSHRUNK: "1",
            "FLOWC_CACHE_DIR": scratch,  # code of another mutant must not be found
            "HYPOTHESIS_STORAGE_DIRECTORY": f"{scratch}/hypothesis",
        }
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=copy,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            _end(process)
        said.seek(max(0, said.seek(0, os.SEEK_END) - (1 << 20)))
        return status, said.read().decode(errors="replace")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ends a process and all that it has begun."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        process.wait()
