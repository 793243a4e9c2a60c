"""What is expected of calls: quantiles in order whatever is asked, and the way to the artifact and back."""

import json

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from flowc.runtime.errors import FlowError
from flowc.runtime.expectations import AnswerLaw, CallExpectation, Expectations, Quantiles, TimeLaw
from flowc.runtime.expected import UNSURE, expected_seconds, expected_tokens
from flowc.runtime.plan import Operation, Parameter
from flowc.runtime.plan_json import dumps, loads
from flowc.runtime.types import BOOL, INT, STR, List
from flowc.testing.strategies.expectations import EXPECTATIONS, quantiles
from tests.runtime.plans import Builder, llm, plan, tool

OPERATIONS = (llm("ask"), llm("judge", result=BOOL, max_tokens=3), tool("work"), tool("look"))


def compiled(expectations: Expectations | None) -> str:
    body = Builder()
    made = plan(body.region(body.parameter()), Parameter("x", INT), operations=list(OPERATIONS))
    return dumps(evolve(made, expectations=expectations))


@given(EXPECTATIONS)
def test_what_a_plan_expects_reads_back_equal(expectations: Expectations) -> None:
    text = compiled(expectations)
    assert loads(text).expectations == expectations
    assert dumps(loads(text)) == text


def test_a_plan_that_expects_nothing_says_nothing_of_it() -> None:
    assert "expectations" not in json.loads(compiled(None))


@pytest.mark.parametrize(
    "damage",
    [
        [3.0, 2.0, 1.0, 4],
        [-1.0, 2.0, 3.0, 4],
        [1.0, 2.0, float("nan"), 4],
        [1.0, 2.0, 1e300, 4],
        [1.0, 2.0, 3.0, -4],
        [1.0, 2.0, 3.0, 4.5],
        [1.0, 2.0, 10**400, 4],
        [1.0, 2.0],
        "1 2 3",
        None,
    ],
)
def test_figures_that_cannot_be_are_refused_with_the_plan(damage: object) -> None:
    expected = Expectations({"work": (CallExpectation(seconds=Quantiles(1.0, 2.0, 3.0, 4)),)})
    written = json.loads(compiled(expected))
    written["expectations"]["calls"]["work"][0]["seconds"] = damage
    if damage is None:
        written["expectations"]["steps"] = None
    with pytest.raises(FlowError) as refused:
        loads(json.dumps(written))
    assert refused.value.problem.code == "E0644"


@given(EXPECTATIONS, st.sampled_from(OPERATIONS), st.floats(0.0, 1e9), st.integers(0, 500))
def test_quantiles_are_in_order_and_bounded_whatever_a_plan_says(
    expectations: Expectations, operation: Operation, prompt: float, beside: int
) -> None:
    for provider in (None, "offline", "simulated"):
        found = expected_seconds(operation, prompt, expectations, provider, beside)
        tokens = expected_tokens(operation, prompt, expectations, provider)
        for each in (found, tokens):
            assert 0.0 <= each.low <= each.middle <= each.high <= 1e12
        most = operation.max_tokens
        assert most is None or tokens.high <= most


@given(quantiles(), quantiles())
def test_a_spread_only_widens(first: Quantiles, second: Quantiles) -> None:
    for share in (1e-3, 1.0):
        spread = first.times(share).with_spread(UNSURE)
        if first.low * share > 1e-300 and spread.high < 1e12:
            assert spread.high / spread.middle >= UNSURE.high * (1 - 1e-9)
            assert spread.middle / spread.low >= 1 / UNSURE.low * (1 - 1e-9)
    assert first.with_spread(second).middle <= 1e12


def test_what_another_provider_answered_is_not_expected_of_this_one() -> None:
    expected = Expectations(
        {"ask": (CallExpectation("simulated", "m", answer=AnswerLaw(Quantiles(1, 1, 1, 9))),)}
    )
    assert expected_tokens(OPERATIONS[0], 100.0, expected, "simulated").samples == 9
    assert expected_tokens(OPERATIONS[0], 100.0, expected, "openai").samples == 0
    assert expected_tokens(OPERATIONS[0], 100.0, expected).samples == 9


def test_what_another_model_answered_is_not_expected_of_this_one() -> None:
    law = TimeLaw("default", "openai", "small", 1.0, 0.0, 0.0)
    call = CallExpectation("openai", "small", answer=AnswerLaw(Quantiles(1, 1, 1, 9)))
    expected = Expectations({"ask": (call,)}, (law,))
    for model, tokens, seconds in (("small", 9, 1.0), ("large", 0, None), (None, 9, 1.0)):
        assert expected_tokens(OPERATIONS[0], 100.0, expected, "openai", model).samples == tokens
        found = expected_seconds(OPERATIONS[0], 100.0, expected, "openai", model=model)
        assert (found.middle == 1.0) == (seconds is not None)


def test_a_tool_that_was_simulated_says_nothing_of_the_real_one() -> None:
    fast, slow = Quantiles(0.0, 0.0, 0.0, 9), Quantiles(1.0, 2.0, 3.0, 7)
    calls = (CallExpectation("simulated", seconds=fast), CallExpectation("", seconds=slow))
    expected = Expectations({"work": calls})
    assert expected_seconds(OPERATIONS[2], expectations=expected, provider="simulated") == fast
    assert expected_seconds(OPERATIONS[2], expectations=expected, provider="openai") == slow


def test_answers_grow_with_prompts_and_only_as_far_as_was_seen() -> None:
    law = AnswerLaw(Quantiles(10, 20, 40, 9), prompt=100, growth=0.5, least=25, most=400)
    assert law.tokens(100).middle == 20
    assert law.tokens(400) == Quantiles(20, 40, 80, 9)
    assert law.tokens(1e6) == law.tokens(400)
    assert law.tokens(1) == law.tokens(25) == Quantiles(5, 10, 20, 9)


def test_a_call_takes_longer_with_more_tokens_and_more_calls_beside_it() -> None:
    law = TimeLaw("default", "offline", "m", 0.5, 0.001, 0.01, 0.002)
    call = CallExpectation("offline", "m", answer=AnswerLaw(Quantiles(100, 100, 100, 30)))
    expected = Expectations({"ask": (call,)}, (law,))
    alone = expected_seconds(OPERATIONS[0], 200.0, expected)
    assert alone.middle == pytest.approx(0.5 + 0.2 + 1.0)
    assert expected_seconds(OPERATIONS[0], 200.0, expected, beside=5).middle == pytest.approx(1.7 + 1.0)
    assert expected_seconds(OPERATIONS[0], 900.0, expected).middle > alone.middle


def test_of_what_was_never_run_structure_says_which_is_longer() -> None:
    one, many = llm("a"), llm("b", result=List(STR))
    assert expected_seconds(many).middle > expected_seconds(one).middle > expected_seconds(tool("t")).middle
    assert expected_seconds(one).samples == 0
