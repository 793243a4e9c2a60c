"""Another program for a run that has begun: proven to fit by a replay, or taken up without what does not."""

from collections.abc import Callable

import pytest
from attrs import evolve

from flowc.compiler.driver import compile_text
from flowc.runtime.durable.compatible import adopt, explain_change, follow
from flowc.runtime.durable.replay import replay
from flowc.runtime.durable.replaying import Difference
from flowc.runtime.plan import Plan
from tests.durable.broken_off import broken_off, journal_of, surroundings
from tests.durable.crashing import RUN, Machine, ending_of
from tests.durable.programs import PROGRAMS, Program
from tests.durable.test_crashes import LONG
from tests.durable.world import HEADER, World

PLACES = range(2, 200, 1) if LONG else range(3, 30, 9)

TEXT = """
flow main(n: int) -> int:
    x = work(n)
    y = put(x)
    z = put(y)
    a = look(z)
    return a + work(y)
"""
CHAIN = Program("chain", TEXT)


def plan_of(text: str, header: str = HEADER) -> Plan:
    return compile_text(header + text, "program.flow").plan


def stopped(text: str = TEXT, at: int = 6) -> Machine:
    """A run of the program that has died with its last record but the status, or with another one."""
    (machine,) = broken_off(Program("stopped", text), range(at, at + 1))
    return machine


def differences(machine: Machine, plan: Plan) -> tuple[Difference, ...]:
    world = World()
    found = explain_change(machine.store, machine.past(), plan, surroundings(machine, world))
    assert not world.calls
    return found


def gone_on(machine: Machine, plan: Plan) -> Machine:
    """The run under another program, in the same world."""
    found = differences(machine, plan)
    journal = journal_of(machine)
    adopt(journal, RUN, plan, found, parts={}, settings={"path": "other.flow"})
    journal.writer.close()
    machine.compiled = evolve(machine.compiled, plan=plan)
    machine.fuses = []
    machine.world.dead = False
    ending_of(machine)
    return machine


@pytest.mark.alike(5)
@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_the_program_itself_fits_a_run_that_is_broken_off_anywhere(program: Program) -> None:
    for machine in broken_off(program, PLACES):
        assert differences(machine, machine.plan) == ()


def changed(*changes: tuple[str, str]) -> str:
    text = TEXT
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return text


@pytest.mark.parametrize(
    "text",
    [
        changed(("    return a +", "    b = look(a)\n    return b +")),
        changed(("    x = work(n)\n", "    w = look(n)\n    x = work(n)\n")),
        changed(("    z = put(y)\n", "    v = shelve(7)\n    z = put(y)\n")),
        changed(("x = work(n)", "first = work(n)"), ("put(x)", "put(first)")),
        changed(("    a = look(z)\n", "    a = look(z) if z > 0 else look(z)\n")),
    ],
    ids=["at the end", "before all", "in between", "other names", "around a step"],
)
def test_what_is_added_or_renamed_is_made_and_nothing_twice(text: str) -> None:
    machine = stopped(at=5)
    assert len(machine.past().outcomes) >= 2
    plan = plan_of(text)
    found = differences(machine, plan)
    assert not [each for each in found if each.wrote]
    gone_on(machine, plan)
    assert [each.arguments for each in machine.world.effects if each.tool == "put"] == [31, 311]
    assert replay(machine.store, RUN, surroundings(machine)).differences == ()


OTHER: tuple[tuple[str, Callable[[str], str], set[tuple[str, str, bool]]], ...] = (
    ("inputs", lambda text: text.replace("z = put(y)", "z = put(y + 1)"), {("main/2:put", "inputs", True)}),
    ("gone", lambda text: text.replace("z = put(y)", "z = y"), {("~main/2:put", "gone", True)}),
    ("operation", lambda text: text.replace("z = put(y)", "z = shelve(y)"), {("~main/2:put", "gone", True)}),
    (
        "flow",
        lambda text: text.replace("main(n: int)", "main(n: int, m: int = 1)"),
        {("main", "inputs", False)},
    ),
    ("no flow", lambda text: text.replace("flow main", "flow other"), {("main", "gone", False)}),
)


@pytest.mark.parametrize(("change", "wanted"), [case[1:] for case in OTHER], ids=[case[0] for case in OTHER])
def test_what_does_not_fit_is_told(change: Callable[[str], str], wanted: set[tuple[str, str, bool]]) -> None:
    machine = stopped(at=5)
    found = differences(machine, plan_of(change(TEXT)))
    assert wanted <= {(each.step, each.what, each.wrote) for each in found}


def test_a_call_that_is_gone_is_not_taken_for_its_neighbour() -> None:
    machine = stopped(at=5)
    plan = plan_of(TEXT.replace("z = put(y)", "z = y"))
    gone_on(machine, plan)
    assert [each.arguments for each in machine.world.effects] == [31, 311]


def test_what_differs_is_made_again_and_what_comes_after_it_is_told() -> None:
    (machine,) = broken_off(CHAIN, range(7, 8))
    plan = plan_of(TEXT.replace("z = put(y)", "z = put(y + 1)"))
    found = differences(machine, plan)
    again = follow(machine.store, machine.past(), plan, surroundings(machine), found)
    assert again == ("main/3:look",)
    gone_on(machine, plan)
    assert [each.arguments for each in machine.world.effects] == [31, 311, 312]
    past = machine.past()
    assert (past.status, past.head["settings"]["path"]) == ("ok", "other.flow")
    assert replay(machine.store, RUN, surroundings(machine)).differences == ()


MODEL = "flow main(n: int) -> str:\n    a = say(n)\n    put(len(a))\n    return say(n + 1)\n"


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ('"""Say {i}."""', '"""Please say {i}."""', "prompt"),
        ("llm say", '@model("other")\nllm say', "model"),
    ],
)
def test_a_model_that_is_asked_otherwise_does_not_fit(before: str, after: str, what: str) -> None:
    machine = stopped(MODEL, at=4)
    assert before in HEADER
    found = differences(machine, plan_of(MODEL, HEADER.replace(before, after)))
    assert ("main/0:say", what) in {(each.step, each.what) for each in found}


def test_a_record_with_another_field_does_not_fit_what_is_kept() -> None:
    text = "flow main(n: int) -> int:\n    a = item(n)\n    return put(a.size)\n"
    machine = stopped(text, at=3)
    header = HEADER.replace("    name: str\n", "    name: str\n    more: str\n")
    assert {each.what for each in differences(machine, plan_of(text, header))} == {"type"}


LOOP = """
flow main(n: int) -> int:
    t = 0
    for i in range(40):
        t = t + put(t % 50 + i) + len(data(60)) * 0
    return t
"""


def test_a_loop_that_has_kept_its_state_begins_anew_with_the_ends_of_its_turns() -> None:
    (machine,) = broken_off(Program("loop", LOOP), range(120, 121))
    assert machine.past().turns
    before = len([each for each in machine.world.effects if each.tool == "put"])
    plan = plan_of(LOOP.replace("    return t", "    mark(t)\n    return t"))
    assert differences(machine, plan) == ()
    gone_on(machine, plan)
    assert before > 10
    assert len([each for each in machine.world.effects if each.tool == "put"]) == 40
    assert replay(machine.store, RUN, surroundings(machine)).differences == ()
