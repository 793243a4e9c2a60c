"""Going on with a kept run, or telling again what it came to.

The plan that is run is the one that was kept, unless the program has changed and the run fits the new one.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from flowc.cli import journals, results
from flowc.cli.as_kept import kept_text
from flowc.cli.changed import check_changed
from flowc.cli.keeping import tool_files
from flowc.cli.loaded import Loaded
from flowc.cli.once import Settings, environment, print_result, run_once, show_problem
from flowc.cli.program_again import find_program
from flowc.compiler.diagnostics.model import Source
from flowc.runtime.durable.past import Past, problem_from_json
from flowc.runtime.durable.runs import (
    FINAL,
    Journal,
    arguments_of,
    go_on,
    past_of,
    plan_of,
    result_of,
    taken,
)
from flowc.runtime.plan import Plan
from flowc.runtime.plan_check import entry
from flowc.runtime.result import RunResult, status_of

if TYPE_CHECKING:
    from flowc.runtime.durable.keeper import Keeping
    from flowc.runtime.plan import Function


def resume(
    journal: Journal,
    place: journals.Place,
    run: str,
    settings: Settings,
    *,
    program: str | None = None,
    migrate: bool = False,
    yes: bool = False,
) -> int:
    """Goes on with a run, or tells again what it came to; prints and gives the status as `flowc run` does.
    With `migrate` it goes on under a program that has changed, with `yes` unasked.
    """
    past = past_of(journal.store, run)
    if past.status in FINAL:
        return _tell_again(journal, place, past, settings)
    ready = prepared(journal, past, settings, program, migrate=migrate, yes=yes)
    results.check_outputs(settings.outputs, ready.flow, ready.loaded.plan)

    def keep(plan: Plan, name: str, values: list[Any]) -> "Keeping":
        return go_on(journal, run, session={"tools": tool_files(ready.loaded)})

    kept = journals.Kept(journal, place, keep, run)
    return run_once(ready.loaded, ready.flow, ready.given, ready.settings, kept)


@frozen
class Ready:
    """A run that can be gone on with: its program, its flow, its arguments, and how it is run."""

    loaded: Loaded
    flow: "Function"
    given: dict[str, Any]
    settings: Settings


def prepared(
    journal: Journal,
    past: Past,
    settings: Settings,
    program: str | None,
    *,
    migrate: bool = False,
    yes: bool = False,
) -> Ready:
    """A run, made ready to go on. Raises E0921 where somebody has it, E0925 where its program has changed
    such that it could not have come as far, unless it is to `migrate`.
    """
    if journal.store.taken(past.run):
        raise taken(past.run)
    settings = _as_it_was(past.head["settings"], settings)
    found = find_program(journal, past, program, settings.provider)
    if found.changed:
        from flowc.cli.migrating import take_over

        path = program or past.head["settings"].get("path") or ""
        world = environment(found.loaded, settings)
        left = take_over(journal, past, found.loaded, world, path, migrate=migrate, yes=yes)
        if left:
            check_changed(journal, past, found.loaded, left)
    flow = entry(found.loaded.plan, past.head["flow"])
    names = [parameter.name for parameter in flow.parameters]
    given = dict(zip(names, arguments_of(journal.store, past.head), strict=True))
    return Ready(found.loaded, flow, given, settings)


def _as_it_was(kept: dict[str, Any], settings: Settings) -> Settings:
    """The settings of the run; what is said now counts before what was said then."""
    return evolve(
        settings,
        provider=settings.provider or kept.get("provider"),
        seed=kept.get("seed"),
        recording=settings.recording or kept.get("recording"),
        answers={**kept.get("answers", {}), **settings.answers},
    )


def _tell_again(journal: Journal, place: journals.Place, past: Past, settings: Settings) -> int:
    """What a run came to that has ended for good."""
    report = report_of(journal, past)
    problem = report.problem
    plan = plan_of(journal.store, past.head)
    loaded = Loaded(plan, {}, Source(plan.source, kept_text(journal, past.head)), Path())
    print_result(report, loaded, {}, settings)
    if problem is not None:
        kept = journals.Kept(journal, place, _never)
        show_problem(problem, past.run, loaded.source, kept)
        journals.say_how_to_go_on(kept, past.run, past.status)
    elif settings.outputs:
        results.check_outputs(settings.outputs, entry(plan, past.head["flow"]), plan)
        results.write_outputs(settings.outputs, report.result)
    return report.exit_code


def report_of(journal: Journal, past: Past) -> RunResult:
    """What a run came to that has ended for good, as it was reported then but for times."""
    tokens_in, tokens_out, cost = past.ending["spent"]
    written = past.ending.get("problem")
    problem = None if written is None else problem_from_json(written)
    return RunResult(
        past.run,
        status_of(problem),
        None if problem is not None else result_of(journal.store, past),
        problem,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        cost_usd=cost,
    )


def _never(plan: Plan, flow: str, values: list[Any]) -> "Keeping":
    raise AssertionError("a run that has ended is not gone on with")
