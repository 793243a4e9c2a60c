"""What passes decide by expected costs: records that add up, and choices that follow what runs have shown."""

import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import ModuleOp

from flowc.compiler.driver import Options, check_text, lowered
from flowc.dialects.agent.calls import GenerateOp
from flowc.passes.cost.caution import drawn_together
from flowc.passes.cost.decisions import Alternative, Decision, by_gain, decisions_text
from flowc.passes.cost.learned import keep_expectations, step_place
from flowc.passes.cost.spreads import saved_by_asking_again
from flowc.passes.pipelines import PIPELINES, optimise
from flowc.passes.schedule import SchedulePass
from flowc.runtime.expectations import (
    AnswerLaw,
    CallExpectation,
    Expectations,
    Quantiles,
    StepExpectation,
    TimeLaw,
    step_key,
)

PROGRAM = '''\
tool fetch(q: str) -> str reads web

@model("m")
llm judge(page: str) -> bool:
    """Is {page} good?"""

@model("m")
llm write(topic: str) -> str:
    """Write about {topic}."""

flow main(q: str, words: list[str]) -> list[str]:
    page = fetch(q)
    best = write(q) if judge(page) else page
    return [best] + [write(word) for word in words]
'''
MANY = 200


def calls(seconds: float, spread: float, samples: int = MANY) -> tuple[CallExpectation, ...]:
    """Calls of a model whose law says a second, with so much between the middle and a tenth of them."""
    factor = Quantiles(seconds / spread, seconds, seconds * spread, samples)
    answer = AnswerLaw(Quantiles(100.0, 100.0, 100.0, samples))
    return (CallExpectation("p", "", answer=answer, factor=factor, samples=samples),)


LAW = TimeLaw("m", "p", "", 1.0, 0.0, 0.0, spread=Quantiles(1.0, 1.0, 1.0, MANY))


def decided(expectations: Expectations, level: int = 3) -> dict[tuple[str, str], Decision]:
    """The decisions about the program, by what they are about."""
    module = lowered(check_text(PROGRAM, "main.flow"), Options(native=False))
    keep_expectations(module, expectations)
    return {(each.what, each.subject): each for each in optimise(module, PIPELINES[f"O{level}"]).decisions}


def branch(taken: float, samples: int = MANY) -> dict[str, StepExpectation]:
    """How often the first branch of the program's `if` is taken."""
    module: ModuleOp = lowered(check_text(PROGRAM, "main.flow"), Options(native=False))
    places = [place for op in module.walk() if (place := step_place(op)) is not None and place[0] == "if"]
    return {step_key(*place): StepExpectation(None, taken, samples) for place in places}


MAPS = [
    place
    for op in lowered(check_text(PROGRAM, "main.flow"), Options(native=False)).walk()
    if (place := step_place(op)) is not None and place[0] != "if"
]


def test_a_branch_starts_early_where_runs_have_taken_it_and_not_where_they_have_not() -> None:
    known = {"judge": calls(5.0, 1.5), "write": calls(0.05, 1.5)}
    often = decided(Expectations(known, (LAW,), branch(0.95)))["start", "the call on line 13"]
    never = decided(Expectations(known, (LAW,), branch(0.001)))["start", "the call on line 13"]
    assert often.choice == "before the condition is known"
    assert often.gain > 0
    assert often.sure
    assert never.choice == "when the condition is known"
    assert never.gain == 0


def test_where_no_run_has_shown_a_branch_the_record_says_that_its_chance_is_assumed() -> None:
    unknown = decided(Expectations())["start", "the call on line 13"]
    assert not unknown.sure
    assert "assumed" in unknown.basis


def test_a_call_is_asked_again_where_its_times_have_a_tail_and_not_where_all_take_as_long() -> None:
    tail = decided(Expectations({"write": calls(5.0, 4.0)}, (LAW,)))["ask again", "`write`"]
    alike = decided(Expectations({"write": calls(5.0, 1.01)}, (LAW,)))["ask again", "`write`"]
    assert (tail.choice, tail.sure) == ("once more when late", True)
    assert tail.gain > 0
    assert (alike.choice, alike.sure) == ("once", True)


