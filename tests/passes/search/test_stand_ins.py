"""The world in which plans are tried."""

from random import Random

import numpy
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from flowc.compiler.driver import compile_text
from flowc.passes.search.stand_ins import FEW, MANY, World, stand_in_config, without_code
from flowc.runtime.config import Config
from flowc.runtime.errors import FlowError
from flowc.runtime.expectations import CallExpectation, Expectations, Quantiles
from flowc.runtime.plan import Plan
from flowc.runtime.providers.simulated.behaviour import Behaviour, Simulation
from flowc.runtime.providers.simulated.distributions import Empirical
from flowc.runtime.reading import bind_arguments
from tests.passes.search.searching import BATCHED, CONFIG, SORTED

TYPES = """\
enum Kind: a, b

record Page:
    id: str
    kind: Kind
    scores: list[float]

tool look(page: Page) -> Page reads web

flow main(
    text: str,
    page: Page,
    pages: list[Page],
    rows: f32[n, 3],
    others: f32[n],
    maybe: int?,
    by: dict[str, int],
    flag: bool,
    k: int = 3,
) -> Page:
    return look(page)
"""


def plan_of(text: str) -> Plan:
    return without_code(compile_text(text, "main.flow").plan)


def expectations(seconds: Quantiles) -> Expectations:
    return Expectations(calls={"look": (CallExpectation(seconds=seconds, samples=50),)})


PLAN = plan_of(TYPES)


@pytest.mark.parametrize("seed", range(5))
def test_arguments_of_every_type_are_made_up_and_fit(seed: int) -> None:
    plan = plan_of(TYPES)
    flow = plan.functions["main"]
    made = World(Config()).given(plan, flow, seed)
    assert "k" not in made
    pages = made["pages"]
    assert isinstance(pages, list)
    assert FEW <= len(pages) <= MANY
    assert len(bind_arguments(plan, flow, made)) == len(flow.parameters)
    assert repr(made) == repr(World(Config()).given(plan, flow, seed))


def test_known_arguments_are_taken_as_they_are() -> None:
    plan = plan_of(TYPES)
    world = World(Config(), arguments=lambda _, flow: {"text": flow.name})
    assert world.given(plan, plan.functions["main"], 0)["text"] == "main"


def test_an_endpoint_for_batches_takes_as_long_as_it_may_unless_its_simulation_says_better() -> None:
    plan = plan_of(SORTED)
    found = stand_in_config(CONFIG, plan).simulation
    assert found is not None
    assert found.models["batched"].batch_seconds == BATCHED.batch_latency
    told = Config(
        models={"batched": BATCHED}, simulation=Simulation(models={"batched": Behaviour(batch_seconds=5.0)})
    )
    found = stand_in_config(told, plan).simulation
    assert found is not None
    assert found.models["batched"].batch_seconds == 5.0


def test_times_of_earlier_runs_count_where_flowc_toml_says_nothing_of_simulation() -> None:
    plan = plan_of(TYPES)
    known = evolve(plan, expectations=expectations(Quantiles(1.0, 2.0, 8.0, 50)))
    found = stand_in_config(Config(), known).simulation
    assert found is not None
    look = found.tools["look"]
    assert isinstance(look, Empirical)
    assert [look.at(point) for point in (0.1, 0.5, 0.9)] == pytest.approx([1.0, 2.0, 8.0])
    assert stand_in_config(Config(), plan).simulation == Simulation()


amounts = st.one_of(st.just(0.0), st.floats(1e-16, 1e7))


@given(st.lists(amounts, min_size=3, max_size=3), st.integers(0, 2**32))
def test_times_are_drawn_from_what_was_seen_whatever_its_form(points: list[float], seed: int) -> None:
    low, middle, high = sorted(points)
    known = evolve(PLAN, expectations=expectations(Quantiles(low, middle, high, 50)))
    simulation = stand_in_config(Config(), known).simulation
    assert simulation is not None
    chance = Random(seed)
    drawn = [simulation.tools["look"].sample(chance) for _ in range(200)]
    assert all(low * 0.999 <= each <= 2.001 * high for each in drawn)
    assert sum(each > middle for each in drawn) <= 160
    assert sum(each < middle for each in drawn) <= 160


def test_large_arrays_are_made_fast_and_larger_ones_refused() -> None:
    plan = plan_of("flow main(a: f64[3000, 2000], b: i8[n], c: bool[2]) -> int:\n    return 1\n")
    made = World(Config()).given(plan, plan.functions["main"], 0)
    assert all(isinstance(each, numpy.ndarray) for each in made.values())
    assert len(bind_arguments(plan, plan.functions["main"], made)) == 3
    for large in ("f64[100000, 100000]", "list[f32[1000, 1000]]", "f32[n, 100000000]?"):
        plan = plan_of(f"flow main(a: {large}) -> int:\n    return 1\n")
        with pytest.raises(FlowError, match="too large to be made up"):
            World(Config()).given(plan, plan.functions["main"], 0)


def test_made_up_arrays_have_the_extents_of_the_known_ones() -> None:
    plan = plan_of("flow main(a: f64[n], b: f64[n, 2]) -> int:\n    return 1\n")
    world = World(Config(), arguments=lambda *_: {"a": [1.0] * 7})
    made = world.given(plan, plan.functions["main"], 0)
    bind_arguments(plan, plan.functions["main"], made)
    assert numpy.shape(made["b"]) == (7, 2)


@pytest.mark.parametrize(
    ("known", "code"), [({"b": 1}, "E0702"), ({"a": "x"}, "E0704"), ({"a": [1.0], "c": [1.0] * 2}, "E0704")]
)
def test_known_arguments_that_do_not_fit_are_errors(known: dict[str, object], code: str) -> None:
    plan = plan_of("flow main(a: f64[n], c: f64[n]) -> int:\n    return 1\n")
    with pytest.raises(FlowError) as caught:
        World(Config(), arguments=lambda *_: known).known(plan, plan.functions["main"])
    assert caught.value.problem.code == code


def test_models_that_flowc_toml_does_not_know_have_a_price() -> None:
    plan = plan_of(SORTED.replace('@model("batched")\n', ""))
    assert stand_in_config(Config(), plan).models["default"].price.prompt > 0
