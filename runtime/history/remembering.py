"""What a traced run leaves behind: its samples, in the history. What goes wrong there ends no run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import evolve

from flowc.runtime.errors import FlowError, Problem
from flowc.runtime.history.kernel_samples import KernelSample, is_sound
from flowc.runtime.history.names import places
from flowc.runtime.history.samples import Samples, samples
from flowc.runtime.history.store import write
from flowc.runtime.plan import Plan
from flowc.runtime.result import RunResult


def remember(
    where: Path, report: RunResult, plan: Plan, program: str, kernels: Sequence[KernelSample] = ()
) -> tuple[Problem, ...]:
    """Adds what a run has shown to the history in a file; gives what is to be said of it.

    `program` is the text that the plan was compiled from; `kernels` are calls of kernels that were noted.
    """
    trace: Any = report.trace
    if trace is None or trace.ended is None:
        return ()
    found = _with_kernels(samples(trace, plan, places(program), virtual=report.virtual), kernels)
    said: list[Problem] = []
    if found.left_out:
        why = "they took no time or no tokens, as when a clock jumps or an endpoint does not count"
        said.append(Problem("E0903", f"nothing is learned from {found.left_out} calls of this run", why))
    if found.calls or found.steps or found.kernels:
        try:
            write(where, found)
        except FlowError as error:
            said.append(error.problem)
    return tuple(said)


def _with_kernels(found: Samples, kernels: Sequence[KernelSample]) -> Samples:
    sound = tuple(filter(is_sound, kernels))
    return evolve(found, kernels=sound, left_out=found.left_out + len(kernels) - len(sound))
