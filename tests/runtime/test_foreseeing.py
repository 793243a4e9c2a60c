"""What the runtime asks the predictor that a plan carries: widths, reservations, when a call is late."""

import asyncio
from collections.abc import Mapping
from random import Random
from typing import Any, cast

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import ModuleOp

from flowc.compiler.backends.plan import to_plan
from flowc.compiler.driver import Options, check_text, compile_text, lowered
from flowc.passes.cost.learned import keep_expectations, step_place
from flowc.passes.pipelines import PIPELINES, optimise
from flowc.runtime.admission.gate import Gate
from flowc.runtime.config import Config
from flowc.runtime.environment import Environment
from flowc.runtime.execute import run_plan
from flowc.runtime.expectations import (
    AnswerLaw,
    CallExpectation,
    Expectations,
    Quantiles,
    StepExpectation,
    TimeLaw,
    step_key,
)
from flowc.runtime.plan import Plan
from flowc.runtime.providers.base import ModelSettings, Request, Response, Usage
from flowc.runtime.providers.simulated.behaviour import Behaviour
from flowc.runtime.providers.simulated.provider import Simulated
from flowc.runtime.scheduler.foreseeing import answer_reserved
from flowc.runtime.types import STR
from tests.runtime.worlds import Scripted, in_virtual_time, virtually

LLM = '@model("m")\nllm ask(word: str) -> str:\n    """What is {word}?"""\n\n'
MAP = LLM + "flow main(words: list[str]) -> list[str]:\n    return [ask(word) for word in words]\n"
BESIDE = (
    LLM + "tool look(word: str) -> str reads web\n\n"
    "flow main(words: list[str]) -> list[str]:\n    return [ask(look(word)) for word in words]\n"
)
ENOUGH = 100
EXACTLY = Quantiles(1.0, 1.0, 1.0, ENOUGH)


def foreseen(
    seconds: float, tokens: Quantiles, spread: Quantiles = EXACTLY, by: str = "mine"
) -> Expectations:
    """Calls of `ask` take so many seconds whatever they read and write."""
    law = TimeLaw("m", by, "", first=seconds, read=0.0, written=0.0, spread=spread)
    call = CallExpectation(by, "", answer=AnswerLaw(tokens), factor=spread, samples=tokens.samples)
    return Expectations({"ask": (call,)}, (law,))


def world(provider: Scripted, **limits: Any) -> Environment:
    config = Config(models={"m": ModelSettings("m", provider="mine", **limits)})
    tools = {"look": lambda word: word}
    return Environment(config=config, providers={"mine": provider}, tools=tools)


def planned(text: str, expectations: Expectations | None = None, level: int = 2) -> Plan:
    return evolve(compile_text(text, "main.flow", level=level).plan, expectations=expectations)


def taking(seconds: float, tokens: int = 10) -> Scripted:
    async def answer(_: Request) -> Response:
        await asyncio.sleep(seconds)
        return Response("fine", Usage(5, tokens))

    return Scripted(answer)


def words(count: int) -> dict[str, list[str]]:
    return {"words": [f"word {number}" for number in range(count)]}


@pytest.mark.parametrize("pipeline", ["parallelise,batch-calls", "parallelise"], ids=["batch", "map"])
def test_a_map_is_as_wide_as_the_model_that_it_asks(pipeline: str) -> None:
    provider = taking(1.0)
    plan = compile_text(MAP, "main.flow", options=Options(pipeline=pipeline)).plan
    assert virtually(plan, world(provider, max_in_flight=200), **words(400)).status == "ok"
    assert provider.most == 200


def test_a_map_that_does_more_than_to_ask_models_has_the_usual_width() -> None:
    """What a model takes at once says nothing about what a tool takes."""
    provider = taking(1.0)
    virtually(planned(BESIDE), world(provider, max_in_flight=200), **words(400))
    assert provider.most == 64


