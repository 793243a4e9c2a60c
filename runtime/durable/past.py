"""What a journal holds of a run, read back: how its steps ended, what was spent, what was still in flight.

Records are JSON lists, the kind first; `keeper` writes them. Reading is one pass, in order. Where a loop left
the state of a turn, the steps of the turns before it are let go: a resumed run begins with that turn.
"""

import json
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

from attrs import define, evolve, field, frozen

from flowc.runtime.collecting import uncollected
from flowc.runtime.errors import Problem
from flowc.runtime.plan import Json

GONE = "~"
"""With this begins the name of a step that a program has not which the run took up later."""


@define
class Outcome:
    """How a step ended: where in the journal, called with which inputs, with a value or a problem.

    Nobody changes one. A run that is gone on with makes as many as it had steps, and one that is frozen takes
    three times as long to make.
    """

    order: int
    step: str
    operation: str
    inputs: str
    value: Json
    problem: Problem | None
    at: float


@frozen
class Intent:
    """A call that was begun. `repeatable` says that it may be made again without harm; `held` is the most
    that it may have cost, in tokens and dollars."""

    order: int
    step: str
    operation: str
    attempt: int
    repeatable: bool
    arguments: Json
    held: tuple[int, float]
    at: float


@frozen
class Spending:
    """What the steps below a path have taken from the budgets around them."""

    calls: int = 0
    tokens: int = 0
    money: float = 0.0

    def __add__(self, other: "Spending") -> "Spending":
        return Spending(self.calls + other.calls, self.tokens + other.tokens, self.money + other.money)


_CALL = Spending(calls=1)

AT_ONCE = 256
"""Records that are parsed together, which takes half the time."""


@frozen
class Turn:
    """The state of a loop before a turn: its number, how many were made, whether it is about to test."""

    turn: int
    turns: int
    testing: bool
    carried: Json


@define(eq=False)
class Past:
    """A run as its journal tells it.

    `fired` has the timers that went off, `until` when they are due, `decided` what races and votes came to,
    `tries` how many attempts of a step have failed, `totals` tokens in and out and dollars of the whole run,
    `told` the steps of which a person has said how they ended, `models` who was asked with which prompt.
    `migrations` are behind the records with which the run took up other programs, the last of which has the
    plan that `head` names; each with the steps that were under way then.
    """

    run: str
    head: dict[str, Any]
    outcomes: dict[str, Outcome] = field(factory=dict)
    intents: dict[str, Intent] = field(factory=dict)
    cancelled: set[str] = field(factory=set)
    tries: dict[str, int] = field(factory=dict)
    fired: dict[str, int] = field(factory=dict)
    until: dict[str, float] = field(factory=dict)
    decided: dict[str, Json] = field(factory=dict)
    turns: dict[str, Turn] = field(factory=dict)
    asked: dict[str, dict[str, Any]] = field(factory=dict)
    spent: dict[str, Spending] = field(factory=dict)
    totals: list[float] = field(factory=lambda: [0, 0, 0.0])
    sessions: list[dict[str, Any]] = field(factory=list)
    told: set[str] = field(factory=set)
    models: dict[str, list[str]] = field(factory=dict)
    migrations: list[tuple[int, set[str]]] = field(factory=list)
    status: str = ""
    ending: dict[str, Any] = field(factory=dict)
    records: int = 0
    last: float = 0.0
    _sorted: list[str] | None = None

    def spent_under(self, path: str) -> Spending:
        """What all steps at and below a path have taken; what was in flight, the most that it may cost."""
        if self._sorted is None:
            self._sorted = sorted(self.spent)
        total = Spending()
        for at in range(bisect_left(self._sorted, path), len(self._sorted)):
            step = self._sorted[at]
            if not step.startswith(path):
                break
            if is_under(step, path):
                total += self.spent[step]
        return total

    def spend(self, step: str, spending: Spending) -> None:
        """Takes in what a step has taken."""
        known = self.spent.get(step)
        if known is None:
            self.spent[step] = spending
            if self._sorted is not None:
                insort(self._sorted, step)
        else:
            self.spent[step] = known + spending

    def move(self, moved: Mapping[str, str]) -> None:
        """Takes the steps, and timers, of a program to where they stand in another one."""
        if not moved:
            return
        outcomes = [evolve(each, step=moved.get(step, step)) for step, each in self.outcomes.items()]
        intents = [evolve(each, step=moved.get(step, step)) for step, each in self.intents.items()]
        self.outcomes = {each.step: each for each in outcomes}
        self.intents = {each.step: each for each in intents}
        for table in (self.tries, self.fired, self.until, self.decided, self.asked, self.models):
            known: dict[str, Any] = table
            entries = [(moved.get(step, step), each) for step, each in known.items()]
            known.clear()
            known.update(entries)
        for names in (self.cancelled, self.told, *(steps for _, steps in self.migrations)):
            before = [*names]
            names.clear()
            names.update(moved.get(step, step) for step in before)
        spent, self.spent, self._sorted = self.spent, {}, None
        for step, spending in spent.items():  # what a step has taken that is gone has still been taken
            place = moved.get(step, step)
            self.spend(place if is_under(place, self.head["flow"]) else step, spending)

    def renewed(self, step: str) -> str:
        """What tells the calls of a step from those that it made for other programs; those that were under
        way go on under the name that they had.
        """
        for order, under_way in reversed(self.migrations):
            if step not in under_way:
                return f"@{order}"
        return ""

    def names(self) -> set[str]:
        """Everything that is kept by the name of a step, or of a timer of it."""
        tables = self.outcomes, self.intents, self.tries, self.fired, self.until, self.decided, self.asked
        return {*self.spent, *self.cancelled, *self.told, *(name for table in tables for name in table)}

    def latest(self) -> float:
        """The latest time that is kept of anything but of what a person has said, which is never virtual."""
        ended = [each.at for each in self.outcomes.values() if each.step not in self.told]
        return max([self.last, *ended], default=0.0)

    def in_doubt(self) -> list[Intent]:
        """Calls that may have happened or not, and must not be made again unasked."""
        return [
            intent
            for step, intent in self.intents.items()
            if not intent.repeatable and step not in self.outcomes and step not in self.cancelled
        ]


