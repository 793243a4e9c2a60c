"""A replay of a run is the run again: nothing outside is touched, every hash comes out as it was."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.compiler.driver import compile_text
from flowc.runtime.durable.replay import Replayed, replay
from flowc.runtime.journal.memory import MemoryStore
from tests.durable.broken_off import broken_off, records_of, surroundings, whole
from tests.durable.crashing import RUN, Machine, ending_of
from tests.durable.programs import PROGRAMS, Program
from tests.durable.test_crashes import LONG, drawn
from tests.durable.world import World
from tests.passes.flow_text import programs

PLACES = range(2, 200, 1) if LONG else range(3, 30, 9)


def replayed(machine: Machine, world: World | None = None, run: str = RUN) -> Replayed:
    before = records_of(machine, run)
    found = replay(machine.store, run, surroundings(machine, world))
    assert records_of(machine, run) == before
    return found


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_a_run_that_has_ended_is_reproduced(program: Program) -> None:
    machine, world = whole(program), World()
    found = replayed(machine, world)
    assert (found.whole, found.differences) == (True, ())
    assert {tool for tool, _ in world.calls} <= {"work", "ponder"}
    assert found.made == sum(world.calls.values())
    assert not world.effects
    assert not world.asked


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_a_run_that_is_broken_off_is_reproduced_as_far_as_it_goes(program: Program) -> None:
    for machine in broken_off(program, PLACES):
        world = World()
        found = replayed(machine, world)
        assert found.differences == ()
        assert {tool for tool, _ in world.calls} <= {"work", "ponder"}


@settings(max_examples=200 if LONG else 5, deadline=None)
@given(programs(), st.integers(0, 3))
def test_programs_that_nobody_wrote_are_reproduced(text: str, n: int) -> None:
    machine = drawn(compile_text(text, "generated.flow"), {"n": n})
    ending_of(machine)
    found = replay(machine.store, RUN, drawn(machine.compiled, {"n": n}).world.environment(4))
    assert (found.whole, found.differences) == (True, ())


class Otherwise(World):
    """A world in which what is declared pure is not."""

    def work(self, i: int) -> int:
        if i == 2:
            raise ValueError("not today")
        return i


def test_a_pure_tool_that_gives_something_else_is_told_where_it_does() -> None:
    machine = whole(PROGRAMS[1])
    found = replayed(machine, Otherwise())
    told = [(each.step, each.what, each.told) for each in found.differences]
    assert [step for step, _, _ in told] == [f"main/0:map[{i}]/0:work" for i in range(4)]
    assert {what for _, what, _ in told} == {"result"}
    assert told[2][2].startswith("is pure and succeeded; now it fails")
    assert found.steps == replayed(machine).steps


def records(machine: Machine) -> list[list[Any]]:
    import json

    from flowc.runtime.durable.runs import records_of

    return [json.loads(payload) for _, payload in records_of(machine.store, RUN)]


def forged(machine: Machine, changed: list[list[Any]]) -> Machine:
    """The same run with other records, in a journal that is sound."""
    from flowc.runtime.durable import runs
    from flowc.runtime.durable.codec import encode_json
    from tests.durable.broken_off import journal_of

    old, machine.store = machine.store, MemoryStore()
    plan = machine.compiled.plan
    values = runs.arguments_of(old, runs.head_of(old, RUN))
    journal = journal_of(machine)
    runs.begin(journal, plan, "main", values, {}, run=RUN)
    for record in changed:
        status = record[2] if record[0] == "status" else ""
        journal.writer.append(RUN, encode_json(record).encode("ascii"), status=status)
    journal.writer.close()
    return machine


@pytest.mark.parametrize(
    ("kind", "at", "value", "what"),
    [
        ("done", 4, "0123456789abcdef", "inputs"),
        ("done", 3, "shelve", "operation"),
        ("done", 5, 12345, "inputs"),
        ("status", 3, {"spent": [0, 0, 0.0], "result": 1}, "end"),
    ],
)
def test_a_record_that_was_forged_is_found(kind: str, at: int, value: object, what: str) -> None:
    machine = whole(PROGRAMS[0])
    changed = records(machine)
    record = next(each for each in changed if each[0] == kind and (kind == "status" or each[3] == "put"))
    record[at] = value
    found = replayed(forged(machine, changed))
    assert what in {each.what for each in found.differences}


def test_a_run_whose_end_was_cut_off_although_it_is_said_to_have_ended_is_found() -> None:
    machine = whole(PROGRAMS[0])
    changed = [each for each in records(machine) if not (each[0] == "done" and each[3] == "look")]
    found = replayed(forged(machine, changed))
    assert [each.what for each in found.differences] == ["end"]
    assert not found.whole
