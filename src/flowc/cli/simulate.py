"""`flowc simulate`: how long a program or a recorded workflow would take on a described cluster."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from attrs import frozen
from click.core import ParameterSource

from flowc.cli import files, options, streams
from flowc.cli.failure import UsageProblem
from flowc.passes.simulation.cluster import MOST_WORKERS
from flowc.passes.simulation.policies import POLICIES, PolicyName

if TYPE_CHECKING:
    from flowc.passes.cost.task_model import Forecast, TaskModel
    from flowc.passes.cost.task_samples import Origin
    from flowc.passes.simulation.forecast import Forecast as Expected
    from flowc.passes.simulation.graph import TaskGraph
    from flowc.passes.simulation.stand_ins import KernelTime

PROVIDERS = ("offline", "openai", "replay", "simulated")
RECORDED = (".json", ".json.gz")


@frozen
class Wish:
    """What the command was asked for, but for the files and how to draw and print.

    `as_run` says that nothing was said of workers: a program is simulated as `flowc run` would run it.
    """

    policy: PolicyName
    workers: int
    cluster: str | None
    samples: str | None
    flow: str | None
    words: tuple[str, ...]
    args_file: str | None
    provider: str | None
    level: int
    seed: int
    as_run: bool


@click.command("simulate")
@click.argument("words", metavar="FILE... [NAME=VALUE]...", nargs=-1, required=True)
@click.option(
    "--workers",
    type=click.IntRange(1, MOST_WORKERS),
    default=4,
    help="Identical workers, between which data moves in no time; 4, for a program as many as `run` has.",
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
@click.option("--args", "args_file", metavar="FILE", help="Arguments as a JSON object; NAME=VALUE wins.")
@click.option("--provider", type=click.Choice(PROVIDERS), help="Who would answer all models of a program.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Chance: order, failures.")
@click.option("--gantt", metavar="OUT.svg", help="Draw the schedule: a row a worker, a bar a task.")
@options.output_format
@options.level
@options.history
@options.colour
@click.pass_context
def command(
    context: click.Context,
    words: tuple[str, ...],
    workers: int,
    policy: str,
    cluster: str | None,
    samples: str | None,
    flow_name: str | None,
    args_file: str | None,
    provider: str | None,
    seed: int,
    gantt: str | None,
    output_format: str,
    level: int,
) -> None:
    """Simulate FILE on a cluster: makespan, lower bound, utilisation.

    FILE is a program (.flow), an artifact (.flowc) or a recorded workflow (WfFormat 1.5, .json or .json.gz);
    of several, each is simulated by itself. Times are those recorded; of a program, those that earlier runs
    and the cost model let expect. Without --workers, --cluster and --policy a program is simulated as `flowc
    run` would run it. `learned` knows of a recorded workflow only what other configurations in DIR took.
    """
    paths, given = _sorted_out(words)
    sources = (context.get_parameter_source(name) for name in ("workers", "policy", "cluster"))
    as_run = all(source is ParameterSource.DEFAULT for source in sources)
    chosen = next(name for name in POLICIES if name == policy)
    wish = Wish(chosen, workers, cluster, samples, flow_name, given, args_file, provider, level, seed, as_run)
    _fitting(paths, wish, gantt)
    with streams.only_results():
        _simulate(paths, wish, gantt, output_format)


def _sorted_out(words: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The files and the arguments among words. NAME=VALUE is a file only where it is that of a recorded
    workflow, and no program stands before it.
    """
    paths: list[str] = []
    given: list[str] = []
    for word in words:
        name, equals, _ = word.partition("=")
        program = any(not path.endswith(RECORDED) for path in paths)
        file = not program and word.endswith(RECORDED) and _is_file(word)
        (given if equals and name.isidentifier() and not file else paths).append(word)
    return tuple(paths), tuple(given)


def _is_file(word: str) -> bool:
    try:
        return Path(word).is_file()
    except OSError:  # too long for a name
        return False


def _simulate(paths: Sequence[str], wish: Wish, gantt: str | None, output_format: str) -> None:
    """Simulates each file, and prints it."""
    from flowc.cli.simulation_report import as_json, as_text, mean_line
    from flowc.passes.simulation.cluster import identical
    from flowc.passes.simulation.cluster_file import read_cluster
    from flowc.passes.simulation.outcome import Outcome, as_it_ran, outcome

    described = identical(wish.workers)
    if wish.cluster is not None:
        described = read_cluster(Path(wish.cluster), wish.workers)
    model = _model(Path(wish.samples)) if wish.samples is not None else None
    found: list[Outcome] = []
    for path in paths:
        expected: Expected | None = None
        known: Sequence[Forecast | None] | None = None
        if path.endswith(RECORDED):
            graph, origin = _recorded(path)
            known = _forecasts(graph, origin, model) if wish.policy == "learned" else None
        else:
            expected = _expected(path, wish)
            graph = expected.graph
        if expected is not None and wish.as_run:
            done = as_it_ran(graph, expected.schedule)
        else:
            done = outcome(graph, described, wish.policy, wish.seed, _seconds(graph, known))
        name = wish.policy if expected is None or not wish.as_run else RUN
        if output_format == "json":
            streams.write(as_json(path, done, name, wish.seed, known, expected))
        else:
            streams.write(as_text(done, name, known, expected))
        found.append(done)
        if gantt is not None:
            from flowc.compiler.graph.gantt import gantt as drawn

            title = f"{graph.name}: {len(done.cluster.workers):,} workers, {name}"
            files.write_file(gantt, drawn(done.schedule, graph, done.cluster, title, done.bounds.best))
    if len(found) > 1 and output_format == "text":
        streams.write(mean_line(found))


