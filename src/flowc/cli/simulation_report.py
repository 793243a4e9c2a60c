"""What `flowc simulate` prints: figures as text for people, as JSON for programs."""

import json
import math
from collections.abc import Sequence

from flowc.compiler.graph.gantt import seconds_text
from flowc.passes.cost.task_model import FEW, Forecast
from flowc.passes.simulation.outcome import Outcome
from flowc.runtime.visible import visible

Known = Sequence[Forecast | None] | None
"""What was forecast of each task; None where nothing was learned from records."""


def as_json(path: str, done: Outcome, policy: str, seed: int, known: Known) -> str:
    """One object, times in seconds."""
    found: dict[str, object] = {
        "file": path,
        "name": done.graph.name,
        "policy": policy,
        "workers": len(done.cluster.workers),
        "seed": seed,
        "tasks": len(done.graph.tasks),
        "dependences": _edges(done),
        "makespan_s": done.schedule.makespan,
        "lower_bound_s": done.bounds.best,
        "critical_path_s": done.bounds.critical_path,
        "work_per_worker_s": done.bounds.work,
        "head_tail_area_s": done.bounds.head_tail_area,
        "ratio": done.ratio,
        "utilisation": done.utilisation,
        "fifo_makespan_s": done.fifo.makespan,
        "lost": done.schedule.lost,
        "assumed": list(done.graph.assumed),
    }
    if known is not None:
        found["forecast_tasks"] = sum(each is not None for each in known)
        found["uncertain_tasks"] = sum(each is not None and each.uncertain for each in known)
    return json.dumps(found)


def as_text(done: Outcome, policy: str, known: Known) -> str:
    """A few lines."""
    bounds, tasks = done.bounds, len(done.graph.tasks)
    lines = [
        f"{visible(done.graph.name)}: {_count(tasks, 'task')}, {_count(_edges(done), 'dependence')}; "
        f"{_count(len(done.cluster.workers), 'worker')}, {policy}",
        f"makespan     {_seconds(done.schedule.makespan)}   {done.ratio:.3f} of the lower bound",
        f"lower bound  {_seconds(bounds.best)}   critical path {seconds_text(bounds.critical_path)}, work / "
        f"workers {seconds_text(bounds.work)}, head-tail-area {seconds_text(bounds.head_tail_area)}",
        f"fifo         {_seconds(done.fifo.makespan)}   {policy} takes {_share(done):.3f} of it",
        f"utilisation  {done.utilisation:>12.1%}",
    ]
    if done.schedule.lost:
        lines.append(f"lost         {done.schedule.lost:>12,}   tasks begun anew because a worker failed")
    if known is not None:
        lines.append(_forecast_line(known))
    if done.graph.assumed:
        shown = "; ".join(done.graph.assumed[:8]) + ("; ..." if len(done.graph.assumed) > 8 else "")
        lines.append(f"times are what the cost model expects; assumed: {shown}")
    return "\n".join(lines) + "\n"


def _forecast_line(known: Sequence[Forecast | None]) -> str:
    """How many tasks other runs tell about, and how surely."""
    told = [each for each in known if each is not None]
    few = sum(each.uncertain for each in told)
    line = f"forecast     {len(told):>12,}   of {_count(len(known), 'task')}, from other runs"
    if few:
        line += f", {few:,} of them from fewer than {FEW} tasks"
    return line + ("; of the others the run itself tells" if len(told) < len(known) else "")


def mean_line(found: Sequence[Outcome]) -> str:
    """The geometric mean over several files."""
    mean = math.exp(sum(math.log(done.ratio) for done in found) / len(found))
    worst = max(map(_share, found))
    return (
        f"{len(found)} files: {mean:.4f} of the lower bound (geometric mean), {worst:.3f} of fifo at worst\n"
    )


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _edges(done: Outcome) -> int:
    return sum(len(task.parents) for task in done.graph.tasks)


def _share(done: Outcome) -> float:
    return done.schedule.makespan / done.fifo.makespan if done.fifo.makespan else 1.0


def _seconds(seconds: float) -> str:
    return f"{seconds_text(seconds):>12}"
