"""Where values come from: every one can be followed to its operation, prompt, model, tool and program."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from prov.model import (
    ProvAgent,
    ProvAssociation,
    ProvDerivation,
    ProvDocument,
    ProvEntity,
    ProvGeneration,
    ProvUsage,
)

from flowc.runtime.durable.provenance import provenance, value_of
from flowc.runtime.durable.runs import past_of
from tests.durable.broken_off import broken_off, surroundings, whole
from tests.durable.crashing import RUN, Machine
from tests.durable.programs import PROGRAMS, Program
from tests.durable.world import World


def document(machine: Machine) -> tuple[ProvDocument, str]:
    world = World()
    written = json.dumps(provenance(machine.store, RUN, surroundings(machine, world)))
    assert not world.calls
    return ProvDocument.deserialize(content=written, format="json"), written


def pairs(found: ProvDocument, kind: type[Any], *places: int) -> Iterator[tuple[str, ...]]:
    for record in found.get_records(kind):
        values = [str(value) for _, value in record.formal_attributes]
        yield tuple(values[place] for place in places)


def sources(found: ProvDocument, entity: str) -> set[str]:
    """All that an entity was derived from, directly or not."""
    edges: dict[str, set[str]] = {}
    for made, used in pairs(found, ProvDerivation, 0, 1):
        edges.setdefault(made, set()).add(used)
    known: set[str] = set()
    left = [entity]
    while left:
        for each in edges.get(left.pop(), set()) - known:
            known.add(each)
            left.append(each)
    return known


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_every_step_has_its_program_and_everything_that_is_named_is_there(program: Program) -> None:
    machine = whole(program)
    found, _ = document(machine)
    there = {str(record.identifier) for record in found.get_records() if record.identifier is not None}
    named = {name for made, used in pairs(found, ProvDerivation, 0, 1) for name in (made, used)}
    assert named <= there
    assert {entity for _, entity in pairs(found, ProvUsage, 0, 1)} <= there
    head = past_of(machine.store, RUN).head
    for activity, agent, plan in pairs(found, ProvAssociation, 0, 1, 2):
        assert {activity, agent} <= there
        assert plan == f"flowc:program/{head['program']}"
    made = {each[0]: each[1] for each in pairs(found, ProvGeneration, 0, 1)}
    values = {str(each.identifier) for each in found.get_records(ProvEntity)}
    assert {each for each in values if each.startswith("run:value/")} <= made.keys()


NOTES = """
flow main(n: int) -> str:
    x = put(work(n))
    notes = [say(i) + "!" for i in range(x % 3 + 2)]
    best = notes[0] if look(n) > 1 else "none"
    return say(len(best))
"""


def test_the_result_leads_back_through_prompts_and_pure_nodes_to_the_argument_and_the_program() -> None:
    machine = whole(Program("notes", NOTES))
    found, _ = document(machine)
    known = sources(found, "run:result")
    steps = ["main/0:work", "main/1:put", "main/2:map[0]/0:say", "main/3:look", "main/4:say"]
    past = past_of(machine.store, RUN, whole=True)
    assert set(steps) <= past.outcomes.keys()
    assert {value_of(step) for step in steps} <= known
    assert value_of("argument n") in known
    assert "run:prompt/main/4%3Asay" in known
    assert f"flowc:program/{past.head['program']}" in known
    agents = {each[0]: each[1] for each in pairs(found, ProvAssociation, 0, 1)}
    assert agents["run:step/main/4%3Asay"] == "flowc:model/counting/default"
    assert agents["run:step/main/1%3Aput"] == "flowc:tool/put"
    assert len([*found.get_records(ProvAgent)]) == 5


def test_what_came_from_many_values_goes_by_one_name() -> None:
    lines = "    xs = [look(i) for i in range(50)]", "    return put(sum(xs)) + put(len(xs))"
    text = "\n".join(("flow main(n: int) -> int:", *lines))
    found, _ = document(whole(Program("many", text + "\n")))
    used = [entity for activity, entity in pairs(found, ProvUsage, 0, 1) if "put" in activity]
    assert used == ["run:gathered/0"] * len(used)
    assert value_of("main/0:map[49]/0:look") in sources(found, "run:result")


@pytest.mark.parametrize("program", [PROGRAMS[4], PROGRAMS[20], PROGRAMS[9]], ids=str)
def test_no_value_is_in_it(program: Program) -> None:
    machine = whole(program)
    _, written = document(machine)
    for outcome in past_of(machine.store, RUN, whole=True).outcomes.values():
        if isinstance(outcome.value, str):
            assert outcome.value not in written
        if outcome.problem is not None and outcome.problem.why:
            assert outcome.problem.why not in written
    assert "Say 1" not in written


def test_a_run_that_is_broken_off_is_told_as_far_as_it_went() -> None:
    (machine,) = broken_off(PROGRAMS[0], range(5, 6))
    found, _ = document(machine)
    made = {entity for entity, _ in pairs(found, ProvGeneration, 0, 1)}
    assert value_of("main/0:work") in made
    assert "run:result" not in made
