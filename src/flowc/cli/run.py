"""`flowc run`: compiles if need be, runs, prints the result on stdout and the account on stderr."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import frozen

from flowc.cli import arguments, files, journals, options, results, searching, streams
from flowc.cli.configured import config_near
from flowc.cli.failure import FINE, UsageProblem
from flowc.cli.once import Settings, environment, given_settings, run_once

if TYPE_CHECKING:
    from flowc.cli.loaded import Loaded
    from flowc.passes.search.search import SearchRequest
    from flowc.runtime.plan import Function, Plan


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
    journal: str | None
    fast: bool


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
@options.provider
@click.option("--seed", type=int, help="What randomness starts from: back-off, simulated answers.")
@click.option("--recording", metavar="FILE", help="The answers that --provider replay gives.")
@click.option("--record", metavar="FILE", help="Write the answers of this run for --provider replay.")
@journals.journal
@journals.sync
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
    journal: str | None,
    sync: str,
    **rest: Any,
) -> int:
    """Run a program (.flow) or an artifact (.flowc).

    NAME=VALUE gives an argument, read by the signature: a text as it stands, an array as a .npy file or
    JSON, all else as JSON.
    """
    settings = given_settings(answers=answers, outputs=outputs, **rest)
    if batch_file is not None:
        _check_batch(settings, journal)
    elif width is not None:
        raise UsageProblem(
            "E0697",
            "--width is about the runs of a batch, and there is no --batch",
            help="leave --width out, or give the lines with --batch FILE",
        )
    wanted = searching.Wanted(objective, at_most, search_seconds)
    request = Request(
        path,
        level,
        flow_name,
        words,
        args_file,
        batch_file,
        width,
        dry_run,
        wanted,
        target,
        journal,
        sync == "fast",
    )
    with streams.only_results(), results.any_digits():
        return _run(request, settings)


def _check_batch(settings: Settings, journal: str | None) -> None:
    """Refuses options that are about one run; a batch has many, and none of them is kept."""
    for option, given in {
        "--journal": journal not in (None, journals.NONE),
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
    target = request.target or config_near(Path(request.path).parent).target
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
    with journals.for_run(request.journal, loaded.folder, fast=request.fast) as found:
        if found is None:
            return run_once(loaded, function, given, settings)
        from flowc.cli.keeping import begins

        kept = journals.Kept(*found, begins(found[0], loaded, request.path, request.level, target, settings))
        return run_once(loaded, function, given, settings, kept)


def _check_answers(loaded: "Loaded", answers: Mapping[str, str]) -> None:
    people = [
        name for name, operation in loaded.plan.operations.items() if operation.kind in ("human", "event")
    ]
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
