"""The journal that a command uses: an option, flowc.toml, FLOWC_JOURNAL, or the user's own file."""

import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from attrs import evolve, frozen

from flowc.cli import results, streams
from flowc.cli.configured import config_near

if TYPE_CHECKING:
    from flowc.runtime.durable.keeper import Keeping
    from flowc.runtime.durable.runs import Journal
    from flowc.runtime.errors import Problem
    from flowc.runtime.plan import Plan

NONE = "none"
"""In place of a journal: runs are not kept."""

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
Keep = Callable[["Plan", str, list[Any]], "Keeping"]
"""Makes the keeper of a run of a plan's flow with these values of its parameters."""


def journal(command: Decorated) -> Decorated:
    """`--journal`: where runs are kept."""
    return click.option(
        "--journal",
        metavar="FILE|URL",
        help="Where runs are kept: a file, a postgresql:// URL, or none; default: journal of [run] in "
        "flowc.toml, else FLOWC_JOURNAL, else a file of the user's.",
    )(command)


def sync(command: Decorated) -> Decorated:
    """`--sync`: what a kept run survives."""
    return click.option(
        "--sync",
        type=click.Choice(["strict", "fast"]),
        default="strict",
        show_default=True,
        help="strict: what is kept survives a power failure; fast: the end of the process.",
    )(command)


@frozen
class Place:
    """Where runs are kept: `where` of None is the user's own file. `said` is the option that names it, for
    messages; `explicit` that somebody chose it.
    """

    where: str | None
    said: str = ""
    explicit: bool = True


def place(given: str | None, folder: Path) -> Place | None:
    """The journal that an option or, near `folder`, flowc.toml names, else the usual one; None for none."""
    if given is not None:
        return None if given == NONE else Place(given, f" --journal {shlex.quote(given)}")
    configured = config_near(folder).journal
    if configured is not None:
        here = config_near(Path()).journal == configured
        said = "" if here else f" --journal {shlex.quote(configured)}"
        return None if configured == NONE else Place(configured, said)
    chosen = os.environ.get("FLOWC_JOURNAL")
    if chosen:
        return None if chosen == NONE else Place(chosen)
    return Place(None, explicit=False)


@contextmanager
def opened(given: str | None, folder: Path | None = None) -> "Iterator[tuple[Journal, Place]]":
    """A journal to look at, and to go on with runs of: an empty one where there is none."""
    from flowc.runtime.durable.runs import Journal, journal_at
    from flowc.runtime.journal.memory import MemoryStore
    from flowc.runtime.journal.writer import Writer

    found = place(given, folder or Path())
    if found is None:
        store = MemoryStore()
        there, found = Journal(store, Writer(store)), Place(None)
    else:
        there = journal_at(found.where, create=False)
    try:
        yield there, found
    finally:
        there.close()


@contextmanager
def kept_run(run: str, given: str | None) -> "Iterator[tuple[Journal, Place, str]]":
    """A kept run that is worked with: its journal, where that is, and its whole name. Meanwhile stdout is for
    results alone, and numbers have any number of digits.
    """
    from flowc.runtime.durable.runs import named

    with streams.only_results(), results.any_digits(), opened(given) as (there, found):
        yield there, found, named(there.store, run)


@frozen(eq=False)
class Kept:
    """A run that is kept: its journal, where that is, what makes its keeper; its name if it has one."""

    journal: "Journal"
    place: Place
    keep: Keep
    run: str = ""

    def keeper(self, plan: "Plan", flow: str, values: list[Any]) -> "Keeping | None":
        """The keeper; None, with a warning, where the user's own journal cannot be written."""
        from flowc.runtime.errors import FlowError

        try:
            return self.keep(plan, flow, values)
        except FlowError as error:
            if self.place.explicit:
                raise
            _unkept(error.problem)
            return None


@contextmanager
def for_run(given: str | None, folder: Path, *, fast: bool) -> "Iterator[tuple[Journal, Place] | None]":
    """The journal that a new run is kept in; None where it is not kept."""
    from flowc.runtime.errors import FlowError

    found = place(given, folder)
    there = None
    if found is not None:
        from flowc.runtime.durable.runs import journal_at

        try:
            there = journal_at(found.where, fast=fast)
        except FlowError as error:
            if found.explicit:
                raise
            _unkept(error.problem)
    if there is None or found is None:
        yield None
        return
    try:
        yield there, found
    finally:
        with suppress(FlowError):  # what could not be written has ended the run, and is told with it
            there.close()


def _unkept(problem: "Problem") -> None:
    streams.show_warning(evolve(problem, help="the run goes on, and is not kept; --journal none says so"))


def told(problem: "Problem", run: str, place: Place) -> "Problem":
    """A problem whose commands name the run and its journal."""
    return evolve(problem, help=problem.help.replace(" RUN", f" {run}{place.said}"))


def say_how_to_go_on(kept: Kept, run: str, status: str) -> None:
    """Says on stderr what can be done with a run that has not come to its end."""
    named = f"{run}{kept.place.said}"
    if status in ("waiting", "cancelled"):
        streams.say(f"the run is kept; to go on with it: flowc resume {named}")
    elif status == "in-doubt":
        streams.say(f"the run is kept; once that is resolved: flowc resume {named}")
    elif status == "failed" and run in kept.journal.store.find(run):  # else it failed before it began
        from flowc.runtime.durable.runs import past_of
        from flowc.runtime.durable.telling import failed_steps

        past = past_of(kept.journal.store, run)
        if not past.status:
            streams.say(f"the run is kept up to there; to go on with it: flowc resume {named}")
        for step in failed_steps(past)[:1]:
            again = f"flowc resolve {named} {shlex.quote(step)} --retry"
            streams.say(f"the run is kept; to make the failed step again: {again}")