def is_under(step: str, path: str) -> bool:
    """Whether a step is the one at `path`, or below it."""
    return step.startswith(path) and (len(step) == len(path) or step[len(path)] in "/[.")


def problem_to_json(problem: Problem) -> Json:
    """A problem as a record has it."""
    return [problem.code, problem.message, problem.why, problem.help, problem.line, problem.column]


def problem_from_json(written: Any) -> Problem:
    """The problem that was written so."""
    return Problem(*written)


def read_past(
    run: str,
    head: dict[str, Any],
    records: Iterable[tuple[int, bytes]],
    *,
    whole: bool = False,
    until: int = 0,
) -> Past:
    """Reads the records of a run, in order. With `whole`, or `until` a record, the turns of loops are kept,
    too.
    """
    past = Past(run, head)
    take, left = _TAKE, iter(records)
    with uncollected():
        while some := list(islice(left, AT_ONCE)):
            read = json.loads(b"[" + b",".join([payload for _, payload in some]) + b"]")
            for (order, _), record in zip(some, read, strict=True):
                if record[0] != "turn" or not (whole or order < until):
                    take[record[0]](past, order, record)
            past.records = some[-1][0] + 1
    return past


def _intent(past: Past, order: int, record: list[Any]) -> None:
    _, at, step, operation, attempt, repeatable, arguments, tokens, money, *_ = record
    earlier = past.intents.get(step)
    if earlier is not None and step not in past.cancelled:
        past.spend(step, Spending(0, *earlier.held))  # it was in flight at a crash: what it cost is not known
    past.intents[step] = Intent(
        order, step, operation, attempt, bool(repeatable), arguments, (tokens, money), at
    )
    past.cancelled.discard(step)
    past.outcomes.pop(step, None)
    past.spend(step, _CALL)
    if len(record) > 9:
        past.models[step] = record[9]


def _done(past: Past, order: int, record: list[Any]) -> None:
    _, at, step, operation, inputs, value, spent = record
    past.outcomes[step] = Outcome(order, step, operation, inputs, value, None, at)
    _settled(past, step, spent)


def _failed(past: Past, order: int, record: list[Any]) -> None:
    _, at, step, operation, inputs, problem, spent = record
    past.outcomes[step] = Outcome(order, step, operation, inputs, None, problem_from_json(problem), at)
    _settled(past, step, spent)


def _settled(past: Past, step: str, spent: list[Any] | None) -> None:
    if past.intents.pop(step, None) is None:
        past.spend(step, _CALL)  # a pure call: it has no intent
    past.cancelled.discard(step)
    if spent is not None:
        _totals(past, step, spent)


def _totals(past: Past, step: str, spent: list[Any]) -> None:
    tokens_in, tokens_out, cost, tokens, money = spent
    past.totals[0] += tokens_in
    past.totals[1] += tokens_out
    past.totals[2] += cost
    past.spend(step, Spending(0, tokens, money))


def _tried(past: Past, order: int, record: list[Any]) -> None:
    _, _, step, attempt, _, spent = record
    past.tries[step] = attempt
    past.intents.pop(step, None)
    if spent is not None:
        _totals(past, step, spent)


def _cancelled(past: Past, order: int, record: list[Any]) -> None:
    _, _, step, spent = record
    past.cancelled.add(step)
    if spent is not None:
        _totals(past, step, spent)


