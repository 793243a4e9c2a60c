"""What `flowc show` tells of a run: its steps, what it waits for, what is in doubt, what it took."""

import json
from typing import Any

from attrs import field, frozen

from flowc.runtime.durable.codec import unpacked
from flowc.runtime.durable.listing import RUNNING, row_status
from flowc.runtime.durable.past import Past, problem_from_json
from flowc.runtime.durable.runs import arguments_of, past_of, plan_of, row_of
from flowc.runtime.durable.steps import Step, steps_of
from flowc.runtime.durable.telling import waiting_steps
from flowc.runtime.errors import Problem
from flowc.runtime.journal.failures import damaged, understood
from flowc.runtime.journal.store import Store
from flowc.runtime.plan import Json, Plan
from flowc.runtime.values import to_json

LONGEST = 1000
"""Characters of JSON of a step's result that are shown."""


@frozen
class Look:
    """A run, looked at: all that the command line and Python show of it."""

    run: str
    status: str
    past: Past
    plan: Plan
    steps: tuple[Step, ...]
    store: Store = field(repr=False)

    @property
    def arguments(self) -> dict[str, Any]:
        """The values of the flow's parameters, by name."""
        with understood(f"the arguments of run {self.run}"):
            parameters = self.plan.functions[self.past.head["flow"]].parameters
            values = arguments_of(self.store, self.past.head)
            return {parameter.name: value for parameter, value in zip(parameters, values, strict=True)}

    @property
    def problem(self) -> Problem | None:
        """What ended the run, or keeps it from going on."""
        written = self.past.ending.get("problem")
        with understood(f"the end of run {self.run}"):
            return None if written is None else problem_from_json(written)

    def value(self, written: Json) -> Any:
        """The value that a record has in this form."""
        return unpacked(written, self.store.blob)


def look(store: Store, run: str) -> Look:
    """Looks at a run, which another process may be going on with. Raises E0920 where there is none."""
    row = row_of(store, run)
    status = row_status(store, row)
    past = past_of(store, run)
    if status == "ok" and past.status != status:
        raise damaged(run, past.records, "the list of runs has its end, and its records do not")
    doubtful = () if status == RUNNING else [intent.step for intent in past.in_doubt()]
    return Look(run, status, past, plan_of(store, past.head), steps_of(store, past, doubtful), store)


def look_json(found: Look) -> dict[str, Json]:
    """The object that `flowc show --output-format=json` prints."""
    with understood(f"run {found.run}"):
        return _look_json(found)


def _look_json(found: Look) -> dict[str, Json]:
    past, head = found.past, found.past.head
    written: dict[str, Json] = {
        "run": found.run,
        "status": found.status,
        "flow": head["flow"],
        "program": str(head["settings"].get("path", "")),
        "hash": head["program"],
        "begun": head["begun"],
        "sessions": 1 + len(past.sessions),
        "arguments": {name: to_json(value) for name, value in found.arguments.items()},
    }
    if found.status == "ok":
        written["result"] = to_json(found.value(past.ending["result"]))
    problem = found.problem
    if problem is not None:
        written |= {"code": problem.code, "message": problem.message, "why": problem.why}
    written["spent"] = spent(found)
    written["left"] = left(found)
    written["waiting"] = [
        {"step": step, **{name: asked.get(name) for name in ("operation", "prompt", "type", "choices")}}
        for step, asked in waiting(found).items()
    ]
    written["in_doubt"] = [dict(each) for each in in_doubt(found)]
    written["steps"] = [_step_json(found, step) for step in found.steps]
    return written


def waiting(found: Look) -> dict[str, dict[str, Any]]:
    """The steps of a run that wait for somebody."""
    return {} if found.status in ("ok", "failed", "over-budget") else waiting_steps(found.past)


def in_doubt(found: Look) -> list[dict[str, Json]]:
    """The calls of a run that may have happened or not; while a process has it, they are only under way."""
    if found.status == RUNNING:
        return []
    return [
        {
            "step": intent.step,
            "operation": intent.operation,
            "arguments": _arguments(found, intent.arguments),
            "attempt": intent.attempt,
            "began": intent.at,
        }
        for intent in found.past.in_doubt()
    ]


def _arguments(found: Look, written: Json) -> dict[str, Json]:
    given = written if isinstance(written, dict) else {}
    return {name: to_json(found.value(value)) for name, value in given.items()}


def spent(found: Look) -> dict[str, Json]:
    """What all calls of a run took, those of steps that were given up included."""
    tokens_in, tokens_out, cost = found.past.totals
    calls = found.past.spent_under(found.past.head["flow"]).calls
    return {"calls": calls, "tokens_in": tokens_in, "tokens_out": tokens_out, "cost_usd": round(cost, 9)}


def left(found: Look) -> dict[str, Json]:
    """What the budgets of the flow leave to the rest of the run; nothing where it has none."""
    limits = found.plan.functions[found.past.head["flow"]].limits
    taken = found.past.spent_under(found.past.head["flow"])
    of_budget: dict[str, Json] = {}
    if limits.calls is not None:
        of_budget["calls"] = max(0, limits.calls - taken.calls)
    if limits.tokens is not None:
        of_budget["tokens"] = max(0, limits.tokens - taken.tokens)
    if limits.money is not None:
        of_budget["cost_usd"] = round(max(0.0, limits.money - taken.money), 9)
    return of_budget


def _step_json(found: Look, step: Step) -> dict[str, Json]:
    written: dict[str, Json] = {
        "step": step.step,
        "operation": step.operation,
        "status": step.status,
        "attempts": step.attempts,
        "began": step.began,
        "ended": step.ended,
    }
    if step.tokens or step.cost:
        written |= {"tokens": step.tokens, "cost_usd": round(step.cost, 9)}
    if step.status == "done":
        result = to_json(found.value(step.value))
        whole = json.dumps(result, ensure_ascii=False)
        written["result"] = result if len(whole) <= LONGEST else whole[:LONGEST] + "..."
    if step.problem is not None:
        written |= {"code": step.problem.code, "message": step.problem.message}
    return written
