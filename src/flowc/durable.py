"""Kept runs from Python: listed, looked at, answered, resolved, gone on with.

A `journal` is a file or a postgresql:// URL; left out, it is the one that the command line uses.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from flowc.cli import journals
from flowc.cli.once import Settings, environment
from flowc.runtime.durable import telling
from flowc.runtime.durable.listing import Listed, listed
from flowc.runtime.durable.looking import look, look_json
from flowc.runtime.durable.runs import FINAL, Journal, go_on, named, past_of
from flowc.runtime.result import RunResult

if TYPE_CHECKING:
    from flowc.cli.journals import Place

_NOT_GIVEN: Any = object()


def runs(*, status: str | None = None, limit: int | None = None, journal: str | None = None) -> list[Listed]:
    """The kept runs, newest first."""
    with _opened(journal) as (there, _):
        return list(listed(there.store, status=status, limit=limit))


def show(run: str, *, journal: str | None = None) -> dict[str, Any]:
    """A kept run with its steps, as `flowc show --output-format=json` prints it."""
    with _opened(journal) as (there, _):
        return dict(look_json(look(there.store, named(there.store, run))))


def resume(
    run: str,
    *,
    journal: str | None = None,
    program: str | None = None,
    provider: str | None = None,
    answers: Mapping[str, Any] | None = None,
) -> RunResult:
    """Goes on with a kept run where it stopped, and gives the whole account; of a run that has ended, again.

    `program` says where the program is now, `answers` what people answer. Raises FlowError where there is no
    such run, another process has it, or its program has changed.
    """
    from flowc.cli.going_on import prepared, report_of
    from flowc.runtime.execute import load
    from flowc.runtime.execute import run as run_flow

    with _opened(journal) as (there, _):
        past = past_of(there.store, named(there.store, run))
        if past.status in FINAL:
            return report_of(there, past)
        ready = prepared(there, past, _settings(provider, answers or {}), program)
        loaded = load(ready.loaded.plan, environment(ready.loaded, ready.settings))
        return run_flow(loaded, ready.flow.name, ready.given, keeper=go_on(there, past.run))


def answer(run: str, step: str, value: object, *, journal: str | None = None) -> str:
    """Answers what a run waits for at a step, or for the human or event of this name; a text is read by type.

    Gives the step. The run does not go on by this: `resume` does that.
    """
    with _opened(journal) as (there, _):
        return telling.answer(there, named(there.store, run), step, value)


def resolve(
    run: str,
    step: str,
    *,
    done: object = _NOT_GIVEN,
    retry: bool = False,
    fail: str | None = None,
    journal: str | None = None,
) -> None:
    """Says how a call in doubt ended: `done` with its result, `fail` with a reason, or that it is to be made
    again with `retry`. The run does not go on by this.
    """
    if (done is not _NOT_GIVEN) + retry + (fail is not None) != 1:
        raise ValueError("say one of done, retry and fail")
    with _opened(journal) as (there, _):
        name = named(there.store, run)
        if retry:
            telling.resolve(there, name, step, "retry")
        elif fail is not None:
            telling.resolve(there, name, step, "fail", fail)
        else:
            telling.resolve(there, name, step, "done", done)


def _opened(journal: str | None) -> "AbstractContextManager[tuple[Journal, Place]]":
    return journals.opened(journal)


def _settings(provider: str | None, answers: Mapping[str, Any]) -> Settings:
    return Settings(
        provider=provider,
        seed=None,
        trace=None,
        explain=False,
        output_format="json",
        outputs={},
        answers=answers,
        recording=None,
        record=None,
        quiet=True,
    )
