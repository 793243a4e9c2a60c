"""The simulated provider on a loop: the same answers under any server; times, quotas and faults as said."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.compiler import driver
from flowc.runtime.coerce import Tables
from flowc.runtime.environment import Environment
from flowc.runtime.execute import run
from flowc.runtime.plan import Operation
from flowc.runtime.providers.base import (
    BatchProvider,
    EmbedRequest,
    ModelSettings,
    ProviderError,
    Request,
    Response,
)
from flowc.runtime.providers.simulated import Behaviour, Quota, Serving, Simulated, Simulation, simulated_tool
from flowc.runtime.providers.simulated.distributions import Empirical, Family
from flowc.runtime.providers.simulated.endpoint import MINUTE, Endpoint
from flowc.runtime.types import INT, STR, List, Type
from tests.runtime.worlds import in_virtual_time

TABLES = Tables({}, {})
SERVER = Serving(prefill=0.5, per_prompt_token=0.01, iteration=0.25, per_sequence=0.0, kv_tokens=4096)


def asking(prompt: str = "Why is that so?", step: str = "main/1", result: Type = STR) -> Request:
    schema = None if result == STR else {}
    return Request("ask", result, TABLES, prompt, (), schema, ModelSettings("m"), step=step)


def timed(work: Callable[[], Awaitable[Any]]) -> tuple[Any, float]:
    async def go() -> tuple[Any, float]:
        found = await work()
        return found, asyncio.get_running_loop().time()

    found: tuple[Any, float] = in_virtual_time(go)
    return found


def answered(behaviour: Behaviour, *requests: Request, seed: int = 7) -> tuple[list[Any], float]:
    """What requests at one time give, failures in the place of answers, and when all were there."""
    provider = Simulated(seed, behaviour)

    async def all_of_them() -> list[Any]:
        return await asyncio.gather(*map(provider.generate, requests), return_exceptions=True)

    found: tuple[list[Any], float] = timed(all_of_them)
    return found


def test_without_parameters_answers_and_times_are_as_they_always_were() -> None:
    """Recorded runs depend on it: a seed is a promise."""
    (answer,), time = answered(Behaviour(), asking())
    assert answer.text.startswith("Has the for its person")
    assert (answer.usage.prompt, answer.usage.answer, answer.finish) == (4, 34, "stop")
    assert time == pytest.approx(0.8063349436890374)


@pytest.mark.parametrize("result", [STR, INT, List(STR)])
def test_answers_depend_on_no_server_quota_or_latency(result: Type) -> None:
    requests = [asking(step=f"main/{number}", result=result) for number in range(5)]
    behaviours = (
        Behaviour(),
        Behaviour(server=SERVER),
        Behaviour(latency=Family(3.0, "gamma", 2.0)),
        Behaviour(network=1.0, quotas=(Quota(requests_per_minute=100),)),
    )
    texts = [[answer.text for answer in answered(each, *requests)[0]] for each in behaviours]
    assert texts[1:] == texts[:1] * 3


def test_one_call_on_an_empty_server_takes_its_prefill_and_its_tokens() -> None:
    (answer,), time = answered(Behaviour(network=2.0, server=SERVER), asking())
    assert time == pytest.approx(2.0 + 0.5 + 4 * 0.01 + (answer.usage.answer - 1) * 0.25)
    assert (answer.usage.cached, answer.usage.queued) == (0, 0.0)


def test_the_beginning_of_a_prompt_that_another_call_had_is_not_computed_again() -> None:
    shared = "You are careful. " * 40
    (first, second), _ = answered(Behaviour(server=SERVER), asking(shared + "a"), asking(shared + "b"))
    assert first.usage.cached == 0
    assert second.usage.cached == len(shared) // 64 * 16
    assert second.usage.queued == pytest.approx(0.5 + 0.01 * first.usage.prompt)


def test_an_answer_is_streamed_in_parts_over_its_time() -> None:
    for behaviour in (Behaviour(), Behaviour(server=SERVER), Behaviour(latency=Family(4.0))):
        parts: list[tuple[float, str]] = []

        def heard(part: str, parts: list[tuple[float, str]] = parts) -> None:
            parts.append((asyncio.get_running_loop().time(), part))

        (answer,), time = answered(behaviour, evolve(asking(), stream=heard))
        plain, same = answered(behaviour, asking())
        assert "".join(part for _, part in parts) == answer.text == plain[0].text
        assert parts[-1][0] == time == same
        assert len({time for time, _ in parts}) == 8


@pytest.mark.parametrize("waited", [0.25, 0.7, 3.0])
def test_a_cancelled_call_frees_its_blocks_and_makes_no_more_tokens(waited: float) -> None:
    provider = Simulated(7, Behaviour(server=SERVER))

    async def given_up() -> None:
        call = asyncio.ensure_future(provider.generate(asking()))
        await asyncio.sleep(waited)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.sleep(10.0)
        server = provider.hosts[asyncio.get_running_loop()]["m"].server
        assert (server.batch, server.prefilling, server.cache.private) == (0, None, 0)
        assert set(server.cache.users.values()) <= {0}
        assert server.statistics.decoded <= waited / SERVER.iteration + 1
        assert server.statistics.busy <= waited + SERVER.prefill + 0.25 + 0.04

    timed(given_up)


def test_a_provider_that_ignores_cancellation_answers_at_its_own_time() -> None:
    provider = Simulated(7, Behaviour(ignores_cancellation=True, server=SERVER))

    async def given_up() -> Response:
        call = asyncio.ensure_future(provider.generate(asking()))
        await asyncio.sleep(1.0)
        call.cancel()
        return await call

    answer, time = timed(given_up)
    assert (answer.text, time) == (
        answered(Behaviour(), asking())[0][0].text,
        answered(Behaviour(server=SERVER), asking())[1],
    )


def test_a_prompt_that_no_cache_could_hold_is_refused() -> None:
    (error,), _ = answered(Behaviour(server=evolve(SERVER, kv_tokens=64)), asking("long " * 200))
    assert isinstance(error, ProviderError)
    assert (error.problem.code, error.retryable) == ("E0825", False)


def test_what_is_over_the_quota_is_told_how_long_to_wait() -> None:
    behaviour = Behaviour(quotas=(Quota(requests_per_minute=2),))
    answers, _ = answered(behaviour, *(asking(step=str(number)) for number in range(3)))
    assert [isinstance(answer, ProviderError) for answer in answers] == [False, False, True]
    assert (answers[2].problem.code, answers[2].after) == ("E0820", MINUTE)


def test_a_quota_may_change_midway() -> None:
    endpoint = Endpoint("m", (Quota(after=100.0, requests_per_minute=1), Quota(requests_per_minute=3)))
    for _ in range(3):
        endpoint.enter(0.0, 1)
    with pytest.raises(ProviderError):
        endpoint.enter(0.0, 1)
    endpoint.enter(100.0, 1)
    with pytest.raises(ProviderError) as refused:
        endpoint.enter(110.0, 1)
    assert refused.value.after == 50.0


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(1, 50)), max_size=60),
    st.integers(1, 6),
    st.integers(50, 120),
)
def test_no_minute_has_more_than_the_quota_and_the_wait_told_is_enough(
    calls: list[tuple[int, int]], requests: int, tokens: int
) -> None:
    endpoint = Endpoint("m", (Quota(requests_per_minute=requests, tokens_per_minute=tokens),))
    let_in: list[tuple[float, int]] = []
    now = 0.0
    for wait, size in calls:
        now += wait / 10
        try:
            endpoint.enter(now, size)
        except ProviderError as error:
            now += error.after or 0.0
            endpoint.enter(now, size)
        endpoint.leave()
        let_in.append((now, size))
    for begin, _ in let_in:
        window = [size for time, size in let_in if begin <= time < begin + MINUTE]
        assert len(window) <= requests
        assert sum(window) <= tokens


def test_wrong_usage_is_no_count_of_tokens_that_a_call_could_have() -> None:
    answers, _ = answered(Behaviour(wrong_usage=1.0), *(asking(step=str(number)) for number in range(20)))
    counts = {count for answer in answers for count in (answer.usage.prompt, answer.usage.answer)}
    assert counts == {-1, 10**15}


def test_an_endpoint_for_many_answers_each_by_its_name_unless_told_otherwise() -> None:
    requests = {f"r{number}": asking(step=str(number)) for number in range(40)}
    wanted = dict(zip(requests, answered(Behaviour(), *requests.values())[0], strict=True))

    def names(behaviour: Behaviour) -> list[str]:
        provider = Simulated(7, behaviour)
        assert isinstance(provider, BatchProvider)
        found, _ = timed(lambda: provider.generate_many(requests))
        assert all(wanted[name].text == answer.text for name, answer in found)
        return [name for name, _ in found]

    assert names(Behaviour()) == list(requests)
    shuffled = names(Behaviour(batch_shuffled=True))
    assert shuffled != list(requests)
    assert sorted(shuffled) == sorted(requests)
    assert len(set(names(Behaviour(batch_dropped=0.3)))) < 40
    doubled = names(Behaviour(batch_duplicated=0.3))
    assert len(doubled) > len(set(doubled)) == 40


def test_lengths_of_a_trace_are_the_tokens_that_answers_have() -> None:
    lengths = Empirical.of([5, 500])
    requests = [asking(step=str(number), result=INT) for number in range(200)]
    answers, _ = answered(Behaviour(lengths=lengths), *requests)
    counts = sorted(answer.usage.answer for answer in answers)
    assert 5 <= counts[0] < 60
    assert 440 < counts[-1] <= 500


def test_latencies_by_name_are_those_of_llms_and_tools() -> None:
    simulation = Simulation(llms={"ask": Family(9.0)})
    provider = Simulated(7, Behaviour(), simulation)
    assert timed(lambda: provider.generate(asking()))[1] == 9.0
    look = simulated_tool(Operation("tool", "look", (), STR, ()), TABLES, 7, latency=Family(4.0))
    same = simulated_tool(Operation("tool", "look", (), STR, ()), TABLES, 7)
    (value, time), (other, _) = timed(lambda: look(1)), timed(lambda: same(1))
    assert (value, time) == (other, 4.0)


def test_texts_are_embedded_by_the_server_and_one_after_the_other() -> None:
    provider = Simulated(7, Behaviour(server=SERVER))
    texts = EmbedRequest(("abcd", "efgh", "ijkl"), ModelSettings("m"))
    found, time = timed(lambda: provider.embed(texts))
    assert len(found.vectors) == 3
    assert time == pytest.approx(3 * (0.5 + 0.01))


def test_each_model_behaves_as_its_own_section_says() -> None:
    simulation = Simulation(Behaviour(), models={"slow": Behaviour(latency=Family(60.0))})
    provider = Simulated(7, simulation.behaviour, simulation)
    slow = evolve(asking(), model=ModelSettings("slow"))
    assert timed(lambda: provider.generate(slow))[1] == 60.0
    assert timed(lambda: provider.generate(asking()))[1] < 10.0


def test_a_very_long_answer_takes_its_time_and_is_not_written_out() -> None:
    (answer,), time = answered(Behaviour(lengths=Family(1e9)), asking())
    assert (answer.usage.answer, answer.finish) == (10**9, "stop")
    assert len(answer.text) < 10**6
    assert time > 10**7


def test_the_clock_reaches_years() -> None:
    """Where floats are coarser than the resolution of the loop's clock, timers must still go off."""
    _, time = answered(Behaviour(tokens_per_second=1e-6), asking())
    assert time > 10**7


