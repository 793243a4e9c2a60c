"""Runs pytest in a tree, each time in a child of a process that has imported what others have written.

Imports are most of a run of few tests. What is ours is imported anew in each child. Asked a line of JSON each
time, it says the child's number, and when the child has ended its status.
"""

import contextlib
import importlib
import json
import os
import sys
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from tests.assurance.mutants.probe import COLLECTED


@define(eq=False)
class Chosen:
    """A plugin: of what is collected the tests in `only`, in that order, or all, but for `left`. How long
    each takes is written to `notes`.
    """

    only: list[str] | None
    left: set[str]
    notes: str
    seconds: defaultdict[str, float] = field(factory=lambda: defaultdict(float))

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leaves the others out, and brings the rest into order."""
        rank = {name: place for place, name in enumerate(self.only or ())}
        items[:] = [each for each in items if each.nodeid not in self.left]
        if self.only is not None:
            items[:] = sorted(
                (each for each in items if each.nodeid in rank), key=lambda item: rank[item.nodeid]
            )

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Generator[None, object, object]:
        """What is reached while a file is collected is reached by the file."""
        os.environ[COLLECTED] = collector.nodeid.partition("::")[0]
        try:
            return (yield)
        finally:
            os.environ.pop(COLLECTED, None)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Adds up how long a test takes."""
        self.seconds[report.nodeid] += report.duration

    def pytest_sessionfinish(self) -> None:
        """Tells of those that were run."""
        if self.notes:
            Path(self.notes).write_text(json.dumps({"seconds": self.seconds}))


def _run(asked: dict[str, Any], root: str) -> int:
    """The child: a run of pytest as if it were begun in the tree."""
    os.setsid()
    said = os.open(asked["said"], os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(said, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.update(asked["environment"])
    os.chdir(root)
    sys.path[:1] = [root, f"{root}/src"]  # instead of the tree that this file is in
    plugin = Chosen(asked["only"], {*asked["left"]}, asked["notes"])
    return int(pytest.main(asked["arguments"], plugins=[plugin]))


def main(root: str, *others: str) -> None:
    """Imports what others have written, and answers until nothing more is asked."""
    for name in others:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 99
            try:
                status = _run(json.loads(line), root)
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        answers.write(f"{child}\n")
        answers.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
