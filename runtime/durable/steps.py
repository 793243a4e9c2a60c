"""The steps of a run, one by one, as its records tell them."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from attrs import define

from flowc.runtime.durable.past import GONE, Past, problem_from_json
from flowc.runtime.durable.runs import records_of
from flowc.runtime.errors import Problem
from flowc.runtime.journal.failures import understood
from flowc.runtime.journal.store import Store
from flowc.runtime.plan import Json


@define
class Step:
    """A step as its records tell it. Times are seconds since 1970, or of the virtual clock."""

    step: str
    operation: str
    status: str = "begun"
    attempts: int = 0
    began: float | None = None
    ended: float | None = None
    tokens: int = 0
    cost: float = 0.0
    value: Json = None
    problem: Problem | None = None


def steps_of(store: Store, past: Past, doubtful: Iterable[str]) -> tuple[Step, ...]:
    """The steps of a run in the order in which they began; `doubtful` are those in doubt."""
    found: dict[str, Step] = {}
    with understood(f"the steps of run {past.run}"):
        for _, payload in records_of(store, past.run):
            record = json.loads(payload)
            take = _TAKE.get(record[0])
            if take is not None:
                take(found, record)
    for each in found.keys() & set(doubtful):
        found[each].status = "in doubt"
    return tuple(found.values())


def _at(found: dict[str, Step], step: str, operation: str = "") -> Step:
    if step not in found:
        found[step] = Step(step, operation)
    return found[step]


def _intent(found: dict[str, Step], record: list[Any]) -> None:
    _, at, name, operation, attempt, *_ = record
    step = _at(found, name, operation)
    step.began = at if step.began is None else step.began
    step.status, step.attempts, step.ended = "begun", attempt, None


def _ended(found: dict[str, Step], record: list[Any]) -> None:
    kind, at, name, operation, _, given, taken = record
    step = _at(found, name, operation)
    step.status, step.ended, step.attempts = kind, at, max(step.attempts, 1)
    if kind == "done":
        step.value = given
    else:
        step.problem = problem_from_json(given)
    _cost(step, taken)


def _cost(step: Step, taken: list[Any] | None) -> None:
    if taken is not None:
        step.tokens += taken[0] + taken[1]
        step.cost += taken[2]


def _tried(found: dict[str, Step], record: list[Any]) -> None:
    _, _, name, attempt, _, taken = record
    step = _at(found, name)
    step.attempts, step.status = attempt, "to be tried again"
    _cost(step, taken)


def _cancelled(found: dict[str, Step], record: list[Any]) -> None:
    _, at, name, taken = record
    step = _at(found, name)
    step.status, step.ended = "cancelled", at
    _cost(step, taken)


def _asked(found: dict[str, Step], record: list[Any]) -> None:
    _, at, name, told = record
    step = _at(found, name, told["operation"])
    step.status, step.began, step.attempts = "waiting", at, 1


def _told(found: dict[str, Step], record: list[Any]) -> None:
    _, at, name, how, given, *_ = record
    step = _at(found, name)
    step.problem, step.value = None, None
    if how == "retry":
        step.status, step.ended = "to be made again", None
        return
    step.ended = at
    if how == "done":
        step.status, step.value = "done", given
    else:
        step.status, step.problem = "failed", problem_from_json(given)


def _migrated(found: dict[str, Step], record: list[Any]) -> None:
    """Another program: steps stand elsewhere in it, and the ends of some do not count any more."""
    moved, dropped = record[2]["moved"], record[2]["dropped"]
    steps = [*found.values()]
    found.clear()
    for step in steps:
        step.step = moved.get(step.step, step.step)
        if step.step in dropped or step.step.startswith(GONE):
            step.step, step.status = step.step.removeprefix(GONE), "left out"
            found[f"{GONE}{len(found)}"] = step
        else:
            found[step.step] = step


_TAKE: dict[str, Callable[[dict[str, Step], list[Any]], None]] = {
    "intent": _intent,
    "done": _ended,
    "failed": _ended,
    "tried": _tried,
    "cancelled": _cancelled,
    "asked": _asked,
    "told": _told,
    "migrated": _migrated,
}
