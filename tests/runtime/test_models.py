"""Calls of models: gates, budgets, reuse, streams, simulation, people, plans written by models."""

import asyncio
from collections import deque
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.runtime.admission.calls import Call, Program
from flowc.runtime.admission.gate import Gate
from flowc.runtime.config import Config
from flowc.runtime.environment import Environment
from flowc.runtime.execute import run
from flowc.runtime.limits import Price
from flowc.runtime.people import answers
from flowc.runtime.plan import Effect, Json, Limits, Operation, Parameter, Plan
from flowc.runtime.providers.base import ModelSettings, Request, Response, Usage, estimate_tokens
from flowc.runtime.providers.simulated import Behaviour, Simulated
from flowc.runtime.types import BOOL, INT, JSON, NONE, STR, Array, Enum, List, Optional, Type
from tests.runtime.plans import NO_LIMITS, Builder, llm, plan, tool
from tests.runtime.worlds import Scripted, in_virtual_time, virtually


def many(
    times: int,
    *,
    limits: Limits = NO_LIMITS,
    cached: bool = False,
    result: Type = STR,
    same: bool = False,
    **more: Any,
) -> Plan:
    """A flow that asks `times` times at once, about the same or about different numbers."""
    inner = Builder()
    number = inner.parameter()
    hole: Json = {"input": 0, "name": "n"}
    segments: list[Json] = ["What is it? "] if same else ["What is ", hole, "?"]
    answer = inner.one("generate", number, operation="ask", segments=segments)
    body = Builder()
    numbers = body.apply("range", body.constant(times))
    found = body.one("map", numbers, regions=[inner.region(answer)], width=64)
    declared = llm("ask", result=result, cached=cached, model="m", **more)
    return plan(
        body.region(found), operations=[declared], result=List(result), limits=limits, enums={"V": ("a", "b")}
    )


def world(provider: Scripted, **settings_: Any) -> Environment:
    model = ModelSettings("m", "scripted", "m-1", **settings_)
    return Environment(config=Config(models={"m": model}), providers={"scripted": provider})


async def slow(request: Request) -> str:
    await asyncio.sleep(1)
    return "answer " + request.prompt


def test_no_more_calls_are_in_flight_than_allowed() -> None:
    provider = Scripted(slow)
    result = virtually(many(20), world(provider, max_in_flight=4))
    assert (provider.most, result.wall_ms) == (4, pytest.approx(5000))


def test_of_the_calls_that_wait_the_highest_rank_is_next() -> None:
    provider = Scripted(slow)
    body = Builder()
    ranks = [3.0, 9.0, 1.0, 7.0, 5.0]
    asked = [body.one("generate", operation="ask", segments=[f"rank {rank:g}"], rank=rank) for rank in ranks]
    of = plan(body.region(body.one("list", *asked)), operations=[llm("ask", model="m")], result=List(STR))
    virtually(of, world(provider, max_in_flight=1))
    assert [request.prompt for request in provider.requests] == [
        f"rank {rank:g}" for rank in sorted(ranks, reverse=True)
    ]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 200), st.integers(1, 50), st.floats(0, 30)), min_size=1, max_size=40),
    st.integers(1, 6),
    st.integers(50, 120),
)
def test_no_window_of_a_minute_holds_more_than_the_limits(
    calls: list[tuple[float, int, float]], requests: int, tokens: int
) -> None:
    admitted: list[tuple[float, int]] = []

    async def go() -> None:
        loop = asyncio.get_running_loop()
        gate = Gate(ModelSettings(requests_per_minute=requests, tokens_per_minute=tokens))

        async def call(start: float, amount: int, length: float) -> None:
            await asyncio.sleep(start)
            place = await gate.enter(Call(Program("one"), tokens=amount))
            admitted.append((loop.time(), amount))
            await asyncio.sleep(length)
            place.leave()

        await asyncio.gather(*(call(*each) for each in calls))

    in_virtual_time(go)
    assert len(admitted) == len(calls)
    window: deque[tuple[float, int]] = deque()
    for time, amount in admitted:
        window.append((time, amount))
        while window[0][0] <= time - 60 + 1e-6:
            window.popleft()
        assert len(window) <= requests
        assert sum(units for _, units in window) <= tokens


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 30),
    st.integers(30, 900),
    st.integers(0, 3),
    st.randoms(use_true_random=False),
    st.integers(1, 120),
)
def test_a_budget_of_tokens_is_never_exceeded_retries_included(
    times: int, tokens: int, retries: int, chance: Random, length: int
) -> None:
    spent = 0

    async def answer(request: Request) -> Response:
        nonlocal spent
        await asyncio.sleep(1)
        assert request.max_tokens is not None
        size = min(length, request.max_tokens)
        prompt = estimate_tokens(request.prompt)
        spent += prompt + size
        text = "" if chance.random() < 0.4 else "x"
        return Response(text, Usage(prompt, size), "stop" if size == length else "length")

    provider = Scripted(answer)
    of = many(times, limits=Limits(tokens=tokens))
    declared = llm("ask", model="m", limits=Limits(retries=retries), max_tokens=100)
    of = Plan(of.source, of.functions, {"ask": declared}, of.records, of.enums)
    result = virtually(of, world(provider))
    assert spent <= result.tokens_in + result.tokens_out <= tokens
    if result.status == "ok":
        assert spent == result.tokens_in + result.tokens_out
        assert len(result.result) == times