@pytest.mark.parametrize("samples", [0, 1, 19])
def test_no_gain_is_claimed_for_asking_again_before_enough_calls_were_seen(samples: int) -> None:
    """The runtime asks nothing again until it has seen as many."""
    few = {"write": calls(5.0, 4.0, samples)} if samples else {}
    found = decided(Expectations(few, (LAW,)))["ask again", "`write`"]
    assert (found.choice, found.sure, found.gain) == ("once more when late", False, 0.0)
    assert found.chosen.ms == found.default.ms


@given(st.floats(0, 1e6))
def test_no_way_to_run_a_map_is_chosen_that_its_own_figures_call_the_slower(rounds: float) -> None:
    steps = {
        step_key(*place): StepExpectation(Quantiles(rounds, rounds, rounds, MANY), samples=MANY)
        for place in MAPS
    }
    width = decided(Expectations(steps=steps), level=2)["width", "`write`"]
    assert width.chosen.ms <= width.default.ms
    assert width.gain == pytest.approx(width.default.ms - width.chosen.ms)


def test_a_call_that_is_dear_and_quick_is_asked_once() -> None:
    long = AnswerLaw(Quantiles(1e5, 1e5, 1e5, MANY))
    dear = (CallExpectation("p", "", answer=long, factor=Quantiles(0.3, 1.0, 3.0, MANY), samples=MANY),)
    assert decided(Expectations({"write": dear}, (LAW,)))["ask again", "`write`"].choice == "once"


def test_a_map_is_wide_and_its_calls_one_operation_and_the_records_say_what_that_saves() -> None:
    found = decided(Expectations(), level=2)
    width, batch = found["width", "`write`"], found["batch", "`write`"]
    assert width.choice == "64 at once"
    assert width.gain == pytest.approx(width.default.ms - width.chosen.ms)
    assert batch.choice == "one operation"
    assert not width.sure


MS = st.floats(0, 1e9)
DECISIONS = st.builds(
    lambda what, line, others, gain, place: Decision(
        what, line, f"way {place % len(others)}", tuple(map(Alternative, *zip(*others, strict=True))), gain
    ),
    st.sampled_from(["start", "width"]),
    st.integers(0, 99),
    st.lists(MS, min_size=1, max_size=4).map(lambda ms: [(f"way {n}", each) for n, each in enumerate(ms)]),
    MS,
    st.integers(0, 9),
)


@given(st.lists(DECISIONS, max_size=8))
def test_decisions_are_told_once_each_the_greatest_gain_first(decisions: list[Decision]) -> None:
    ordered = by_gain([*decisions, *decisions])
    assert set(ordered) == set(decisions)
    assert len(ordered) == len(set(decisions))
    assert [each.gain for each in ordered] == sorted((each.gain for each in ordered), reverse=True)
    text = decisions_text(decisions, "main.flow")
    assert text.count("main.flow:") == len(ordered)
    assert text.count("    * ") == len(ordered), "one alternative of each is marked as the choice"


def test_a_decision_between_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="alternatives"):
        Decision("start", 1, "wait", ())


@pytest.mark.parametrize("deviation", [0.1, 0.5, 1.0, 1.5])
def test_what_asking_again_saves_is_what_sampling_says(deviation: float) -> None:
    chance = Random(7)
    far = math.exp(1.2816 * deviation)
    expected = saved_by_asking_again(Quantiles(1 / far, 1.0, far, MANY))
    late = math.exp(1.6449 * deviation)
    times = (chance.lognormvariate(0.0, deviation) for _ in range(200_000))
    left = [time - late for time in times if time > late]
    sampled = sum(max(0.0, each - chance.lognormvariate(0.0, deviation)) for each in left) / len(left)
    assert expected == pytest.approx(sampled, rel=0.25, abs=0.01)


