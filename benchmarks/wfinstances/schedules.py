"""Makespans over the best lower bound: policies with and without knowledge of times, at 4, 16, 64 workers."""

import math
import time
from collections.abc import Sequence

from benchmarks.measure import Row, Table
from benchmarks.rounds import Options
from benchmarks.wfinstances import data
from flowc.passes.simulation.cluster import identical
from flowc.passes.simulation.outcome import Outcome, outcome
from flowc.passes.simulation.policies import PolicyName

NOTE = """\
Geometric means over all instances of the makespan over the lower bound max(critical path, work / workers,
head-tail-area). `worst` is the largest makespan over that of first come, first served. A forecast never knows
a run of the same configuration, in `a family never seen` no run of the same family; it knows the sizes of all
files from the beginning, as the specification lists them, in `sizes to come unknown` only of those that no
task of the run writes.
Seconds are those of all instances at 64 workers, the bound and first come, first served included.
"""
LEARNED, UNSEEN = "learned", "learned, a family never seen"
UNWRITTEN = "learned, sizes to come unknown"
BARS = {LEARNED: ("1.02", "1.055", "1.08"), "oracle (true times)": ("1.011", "1.035", "1.037")}


def run(options: Options) -> Table:
    """A row for each policy."""
    known = data.recorded(options.quick)
    if not known:
        return Table("wfinstances", "Schedules of recorded workflows", (), data.MISSING + NOTE)
    cases: dict[str, tuple[PolicyName, data.Predicted]] = {
        "first come, first served": ("fifo", {}),
        "by chance": ("random", {}),
        LEARNED: ("learned", data.without_configuration(options.quick)),
        UNWRITTEN: ("learned", data.without_configuration(options.quick, written=False)),
        UNSEEN: ("learned", data.without_family(options.quick)),
        "HEFT (true times)": ("heft", {}),
        "oracle (true times)": ("oracle", {}),
    }
    rows = tuple(_row(name, *case, known) for name, case in cases.items())
    tasks = sum(len(each.workflow.graph.tasks) for each in known)
    title = f"Schedules of {len(known)} recorded workflows with {tasks:,} tasks"
    return Table("wfinstances", title, rows, NOTE)


def _row(name: str, policy: PolicyName, predicted: data.Predicted, known: Sequence[data.Recorded]) -> Row:
    row: dict[str, object] = {"policy": name}
    worst = 0.0
    for place, workers in enumerate(data.WORKERS):
        began = time.perf_counter()
        found = [_outcome(each, workers, policy, predicted) for each in known]
        seconds = time.perf_counter() - began
        mean = math.exp(sum(math.log(each.ratio) for each in found) / len(found))
        worst = max(worst, *(each.schedule.makespan / each.fifo.makespan for each in found))
        row[f"{workers} workers"] = f"{mean:.4f}"
        if name in BARS:
            row[f"bar {workers}"] = BARS[name][place]
    return {**row, "worst": f"{worst:.3f}", "seconds": f"{seconds:.1f}"}


def _outcome(each: data.Recorded, workers: int, policy: PolicyName, predicted: data.Predicted) -> Outcome:
    given = data.likely(predicted[each.workflow.origin.instance]) if predicted else ()
    return outcome(each.workflow.graph, identical(workers), policy, 0, given)