def test_calls_wait_for_a_budget_that_others_only_hold() -> None:
    async def short(request: Request) -> Response:
        await asyncio.sleep(1)
        return Response("x", Usage(4, 1))

    of = many(10, limits=Limits(tokens=150), max_tokens=100)
    result = virtually(of, world(Scripted(short)))
    assert (result.status, result.tokens_in + result.tokens_out) == ("ok", 50)
    assert result.wall_ms >= 2000


def test_a_budget_of_money_shortens_answers_to_what_is_left() -> None:
    async def long(request: Request) -> Response:
        assert request.max_tokens is not None
        return Response("x", Usage(4, request.max_tokens), "length")

    result = virtually(
        many(1, limits=Limits(money=0.001), max_tokens=1000), world(Scripted(long), price=Price(1e-6, 2e-6))
    )
    assert result.problem is not None
    assert (result.status, result.problem.code) == ("over-budget", "E0722")
    assert 0.0009 < result.cost_usd <= 0.001


def test_equal_calls_of_a_cached_llm_are_one_call() -> None:
    provider = Scripted(slow)
    result = virtually(many(10, cached=True, same=True), world(provider))
    assert len(provider.requests) == 1
    assert len(set(result.result)) == 1


def test_equal_calls_of_an_uncached_llm_stay_apart() -> None:
    provider = Scripted(slow)
    virtually(many(10, same=True), world(provider))
    assert len(provider.requests) == 10


def test_ballots_of_one_vote_are_never_merged() -> None:
    provider = Scripted(slow)
    inner = Builder()
    inner.parameter()
    answer = inner.one("generate", operation="ask", segments=["Why?"])
    body = Builder()
    of = plan(
        body.region(body.one("vote", regions=[inner.region(answer)], max=5, lead=3)),
        operations=[llm("ask", cached=True, model="m")],
        result=STR,
    )
    virtually(of, world(provider))
    assert len(provider.requests) == 3


def test_parts_of_answers_are_streamed_with_their_step() -> None:
    heard: list[tuple[str, str]] = []

    async def talking(request: Request) -> str:
        assert request.stream is not None
        request.stream("an")
        request.stream("swer")
        return "answer"

    environment = world(Scripted(talking))
    environment = Environment(
        config=environment.config, providers=environment.providers, stream=lambda *part: heard.append(part)
    )
    virtually(many(1), environment)
    assert heard == [("main/0:map[0]/0:ask", "an"), ("main/0:map[0]/0:ask", "swer")]


def test_a_simulated_run_is_virtual_and_repeats_exactly() -> None:
    of = many(30, result=Enum("V"))
    environment = Environment(provider="simulated", seed=11)
    first, second = (run(of, "main", environment=environment) for _ in range(2))
    other = run(of, "main", environment=Environment(provider="simulated", seed=12))
    assert first.virtual
    assert first.to_json() == second.to_json()
    assert first.result != other.result
    assert first.wall_ms > 100


def test_a_storm_of_simulated_faults_ends_in_results_or_in_a_coded_problem() -> None:
    behaviour = Behaviour(
        rate_limited=0.1, server_error=0.1, reset=0.1, truncated=0.05, not_json=0.1, wrong_schema=0.1
    )
    for seed in range(20):
        provider = Simulated(seed, behaviour)
        declared = llm("ask", result=Enum("V"), model="m", limits=Limits(retries=seed % 8, backoff=0.1))
        of = many(20, result=Enum("V"))
        of = Plan(of.source, of.functions, {"ask": declared}, of.records, of.enums)
        environment = Environment(provider="simulated", providers={"simulated": provider}, seed=seed)
        result = run(of, "main", environment=environment)
        if result.problem is None:
            assert set(result.result) <= {"a", "b"}
        else:
            assert result.problem.code[:3] == "E08"
            assert result.problem.help


def test_tools_without_a_function_are_simulated_under_that_provider_only() -> None:
    body = Builder()
    of = plan(
        body.region(body.tool("look", body.constant(1))),
        operations=[tool("look", INT, result=List(STR), effects=[Effect("reads", "web")])],
    )
    assert isinstance(run(of, "main", environment=Environment(provider="simulated")).result, list)
    with pytest.raises(Exception, match="E0803"):
        run(of, "main", environment=Environment())


