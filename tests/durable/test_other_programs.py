"""Forks and other programs at the edges: what has no operation, what is no step, what is limited or gone."""

from typing import Any

import pytest

from flowc.runtime.durable import calling, runs
from flowc.runtime.durable.compatible import (
    _may_be_given_up,
    adopt,
    dropped_by,
    explain_change,
    follow,
    moves,
)
from flowc.runtime.durable.past import read_past
from flowc.runtime.durable.places import outline
from flowc.runtime.durable.provenance import provenance
from flowc.runtime.errors import FlowError
from tests.durable.broken_off import journal_of, surroundings, taken_up, whole
from tests.durable.crashing import RUN, Fuse, Machine
from tests.durable.programs import PROGRAMS, Program
from tests.durable.test_fork import forked, steps_of, value_of
from tests.durable.test_keeping import kept, program
from tests.durable.test_migrate import TEXT, plan_of, stopped
from tests.durable.world import World


def named(name: str) -> Program:
    return next(each for each in PROGRAMS if each.name == name)


# ---- forks


def test_a_step_of_flowc_itself_takes_nothing_in_its_place() -> None:
    origin = whole(named("embeddings"))
    step = next(each for each in steps_of(origin) if each.endswith(":embed"))
    with pytest.raises(FlowError) as raised:
        forked(origin, step, texts=["a"])
    problem = raised.value.problem
    assert (problem.code, problem.why) == ("E0932", "nothing can be set there")


def test_a_choice_takes_no_value() -> None:
    origin = whole(named("race"))
    step = next(each for each in steps_of(origin) if each.endswith(":race"))
    with pytest.raises(FlowError, match="E0932"):
        forked(origin, step, arm=1)


def test_who_is_asked_is_asked_for_what_is_set() -> None:
    origin = whole(named("people"))
    step = next(each for each in steps_of(origin) if each.endswith(":approve"))
    name = forked(origin, step, i=9)
    head: Any = journal_of(origin).store.row(name)
    assert b'"set":{"' + step.encode() + b'":{"i":9}}' in head.head
    with pytest.raises(FlowError, match="E0933"):
        forked(origin, step, result="perhaps")


# ---- other programs


def test_all_that_is_kept_is_made_again_where_the_flow_is_another_one() -> None:
    machine = stopped(at=5)
    past = machine.past()
    gone = plan_of(TEXT.replace("flow main", "flow other"))
    wider = plan_of(TEXT.replace("main(n: int)", "main(n: int, m: int = 1)"))
    for plan in (gone, wider):
        found = explain_change(machine.store, past, plan, surroundings(machine))
        assert dropped_by(found) == {"main"}
        again = follow(machine.store, past, plan, surroundings(machine), found)
        assert set(again) == set(past.outcomes)
    assert moves(past, machine.plan, gone) == {}


LIMITED = """
@budget(calls=3)
flow inner(n: int) -> int:
    return put(put(put(n)))

flow main(n: int) -> int:
    return inner(n) + look(n)
"""


@pytest.mark.parametrize("level", [0, 2])
def test_ends_that_are_kept_count_though_a_limit_is_lower_now(level: int) -> None:
    machine = Machine(program(LIMITED, level), {"n": 3}, {})
    assert machine.last().status == "ok"
    for text in (LIMITED, LIMITED.replace("calls=3", "calls=1")):
        plan = program(text, level).plan
        assert explain_change(machine.store, machine.past(), plan, surroundings(machine)) == (), text


def test_what_a_limit_may_cut_off_need_not_be_asked_for() -> None:
    machine = Machine(program(LIMITED, 0), {"n": 3}, {})
    machine.last()
    step = next(step for step in machine.past().outcomes if "/" in step.removeprefix("main/"))
    free = program(LIMITED.replace("@budget(calls=3)\n", ""), 0).plan
    for plan, may in ((machine.plan, True), (free, False)):
        assert _may_be_given_up(outline(plan), "main", step, "put") == may
        assert not _may_be_given_up(outline(plan), "main", step, "look")
        assert not _may_be_given_up(outline(plan), "main", "main/99:put", "put")


def test_the_time_of_a_flow_goes_on_under_another_program() -> None:
    text = "@timeout(1h)\nflow main(n: int) -> int:\n    a = put(n)\n    return a + arrived(a)\n"
    machine = Machine(program(text), {"n": 3}, {})
    machine.process()
    before = machine.past().until
    assert [*before] == ["main!deadline"]
    plan = program(text.replace("a + arrived", "look(a) + arrived")).plan
    found = explain_change(machine.store, machine.past(), plan, surroundings(machine))
    journal = journal_of(machine)
    adopt(journal, RUN, plan, found, parts={}, settings={})
    journal.writer.close()
    assert machine.past().until == before


# ---- where values come from


def document(machine: Machine, run: str = RUN) -> dict[str, Any]:
    return provenance(machine.store, run, surroundings(machine, World()))


