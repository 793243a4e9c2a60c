"""A map of 10,000 calls under way at once: memory, what the engine adds to a call, and the end of a run."""

import subprocess
import sys

from benchmarks.in_flight.child import MEGABYTE
from benchmarks.measure import Row, Table
from benchmarks.rounds import Command, Options, started

TIMEOUT = 300.0
BARS = {"memory_MB": 250, "added_p99_ms": 5, "cancelled_in_s": 2}


def run(options: Options) -> Table:
    """A row per number of calls; each in a process of its own."""
    sizes = ((500, 1),) if options.quick else ((1_000, 8), (10_000, 16))
    rows = [_row(calls, seconds) for calls, seconds in sizes]
    rows.append({"calls": "bar, of 10,000"} | BARS)
    note = (
        "The provider answers each call after a time that is drawn for it; added is all beyond that, since "
        "the call was begun. Left are tasks, descriptors and calls after all of them were cancelled."
    )
    return Table("in_flight", "Calls in flight at once", tuple(rows), note)


def _row(calls: int, seconds: float) -> Row:
    command = Command(sys.executable, "benchmarks.in_flight.child", (str(calls), str(seconds)), 2)
    with started([command], TIMEOUT, lambda _, why: print(f"{calls} calls: {why}")) as workers:
        for worker in workers:
            facts = worker.facts
            return {
                "calls": f"{calls:,}",
                "memory_MB": round(facts["bytes"] / MEGABYTE, 1),
                "added_median_ms": round(facts["median"] * 1e3, 2),
                "added_p99_ms": round(facts["p99"] * 1e3, 2),
                "cancelled_in_s": round(facts["cancelling"], 2),
                "left": facts["tasks_left"] + facts["files_left"] + facts["calls_left"],
            }
    raise subprocess.SubprocessError(f"the process with {calls} calls did not end well")