RUN = "run"
"""What stands in the place of a policy where a program is simulated as it would run."""


def _fitting(paths: Sequence[str], wish: Wish, gantt: str | None) -> None:
    """Refuses options that would do nothing."""
    if not paths:
        raise UsageProblem("E0670", "there is no FILE to simulate", help="name a program, or a workflow")
    programs = [path for path in paths if not path.endswith(RECORDED)]
    if gantt is not None and len(paths) > 1:
        raise UsageProblem("E0670", "--gantt draws one FILE", help="simulate one, or leave --gantt away")
    about_programs = {
        "--flow": wish.flow,
        "--args": wish.args_file,
        "--provider": wish.provider,
        f"`{next(iter(wish.words), '')}`": wish.words,
    }
    for option, value in about_programs.items():
        if value and len(programs) < len(paths):
            raise UsageProblem("E0670", f"{option} belongs to programs", help="leave it away")
    if (wish.words or wish.args_file) and len(programs) > 1:
        raise UsageProblem("E0670", "arguments belong to one program", help="simulate one FILE")
    if wish.samples is None:
        return
    if wish.policy != "learned":
        raise UsageProblem("E0670", "--samples belongs to --policy learned", help="say --policy learned")
    if programs:
        raise UsageProblem(
            "E0670",
            "--samples teaches the times of recorded workflows",
            why=f"{programs[0]} is a program, and its times are what its own runs and the cost model say",
            help="leave --samples away",
        )


def _recorded(path: str) -> "tuple[TaskGraph, Origin]":
    """The tasks of a recorded run, and where it comes from."""
    from flowc.compiler.importers.wfcommons.packed import MOST_BYTES, unpacked
    from flowc.compiler.importers.wfcommons.reading import read

    workflow = read(unpacked(files.read_bytes(path, MOST_BYTES), path), path)
    for warning in workflow.warnings:
        streams.show_diagnostic(warning, None)
    return workflow.graph, workflow.origin


def _expected(path: str, wish: Wish) -> "Expected":
    """What a program or an artifact is expected to do."""
    from platformdirs import user_config_path

    from flowc.cli import arguments
    from flowc.cli.loading import load
    from flowc.passes.simulation.forecast import forecast
    from flowc.passes.simulation.rehearsal import Setting
    from flowc.runtime.config import find_config, load_config
    from flowc.runtime.plan_check import entry

    loaded = load(path, wish.level, provider=wish.provider)
    function = entry(loaded.plan, wish.flow)
    times: Mapping[str, KernelTime] = {}
    if loaded.kernels:
        from flowc.compiler.kernel_times import kernel_times

        times = kernel_times(loaded.plan, loaded.source.text, loaded.source.path, loaded.folder)
    setting = Setting(
        config=load_config(find_config(loaded.folder, user_config_path("flowc"))),
        provider=wish.provider,
        arguments=arguments.of_run(loaded.plan, function, wish.words, wish.args_file),
        kernel_times=times,
        signatures={
            name: signature
            for name, kernel in loaded.kernels.items()
            if (signature := getattr(kernel, "signature", None)) is not None
        },
    )
    return forecast(loaded.plan, function.name, setting, wish.seed)


def _model(folder: Path) -> "TaskModel":
    """What the recorded workflows of a folder teach."""
    from flowc.compiler.importers.wfcommons.samples import learned_from

    model, warnings = learned_from(folder)
    for warning in warnings:
        streams.show_diagnostic(warning, None)
    return model


def _forecasts(
    graph: "TaskGraph", origin: "Origin", model: "TaskModel | None"
) -> "Sequence[Forecast | None]":
    """What `learned` knows of a recorded run before its first task."""
    if model is None:
        return [None] * len(graph.tasks)
    from flowc.passes.cost.task_model import forecasts

    return forecasts(model, [task.traits for task in graph.tasks], origin)


def _seconds(graph: "TaskGraph", known: "Sequence[Forecast | None] | None") -> "Sequence[float | None]":
    """The seconds of each task as far as they are known; of a program what the cost model expects."""
    if known is None:
        return [task.seconds or None for task in graph.tasks]
    return [None if each is None else each.likely for each in known]