def test_texts_are_embedded_as_the_rows_of_an_array() -> None:
    body = Builder()
    of = plan(body.region(body.one("embed", body.constant(["a", "bcd"]))), result=Array("f32", ("n", "d")))
    result = run(of, "main", environment=Environment())
    assert result.result.shape == (2, 256)
    assert result.calls == 1


HUMAN = Operation("human", "approve", (Parameter("draft", STR),), BOOL, (Effect("human"),))


def asking_a_person() -> Plan:
    body = Builder()
    segments: list[Json] = ["May this go? ", {"input": 0, "name": "draft"}]
    approved = body.one("human", body.constant("Dear all"), operation="approve", segments=segments)
    return plan(body.region(approved), operations=[HUMAN], result=BOOL)


def test_a_person_answers_through_a_callback() -> None:
    asked: list[str] = []

    async def ask(question: Any) -> bool:
        asked.append(question.prompt)
        return True

    for people in (ask, answers({"approve": "yes"}), answers({"approve": True})):
        assert run(asking_a_person(), "main", environment=Environment(people=people)).result is True
    assert asked == ["May this go? Dear all"]


def test_without_a_person_the_run_waits_and_says_for_what() -> None:
    for people in (None, answers({})):
        result = run(asking_a_person(), "main", environment=Environment(people=people))
        assert result.problem is not None
        assert (result.status, result.exit_code, result.problem.code) == ("waiting", 4, "E0730")
        assert "Dear all" in result.problem.why


def test_an_answer_of_another_type_is_refused() -> None:
    result = run(asking_a_person(), "main", environment=Environment(people=lambda question: "perhaps"))
    assert result.problem is not None
    assert result.problem.code == "E0731"


def step(id_: str, name: str, **arguments: Json) -> Json:
    return {"id": id_, "tool": name, "arguments": arguments}


def test_null_in_a_step_stands_for_a_default_where_it_is_no_value_itself() -> None:
    given: list[Any] = []

    def look(x: int, y: object) -> int:
        given.append((x, y))
        return x

    parameters = (Parameter("x", INT, 7, True), Parameter("y", Optional(STR), "none given", True))
    body = Builder()
    steps: Json = [step("a", "look", x=None, y=None), step("b", "look"), step("c", "look", x=1, y="y")]
    value = body.one("cast", body.constant({"steps": steps}), type={"plan": ["look"]})
    of = plan(
        body.region(body.one("execute", value, tools=["look"])),
        operations=[Operation("tool", "look", parameters, INT, (Effect("writes", "log"),))],
        result=List(JSON),
    )
    assert virtually(of, Environment(tools={"look": look})).result == [7, 7, 1]
    assert given == [(7, None), (7, "none given"), (1, "y")]


def executed(*steps: Json) -> Any:
    """The result of a plan over `look(p0: int) -> int` (10 seconds) and `note(p0: json) -> none`."""
    noted: list[Any] = []

    async def look(x: int) -> int:
        await asyncio.sleep(10)
        return 2 * x

    def note(x: Any) -> None:
        noted.append(x)

    body = Builder()
    written = body.constant({"steps": list(steps)})
    value = body.one("cast", written, type={"plan": ["look", "note"]})
    of = plan(
        body.region(body.one("execute", value, tools=["look", "note"])),
        operations=[
            tool("look", INT),
            tool("note", JSON, result=NONE, effects=[Effect("writes", "log")]),
        ],
        result=List(JSON),
    )
    return virtually(of, Environment(tools={"look": look, "note": note})), noted


def test_a_plan_runs_in_parallel_by_its_references_and_writes_keep_their_order() -> None:
    result, noted = executed(
        step("a", "look", p0=1),
        step("b", "look", p0=2),
        step("c", "look", p0="$a"),
        step("d", "note", p0={"sum": ["$c", "$b"]}),
        step("e", "note", p0="last"),
    )
    assert result.result == [2, 4, 4, None, None]
    assert result.wall_ms == pytest.approx(20_000)
    assert noted == [{"sum": [4, 4]}, "last"]


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        ([step("a", "remove", p0=1)], "E0840"),
        ([step("a", "look", p0=1), step("a", "look", p0=1)], "E0840"),
        ([{"id": "a"}], "E0840"),
        ([step("a", "look", p0="$b")], "E0841"),
        ([step("a", "look", p0="$b"), step("b", "look", p0="$a")], "E0841"),
        ([step("a", "look")], "E0842"),
        ([step("a", "look", p0=1, depth=2)], "E0842"),
        ([step("a", "look", p0="many")], "E0842"),
    ],
)
def test_an_unsound_plan_is_refused_before_anything_runs(steps: list[Json], code: str) -> None:
    result, noted = executed(step("first", "note", p0=0), *steps) if code != "E0842" else executed(*steps)
    assert result.problem is not None
    assert result.problem.code == code
    assert noted == []
