"""Whatever a history says, absurdities included, programs give what they give without it."""

from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import ModuleOp

from flowc.compiler import driver
from flowc.compiler.backends.plan import to_plan
from flowc.dialects.text import parse_module, print_module
from flowc.passes.cost.learned import expectations_of, keep_expectations, step_place
from flowc.passes.cost.model import cost_model
from flowc.passes.cost.money import Prices
from flowc.passes.pipelines import PIPELINES, optimise
from flowc.runtime.expectations import Expectations, StepExpectation, step_key
from flowc.runtime.plan_json import dumps, loads
from flowc.testing.strategies.expectations import CALLS, EXPECTATIONS, STEPS
from tests.passes.flow_text import programs
from tests.passes.test_meaning import assert_same, module_at, outcome

NAMES = ("work", "look", "put", "note", "shaky", "shelve", "peek", "total", "ask", "judge")


def lowered(text: str) -> ModuleOp:
    return driver.lowered(driver.check_text(text, "generated.flow"), driver.Options())


@st.composite
def expectations(draw: st.DrawFn, module: ModuleOp) -> Expectations:
    """A history about the operations and the steps of this very program."""
    places = [place for op in module.walk() if (place := step_place(op)) is not None]
    keys = sorted({step_key(*place) for place in places})
    steps: dict[str, StepExpectation] = {key: draw(STEPS) for key in keys if draw(st.booleans())}
    calls = {name: (draw(CALLS),) for name in NAMES if draw(st.booleans())}
    return Expectations(calls, draw(EXPECTATIONS).models, steps)


@settings(max_examples=14)
@given(programs(), st.integers(0, 4), st.data())
def test_programs_give_the_same_with_any_history(text: str, n: int, data: st.DataObject) -> None:
    wanted = outcome(module_at(text, 0), n)
    drawn = data.draw(expectations(lowered(text)))
    for level in ("O2", "O3"):
        module = lowered(text)
        keep_expectations(module, drawn)
        optimise(module, PIPELINES[level])
        assert_same(wanted, outcome(module, n))
        plan, _ = to_plan(module)
        assert loads(dumps(plan)) == plan
        assert plan.expectations == (drawn if drawn != Expectations() else None)


@given(EXPECTATIONS)
def test_what_a_module_carries_survives_printing_and_parsing(drawn: Expectations) -> None:
    module = ModuleOp([])
    keep_expectations(module, drawn)
    assert (expectations_of(parse_module(print_module(module))) or Expectations()) == drawn


PROGRAM = '''\
llm ask(question: str) -> str:
    """{question}"""

tool look(question: str) -> str reads web

flow main(questions: list[str]) -> list[str]:
    return [ask(look(q)) if q == "" else ask(q) for q in questions]
'''


def costs(steps: dict[str, StepExpectation]) -> tuple[float, float]:
    """Milliseconds and dollars of the map of the program."""
    module = lowered(PROGRAM)
    keep_expectations(module, Expectations(steps=steps))
    (mapped,) = (op for op in module.walk() if (p := step_place(op)) is not None and p[0] == "map")
    return cost_model(module).cost(mapped), Prices(module).of(mapped)


def key(instruction: str) -> str:
    places = (step_place(op) for op in lowered(PROGRAM).walk())
    return next(step_key(*place) for place in places if place is not None and place[0] == instruction)


def test_lists_that_were_longer_are_expected_to_cost_more() -> None:
    from flowc.runtime.expectations import Quantiles

    found = [
        costs({key("map"): StepExpectation(Quantiles(n, n, n, 9), samples=9)})[1]
        for n in (0.0, 3.0, 10.0, 60.0)
    ]
    assert found[0] == 0.0
    assert found == sorted(found)
    assert found[2] == costs({})[1]


def test_a_branch_that_was_taken_more_often_counts_for_more() -> None:
    often, seldom = (costs({key("if"): StepExpectation(taken=share, samples=9)})[0] for share in (0.9, 0.1))
    assert often > seldom