def test_a_run_without_steps_comes_from_its_arguments() -> None:
    machine = whole(Program("plain", "flow main(n: int) -> int:\n    return n\n"))
    (derived,) = document(machine)["wasDerivedFrom"].values()
    assert derived["prov:generatedEntity"] == "run:result"
    assert derived["prov:usedEntity"] == "run:argument/n"


def test_a_loop_that_makes_no_turn_hands_on_what_it_began_with() -> None:
    text = """
flow main(n: int, times: int) -> int:
    t = look(n)
    for i in range(times):
        t = put(t)
    return t
"""
    machine = whole(Program("none", text, {"n": 4, "times": 0}))
    derived = document(machine)["wasDerivedFrom"].values()
    used = {each["prov:usedEntity"] for each in derived if each["prov:generatedEntity"] == "run:result"}
    assert "run:value/main/0%3Alook" in used


def test_a_fork_names_the_run_that_it_was_forked_from() -> None:
    origin = whole(PROGRAMS[0])
    name = forked(origin, "main/2:put", i=1)
    found = document(origin, name)
    assert f"flowc:run/{RUN}" in found["entity"]
    assert {"prov:activity": "run:run", "prov:entity": f"flowc:run/{RUN}"} in found["used"].values()


def test_steps_have_the_program_and_the_version_of_the_tools_of_their_time() -> None:
    machine = Machine(program(TEXT), {"n": 4}, {}, fuses=[Fuse(5, True)])
    machine.process()
    machine.store = machine.store.crashed()
    machine.world.dead = False
    before = machine.past().head["program"]
    plan = plan_of(TEXT.replace("a + work(y)", "work(a)"))
    journal = journal_of(machine)
    adopt(journal, RUN, plan, (), parts={}, settings={"tools": {"": "0" * 20}})
    journal.writer.close()
    machine.compiled = program(TEXT.replace("a + work(y)", "work(a)"))
    assert machine.last().status == "ok"
    found = document(machine)
    plans = {each["prov:activity"]: each["prov:plan"] for each in found["wasAssociatedWith"].values()}
    after = machine.past().head["program"]
    assert before != after
    assert plans["run:step/main/0%3Awork"] == f"flowc:program/{before}"
    assert plans["run:step/main/3%3Alook"] == f"flowc:program/{after}"
    assert plans["run:run"] == f"flowc:program/{after}"


def test_a_session_says_which_versions_count_from_there_on() -> None:
    done = ["done", 0.0, "main/0:put", "put", "", 31, None]
    machine = kept(
        "flow main(n: int) -> int:\n    return put(put(n))\n",
        done,
        ["session", {"at": 1.0, "tools": {"": "f" * 32}}],
        ["done", 2.0, "main/1:put", "put", "", 311, None],
    )
    agents = document(machine)["agent"]
    assert {name for name in agents if "tool" in name} == {"flowc:tool/put", "flowc:tool/put/" + "f" * 16}


def test_nothing_is_known_of_a_run_without_records() -> None:
    past = read_past(RUN, {"flow": "main"}, [])
    assert (past.records, past.names(), past.latest(), past.in_doubt()) == (0, set(), 0.0, [])


def test_a_fork_with_a_result_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    origin = whole(PROGRAMS[0])
    name = forked(origin, "main/3:look", result=5)
    other = taken_up(origin, name, monkeypatch)
    other.last()
    assert value_of(other, name) == 5 + (311 * 7 + 3) % 101


# ---- what was taken back, and what never began


def test_a_fork_shares_no_write_that_was_taken_back() -> None:
    origin = whole(named("transaction"))
    steps = [step for step in steps_of(origin) if step.endswith(":send")]
    with pytest.raises(FlowError) as raised:
        forked(origin, steps[1])
    problem = raised.value.problem
    assert problem.code == "E0935"
    assert steps[0] in problem.help
    assert forked(origin, steps[0])  # before all of them nothing is shared


def test_a_call_that_never_began_is_withdrawn_and_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(program("flow main(n: int) -> int:\n    return put(n)\n"), {"n": 3}, {})
    journal = journal_of(machine)
    keeping = runs.begin(journal, machine.plan, "main", [3], {}, run=RUN)
    keeping.root = "main"
    monkeypatch.setattr(calling, "step_of", lambda *_: "main/0:put")
    nowhere: Any = None
    for _ in range(2):
        keeping._intend("main/0:put", "put", machine.plan.operations["put"], [3], 1, (0, 0.0))
        keeping.cut(nowhere, nowhere, began=False)
        keeping.cut(nowhere, nowhere, began=False)  # there is nothing left to withdraw
    keeping._append(["withdrawn", "main/0:put"])
    journal.writer.close()
    past = machine.past()
    assert (past.intents, past.in_doubt(), past.spent_under("main").calls) == ({}, [], 0)
    assert past.records == 5