def _doubted(past: Past, order: int, record: list[Any]) -> None:
    past.cancelled.discard(record[1])


def _withdrawn(past: Past, order: int, record: list[Any]) -> None:
    """A call of which the intent was kept was never begun."""
    if past.intents.pop(record[1], None) is not None:
        past.spend(record[1], Spending(calls=-1))


def _decided(past: Past, order: int, record: list[Any]) -> None:
    past.decided[record[1]] = record[2]


def _fired(past: Past, order: int, record: list[Any]) -> None:
    past.fired[record[1]] = order


def _until(past: Past, order: int, record: list[Any]) -> None:
    past.until[record[1]] = record[2]


def _turn(past: Past, order: int, record: list[Any]) -> None:
    _, step, turn, turns, testing, carried = record
    past.turns[step] = Turn(turn, turns, bool(testing), carried)
    let_go(past, step, turn)


def let_go(past: Past, loop: str, turn: int) -> None:
    """The turns of a loop before this one: what they took is kept as one sum, their steps are not. Of later
    ones there may be something, from a process that came further than the present one.
    """
    total = Spending()
    tables: list[dict[str, Any]] = [
        past.outcomes, past.intents, past.tries, past.fired, past.until, past.decided, past.asked, past.turns,
        past.models,
    ]  # fmt: skip
    for table in tables:
        for step in _newest_under(table, loop, turn):
            del table[step]
    for step in _newest_under(past.spent, loop, turn):
        total += past.spent.pop(step)
    past._sorted = None
    past.spent[loop] = past.spent.get(loop, Spending()) + total


def _newest_under(table: dict[str, Any], loop: str, turn: int) -> list[str]:
    """The entries of `loop` before a turn. Its turns come one after the other and every one is let go in
    time, so they are found at the end of the table, with others between them only where something runs beside
    it.
    """
    found: list[str] = []
    others, inside = 0, f"{loop}["
    for step in reversed(table):
        if step.startswith(inside) and int(step[len(inside) : step.index("]", len(inside))]) < turn:
            found.append(step)
        elif (others := others + 1) > len(found) + FAR:
            break
    return found


FAR = 4096
"""How many entries of others are passed over in a search for those of a loop. What is missed only takes room.
"""


def _asked(past: Past, order: int, record: list[Any]) -> None:
    past.asked[record[2]] = {"at": record[1], **record[3]}


def _told(past: Past, order: int, record: list[Any]) -> None:
    """A person has said how a step ended: with a value, with a failure, or that it is to be made again."""
    _, at, step, how, given, *called = record
    intent = past.intents.get(step)
    operation = intent.operation if intent is not None else past.asked.get(step, {}).get("operation", "")
    known = past.outcomes.get(step)
    if how == "retry":
        past.outcomes.pop(step, None)
        if intent is not None:
            past.spend(step, Spending(0, *intent.held))
        past.intents.pop(step, None)
        past.tries.pop(step, None)
        past.status, past.ending = "", {}
        return
    problem = problem_from_json(given) if how == "fail" else None
    value = None if how == "fail" else given
    inputs = called[0] if called else known.inputs if known is not None else ""
    past.outcomes[step] = Outcome(order, step, operation or step, inputs, value, problem, at)
    past.told.add(step)
    past.intents.pop(step, None)
    past.asked.pop(step, None)
    past.status, past.ending = "", {}


def _session(past: Past, order: int, record: list[Any]) -> None:
    past.sessions.append(record[1])
    past.status, past.ending = "", {}


def _migrated(past: Past, order: int, record: list[Any]) -> None:
    """From here on the run goes on with another program; what was dropped is not there for it."""
    _, _, pinned = record
    past.head = {**past.head, **{name: pinned[name] for name in ("plan", "program", "parts")}}
    past.head["settings"] = {**past.head["settings"], **pinned["settings"]}
    past.move(pinned["moved"])
    for step in pinned["dropped"]:
        for table in (past.outcomes, past.intents, past.tries):
            table.pop(step, None)
    past.turns.clear()
    past.asked.clear()  # who waits is asked anew, by the new program
    past.migrations.append((order + 1, {*past.intents}))
    past.status, past.ending = "", {}


def _status(past: Past, order: int, record: list[Any]) -> None:
    _, at, past.status, past.ending = record
    past.last = at


_TAKE: dict[str, Callable[[Past, int, list[Any]], None]] = {
    "intent": _intent,
    "done": _done,
    "failed": _failed,
    "tried": _tried,
    "cancelled": _cancelled,
    "doubted": _doubted,
    "withdrawn": _withdrawn,
    "decided": _decided,
    "fired": _fired,
    "until": _until,
    "turn": _turn,
    "asked": _asked,
    "told": _told,
    "session": _session,
    "status": _status,
    "migrated": _migrated,
}