IN_TIME = {
    "call": MAP.replace('@model("m")', '@model("m")\n@timeout(400s)'),
    "flow": LLM + "@timeout(400s)\nflow one(word: str) -> str:\n    return ask(word)\n\n"
    "flow main(words: list[str]) -> list[str]:\n    return [one(word) for word in words]\n",
    "around": MAP.replace("flow main", "@timeout(500s)\nflow main"),
}


@pytest.mark.parametrize("text", IN_TIME.values(), ids=IN_TIME)
@pytest.mark.parametrize(
    ("seconds", "limits"),
    [(1_000.0, {}), (None, {"max_in_flight": 1_000}), (1_000.0, {"max_in_flight": 1_000})],
    ids=["foretold", "unknown", "both"],
)
def test_a_map_under_a_limit_of_time_does_not_wait_before_the_gate_by_being_wide(
    text: str, seconds: float | None, limits: dict[str, int]
) -> None:
    known = None if seconds is None else foreseen(seconds, EXACTLY)
    provider = taking(1.0)
    result = virtually(planned(text, known), world(provider, requests_per_minute=60, **limits), **words(450))
    assert result.status == "ok", result.problem


def test_a_rate_without_known_times_says_nothing_about_how_many_calls_are_under_way() -> None:
    provider = taking(50.0)
    limits = {"requests_per_minute": 6_000, "max_in_flight": 1_000}
    virtually(planned(MAP), world(provider, **limits), **words(400))
    assert provider.most == 64


def test_where_nothing_limits_a_model_a_map_has_the_usual_width() -> None:
    provider = taking(1.0)
    virtually(planned(MAP), world(provider), **words(400))
    assert provider.most == 64


@pytest.mark.parametrize("width", [8, 64, 65])
def test_a_width_that_a_person_chose_stays(width: int) -> None:
    text = f"parallelise{{width={width}}},batch-calls"
    plan = compile_text(MAP, "main.flow", options=Options(pipeline=text)).plan
    provider = taking(1.0)
    virtually(plan, world(provider, max_in_flight=200), **words(400))
    assert provider.most == width


def test_under_a_limit_a_minute_as_many_are_under_way_as_come_in_the_time_of_a_call() -> None:
    """6,000 a minute of 3 s each are 300 at once; a width of 64 would reach a fifth of the limit."""
    known = foreseen(3.0, EXACTLY)
    times = {}
    for name, expectations in (("known", known), ("unknown", None)):
        provider = taking(3.0)
        plan = planned(MAP, expectations)
        times[name] = virtually(plan, world(provider, requests_per_minute=6_000), **words(3_000)).wall_ms
    assert times["known"] * 3 < times["unknown"]


def test_tokens_a_minute_are_reserved_as_answers_are_expected_to_take_them() -> None:
    """Of calls that may answer 2,000 tokens and do answer 50 the limit lets 3 begin, or all 60."""
    known = foreseen(50.0, Quantiles(40.0, 50.0, 60.0, ENOUGH))
    begun = {}
    for name, expectations in (("known", known), ("unknown", None)):
        provider = taking(50.0, 50)
        limits = world(provider, tokens_per_minute=8_000, max_tokens=2_000)
        result = virtually(planned(MAP, expectations), limits, **words(60))
        assert result.status == "ok"
        begun[name] = provider.most
    assert begun == {"known": 60, "unknown": 3}


def test_what_an_endpoint_counts_in_full_is_reserved_in_full() -> None:
    expected = Quantiles(40.0, 50.0, 60.0, ENOUGH)

    def reserved(provider: str, most: int | None, *, refused: bool = False) -> int:
        model = ModelSettings("m", provider=provider)
        gate = Gate(model)
        gate.pace.most = 4.0 if refused else None
        tables: Any = None
        request = Request("ask", STR, tables, "What?", (), None, model, max_tokens=most)
        return answer_reserved(request, gate, expected)

    assert reserved("openai", 2_000) == 2_000
    assert reserved("openai", None) == 60
    assert reserved("simulated", 2_000) == 60
    assert reserved("simulated", 30) == 30
    assert reserved("simulated", 2_000, refused=True) == 2_000


