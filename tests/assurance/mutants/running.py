"""Runs pytest and campaigns in a copy of the tree."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from attrs import define, field

from tests.assurance.campaign import UNSHRUNK
from tests.assurance.worker import ROOT

PYTEST: tuple[str, ...] = (
    *("-p", "tests.assurance.mutants.unshrunk"),
    *("-q", "-n", "0", "-p", "no:cacheprovider", "--timeout", "60", "--tb", "no", "-rfE"),
)
OTHERS = (
    "_hypothesis_pytestplugin",
    "anyio.pytest_plugin",
    "hypothesis.strategies",
    "hypothesis.stateful",
    "llvmlite.binding",
    "lark",
    "ml_dtypes",
    "numpy",
    "pytest_timeout",
    "rich.console",
    "click",
    "xdsl.dialects.arith",
    "xdsl.dialects.func",
    "xdsl.dialects.math",
    "xdsl.dialects.memref",
    "xdsl.dialects.scf",
    "xdsl.parser",
    "xdsl.pattern_rewriter",
    "xdsl.printer",
    "xdist.plugin",
)
"""What tests import that others have written."""
LAST = 1 << 20
"""Characters that are read of what a run has said."""


@define(eq=False)
class Tree:
    """A tree in which tests and campaigns run, with a process that runs pytest sooner than a new one."""

    root: Path
    _warm: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._warm is not None:
            _end(self._warm)

    def pytest(
        self,
        arguments: Sequence[str],
        limit: float,
        only: Sequence[str] | None = None,
        left: Sequence[str] = (),
        notes: Path | None = None,
    ) -> tuple[int | None, str]:
        """Runs tests: `only` those in this order or all, without those that are `left` out. The status, None
        where it has not ended in time, and what was said.
        """
        with _scratch() as (environment, said):
            request = {
                "arguments": [*PYTEST, *arguments],
                "only": only,
                "left": [*left],
                "notes": str(notes or ""),
                "environment": environment,
                "said": said.name,
            }
            return self._asked(request, limit), _last(said)

    def campaign(self, name: str, seconds: float) -> bool:
        """Whether a campaign finds something."""
        arguments = ["-m", "tests.assurance", name, "--seconds", f"{seconds:g}", "--seed", "1"]
        with _scratch() as (environment, said):
            process = subprocess.Popen(
                [sys.executable, *arguments, "--workers", "1", "--first"],
                cwd=self.root,
                env={**os.environ, **environment, **self._environment()},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                status = process.wait(seconds + 120.0)
            except subprocess.TimeoutExpired:
                return False
            finally:
                _end(process)
        if status == 2:
            raise ValueError(f"there is no campaign {name}")
        return status != 0

    def _asked(self, request: object, limit: float) -> int | None:
        """Has the process run pytest in a child, which ends in time, and all that the child has begun."""
        if self._warm is None:
            self._warm = subprocess.Popen(
                [sys.executable, "-m", "tests.assurance.mutants.warm", str(self.root), *OTHERS],
                cwd=ROOT,
                env={**os.environ, **self._environment()},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,  # an answer that is there must be seen by `select`, not lie in a buffer
                start_new_session=True,
            )
        asked, told = self._warm.stdin, self._warm.stdout
        assert asked is not None
        assert told is not None
        asked.write(json.dumps(request).encode() + b"\n")
        child = int(told.readline())
        late = True
        try:
            late = not select.select([told], [], [], limit)[0]
        finally:
            _kill(child)
        status = int(told.readline())
        _kill(child)
        return None if late else status

    def _environment(self) -> dict[str, str]:
        return {"PYTHONPATH": str(self.root / "src"), "PYTHONHASHSEED": "0", UNSHRUNK: "1"}


@contextmanager
def _scratch() -> Iterator[tuple[dict[str, str], IO[bytes]]]:
    """The environment of a run, with folders of its own, and a file for what it says."""
    with (
        tempfile.TemporaryDirectory(prefix="flowc-mutant-", ignore_cleanup_errors=True) as scratch,
        tempfile.NamedTemporaryFile() as said,
    ):
        cache = {"FLOWC_CACHE_DIR": scratch}  # code of another mutant must not be found
        yield {**cache, "HYPOTHESIS_STORAGE_DIRECTORY": f"{scratch}/hypothesis"}, said


def _last(said: IO[bytes]) -> str:
    said.seek(max(0, said.seek(0, os.SEEK_END) - LAST))
    return said.read().decode(errors="replace")


def _kill(group: int) -> None:
    """Ends a process group, if it is there."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ends a process and all that it has begun."""
    _kill(process.pid)
    process.wait()
