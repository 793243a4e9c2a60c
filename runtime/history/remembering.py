"""What a traced run leaves behind: its samples, in the history. What goes wrong there ends no run."""

from pathlib import Path
from typing import Any

from flowc.runtime.errors import FlowError, Problem
from flowc.runtime.history.names import places
from flowc.runtime.history.samples import samples
from flowc.runtime.history.store import write
from flowc.runtime.plan import Plan
from flowc.runtime.result import RunResult


def remember(where: Path, report: RunResult, plan: Plan, program: str) -> tuple[Problem, ...]:
    """Adds what a run has shown to the history in a file; gives what is to be said of it.

    `program` is the text that the plan was compiled from.
    """
    trace: Any = report.trace
    if trace is None or trace.ended is None:
        return ()
    found = samples(trace, plan, places(program), virtual=report.virtual)
    said: list[Problem] = []
    if found.left_out:
        why = "they took no time or no tokens, as when a clock jumps or an endpoint does not count"
        said.append(Problem("E0903", f"nothing is learned from {found.left_out} calls of this run", why))
    if found.calls or found.steps:
        try:
            write(where, found)
        except FlowError as error:
            said.append(error.problem)
    return tuple(said)