def test_what_another_model_answered_reserves_nothing() -> None:
    """Of 60 calls the limit lets begin all, as it does where answers have no limit and nothing is known."""
    known = foreseen(50.0, Quantiles(1_000.0, 2_000.0, 3_000.0, ENOUGH))
    begun = {}
    for name in ("m", "other"):
        calls = {"ask": (evolve(known.calls["ask"][0], model=name),)}
        provider = taking(50.0, 50)
        virtually(
            planned(MAP, evolve(known, calls=calls)), world(provider, tokens_per_minute=8_000), **words(60)
        )
        begun[name] = provider.most
    assert begun["m"] < begun["other"] == 60


def test_no_call_waits_for_a_minute_of_its_own_because_answers_are_long() -> None:
    """A reservation of the whole minute would let one call of 60 begin a minute."""
    times = []
    for known in (None, foreseen(5.0, Quantiles(50.0, 60.0, 10_000.0, ENOUGH))):
        limits = world(taking(5.0, 50), tokens_per_minute=8_000)
        times.append(virtually(planned(MAP, known), limits, **words(60)).wall_ms)
    assert times[1] <= times[0] * 1.01


def test_once_answers_were_seen_the_longest_of_them_counts() -> None:
    expected = Quantiles(40.0, 50.0, 60.0, ENOUGH)
    model, tables = ModelSettings("m", tokens_per_minute=8_000), cast("Any", None)
    gate = Gate(model)
    request = Request("ask", STR, tables, "What?", (), None, model)
    assert answer_reserved(request, gate, expected) == 60
    gate.longest = 20
    assert answer_reserved(request, gate, expected) == 20


def late_by(plan: Plan) -> float:
    """Seconds of a run whose first asking of its one call takes 100 s, and every other one."""

    async def answer(request: Request) -> str:
        await asyncio.sleep(1.0 if request.hedge else 100.0)
        return "fine"

    result = virtually(plan, world(Scripted(answer)), words=["one"])
    assert result.status == "ok"
    return result.wall_ms / 1e3


def test_a_late_call_is_asked_again_at_once_where_earlier_runs_have_shown_times() -> None:
    plan = planned(MAP, level=3)
    known = foreseen(2.0, EXACTLY, Quantiles(0.5, 1.0, 2.0, ENOUGH))
    assert late_by(plan) == 100.0
    assert 4.0 < late_by(evolve(plan, expectations=known)) < 7.5


def test_where_all_calls_are_later_than_foretold_few_are_asked_again() -> None:
    provider = taking(3.0)
    plan = planned(MAP, foreseen(1.0, EXACTLY), level=3)
    assert virtually(plan, world(provider, max_in_flight=1_000), **words(500)).status == "ok"
    assert len(provider.requests) == 500 + 25


def test_where_all_calls_of_a_tool_are_later_than_foretold_few_are_asked_again() -> None:
    asked = 0

    async def look(word: str) -> str:
        nonlocal asked
        asked += 1
        await asyncio.sleep(3.0)
        return word

    text = "tool look(word: str) -> str reads web\n\n" + MAP.partition("\n\n")[2].replace("ask", "look")
    call = CallExpectation("simulated", "", seconds=EXACTLY, samples=ENOUGH)
    plan = planned(text, Expectations({"look": (call,)}), level=3)
    assert virtually(plan, Environment(tools={"look": look}), **words(60)).status == "ok"
    assert asked == 60 + 3


@pytest.mark.parametrize("usual", [0.0, 63.0])
def test_calls_that_are_as_slow_as_so_many_beside_each_other_are_are_not_late(usual: float) -> None:
    """A second, and 2 ms a token for each call beside: 2.26 s of 64 that all begin at one moment."""
    law = TimeLaw("m", "mine", "", first=1.0, read=0.0, written=0.0, crowd=0.002, spread=EXACTLY)
    tokens = AnswerLaw(Quantiles(10.0, 10.0, 10.0, ENOUGH))
    call = CallExpectation("mine", "", answer=tokens, factor=EXACTLY, samples=ENOUGH, beside=usual)
    provider = taking(2.26)
    plan = planned(MAP, Expectations({"ask": (call,)}, (law,)), level=3)
    virtually(plan, world(provider, max_in_flight=1_000), **words(64))
    assert len(provider.requests) == 64


