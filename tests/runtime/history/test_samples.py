"""Samples from the traces of runs: what a call took once it was admitted, and nothing that is not so."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from attrs import evolve

from flowc.compiler.driver import compile_text
from flowc.runtime.config import Config
from flowc.runtime.environment import Environment
from flowc.runtime.errors import fail
from flowc.runtime.execute import run_plan
from flowc.runtime.expectations import AnswerLaw, CallExpectation, Expectations, Quantiles
from flowc.runtime.history.names import places
from flowc.runtime.history.samples import CallSample, Samples, beside_each, is_sound, samples
from flowc.runtime.providers.base import ModelSettings, ProviderError, Request, Response, Usage
from flowc.runtime.trace.foretold import foretold
from tests.runtime.worlds import Scripted, in_virtual_time

PROGRAM = '''\
tool work(i: int) -> int pure

@retry(3, backoff=100ms)
llm ask(i: int) -> str:
    """Number {i}"""

llm judge(i: int) -> bool:
    """Is {i} good?"""

flow asks(n: int) -> list[str]:
    return [ask(i) for i in range(n)]

flow steps(n: int) -> int:
    found = 0
    for i in range(n):
        if work(i) > 2:
            found = found + work(i)
    while found > 10 up to 9:
        found = work(found) - 7
    return found

flow tried(n: int) -> bool:
    return try judge(n) else judge(n + 1)

flow voted() -> bool:
    return vote(judge(1), max=5, lead=3)
'''
COMPILED = compile_text(PROGRAM, "main.flow")
PLAIN = compile_text(PROGRAM, "main.flow", level=0)


def shown(
    flow: str,
    arguments: dict[str, object],
    answer: Callable[[Request], Awaitable[str | Response]],
    *,
    level: int = 2,
    **model: Any,
) -> tuple[Samples, Any]:
    """The samples of a run in virtual time, and its result."""
    plan = (COMPILED if level else PLAIN).plan
    settings = ModelSettings(alias="default", provider="scripted", model="m", **model)
    environment = Environment(
        config=Config(models={"default": settings}),
        providers={"scripted": Scripted(answer)},
        tools={"work": lambda i: i},
    )
    done = in_virtual_time(lambda: run_plan(plan, flow, arguments, environment=environment))
    return samples(done.trace, plan, places(PROGRAM), virtual=True), done


def after(seconds: float, text: str = "yes it is") -> Callable[[Request], Awaitable[str]]:
    async def answer(request: Request) -> str:
        await asyncio.sleep(seconds)
        return text

    return answer


def llms(found: Samples) -> list[CallSample]:
    return [call for call in found.calls if call.kind == "llm"]


def test_a_call_takes_what_it_took_once_it_was_admitted() -> None:
    found, _ = shown("asks", {"n": 4}, after(2.0), max_in_flight=1)
    assert [call.seconds for call in llms(found)] == pytest.approx([2.0] * 4)
    assert sorted(call.waited for call in llms(found)) == pytest.approx([0.0, 2.0, 4.0, 6.0])
    assert [call.beside for call in llms(found)] == pytest.approx([0.0] * 4)


def test_calls_beside_each_other_are_counted() -> None:
    found, _ = shown("asks", {"n": 4}, after(2.0))
    assert [call.beside for call in llms(found)] == pytest.approx([3.0] * 4)


def test_a_call_that_was_tried_again_teaches_nothing() -> None:
    async def answer(request: Request) -> str:
        await asyncio.sleep(1.0)
        if request.attempt == 1 and "1" in request.prompt:
            raise ProviderError(fail("E0801", "no luck").problem)
        return "yes"

    found, done = shown("asks", {"n": 3}, answer)
    assert done.status == "ok"
    assert len(llms(found)) == 2


def test_tokens_that_cannot_be_are_left_out_and_counted() -> None:
    async def answer(request: Request) -> Response:
        await asyncio.sleep(1.0)
        return Response("yes", Usage(20, 0 if "1" in request.prompt else 3))

    found, _ = shown("asks", {"n": 3}, answer)
    assert (len(llms(found)), found.left_out) == (2, 1)


def test_a_clock_that_jumped_back_leaves_no_sample() -> None:
    _, done = shown("asks", {"n": 3}, after(1.0))
    jumped = [
        (kind, frame, instruction, start, end - 5.0 if kind == "node.done" else end, more)
        for kind, frame, instruction, start, end, more in done.trace.log
    ]
    done.trace.log[:] = jumped
    found = samples(done.trace, COMPILED.plan, places(PROGRAM), virtual=True)
    assert (llms(found), found.left_out) == ([], 3)
    assert foretold(done.trace, COMPILED.plan)  # the account of the run is unharmed


def test_what_a_simulated_tool_took_is_not_expected_of_a_real_one() -> None:
    _, done = shown("steps", {"n": 6}, after(0.0), level=0)
    seen = CallExpectation("simulated", seconds=Quantiles(7.0, 7.0, 7.0, 9), samples=9)
    plan = evolve(PLAIN.plan, expectations=Expectations({"work": (seen,)}))
    for virtual in (False, True):
        rows = [row for row in foretold(done.trace, plan, virtual=virtual) if row.op == "tool"]
        assert {row.expected.samples for row in rows} == {9 if virtual else 0}


def test_what_another_model_took_is_not_what_was_expected_of_a_run() -> None:
    _, done = shown("asks", {"n": 2}, after(1.0))
    for model, count in (("m", 9), ("other", 0)):
        seen = CallExpectation("scripted", model, answer=AnswerLaw(Quantiles(7.0, 7.0, 7.0, 9)), samples=9)
        plan = evolve(COMPILED.plan, expectations=Expectations({"ask": (seen,)}))
        rows = [row for row in foretold(done.trace, plan) if row.unit == "tokens"]
        assert [row.expected.samples for row in rows] == [count]


def test_steps_count_what_ran() -> None:
    found, _ = shown("steps", {"n": 6}, after(0.0), level=0)
    by_kind: dict[str, list[int]] = {}
    for step in found.steps:
        by_kind.setdefault(step.name.split(":")[1].split("@")[0], []).append(step.ran)
    assert by_kind == {"items": [6], "branch": [1, 1, 1, 0, 0, 0], "rounds": [1]}


def test_steps_that_passes_leave_have_the_names_and_counts_that_they_had() -> None:
    plain, best = (set(shown("steps", {"n": 6}, after(0.0), level=level)[0].steps) for level in (0, 2))
    assert best
    assert best <= plain


def test_what_is_tried_says_whether_it_succeeded_and_a_vote_how_many_ballots_it_took() -> None:
    async def answer(request: Request) -> str:
        if "7" in request.prompt:
            raise ProviderError(fail("E0801", "no luck").problem, retryable=False)
        return '{"value": true}'

    for n, region in ((1, 0), (7, 1)):
        (step,) = shown("tried", {"n": n}, answer)[0].steps
        assert (":try@" in step.name, step.ran) == (True, region)
    (step,) = shown("voted", {}, answer)[0].steps
    assert (":ballots@" in step.name, step.ran) == (True, 3)


def test_samples_are_sound_only_with_times_and_tokens_that_can_be() -> None:
    call = CallSample("a", "llm", "default", "offline", "m", 10, 5, seconds=1.0)
    assert is_sound(call)
    assert not is_sound(evolve(call, seconds=float("nan")))
    assert not is_sound(evolve(call, seconds=float("inf")))
    assert not is_sound(evolve(call, waited=-1.0))
    assert not is_sound(evolve(call, beside=float("nan")))
    assert not is_sound(evolve(call, answer=-1))
    assert not is_sound(evolve(call, seconds=1e-9))
    assert not is_sound(evolve(call, model="m" * 201))
    assert is_sound(CallSample("t", "tool", provider="simulated"))  # virtual time may stand still
    assert not is_sound(CallSample("t", "tool"))


def test_calls_that_overlap_for_half_of_their_time_count_half() -> None:
    call = CallSample("a", "llm", "default", "p", "m", 10, 5, seconds=2.0)
    other = evolve(call, model="other")
    assert list(beside_each([(call, 2.0), (call, 3.0), (other, 2.0)])) == pytest.approx([0.5, 0.5, 0.0])
