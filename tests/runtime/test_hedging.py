"""A call that is late is asked once more: when, what it costs, and when it is left alone."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.runtime.config import Config
from flowc.runtime.environment import Environment
from flowc.runtime.errors import Problem
from flowc.runtime.execute import load, run_plan
from flowc.runtime.latencies import Sample
from flowc.runtime.limits import Price
from flowc.runtime.plan import Json, Limits, Plan
from flowc.runtime.providers.base import ModelSettings, ProviderError, Request, Response, Usage
from flowc.runtime.providers.simulated.behaviour import Behaviour
from flowc.runtime.providers.simulated.provider import Simulated
from flowc.runtime.result import RunResult
from flowc.runtime.types import STR, List
from tests.runtime.plans import NO_LIMITS, Builder, llm, plan
from tests.runtime.worlds import Scripted, in_virtual_time, virtually

TWICE: list[Json] = []


def asking(times: int, *, limits: Limits = NO_LIMITS, others: Json = TWICE, **more: int) -> Plan:
    """A flow that asks as often, one call after the other in rows of ten."""
    inner = Builder()
    number = inner.parameter()
    segments: list[Json] = ["What is ", {"input": 0, "name": "n"}, "?"]
    answer = inner.one("generate", number, operation="ask", segments=segments, hedge=others)
    body = Builder()
    numbers = body.apply("range", body.constant(times))
    found = body.one("map", numbers, regions=[inner.region(answer)], width=10)
    declared = llm("ask", model="m", **more)
    return plan(body.region(found), operations=[declared], result=List(STR), limits=limits)


def world(provider: object, **settings_: object) -> Environment:
    model = ModelSettings("m", "scripted", "m-1", **settings_)  # type: ignore[arg-type]
    return Environment(config=Config(models={"m": model}), providers={"scripted": provider})  # type: ignore[dict-item]


def slow_once(late: int) -> Callable[[Request], Awaitable[str]]:
    """Answers after a second, but the first asking of one question after a hundred."""

    async def answer(request: Request) -> str:
        first = request.prompt == f"What is {late}?" and not request.hedge
        await asyncio.sleep(100 if first else 1)
        return "answer " + request.prompt

    return answer


def test_a_late_call_is_asked_once_more_and_the_first_answer_counts() -> None:
    provider = Scripted(slow_once(35))
    result = virtually(asking(40), world(provider))
    assert result.result == [f"answer What is {n}?" for n in range(40)]
    assert result.wall_ms < 10_000
    assert [request.prompt for request in provider.requests if request.hedge] == ["What is 35?"]
    first, second = [request for request in provider.requests if request.prompt == "What is 35?"]
    assert (first.seed, first.step, first.attempt) == (second.seed, second.step, second.attempt)
    assert result.calls == 41


def test_nothing_is_asked_twice_before_it_is_known_what_is_usual() -> None:
    provider = Scripted(slow_once(5))
    assert virtually(asking(10), world(provider)).wall_ms >= 100_000
    assert len(provider.requests) == 10


def test_the_configuration_may_say_what_is_late() -> None:
    provider = Scripted(slow_once(5))
    assert virtually(asking(10), world(provider, hedge_after=3.0)).wall_ms == pytest.approx(4_000)


def test_nothing_is_asked_twice_where_the_model_takes_no_more_calls() -> None:
    provider = Scripted(slow_once(5))
    result = virtually(asking(10), world(provider, hedge_after=3.0, requests_per_minute=10))
    assert len(provider.requests) == 10
    assert result.wall_ms >= 100_000


def test_nothing_is_asked_twice_where_the_budget_has_to_pay_for_more() -> None:
    provider = Scripted(slow_once(0))
    price = {"price": Price(1.0, 1.0), "max_tokens": 20, "hedge_after": 3.0}
    tight = asking(1, limits=Limits(tokens=40), others=[1])
    assert virtually(tight, world(provider, **price)).status == "ok"
    assert len(provider.requests) == 1
    virtually(asking(1, limits=Limits(tokens=400), others=[2]), world(provider, **price))
    assert len(provider.requests) == 2
    result = virtually(asking(1, limits=Limits(tokens=400), others=[1]), world(provider, **price))
    assert len(provider.requests) == 4
    assert result.wall_ms == pytest.approx(4_000)


def test_a_failure_counts_only_where_both_fail() -> None:
    async def answer(request: Request) -> str:
        await asyncio.sleep(1 if request.hedge else 5)
        if not request.hedge or request.prompt == "What is 1?":
            raise ProviderError(Problem("E0821", f"the endpoint failed {request.hedge}"))
        return "saved"

    fine = virtually(asking(1), world(Scripted(answer), hedge_after=4.5))
    assert fine.result == ["saved"]
    failed = virtually(asking(2), world(Scripted(answer), hedge_after=4.5))
    assert failed.problem is not None
    assert failed.problem.message == "the endpoint failed 0"


def test_an_answer_that_has_begun_to_arrive_is_not_asked_for_again() -> None:
    async def answer(request: Request) -> str:
        if request.stream is not None:
            request.stream("answer ")
        await asyncio.sleep(10)
        return "answer"

    provider, parts = Scripted(answer), list[str]()
    environment = world(provider, hedge_after=1.0)
    told = Environment(
        config=environment.config,
        providers=environment.providers,
        stream=lambda step, part: parts.append(part),
    )
    virtually(asking(1), told)
    assert len(provider.requests) == 1
    assert parts == ["answer "]


def test_a_provider_that_ignores_cancellation_does_not_hold_up_the_answer() -> None:
    async def answer(request: Request) -> str:
        ends = asyncio.get_running_loop().time() + (1 if request.hedge else 50)
        while (left := ends - asyncio.get_running_loop().time()) > 0:
            try:
                await asyncio.sleep(left)
            except asyncio.CancelledError:
                continue
        return f"asked {request.hedge}"

    result = virtually(asking(1), world(Scripted(answer), hedge_after=2.0))
    assert result.result == ["asked 1"]
    assert result.wall_ms == pytest.approx(3_000)


@pytest.mark.parametrize("stubborn", [0.5, 50])
def test_the_asking_that_has_lost_keeps_its_place_as_long_as_it_goes_on(stubborn: float) -> None:
    async def answer(request: Request) -> str:
        loop = asyncio.get_running_loop()
        late = request.prompt == "What is 0?" and not request.hedge
        ends = loop.time() + (100 if late else 1)
        while (left := ends - loop.time()) > 0:
            try:
                await asyncio.sleep(left)
            except asyncio.CancelledError:
                ends = min(ends, loop.time() + stubborn)
        return "answer"

    async def runs() -> list[RunResult]:
        return [await run_plan(asking(times), environment=environment) for times in (1, 9)]

    provider = Scripted(answer)
    environment = world(provider, hedge_after=2.0, max_in_flight=2)
    results: list[RunResult] = in_virtual_time(runs)
    assert [result.status for result in results] == ["ok", "ok"]
    assert provider.most == 2


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000))
def test_a_simulated_model_answers_the_same_with_and_without_hedging(seed: int) -> None:
    def ran(others: Json) -> RunResult:
        provider = Simulated(seed, Behaviour(spread=1.5))
        return virtually(asking(60, others=others), world(provider, max_in_flight=20))

    hedged, plain = ran([]), ran(None)
    assert (hedged.status, hedged.result) == (plain.status, plain.result)
    assert hedged.wall_ms <= plain.wall_ms


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(60, 300))
def test_a_budget_is_never_exceeded_whoever_loses(seed: int, limit: int) -> None:
    spent = 0

    async def answer(request: Request) -> Response:
        nonlocal spent
        chance = Random(f"{seed} {request.prompt} {request.hedge}")
        used = chance.randint(1, request.max_tokens or 1)
        spent += 10 + used
        await asyncio.sleep(chance.expovariate(0.2))
        return Response("fine", Usage(10, used))

    price = {"price": Price(1.0, 1.0), "max_tokens": 60, "hedge_after": 2.0}
    result = virtually(asking(1, limits=Limits(tokens=limit), others=[1]), world(Scripted(answer), **price))
    assert result.status == "ok"
    assert spent <= limit


def test_what_is_usual_is_known_from_one_run_to_the_next() -> None:
    provider = Scripted(slow_once(5))

    async def both() -> RunResult:
        loaded = load(asking(30), world(provider))
        await run_plan(loaded, "main", {})
        return await run_plan(loaded, "main", {})

    assert in_virtual_time(both).wall_ms < 10_000


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 100), min_size=20, max_size=500))
def test_the_95th_percentile_is_that_of_the_latest_calls(latencies: list[float]) -> None:
    sample = Sample()
    for each in latencies:
        sample.note(each)
    latest = sorted(latencies[-200:])
    late = sample.late()
    assert late is not None
    assert sum(each <= late for each in latest) >= 0.95 * len(latest)
    assert sum(each < late for each in latest) < 0.95 * len(latest)
