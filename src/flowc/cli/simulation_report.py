"""What `flowc simulate` prints: figures as text for people, as JSON for programs."""

import json
import math
from collections.abc import Sequence

from flowc.compiler.graph.gantt import seconds_text
from flowc.passes.cost.task_model import FEW, Forecast
from flowc.passes.simulation.forecast import Forecast as Expected
from flowc.passes.simulation.outcome import Outcome
from flowc.runtime.visible import visible

LOW, HIGH = 0.1, 0.9
"""Between these shares of the simulated runs lie four of five."""
Known = Sequence[Forecast | None] | None
"""What was forecast of each task; None where nothing was learned from records."""


def as_json(
    path: str, done: Outcome, policy: str, seed: int, known: Known, expected: Expected | None = None
) -> str:
    """One object, times in seconds. `expected` is what a program does; with "run" for a policy, at its own
    pace.
    """
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
    if expected is not None:
        found |= {
            "runs": len(expected.seconds),
            "mean_s": expected.mean,
            "low_s": expected.quantile(LOW),
            "high_s": expected.quantile(HIGH),
            "learned": dict(expected.learned),
            "failed": [
                {"code": problem.code, "message": problem.message, "runs": count}
                for problem, count in expected.failed.items()
            ],
        }
    return json.dumps(found)


def as_text(done: Outcome, policy: str, known: Known, expected: Expected | None = None) -> str:
    """A few lines; `policy` is "run" for a program as the runtime runs it."""
    lines = _as_run(done, expected) if policy == "run" and expected is not None else _on_cluster(done, policy)
    if known is not None:
        lines.append(_forecast_line(known))
    if expected is not None:
        lines += _grounds(expected)
    return "\n".join(lines) + "\n"


def _as_run(done: Outcome, expected: Expected) -> list[str]:
    """What a program is expected to do on the runtime."""
    bounds, tasks, workers = done.bounds, len(done.graph.tasks), len(done.cluster.workers)
    busy = done.utilisation * workers
    lines = [
        f"{visible(done.graph.name)}: {_count(tasks, 'task')}, {_count(_edges(done), 'dependence')}; "
        "as `flowc run` would run it",
        f"makespan     {_seconds(done.schedule.makespan)}   {done.ratio:.3f} of the lower bound",
    ]
    if len(expected.seconds) > 1:
        span = f"{seconds_text(expected.quantile(LOW))} to {seconds_text(expected.quantile(HIGH))}"
        most = f"four of five of {len(expected.seconds)} simulated runs"
        lines.append(f"in the mean  {_seconds(expected.mean)}   {most} take {span}")
    lines += [
        f"lower bound  {_seconds(bounds.best)}   critical path {seconds_text(bounds.critical_path)}",
        f"at once      {workers:>12,}   at most; {busy:.1f} in the mean",
    ]
    return lines


def _grounds(expected: Expected) -> list[str]:
    """How a program fails, what its times rest on, and what was assumed."""
    runs = _count(len(expected.seconds), "simulated run")
    lines = [
        f"failed       {count:>12,}   of {runs}: {problem.code}, {visible(problem.message)}"
        for problem, count in expected.failed.items()
    ]
    if expected.learned:
        names = [f"{visible(name)} ({count:,})" for name, count in expected.learned.items()]
        lines.append(f"known from runs: {_some(names)}")
    else:
        source = (
            "the `simulated` provider is said to take"
            if expected.described
            else "the cost model says of the program"
        )
        lines.append(f"no run is known: times are what {source}")
    if expected.graph.assumed:
        lines.append(f"assumed: {_some(expected.graph.assumed)}")
    return lines


def _some(texts: Sequence[str]) -> str:
    return "; ".join(texts[:8]) + ("; ..." if len(texts) > 8 else "")


def _on_cluster(done: Outcome, policy: str) -> list[str]:
    """What the tasks take on described workers."""
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
    return lines


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
