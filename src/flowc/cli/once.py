"""One run of a loaded program, and what is printed of it: the result on stdout, the account on stderr."""

import json
import secrets
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from flowc.cli import arguments, files, journals, results, streams
from flowc.cli.configured import config_near
from flowc.cli.failure import RUN, status_of

if TYPE_CHECKING:
    from flowc.cli.foretold import Kernels
    from flowc.cli.kernel_watch import KernelWatch
    from flowc.cli.loaded import Loaded
    from flowc.compiler.diagnostics.model import Source
    from flowc.runtime.device.spans import Recorder
    from flowc.runtime.environment import Environment
    from flowc.runtime.errors import Problem
    from flowc.runtime.events import Subscriber
    from flowc.runtime.people import Ask, Question
    from flowc.runtime.plan import Function
    from flowc.runtime.result import RunResult


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


def given_settings(
    *, answers: Sequence[str], outputs: Sequence[str], seed: int | None = None, **rest: Any
) -> Settings:
    """The settings that the options of a command give."""
    return Settings(
        **rest,
        seed=seed,
        outputs=results.read_outputs(outputs),
        answers=arguments.split_words(answers, "an answer"),
    )


def environment(loaded: "Loaded", settings: Settings, *subscribers: "Subscriber") -> "Environment":
    """The world of the run: flowc.toml near the program, the command's options, people at the terminal."""
    from flowc.runtime.environment import Environment

    return Environment(
        config=config_near(loaded.folder),
        provider=settings.provider,
        folder=loaded.folder,
        kernels=loaded.kernels,
        tools=loaded.tools,
        people=_people(settings.answers),
        seed=settings.seed,
        subscribers=subscribers,
        recording=Path(settings.recording) if settings.recording else None,
        record=Path(settings.record) if settings.record else None,
        keep=settings.trace is not None or settings.explain,
    )


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


def run_once(
    loaded: "Loaded",
    function: "Function",
    given: dict[str, Any],
    settings: Settings,
    kept: "journals.Kept | None" = None,
) -> int:
    """Runs a flow, `kept` in a journal or not, and gives the exit status."""
    from flowc.cli.account import show_account
    from flowc.cli.progress import live

    traced = settings.trace is not None or settings.explain
    watch = _watched(loaded) if traced and loaded.kernels else None
    running = loaded if watch is None else watch.watched()
    with live() as watching, _spans(settings) as spans:
        report = _report(running, function, given, environment(running, settings, *watching), kept)
    kernels = watch.expected() if watch is not None and settings.explain and not report.virtual else {}
    print_result(report, loaded, kernels, settings)
    if settings.trace is not None and report.trace is not None:
        from flowc.runtime.trace.chrome import chrome_trace

        recorded: Any = report.trace
        timeline = chrome_trace(recorded, () if spans is None else spans.spans())
        files.write_file(settings.trace, json.dumps(timeline))
    if report.problem is not None:
        show_problem(report.problem, report.run, loaded.source, kept)
    elif settings.outputs:
        results.write_outputs(settings.outputs, report.result)
    if traced:
        from flowc.cli.remembering import remember

        remember(report, loaded, () if watch is None else watch.notes.take())
    brief = settings.quiet or settings.output_format == "json"
    show_account(report, loaded.plan if settings.explain else None, kernels, brief)
    if settings.explain:
        _tell_placements(loaded)
    if kept is not None and report.problem is not None:
        journals.say_how_to_go_on(kept, report.run, report.status)
    return report.exit_code


def show_problem(problem: "Problem", run: str, source: "Source", kept: "journals.Kept | None") -> None:
    """Draws what ended a run, with the run's name in the commands that it speaks of."""
    streams.show_problem(problem if kept is None else journals.told(problem, run, kept.place), source)


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
    loaded: "Loaded",
    function: "Function",
    given: dict[str, Any],
    world: "Environment",
    kept: "journals.Kept | None",
) -> "RunResult":
    """The run, ended; one that failed before its first step (a tool that cannot be loaded) is a run too."""
    from flowc.runtime.errors import FlowError
    from flowc.runtime.execute import load, run
    from flowc.runtime.reading import bind_arguments
    from flowc.runtime.result import RunResult

    try:
        ready = load(loaded.plan, world)
        if kept is None:
            return run(ready, function.name, given)
        keeper = kept.keeper(ready.plan, function.name, bind_arguments(ready.plan, function, given))
        return run(ready, function.name, given, keeper=keeper)
    except FlowError as error:
        if status_of(error.problem.code) != RUN:
            raise
        name = kept.run if kept is not None and kept.run else secrets.token_hex(8)
        return RunResult(name, "failed", problem=error.problem)


def print_result(report: "RunResult", loaded: "Loaded", kernels: "Kernels", settings: Settings) -> None:
    """Prints what a run came to on stdout."""
    if settings.output_format == "json":
        from flowc.cli.foretold import foretold_json

        written = report.to_json()
        if settings.explain:
            written |= foretold_json(report, loaded.plan, kernels)
        streams.write(json.dumps(written, ensure_ascii=False))
    elif report.problem is None:
        streams.write(results.value_text(report.result))
