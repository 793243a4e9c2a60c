"""What a person tells a run: how a call in doubt ended, that a failed step is to be made again, an answer.

What is told is checked first, and nothing is written where it does not fit. The run does not go on by it.
"""

import json
import time
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, Literal

from flowc.runtime.coerce import Mismatch, coercer
from flowc.runtime.durable.codec import Blobs, encode_json, key_of, packed, unpacked
from flowc.runtime.durable.kept import OPEN
from flowc.runtime.durable.past import Past, problem_to_json
from flowc.runtime.durable.runs import FINAL, Journal, held, plan_of
from flowc.runtime.errors import FlowError, Problem, fail
from flowc.runtime.plan import Json, Plan
from flowc.runtime.reading import parse_text, tables_of
from flowc.runtime.types import Type, text
from flowc.runtime.values import from_constant

SAID_FAILED = "E0736"
"""A person has said that a call failed."""

UNDO = "/undo:"
"""What comes behind the step of a write in the step that takes it back."""

How = Literal["done", "retry", "fail"]


def waiting_steps(past: Past) -> dict[str, dict[str, Any]]:
    """The steps that wait for somebody's answer, with what is asked."""
    return {
        step: asked
        for step, asked in past.asked.items()
        if step not in past.outcomes and step not in past.cancelled
    }


def failed_steps(past: Past) -> list[str]:
    """The steps whose failure ended the run, the last one first; none where writes were taken back for it:
    going on from there would count on them.
    """
    ending: Any = past.ending.get("problem")
    if past.status != "failed" or ending is None:
        return []
    found = [
        (outcome.order, step)
        for step, outcome in past.outcomes.items()
        if outcome.problem is not None
        and [outcome.problem.code, outcome.problem.message] == ending[:2]
        and not _taken_back(past, outcome.order)
    ]
    return [step for _, step in sorted(found, reverse=True)]


def _taken_back(past: Past, since: int) -> list[str]:
    """The writes that were taken back, or were to be, behind this record."""
    begun = {step: each.order for step, each in past.intents.items()}
    orders = begun | {step: each.order for step, each in past.outcomes.items()}
    return sorted(step.rpartition(UNDO)[0] for step, at in orders.items() if at > since and UNDO in step)


def resolve(journal: Journal, run: str, step: str, how: How, given: object = None) -> None:
    """Says how a call in doubt ended: `done` with a value, `fail` with a reason. With `retry` it is to be
    made again, as can be said of a step whose failure ended the run, too.

    Raises E0922 where that cannot be said of the step, E0923 where the value is not of its type.
    """
    with held(journal, run) as past:
        doubtful = {intent.step: intent.operation for intent in past.in_doubt()}
        failed = failed_steps(past) if how == "retry" else []
        if step not in doubtful and step not in failed:
            raise _not_in_doubt(past, step, [*doubtful, *failed], how)
        blobs: Blobs = []
        told: Json = None
        if how == "done":
            plan = plan_of(journal.store, past.head)
            told = packed(_value(plan, _result(plan, doubtful[step]), given, step), blobs)
        elif how == "fail":
            operation = doubtful[step]
            said = Problem(
                SAID_FAILED, f"`{operation}` has not been done, as was said of it", why=str(given or "")
            )
            told = problem_to_json(said)
        _write(journal, run, step, how, told, blobs, _called(journal, past, step))


