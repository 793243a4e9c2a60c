"""Learning what calls take: laws that are known are found, few samples are drawn towards structure."""

import math
from random import Random
from statistics import median

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from flowc.passes.cost.call_model import answer_law, expectations, quantile, shrunk, step, time_law
from flowc.runtime.expectations import Expectations
from flowc.runtime.expected import BY_STRUCTURE, UNSURE, expected_seconds, expected_tokens
from flowc.runtime.history.samples import CallSample, is_sound
from flowc.runtime.history.store import Past
from flowc.runtime.plan import Operation
from flowc.runtime.types import STR
from flowc.testing.strategies.expectations import lawful_calls
from tests.runtime.plans import llm, tool

SECONDS = st.floats(1e-6, 1e7) | st.sampled_from([1e-6, 1e7])
BESIDE = st.floats(0.0, 1e7) | st.sampled_from([0.0, 1e7])
LOGS = st.lists(st.floats(-15.0, 15.0), min_size=1, max_size=60)
BEFORE = UNSURE.times(200.0)


def learned(calls: list[CallSample], operation: Operation | None = None) -> Expectations:
    declared = operation or llm("ask")
    past = Past({"ask": tuple(calls)}, {"default": tuple(calls)} if calls[0].kind == "llm" else {})
    return expectations({declared.name: ("ask", declared)}, {}, {}, past)


@given(LOGS)
def test_quantiles_are_ordered_and_drawn_between_what_was_seen_and_what_was_expected(
    logs: list[float],
) -> None:
    found = shrunk(logs, BEFORE)
    assert 0.0 < found.low <= found.middle <= found.high
    first, last = sorted((math.log(200.0), median(logs)))
    assert first - 1e-9 <= math.log(found.middle) <= last + 1e-9
    assert found.samples == len(logs)


@given(st.floats(-5.0, 9.0), st.integers(1, 200))
def test_the_more_samples_agree_the_less_structure_counts(value: float, count: int) -> None:
    few, many = (abs(math.log(shrunk([value] * n, BEFORE).middle) - value) for n in (count, 2 * count))
    far = abs(value - math.log(200.0))
    assert many <= few + 1e-9
    assert few <= far * 0.45 + 1e-9
    if count >= 100:
        assert few <= far * 0.01 + 1e-9


def test_samples_that_disagree_are_believed_less() -> None:
    calm = shrunk([2.0, 2.0, 2.1, 1.9], BEFORE)
    wild = shrunk([2.0, 2.0, 5.0, -1.0], BEFORE)
    assert calm.middle < wild.middle < 200.0
    assert wild.high / wild.low > calm.high / calm.low


@given(LOGS, st.floats(0.01, 0.99))
def test_a_quantile_lies_among_the_values_and_grows_with_its_share(logs: list[float], share: float) -> None:
    assert min(logs) <= quantile(logs, share) <= max(logs)
    assert quantile(logs, share) <= quantile(logs, min(1.0, share + 0.1)) + 1e-12


@pytest.mark.parametrize("seed", range(4))
def test_laws_are_found_again(seed: int) -> None:
    calls = lawful_calls(200, seed)
    law = time_law("default", "offline", "m", calls)
    for prompt, answer in ((100, 80), (1000, 250), (4000, 500)):
        true = 0.2 + 1e-4 * prompt + 0.02 * answer
        assert law.seconds(prompt, answer) == pytest.approx(true, rel=0.08)
    answers = answer_law(calls, BEFORE)
    for prompt in (100, 1000, 4000):
        assert answers.tokens(prompt).middle == pytest.approx(8.0 * math.sqrt(prompt), rel=0.08)


def test_four_of_five_calls_fall_into_their_interval() -> None:
    inside = total = 0
    for seed in range(10):
        known = learned(lawful_calls(60, seed))
        for call in lawful_calls(40, 1000 + seed):
            seconds = expected_seconds(llm("ask"), call.prompt, known)
            tokens = expected_tokens(llm("ask"), call.prompt, known)
            inside += (seconds.low <= call.seconds <= seconds.high) + (
                tokens.low <= call.answer <= tokens.high
            )
            total += 2
    assert 0.75 <= inside / total <= 0.92


@pytest.mark.parametrize("seed", range(3))
def test_calls_that_hung_and_clocks_that_jumped_do_not_bend_a_law(seed: int) -> None:
    calls = lawful_calls(100, seed)
    wild = [
        evolve(call, seconds=call.seconds * (500.0 if n % 20 else 0.001)) for n, call in enumerate(calls[:8])
    ]
    plain = time_law("default", "offline", "m", calls[6:])
    bent = time_law("default", "offline", "m", [*wild, *calls[6:]])
    for prompt, answer in ((100, 80), (1000, 250), (4000, 500)):
        assert bent.seconds(prompt, answer) == pytest.approx(plain.seconds(prompt, answer), rel=0.1)


def test_calls_beside_others_are_expected_to_take_longer_where_they_did() -> None:
    random = Random(5)
    calls = []
    for call in lawful_calls(200, 5, noise=0.05):
        beside = random.uniform(0.0, 30.0)
        calls.append(evolve(call, beside=beside, seconds=call.seconds + 0.001 * beside * call.answer))
    law = time_law("default", "offline", "m", calls)
    assert law.seconds(1000, 250, 20.0) - law.seconds(1000, 250) == pytest.approx(5.0, rel=0.15)


