"""What is told of runs: in lists, step by step, and where what a person says does not fit."""

from typing import Any

import pytest
from attrs import evolve

from flowc.runtime.durable import runs, telling
from flowc.runtime.durable.listing import INTERRUPTED, listed
from flowc.runtime.durable.looking import left, look, look_json
from flowc.runtime.durable.past import GONE
from flowc.runtime.durable.records import Record, placed
from flowc.runtime.errors import FlowError
from flowc.runtime.journal.memory import MemoryStore
from flowc.runtime.journal.store import DAMAGED
from flowc.runtime.journal.writer import Writer
from tests.durable.crashing import RUN
from tests.durable.test_keeping import kept

PUT = "flow main(n: int) -> int:\n    return put(n)\n"
BEGUN = ["intent", 1.0, "main/0:put", "put", 1, False, {"i": 3}, 0, 0.0]


# ---- in lists


def test_a_list_names_what_is_damaged_and_goes_on() -> None:
    machine = kept(PUT, ["session", {"at": 0.0}])
    assert [each.status for each in listed(machine.store)] == [INTERRUPTED]
    segments = machine.store._runs[RUN].segments
    segments[0] = evolve(segments[0], body=segments[0].body[:-1] + b"?")
    machine.store.begin("bad", b"\xff{")
    assert [(each.run, each.status, each.flow) for each in listed(machine.store)] == [
        ("bad", DAMAGED, ""),
        (RUN, DAMAGED, "main"),
    ]


def test_a_status_that_the_list_has_lost_is_read_from_the_records() -> None:
    machine = kept(PUT, ["status", 1.0, "waiting", {"spent": [0, 0, 0.0]}])
    assert [each.status for each in listed(machine.store)] == ["waiting"]
    machine = kept(PUT, BEGUN)
    assert [each.status for each in listed(machine.store, status="in-doubt")] == ["in-doubt"]
    assert not [*listed(machine.store, status="ok")]


# ---- step by step


def steps(*records: list[Any]) -> list[dict[str, Any]]:
    machine = kept(PUT, *records)
    found: Any = look_json(look(machine.store, RUN))["steps"]
    return list(found)


def test_attempts_and_what_they_cost_are_added_up() -> None:
    tried = ["tried", 2.0, "main/0:put", 1, "E0801", [10, 5, 0.25, 0, 0.0]]
    (step,) = steps(BEGUN, tried)
    assert (step["status"], step["attempts"]) == ("to be tried again", 1)
    assert (step["tokens"], step["cost_usd"]) == (15, 0.25)
    done = ["done", 4.0, "main/0:put", "put", "", 7, [1, 1, 0.5, 0, 0.0]]
    (step,) = steps(BEGUN, tried, ["intent", 3.0, *BEGUN[2:4], 2, *BEGUN[5:]], done)
    assert (step["status"], step["attempts"], step["result"]) == ("done", 2, 7)
    assert (step["began"], step["ended"], step["tokens"], step["cost_usd"]) == (1.0, 4.0, 17, 0.75)


@pytest.mark.parametrize(
    ("how", "given", "status", "code"),
    [
        ("retry", None, "to be made again", None),
        ("fail", ["E0736", "no", "", "", 0, 0], "failed", "E0736"),
        ("done", 7, "done", None),
    ],
)
def test_what_a_person_said_is_how_a_step_ended(how: str, given: Any, status: str, code: str | None) -> None:
    (step,) = steps(BEGUN, ["told", 2.0, "main/0:put", how, given, ""])
    ended = None if how == "retry" else 2.0
    assert (step["status"], step.get("code"), step["ended"]) == (status, code, ended)


def test_a_step_that_was_given_up_has_ended_then() -> None:
    (step,) = steps(BEGUN, ["cancelled", 2.0, "main/0:put", None])
    assert (step["status"], step["ended"]) == ("cancelled", 2.0)


def test_a_run_tells_what_its_budgets_leave() -> None:
    text = "@budget($2, tokens=100, calls=5)\n" + PUT
    done = ["done", 4.0, "main/0:put", "put", "", 7, [30, 10, 0.5, 40, 0.5]]
    found = look(kept(text, BEGUN, done).store, RUN)
    assert left(found) == {"calls": 4, "tokens": 60, "cost_usd": 1.5}
    dear = ["done", 4.0, "main/0:put", "put", "", 7, [90, 90, 5.0, 180, 5.0]]
    assert left(look(kept(text, BEGUN, dear).store, RUN)) == {"calls": 4, "tokens": 0, "cost_usd": 0.0}


# ---- in the words of a later program


def test_records_stand_where_the_last_of_several_programs_has_their_steps() -> None:
    def migrated(number: int, **moved: str) -> Record:
        return Record(number, "migrated", "", ["migrated", 0.0, {"moved": moved}])

    def done(number: int, step: str) -> Record:
        return Record(number, "done", step, ["done", 0.0, step, "f", "", number, None])

    records = [
        done(0, "a"), done(1, "x"), done(2, "gone"), migrated(3, a="b", gone=f"{GONE}gone"),
        done(4, "b"), done(5, "p"), migrated(6, b="c", p="q"), done(7, "c"),
    ]  # fmt: skip
    found = placed(records)
    steps = [(each.number, each.step) for each in found if each.kind == "done"]
    assert steps == [(0, "c"), (1, "x"), (4, "c"), (5, "q"), (7, "c")]
    assert all(each.written[2] == each.step for each in found if each.kind == "done")
    assert records[0].written[2] == "a"  # what was read stays as it was


# ---- what does not fit


def test_an_answer_to_several_steps_must_name_one() -> None:
    text = "flow main(n: int) -> int:\n    return sum([arrived(i) for i in range(n)])\n"
    asked = {"operation": "arrived", "prompt": "?", "type": "int", "choices": [], "inputs": ""}
    machine = kept(text, *(["asked", 1.0, f"main/0:map[{i}]/0:arrived", asked] for i in range(7)))
    assert len(telling.waiting_steps(machine.past())) == 7
    journal = runs.Journal(machine.store, Writer(machine.store))
    with pytest.raises(FlowError) as raised:
        telling.answer(journal, RUN, "arrived", 1)
    problem = raised.value.problem
    assert (problem.code, problem.message) == ("E0924", "7 steps wait for `arrived`")
    assert problem.why.endswith(", ...")
    step = telling.answer(journal, RUN, "main/0:map[3]/0:arrived", 1)
    assert step not in telling.waiting_steps(machine.past())
    journal.writer.close()


def test_a_journal_without_runs_lists_none() -> None:
    assert not [*listed(MemoryStore(), limit=3)]
