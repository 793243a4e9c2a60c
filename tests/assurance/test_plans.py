"""Plans are drawn over all kinds of nodes, hold, and what is wrong with reading one is found."""

import json
from random import Random

import pytest
from attrs import evolve

from flowc.runtime import plan_check, plan_json
from flowc.runtime.errors import FlowError
from flowc.runtime.plan import Plan, Region
from flowc.runtime.plan_json import from_json, loads
from flowc.testing.strategies.choices import from_random
from flowc.testing.strategies.plans import drawn_plan
from tests.assurance.campaign import Tally, Wrong
from tests.assurance.campaigns import plans


def nodes(region: Region) -> list[str]:
    """The kinds of all nodes in a region."""
    inner = [kind for node in region.nodes for each in node.regions for kind in nodes(each)]
    return [*inner, *(node.op for node in region.nodes)]


def drawn(seed: int, holding: str | None = None) -> Plan:
    """A plan out of a seed."""
    return drawn_plan(from_random(Random(seed)), holding)


def test_every_kind_of_node_is_drawn_in_plans_that_are_valid() -> None:
    seen: set[str] = set()
    for number, kind in enumerate(plan_check.REGIONS):
        for seed in range(4):
            plan = drawn(100 * number + seed, kind)
            plan_check.check_plan(plan)
            seen |= {each for function in plan.functions.values() for each in nodes(function.body)}
    assert seen == set(plan_check.REGIONS)


def test_plans_hold_and_changed_ones_are_refused_or_hold() -> None:
    tally = Tally()
    plans.case(Random(1), tally, 8, 10)
    assert tally.tried["plans"] == 8
    assert tally.tried["inputs"] == 8 * 21


def test_changes_of_a_plan_are_refused_most_times_and_not_always() -> None:
    choices, text = from_random(Random(3)), plans.holds(drawn(3))
    codes = {plans.changed(text, choices) for _ in range(100)}
    assert {None, "E0644"} <= codes


def test_a_writer_that_loses_something_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = drawn(1)
    monkeypatch.setattr(plan_json, "_LIMITS", tuple(name for name in plan_json._LIMITS if name != "retries"))
    name, function = next(iter(plan.functions.items()))
    limited = evolve(function, limits=evolve(function.limits, retries=3))
    with pytest.raises(Wrong, match="another plan"):
        plans.holds(evolve(plan, functions={**plan.functions, name: limited}))


def test_a_reader_that_breaks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    text = plans.holds(drawn(2))
    monkeypatch.setattr(plan_json, "check_plan", lambda plan: {}["nothing"][0])
    monkeypatch.setattr(plan_json, "fail", lambda *_, **__: RuntimeError("no code"))
    with pytest.raises(Wrong, match="RuntimeError"):
        plans.changed(text, from_random(Random(1)))


@pytest.mark.parametrize(
    "type_", [{"plan": [1]}, {"array": "f32", "dims": [[]]}, {"array": "f32", "dims": [True]}]
)
def test_types_that_hold_what_no_type_holds_are_refused(type_: object) -> None:
    written = json.loads(plans.holds(drawn(1)))
    next(iter(written["functions"].values()))["result"] = type_
    with pytest.raises(FlowError, match="E0644"):
        from_json(written)


def test_a_plan_holds_no_number_that_equals_nothing() -> None:
    text = plans.holds(drawn(5, "sleep"))
    for place in ('"rank":1.5', '"backoff":0.25', '"latency":0.5'):
        if place in text:
            with pytest.raises(FlowError, match="E0644"):
                loads(text.replace(place, place.split(":")[0] + ":NaN"))