def answer(journal: Journal, run: str, step: str, given: object) -> str:
    """Answers what a run waits for at a step, or at the only one that waits for the operation of this name. A
    text is read by type. Gives the step.

    Raises E0924 where nothing waits there, E0731 where the answer is not of its type.
    """
    with held(journal, run) as past:
        waiting = {} if past.status in FINAL else waiting_steps(past)
        found = (
            [step] if step in waiting else [s for s, asked in waiting.items() if asked["operation"] == step]
        )
        if len(found) != 1:
            raise _not_waiting(past, step, waiting, found)
        plan = plan_of(journal.store, past.head)
        operation = waiting[found[0]]["operation"]
        type_ = _result(plan, operation)
        tables = tables_of(plan)
        try:
            value = (
                parse_text(type_, given, tables) if isinstance(given, str) else coercer(type_, tables)(given)
            )
        except Mismatch as mismatch:
            choices = waiting[found[0]]["choices"]
            raise fail(
                "E0731",
                f"the answer to `{operation}` is not a {text(type_)}",
                why=str(mismatch),
                help="answer with " + (" or ".join(choices) or text(type_)),
            ) from None
        blobs: Blobs = []
        called = waiting[found[0]].get("inputs", "")
        _write(journal, run, found[0], "done", packed(value, blobs), blobs, called)
        return found[0]


def _called(journal: Journal, past: Past, step: str) -> str:
    """What tells a call in doubt from others of its step: what it was called with."""
    intent = past.intents.get(step)
    if intent is None or not isinstance(intent.arguments, dict):
        return ""
    given = [unpacked(value, journal.store.blob) for value in intent.arguments.values()]
    return key_of(intent.operation, given)


def _write(journal: Journal, run: str, step: str, how: str, told: Json, blobs: Blobs, called: str) -> None:
    record = encode_json(["told", round(time.time(), 3), step, how, told, called]).encode("ascii")
    position = journal.writer.append(run, record, blobs=blobs, status=OPEN)
    journal.writer.wait(position, sync=True)


def _result(plan: Plan, operation: str) -> Type:
    return plan.operations[operation].result


def _value(plan: Plan, type_: Type, given: object, step: str) -> Any:
    """The value that JSON, or a value of Python, stands for."""
    try:
        value = from_constant(json.loads(given)) if isinstance(given, JsonText) else given
        return coercer(type_, tables_of(plan))(value)
    except (Mismatch, ValueError, RecursionError) as error:
        unquoted = isinstance(given, JsonText) and isinstance(error, ValueError) and text(type_) == "str"
        raise fail(
            "E0923",
            f"that is no result of step {step}, which gives {text(type_)}",
            why=str(error) if isinstance(error, Mismatch) else f"{given!s:.60} is no JSON",
            help="write it as JSON, a text in double quotes"
            if unquoted
            else f"write a value of {text(type_)} as JSON",
        ) from None


class JsonText(str):
    """A value written as JSON."""

    __slots__ = ()


def _not_in_doubt(past: Past, step: str, open_: list[str], how: str) -> FlowError:
    known = past.outcomes.get(step)
    why = "it has ended, and its end is kept" if known is not None else ""
    if known is None and step not in past.intents:
        why = "nothing is kept of such a step"
    if known is not None and known.problem is not None and (undone := _taken_back(past, known.order)):
        why = f"{undone[0]} has been taken back since, by the transaction around it; `flowc run` begins anew"
    what = "is not in doubt" if how != "retry" else "is not in doubt, and did not end the run"
    return fail(
        "E0922", f"step `{step}` of run {past.run} {what}", why=why, help=_instead(step, open_, past.run)
    )


def _not_waiting(past: Past, step: str, waiting: Iterable[str], found: list[str]) -> FlowError:
    if found:
        return fail(
            "E0924",
            f"{len(found)} steps wait for `{step}`",
            why="they are " + ", ".join(found[:5]) + (", ..." if len(found) > 5 else ""),
            help="name the step that is meant",
        )
    known = past.outcomes.get(step)
    why = "it has its answer" if known is not None else "nothing waits there"
    return fail(
        "E0924",
        f"step `{step}` of run {past.run} waits for no answer",
        why=why,
        help=_instead(step, list(waiting), past.run),
    )


def _instead(step: str, open_: list[str], run: str) -> str:
    near = get_close_matches(step, open_, n=1, cutoff=0.4)
    if near:
        return f"did you mean {near[0]}?"
    return "there is " + ", ".join(open_[:5]) if open_ else f"`flowc show {run}` tells what there is to say"