@pytest.mark.parametrize("expected", [20_000.0, 1e12])
def test_an_answer_expected_too_long_leaves_the_model_s_cache_to_others(expected: float) -> None:
    """Whatever was expected of a program that has ended, others are let in by what it has used."""
    known = foreseen(1.0, Quantiles(expected, expected, expected, ENOUGH))
    provider = taking(1.0)
    environment = world(provider, kv_tokens=10_000)
    plan = planned(MAP)

    async def go() -> float:
        await run_plan(evolve(plan, expectations=known), "main", words(1), environment=environment)
        begun = asyncio.get_running_loop().time()
        runs = (run_plan(plan, "main", words(1), environment=environment, number=n) for n in range(50))
        await asyncio.gather(*runs)
        return asyncio.get_running_loop().time() - begun

    assert in_virtual_time(go) == pytest.approx(1.0)


def test_few_calls_of_earlier_runs_say_nothing_about_when_one_is_late() -> None:
    few = foreseen(2.0, Quantiles(1.0, 1.0, 1.0, 5), Quantiles(0.5, 1.0, 2.0, 5))
    assert late_by(planned(MAP, few, level=3)) == 100.0


def test_what_another_provider_took_says_nothing_about_when_a_call_is_late() -> None:
    other = foreseen(2.0, EXACTLY, Quantiles(0.5, 1.0, 2.0, ENOUGH), by="another")
    assert late_by(planned(MAP, other, level=3)) == 100.0


def test_what_another_model_took_says_nothing_about_when_a_call_is_late() -> None:
    known = foreseen(2.0, EXACTLY, Quantiles(0.5, 1.0, 2.0, ENOUGH))
    calls = {"ask": (evolve(known.calls["ask"][0], model="other"),)}
    other = evolve(known, calls=calls, models=(evolve(known.models[0], model="other"),))
    assert late_by(planned(MAP, other, level=3)) == 100.0


PROGRAM = (
    LLM
    + '''\
@model("m")
llm judge(text: str) -> bool:
    """Is {text} good?"""

tool look(word: str) -> str reads web

tool keep(text: str) -> str writes shelf

flow main(words: list[str]) -> list[str]:
    found = [ask(look(word)) for word in words]
    fine = judge(found[0])
    best = ask(found[0]) if fine else ask(found[1])
    kept = [keep(text) for text in [best, found[1]]]
    return [best, kept[0], kept[1], ask(best)]
'''
)


def lowered_program() -> ModuleOp:
    return lowered(check_text(PROGRAM, "main.flow"), Options(native=False))


PLACES = [place for op in lowered_program().walk() if (place := step_place(op)) is not None]
KEYS = [*(step_key(*place) for place in PLACES), "items@0:0"]


AMOUNTS = st.one_of(st.floats(0, 1e12), st.floats(0, 10), st.sampled_from([0.0, 1e-300, 1e12]))
COUNTS = st.integers(0, 10**6)
QUANTILES = st.builds(
    lambda values, count: Quantiles(*sorted(values), count),
    st.tuples(AMOUNTS, AMOUNTS, AMOUNTS),
    COUNTS,
)
LAWS = st.builds(
    TimeLaw, st.just("m"), st.just("simulated"), st.just(""), AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS, QUANTILES
)
ANSWERS = st.builds(AnswerLaw, QUANTILES, AMOUNTS, st.floats(-2, 2), AMOUNTS, AMOUNTS)
CALLS = st.builds(
    CallExpectation,
    st.sampled_from(["simulated", ""]),
    st.just(""),
    st.none() | QUANTILES,
    st.none() | ANSWERS,
    QUANTILES,
    st.none() | QUANTILES,
    COUNTS,
)
STEPS = st.builds(StepExpectation, st.none() | QUANTILES, st.floats(0, 1), COUNTS)
TABLES = st.builds(
    Expectations,
    st.dictionaries(
        st.sampled_from(["ask", "judge", "look", "embed", "nobody"]), st.lists(CALLS, max_size=2).map(tuple)
    ),
    st.lists(LAWS, max_size=2).map(tuple),
    st.dictionaries(st.sampled_from(KEYS), STEPS),
)
"""Any table, right or absurd."""