def test_who_fails_to_take_a_part_of_an_answer_fails_alone() -> None:
    def closed(part: str) -> None:
        raise BrokenPipeError("nobody reads")

    failed, answer = answered(
        Behaviour(server=SERVER), evolve(asking(), stream=closed), asking(step="main/2")
    )[0]
    assert isinstance(failed, BrokenPipeError)
    assert isinstance(answer, Response)


def test_embeddings_take_the_latency_of_their_model_and_count_against_its_quotas() -> None:
    provider = Simulated(7, Behaviour(latency=Family(3.0), quotas=(Quota(requests_per_minute=1),)))
    request = EmbedRequest(("a", "b"), ModelSettings("m"), step="main/1")

    async def twice() -> list[Any]:
        return await asyncio.gather(provider.embed(request), provider.embed(request), return_exceptions=True)

    (_, refused), time = timed(twice)
    assert isinstance(refused, ProviderError)
    assert (refused.problem.code, time) == ("E0820", 3.0)


INLINED = """
@model("m", temperature=0)
llm ask(question: str, aside: str) -> str:
    \"\"\"Answer {question}\"\"\"

flow twice(question: str) -> str:
    return ask(ask(question, "x"), question)

flow main(question: str) -> list[str]:
    found = [twice(question + str(i)) for i in range(3)]
    return [twice(question), ask(question, "y")] + found
"""


def test_at_temperature_0_a_program_answers_the_same_however_its_flows_were_inlined() -> None:
    environment = Environment(provider="simulated", seed=7)
    results = [
        run(
            driver.compile_text(INLINED, "main.flow", level=level).plan,
            "main",
            {"question": "why"},
            environment=environment,
        ).result
        for level in (0, 1, 2, 3)
    ]
    assert results[0] is not None
    assert results[1:] == results[:1] * 3


RETRIED = '''
@model("m", temperature={temperature})
llm ask(x: int) -> str:
    """{{x}}"""

flow main(x: int) -> str:
    with retry(8):
        a = ask(x)
    return a
'''


@pytest.mark.parametrize("temperature", [0, 1])
def test_a_block_that_is_tried_again_meets_another_fault_or_none(temperature: int) -> None:
    plan = driver.compile_text(RETRIED.format(temperature=temperature), "main.flow").plan
    behaviour = Behaviour(server_error=0.5)
    for seed in range(10):
        world = Environment(
            providers={"simulated": Simulated(seed, behaviour)}, provider="simulated", seed=seed
        )
        assert run(plan, "main", {"x": 1}, environment=world).problem is None
