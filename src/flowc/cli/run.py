"""`flowc run`: compiles if need be, runs, prints the result on stdout and the account on stderr."""

import json
import secrets
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import frozen

from flowc.cli import arguments, files, options, results, searching, streams
from flowc.cli.failure import FINE, RUN, UsageProblem, status_of

if TYPE_CHECKING:
    from flowc.cli.foretold import Kernels
    from flowc.cli.kernel_watch import KernelWatch
    from flowc.cli.loaded import Loaded
    from flowc.passes.search.search import SearchRequest
    from flowc.runtime.device.spans import Recorder
    from flowc.runtime.environment import Environment
    from flowc.runtime.events import Subscriber
    from flowc.runtime.people import Ask, Question
    from flowc.runtime.plan import Function, Plan
    from flowc.runtime.result import RunResult

PROVIDERS = ("offline", "openai", "replay", "simulated")


@frozen
class Settings:
    """The options of the command that concern the run and its account."""

    provider: str | None
    seed: int | None
    trace: str | None
    explain: bool
    output_format: str
    outputs: Mapping[str, str]
    answers: Mapping[str, str]
    recording: str | None
    record: str | None
    quiet: bool


@frozen
class Request:
    """What to run, and with which arguments."""

    path: str
    level: int
    flow: str | None
    words: tuple[str, ...]
    args_file: str | None
    batch_file: str | None
    width: int | None
    dry_run: bool
    wanted: searching.Wanted
    target: str | None