def outcome(plan: Plan, seed: int, limits: Mapping[str, Any]) -> tuple[object, ...]:
    """What a run gives and does, and what its calls use."""
    provider = Simulated(seed, Behaviour(spread=1.5))
    kept: list[str] = []

    def keep(text: str) -> str:
        kept.append(text)
        return text

    environment = Environment(
        config=Config(models={"m": ModelSettings("m", provider="simulated", **limits)}),
        providers={"simulated": provider},
        tools={"look": lambda word: word, "keep": keep},
        seed=seed,
    )
    result = virtually(plan, environment, **words(6))
    return result.status, result.result, kept


def compiled(table: Expectations, level: int) -> Plan:
    """The plan that is made by somebody who believes this table."""
    module = lowered_program()
    keep_expectations(module, table)
    optimise(module, PIPELINES[f"O{level}"])
    return to_plan(module, source="main.flow", optimisation=level)[0]


SEQUENTIAL = compile_text(PROGRAM, "main.flow", level=0).plan


@settings(max_examples=25, deadline=None)
@given(
    TABLES,
    st.integers(0, 1_000),
    st.sampled_from([2, 3]),
    st.sampled_from([{}, {"max_in_flight": 2}, {"requests_per_minute": 30}, {"tokens_per_minute": 4_000}]),
)
def test_no_table_of_expectations_changes_what_a_program_gives_and_does(
    table: Expectations, seed: int, level: int, limits: dict[str, int]
) -> None:
    expected = outcome(SEQUENTIAL, seed, limits)
    assert expected[0] == "ok"
    plan = compiled(table, level)
    assert plan.expectations in (table, None)
    assert outcome(plan, seed, limits) == expected


@settings(max_examples=15, deadline=None)
@given(TABLES, st.integers(0, 1_000), st.integers(100, 2_000))
def test_no_table_of_expectations_lets_a_budget_be_exceeded(
    table: Expectations, seed: int, limit: int
) -> None:
    text = MAP.replace("flow main", f"@budget(tokens={limit})\nflow main")
    plan = planned(text, table, level=3)
    provider = Simulated(seed, Behaviour(spread=1.5))
    config = Config(models={"m": ModelSettings("m", provider="simulated", tokens_per_minute=5_000)})
    environment = Environment(config=config, providers={"simulated": provider}, seed=seed)
    result = virtually(plan, environment, **words(8))
    assert result.tokens_in + result.tokens_out <= limit


@settings(max_examples=20, deadline=None)
@given(TABLES, st.integers(0, 1_000), st.integers(1, 90), st.integers(1, 100))
def test_no_place_before_a_model_is_idle_while_a_call_could_begin(
    table: Expectations, seed: int, places: int, count: int
) -> None:
    """Whenever a call begins, all places are taken or all elements of the map have begun."""
    begun: list[tuple[int, int]] = []

    async def answer(request: Request) -> str:
        await asyncio.sleep(0)  # whoever may begin at this moment has begun
        await asyncio.sleep(0)
        begun.append((len(provider.requests), provider.in_flight))
        await asyncio.sleep(Random(f"{seed} {request.prompt}").choice([0.5, 1.0, 7.0]))
        return "fine"

    provider = Scripted(answer)
    result = virtually(planned(MAP, table), world(provider, max_in_flight=places), **words(count))
    assert result.status == "ok"
    assert all(asked == count or under_way == places for asked, under_way in begun)