@given(st.integers(1, 6), st.integers(0, 99))
def test_few_calls_are_expected_between_themselves_and_structure(count: int, seed: int) -> None:
    calls = lawful_calls(count, seed)
    law = time_law("default", "offline", "m", calls)
    ratios = [call.seconds / BY_STRUCTURE.seconds(call.prompt, call.answer) for call in calls]
    for call in calls:
        found = law.seconds(call.prompt, call.answer) / BY_STRUCTURE.seconds(call.prompt, call.answer)
        assert min(*ratios, 1.0) * 0.8 <= found <= max(*ratios, 1.0) * 1.25


@given(
    st.lists(
        st.tuples(st.integers(1, 10**8), st.integers(1, 10**8), SECONDS, BESIDE),
        min_size=1,
        max_size=30,
    )
)
def test_absurd_samples_give_expectations_that_a_plan_can_carry(
    rows: list[tuple[int, int, float, float]],
) -> None:
    calls = [
        CallSample("ask", "llm", "default", "offline", "m", prompt, answer, beside=beside, seconds=seconds)
        for prompt, answer, seconds, beside in rows
    ]
    known = learned(calls)
    for prompt in (1.0, 1e8):
        found = expected_seconds(llm("ask"), prompt, known)
        assert 0.0 <= found.low <= found.middle <= found.high < 1e13


@given(st.sampled_from(["tool", "human", "embed", "other"]), st.integers(0, 10**8))
def test_samples_of_another_kind_say_nothing_of_an_operation(kind: str, prompt: int) -> None:
    """A history may say so of any operation, and such rows have no tokens."""
    strange = CallSample("ask", kind, "default", "offline", "m", prompt, seconds=1.0)
    assert is_sound(strange)
    assert learned([strange]).calls == {}
    calls = lawful_calls(5, 1)
    assert learned([*calls, strange]) == learned(calls)


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=9))
def test_absurd_figures_are_cut_off(logs: list[float]) -> None:
    found = shrunk(logs, BEFORE)
    assert 0.0 < found.low <= found.middle <= found.high <= 1e12


def test_tools_that_were_simulated_are_expected_only_where_they_are_simulated() -> None:
    fast = [CallSample("ask", "tool", provider="simulated", seconds=0.001)] * 9
    slow = [CallSample("ask", "tool", seconds=2.0)] * 9
    past = Past({"ask": (*slow, *fast)})
    declared = {"work": ("ask", tool("work"))}
    for provider, by in ((None, [""]), ("openai", [""]), ("simulated", ["simulated", ""])):
        found = expectations(declared, {}, {}, past, provider).calls["work"]
        assert [call.provider for call in found] == by


def test_the_time_of_a_tool_is_its_own() -> None:
    calls = [CallSample("ask", "tool", seconds=2.0 + 0.1 * n) for n in range(20)]
    found = expected_seconds(tool("work"), expectations=learned(calls, tool("work")))
    assert found.samples == 20
    assert 2.5 < found.middle < 3.2


def test_what_answered_last_comes_first_and_the_chosen_provider_before_that() -> None:
    one, two = lawful_calls(30, 1, provider="openai"), lawful_calls(30, 2, provider="simulated")
    past = Past({"ask": (*one, *two)}, {"default": (*one, *two)})
    declared = {"ask": ("ask", llm("ask"))}
    for wanted, order in ((None, ["simulated", "openai"]), ("openai", ["openai", "simulated"])):
        found = expectations(declared, {}, {}, past, wanted)
        assert [call.provider for call in found.calls["ask"]] == order
        assert [law.provider for law in found.models] == order


def test_steps_are_counted_and_few_counts_drawn_towards_the_usual() -> None:
    assert step("branch@3:4", [0] * 98).taken == pytest.approx(0.99)
    assert step("branch@3:4", [1]).taken == pytest.approx(1 / 3)
    assert (
        step("try@3:4", [1, 1, 1, 1]).taken
        < 0.5
        < step("try@3:4", [1]).taken
        < 0.9
        < step("try@3:4", [0]).taken
    )
    many, one = step("items@3:4", [3] * 50).count, step("items@3:4", [3]).count
    assert many is not None
    assert one is not None
    assert many.middle == pytest.approx(3.0, rel=0.02)
    assert 3.0 < one.middle < 10.0
    none = step("rounds@3:4", [0] * 50).count
    assert none is not None
    assert none.middle < 0.1


def test_the_same_history_gives_the_same_expectations() -> None:
    assert learned(lawful_calls(50, 3)) == learned(lawful_calls(50, 3))


def test_nothing_is_learned_of_an_operation_that_was_never_called() -> None:
    known = learned(lawful_calls(50, 3))
    other = Operation("llm", "other", (), STR)
    assert "other" not in known.calls
    assert expected_tokens(other, 100.0, known).samples == 0
    assert expected_seconds(other, 100.0, known, "offline").middle != expected_seconds(other, 100.0).middle