@click.command("run")
@click.argument("path", metavar="FILE")
@click.argument("words", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--flow", "flow_name", help="The flow to run; default: main, else the only one.")
@click.option("--args", "args_file", metavar="FILE", help="Arguments as a JSON object; NAME=VALUE wins.")
@click.option(
    "--batch", "batch_file", metavar="FILE", help="One run for each line of JSON; one result a line."
)
@click.option(
    "--width",
    type=click.IntRange(min=1),
    metavar="N",
    help="Runs of a batch that go on at once; default: enough to keep the models busy.",
)
@click.option("--answer", "answers", multiple=True, metavar="NAME=VALUE", help="What the human NAME answers.")
@click.option(
    "--provider", type=click.Choice(PROVIDERS), help="Who answers all models, whatever flowc.toml says."
)
@click.option("--seed", type=int, help="What randomness starts from: back-off, simulated answers.")
@click.option("--recording", metavar="FILE", help="The answers that --provider replay gives.")
@click.option("--record", metavar="FILE", help="Write the answers of this run for --provider replay.")
@click.option("--journal", type=click.Choice(["none"]), default="none", help="Where the run is kept.")
@click.option(
    "--out", "outputs", multiple=True, metavar="NAME=FILE.npy", help="Write an array of the result."
)
@click.option("--trace", metavar="FILE", help="Write a timeline for Perfetto or chrome://tracing.")
@click.option("--explain", is_flag=True, help="Say step by step what ran, beside what, and how long.")
@click.option("-q", "--quiet", is_flag=True, help="Print no summary of the run.")
@click.option("--dry-run", is_flag=True, help="Read the arguments and print the steps, but run nothing.")
@options.output_format
@options.level
@options.search
@options.history
@options.configured_target
@options.colour
def command(
    path: str,
    words: tuple[str, ...],
    flow_name: str | None,
    args_file: str | None,
    batch_file: str | None,
    width: int | None,
    answers: tuple[str, ...],
    outputs: tuple[str, ...],
    dry_run: bool,
    level: int,
    objective: str | None,
    at_most: tuple[str, ...],
    search_seconds: float | None,
    target: str | None,
    journal: str,
    **rest: Any,
) -> int:
    """Run a program (.flow) or an artifact (.flowc).

    NAME=VALUE gives an argument, read by the signature: a text as it stands, an array as a .npy file or
    JSON, all else as JSON.
    """
    del journal  # it has one value so far
    settings = Settings(
        **rest,
        outputs=results.read_outputs(outputs),
        answers=arguments.split_words(answers, "an answer"),
    )
    if batch_file is not None:
        _check_batch(settings)
    elif width is not None:
        raise UsageProblem(
            "E0697",
            "--width is about the runs of a batch, and there is no --batch",
            help="leave --width out, or give the lines with --batch FILE",
        )
    wanted = searching.Wanted(objective, at_most, search_seconds)
    request = Request(path, level, flow_name, words, args_file, batch_file, width, dry_run, wanted, target)
    with streams.only_results(), results.any_digits():
        return _run(request, settings)


def _check_batch(settings: Settings) -> None:
    """Refuses options that are about one run; a batch has many."""
    for option, given in {
        "--out": settings.outputs,
        "--trace": settings.trace,
        "--explain": settings.explain,
    }.items():
        if given:
            raise UsageProblem(
                "E0697",
                f"{option} is about one run, and --batch makes many",
                help=f"leave {option} out, or run one line of the batch alone",
            )


def _run(request: Request, settings: Settings) -> int:
    """Loads the program, reads its arguments, and does what is asked with them."""
    from flowc.cli.loading import load
    from flowc.runtime.plan_check import entry

    read = cache(arguments.read_object)  # once: it may be a pipe
    target = request.target or _configured_target(Path(request.path).parent)
    loaded = load(request.path, request.level, _search(request, read), settings.provider, target)
    searching.tell(loaded.found, request.path, explain=settings.explain)
    function = entry(loaded.plan, request.flow)
    results.check_outputs(settings.outputs, function, loaded.plan)
    _check_answers(loaded, settings.answers)
    given = arguments.of_run(loaded.plan, function, request.words, request.args_file, read)
    if request.dry_run:
        from flowc.cli.batch import read_batch
        from flowc.cli.steps import steps_text
        from flowc.runtime.reading import bind_arguments

        if request.batch_file is None:
            bind_arguments(loaded.plan, function, given)
        else:
            read_batch(function, given, request.batch_file)  # what does not fit is told line by line
        streams.write(steps_text(loaded.plan, function.name))
        return FINE
    if request.batch_file is not None:
        from flowc.cli.batch import run_batch

        world = environment(loaded, settings)
        return run_batch(loaded, function, given, request.batch_file, world, request.width)
    return _run_once(loaded, function, given, settings)


def _check_answers(loaded: "Loaded", answers: Mapping[str, str]) -> None:
    people = [name for name, operation in loaded.plan.operations.items() if operation.kind == "human"]
    for name in answers:
        if name not in people:
            known = ", ".join(people)
            raise UsageProblem(
                "E0687",
                f"the program asks no person as `{name}`",
                help=f"it asks: {known}" if known else "it asks nobody; leave --answer out",
            )


def _search(request: Request, read: arguments.Read) -> "SearchRequest | None":
    """What -O3 is to look for: plans are tried with the arguments of this run, unless it is a dry one, in
    which no kernel may run.
    """
    searches = request.level == searching.LEVEL and not request.path.endswith(files.ARTIFACT)
    searching.check_level(request.wanted, searches)
    if not searches or request.dry_run:
        return None
    known: dict[str, dict[str, Any]] = {}

    def given(plan: "Plan", function: "Function") -> Mapping[str, object]:
        if function.name not in known:
            known[function.name] = arguments.of_run(plan, function, request.words, request.args_file, read)
        return known[function.name]

    return searching.request(request.wanted, Path(request.path).parent, request.flow, given)


def environment(loaded: "Loaded", settings: Settings, *subscribers: "Subscriber") -> "Environment":
    """The world of the run: flowc.toml near the program, the command's options, people at the terminal."""
    from flowc.runtime.config import find_config, load_config
    from flowc.runtime.environment import Environment

    return Environment(
        config=load_config(find_config(loaded.folder, _home())),
        provider=settings.provider,
        folder=loaded.folder,
        kernels=loaded.kernels,
        people=_people(settings.answers),
        seed=settings.seed,
        subscribers=subscribers,
        recording=Path(settings.recording) if settings.recording else None,
        record=Path(settings.record) if settings.record else None,
        keep=settings.trace is not None,
    )


def _configured_target(folder: Path) -> str:
    """What flowc.toml says that kernels are compiled for."""
    from flowc.runtime.config import find_config, load_config

    return load_config(find_config(folder, _home())).target


def _home() -> Path:
    from platformdirs import user_config_path

    return user_config_path("flowc")


def _people(given: Mapping[str, str]) -> "Ask | None":
    """Prepared answers first, then the person at the terminal, where there is one."""
    from flowc.cli.progress import hidden
    from flowc.runtime.people import answers, ask_terminal, has_terminal

    if not has_terminal():
        return answers(given) if given else None
    prepared = answers(given)

    def ask(question: "Question") -> object:
        if question.operation in given:
            return prepared(question)
        with hidden():
            return ask_terminal(question)

    return ask


def _run_once(loaded: "Loaded", function: "Function", given: dict[str, Any], settings: Settings) -> int:
    from flowc.cli.account import show_account
    from flowc.cli.progress import live

    traced = settings.trace is not None or settings.explain
    watch = _watched(loaded) if traced and loaded.kernels else None
    running = loaded if watch is None else watch.watched()
    with live() as watching, _spans(settings) as spans:
        report = _report(running, function, given, environment(running, settings, *watching))
    kernels = watch.expected() if watch is not None and settings.explain and not report.virtual else {}
    _print_result(report, loaded, kernels, settings)
    if settings.trace is not None and report.trace is not None:
        from flowc.runtime.trace.chrome import chrome_trace

        recorded: Any = report.trace
        timeline = chrome_trace(recorded, () if spans is None else spans.spans())
        files.write_file(settings.trace, json.dumps(timeline))
    if report.problem is not None:
        streams.show_problem(report.problem, loaded.source)
    elif settings.outputs:
        results.write_outputs(settings.outputs, report.result)
    if traced:
        from flowc.cli.remembering import remember

        remember(report, loaded, () if watch is None else watch.notes.take())
    brief = settings.quiet or settings.output_format == "json"
    show_account(report, loaded.plan if settings.explain else None, kernels, brief)
    if settings.explain:
        _tell_placements(loaded)
    return report.exit_code


def _spans(settings: Settings) -> "AbstractContextManager[Recorder | None]":
    """Notes when kernels are at work on a GPU, where a timeline is wanted."""
    if settings.trace is None:
        return nullcontext()
    from flowc.runtime.device.spans import recorded

    return recorded()


def _tell_placements(loaded: "Loaded") -> None:
    """Says where calls of kernels went, where that was open."""
    from flowc.runtime.device.placing import placements_text

    told = placements_text(loaded.kernels)
    if told:
        streams.say(told)


def _watched(loaded: "Loaded") -> "KernelWatch":
    from flowc.cli.kernel_watch import KernelWatch

    return KernelWatch(loaded)


def _report(
    loaded: "Loaded", function: "Function", given: dict[str, Any], world: "Environment"
) -> "RunResult":
    """The run, ended; one that failed before its first step (a tool that cannot be loaded) is a run too."""
    from flowc.runtime.errors import FlowError
    from flowc.runtime.execute import run
    from flowc.runtime.result import RunResult

    try:
        return run(loaded.plan, function.name, given, environment=world)
    except FlowError as error:
        if status_of(error.problem.code) != RUN:
            raise
        return RunResult(secrets.token_hex(8), "failed", problem=error.problem)


def _print_result(report: "RunResult", loaded: "Loaded", kernels: "Kernels", settings: Settings) -> None:
    if settings.output_format == "json":
        from flowc.cli.foretold import foretold_json

        written = report.to_json()
        if settings.explain:
            written |= foretold_json(report, loaded.plan, kernels)
        streams.write(json.dumps(written, ensure_ascii=False))
    elif report.problem is None:
        streams.write(results.value_text(report.result))
