"""`flowc simulate`: how long a program or a recorded workflow would take on a described cluster."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowc.cli import files, options, streams
from flowc.cli.failure import UsageProblem
from flowc.passes.simulation.cluster import MOST_WORKERS
from flowc.passes.simulation.policies import POLICIES

if TYPE_CHECKING:
    from flowc.passes.cost.task_model import Forecast, TaskModel
    from flowc.passes.cost.task_samples import Origin
    from flowc.passes.simulation.graph import TaskGraph

RECORDED = (".json", ".json.gz")


@click.command("simulate")
@click.argument("paths", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--workers",
    type=click.IntRange(1, MOST_WORKERS),
    default=4,
    show_default=True,
    help="Identical workers, between which data moves in no time.",
)
@click.option(
    "--policy",
    type=click.Choice(POLICIES),
    default="learned",
    show_default=True,
    help="Who begins first when a worker is free.",
)
@click.option("--cluster", metavar="FILE", help="Speeds, bandwidth and failures, as TOML; its workers count.")
@click.option("--samples", metavar="DIR", help="learned: the recorded workflows to learn times from.")
@click.option("--flow", "flow_name", help="The flow of a program; default: main, else the only one.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Chance: order, failures.")
@click.option("--gantt", metavar="OUT.svg", help="Draw the schedule: a row a worker, a bar a task.")
@options.output_format
@options.colour
def command(
    paths: tuple[str, ...],
    workers: int,
    policy: str,
    cluster: str | None,
    samples: str | None,
    flow_name: str | None,
    seed: int,
    gantt: str | None,
    output_format: str,
) -> None:
    """Simulate FILE on a cluster: makespan, lower bound, utilisation.

    FILE is a program (.flow), an artifact (.flowc) or a recorded workflow (WfFormat 1.5, .json or .json.gz);
    of several, each is simulated by itself. Times are those recorded; of a program, those that the cost model
    expects. `learned` knows of a recorded workflow only what other configurations in DIR took.
    """
    from flowc.cli.simulation_report import as_json, as_text, mean_line
    from flowc.passes.simulation.cluster import identical
    from flowc.passes.simulation.cluster_file import read_cluster
    from flowc.passes.simulation.outcome import Outcome, outcome

    _fitting(paths, policy, samples, gantt)
    described = identical(workers) if cluster is None else read_cluster(Path(cluster), workers)
    model = _model(Path(samples)) if samples is not None else None
    chosen = next(name for name in POLICIES if name == policy)
    found: list[Outcome] = []
    for path in paths:
        graph, origin = _task_graph(path, flow_name)
        known = _forecasts(graph, origin, model) if policy == "learned" else None
        done = outcome(graph, described, chosen, seed, _seconds(graph, known))
        if output_format == "json":
            streams.write(as_json(path, done, policy, seed, known))
        else:
            streams.write(as_text(done, policy, known))
        found.append(done)
        if gantt is not None:
            from flowc.compiler.graph.gantt import gantt as drawn

            title = f"{graph.name}: {len(described.workers):,} workers, {policy}"
            files.write_file(gantt, drawn(done.schedule, graph, described, title, done.bounds.best))
    if len(found) > 1 and output_format == "text":
        streams.write(mean_line(found))


def _fitting(paths: tuple[str, ...], policy: str, samples: str | None, gantt: str | None) -> None:
    """Refuses options that would do nothing."""
    if gantt is not None and len(paths) > 1:
        raise UsageProblem("E0670", "--gantt draws one FILE", help="simulate one, or leave --gantt away")
    if samples is None:
        return
    if policy != "learned":
        raise UsageProblem("E0670", "--samples belongs to --policy learned", help="say --policy learned")
    program = next((path for path in paths if not path.endswith(RECORDED)), None)
    if program is not None:
        raise UsageProblem(
            "E0670",
            "--samples teaches the times of recorded workflows",
            why=f"{program} is a program, and its times are what the cost model expects",
            help="leave --samples away",
        )


def _task_graph(path: str, flow_name: str | None) -> "tuple[TaskGraph, Origin | None]":
    """The tasks of a file; of a recorded run also where it comes from."""
    if path.endswith(RECORDED):
        from flowc.compiler.importers.wfcommons.packed import unpacked
        from flowc.compiler.importers.wfcommons.reading import read

        if flow_name is not None:
            raise UsageProblem("E0670", "--flow belongs to programs", help="leave it away")
        workflow = read(unpacked(files.read_bytes(path), path), path)
        for warning in workflow.warnings:
            streams.show_diagnostic(warning, None)
        return workflow.graph, workflow.origin
    from flowc.cli.loading import load
    from flowc.passes.simulation.plan_tasks import plan_tasks
    from flowc.runtime.plan_check import entry

    plan = load(path, 2).plan
    return plan_tasks(plan, entry(plan, flow_name).name), None


def _model(folder: Path) -> "TaskModel":
    """What the recorded workflows of a folder teach."""
    from flowc.compiler.importers.wfcommons.samples import learned_from

    model, warnings = learned_from(folder)
    for warning in warnings:
        streams.show_diagnostic(warning, None)
    return model


def _forecasts(
    graph: "TaskGraph", origin: "Origin | None", model: "TaskModel | None"
) -> "Sequence[Forecast | None] | None":
    """What `learned` knows of a recorded run before its first task; None for a program."""
    if origin is None:
        return None
    if model is None:
        return [None] * len(graph.tasks)
    from flowc.passes.cost.task_model import forecasts

    return forecasts(model, [task.traits for task in graph.tasks], origin)


def _seconds(graph: "TaskGraph", known: "Sequence[Forecast | None] | None") -> "Sequence[float | None]":
    """The seconds of each task as far as they are known; of a program what the cost model expects."""
    if known is None:
        return [task.seconds or None for task in graph.tasks]
    return [None if each is None else each.median for each in known]