@given(st.dictionaries(st.text(max_size=3), st.tuples(st.floats(-20, 20), st.integers(0, 10**6)), max_size=6))
def test_times_drawn_together_keep_between_themselves_and_the_middle(
    times: dict[str, tuple[float, int]],
) -> None:
    factors = drawn_together(times)
    if len(times) < 2:
        assert not factors
        return
    middle = sum(time for time, _ in times.values()) / len(times)
    for name, (time, _) in times.items():
        drawn = time + math.log(factors[name])
        assert min(time, middle) - 1e-3 <= drawn <= max(time, middle) + 1e-3


@given(st.floats(-5, 5), st.floats(-5, 5))
def test_times_seen_often_stay_and_times_never_seen_that_differ_by_chance_become_one(
    one: float, other: float
) -> None:
    often = drawn_together({"a": (one, 10**9), "b": (other, 10**9)})
    never = drawn_together({"a": (one / 10, 0), "b": (other / 10, 0)})
    assert all(factor == pytest.approx(1.0, abs=1e-3) for factor in often.values()) or abs(one - other) < 0.01
    assert one / 10 + math.log(never["a"]) == pytest.approx(other / 10 + math.log(never["b"]), abs=1e-4)


ORDERED = '''\
@model("m")
llm quick(q: str) -> bool:
    """Is {q}?"""

@model("m")
llm long(q: str) -> str:
    """Write about {q}."""

flow main(q: str) -> list[str]:
    found = [str(quick(q)), str(quick("b")), str(quick("c")), str(quick("d")), str(quick("e"))]
    return found + [long(long("f"))]
'''


def ordered(order: str) -> tuple[list[Decision], list[float]]:
    """The decisions about the order of the program, and the ranks of its calls."""
    module = lowered(check_text(ORDERED, "main.flow"), Options(native=False))
    decisions = optimise(module, (*PIPELINES["O2"][:-1], SchedulePass(order))).decisions
    ranks = [op.attributes["rank"] for op in module.walk() if isinstance(op, GenerateOp)]
    return [each for each in decisions if each.what == "order"], [each.value.data for each in ranks]


def test_the_order_of_calls_is_a_record_with_what_it_is_worth_at_a_few_places() -> None:
    (decision,), ranks = ordered("path")
    assert decision.gain == pytest.approx(decision.default.ms - decision.chosen.ms)
    assert decision.gain > 0
    assert max(ranks) == ranks[-2] > ranks[-1] > ranks[0]


def test_calls_are_ranked_by_all_the_work_behind_them_or_not_at_all_where_a_pipeline_says_so() -> None:
    _, path = ordered("path")
    _, work = ordered("work")
    decisions, none = ordered("arrival")
    assert all(one <= other for one, other in zip(path, work, strict=True))
    assert set(none) == {0.0}
    assert not decisions


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["path", "work"]))
def test_no_order_of_calls_is_told_that_its_own_figures_call_the_slower(seed: int, order: str) -> None:
    """Graham's anomalies: at a few places the longest path first may end later than first come."""
    chance = Random(seed)
    names = [f"tool{number}" for number in range(6)]
    text = (
        "".join(f"tool {name}(q: str) -> str reads web\n\n" for name in names) + "flow main(q: str) -> str:\n"
    )
    for number in range(14):
        source = f"b{chance.randrange(number)}" if number and chance.random() < 0.4 else "q"
        text += f'    b{number} = {chance.choice(names)}("{number}" + {source})\n'
    text += "    return " + " + ".join(f"b{number}" for number in range(14)) + "\n"
    module = lowered(check_text(text, "main.flow"), Options(native=False))
    times = {name: chance.lognormvariate(0.0, 1.5) for name in names}
    seen = {
        name: (CallExpectation("", "", seconds=Quantiles(each, each, each, MANY), samples=MANY),)
        for name, each in times.items()
    }
    keep_expectations(module, Expectations(seen))
    decisions = optimise(module, (*PIPELINES["O2"][:-1], SchedulePass(order))).decisions
    assert all(each.gain > 0 for each in decisions if each.what == "order")
