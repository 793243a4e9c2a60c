"""Providers that ignore cancellation, count wrongly or change their limits: the run ends, and ends right."""

import asyncio
import contextlib
import math
import threading
import time
from typing import Any

import pytest
from attrs import evolve

from flowc.compiler.driver import compile_text
from flowc.runtime.admission.gates import gate_of
from flowc.runtime.batch import run_many
from flowc.runtime.clock import VirtualLoop
from flowc.runtime.config import Config
from flowc.runtime.environment import Environment
from flowc.runtime.errors import Problem
from flowc.runtime.execute import load, run, run_plan
from flowc.runtime.limits import Price
from flowc.runtime.providers.base import LONGEST_WAIT, ModelSettings, ProviderError, Request, Response, Usage
from flowc.runtime.providers.simulated.behaviour import Behaviour, Quota
from flowc.runtime.providers.simulated.provider import Simulated
from flowc.runtime.result import RunResult
from flowc.runtime.scheduler import abandoning
from flowc.runtime.scheduler.abandoning import GRACE, Graceful
from tests.runtime.worlds import Scripted, in_virtual_time, virtually

ASK = '@model("m")\nllm ask(word: str) -> str:\n    """What is {word}?"""\n\n'
ONE = ASK + "flow main(word: str) -> str:\n    return ask(word)\n"
MODEL = ModelSettings("m", provider="mine", price=Price(1.0, 1.0), max_in_flight=2)
LONG = 500.0


def around(provider: Any, model: ModelSettings = MODEL) -> Environment:
    return Environment(config=Config(models={"m": model}), providers={"mine": provider})


async def heedless(_: Request | None) -> str:
    """Answers after its time, whatever anybody says."""
    loop = asyncio.get_running_loop()
    until = loop.time() + LONG
    while loop.time() < until:
        try:
            await asyncio.sleep(until - loop.time())
        except asyncio.CancelledError:
            continue
    return "late"


@pytest.mark.parametrize(
    "text",
    [
        ASK.replace("@model", "@timeout(2s)\n@model")
        + "flow main(word: str) -> str:\n    return ask(word)\n",
        ASK + "@timeout(2s)\nflow main(word: str) -> str:\n    return ask(word)\n",
    ],
    ids=["of the call", "of the flow"],
)
def test_a_timeout_ends_a_run_whose_provider_ignores_cancellation_and_its_place_is_given_back_later(
    text: str,
) -> None:
    provider = Scripted(heedless)
    environment = around(provider)
    plan = compile_text(text, "main.flow").plan

    async def go() -> tuple[RunResult, list[int]]:
        result = await run_plan(plan, "main", {"word": "flow"}, environment=environment)
        gate = gate_of(MODEL, provider, environment.policy)
        in_flight = [gate.in_flight]
        await asyncio.sleep(LONG)
        return result, [*in_flight, gate.in_flight]

    result, in_flight = in_virtual_time(go)
    assert result.status == "failed"
    assert result.wall_ms <= (2 + GRACE) * 1e3 + 1
    assert in_flight == [1, 0]
    assert result.tokens_in > 0, "what was sent is counted"


TIMED = """\
@retry(1)
@timeout(2s)
{declared}

flow main(word: str) -> str:
    return try ask(word) else "late"
"""


@pytest.mark.parametrize(
    "declared", [ASK.strip(), "tool ask(word: str) -> str reads world"], ids=["llm", "tool"]
)
def test_a_call_that_ignores_its_time_limit_is_tried_again_like_any_other(declared: str) -> None:
    begun: list[float] = []

    async def ask(*_: object) -> str:
        begun.append(asyncio.get_running_loop().time())
        return await heedless(None)

    world = evolve(around(Scripted(ask)), tools={"ask": ask})
    plan = compile_text(TIMED.replace("{declared}", declared), "main.flow").plan
    result = in_virtual_time(lambda: run_plan(plan, "main", {"word": "flow"}, environment=world))
    assert (result.status, result.result, len(begun)) == ("ok", "late", 2)
    assert result.wall_ms <= 2 * (2 + GRACE) * 1e3 + 2000


@pytest.mark.parametrize("racing", [False, True])
def test_a_tool_that_ignores_cancellation_holds_up_neither_its_run_nor_the_end_of_the_loop(
    racing: bool,
) -> None:
    async def ask(word: str) -> str:
        until = time.monotonic() + 8
        while time.monotonic() < until:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(8)
        return word

    call = "race(ask(word), other(word))" if racing else "try ask(word) else word"
    timeout = "" if racing else "@timeout(100ms)\n"
    declared = f"{timeout}tool ask(word: str) -> str reads world\ntool other(word: str) -> str pure\n"
    plan = compile_text(f"{declared}flow main(word: str) -> str:\n    return {call}\n", "main.flow").plan
    begun = time.monotonic()
    world = Environment(tools={"ask": ask, "other": str.lower})
    assert run(plan, "main", {"word": "a"}, environment=world).result == "a"
    assert time.monotonic() - begun < 4


def test_plain_functions_that_nobody_waits_for_keep_no_other_from_its_thread() -> None:
    begun: list[str] = []
    ended = threading.Event()

    def stuck(word: str) -> str:
        begun.append(word)
        ended.wait(10)
        return word

    declared = "@retry(3, backoff=10ms)\n@timeout(50ms)\ntool stuck(word: str) -> str reads world\n"
    flow = 'flow main(word: str) -> str:\n    return try stuck(word) else "late"\n'
    plan = compile_text(declared + flow, "main.flow").plan
    world = Environment(tools={"stuck": stuck}, threads=2)
    try:
        assert run(plan, "main", {"word": "a"}, environment=world).result == "late"
        assert begun == ["a"] * 4
    finally:
        ended.set()


def test_a_run_that_is_cancelled_does_not_wait_for_a_provider_that_ignores_it() -> None:
    provider = Scripted(heedless)
    plan = compile_text(ONE, "main.flow").plan

    async def go() -> float:
        task = asyncio.create_task(run_plan(plan, "main", {"word": "flow"}, environment=around(provider)))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return asyncio.get_running_loop().time()

    assert in_virtual_time(go) <= 1 + GRACE


def test_a_cancelled_call_has_a_moment_to_clean_up() -> None:
    cleaned: list[float] = []
    abandoned: list[object] = []

    async def work() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            await asyncio.sleep(GRACE / 2)
            cleaned.append(asyncio.get_running_loop().time())

    async def wait() -> None:
        await Graceful(work(), abandoned.append)

    async def go() -> None:
        task = asyncio.create_task(wait())
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    in_virtual_time(go)
    assert (cleaned, abandoned) == ([1 + GRACE / 2], [])


def test_a_graceful_call_gives_and_raises_what_its_coroutine_does() -> None:
    async def gives() -> int:
        await asyncio.sleep(1)
        return 3

    async def fails() -> int:
        try:
            await asyncio.wait_for(asyncio.sleep(10), 1)
        except TimeoutError:
            raise KeyError("none") from None
        return 3

    async def go() -> int:
        with pytest.raises(KeyError):
            await Graceful(fails(), print)
        return await Graceful(gives(), print)

    assert in_virtual_time(go) == 3


def test_a_time_limit_inside_a_graceful_call_is_its_own_affair() -> None:
    abandoned: list[object] = []

    async def work(then: float) -> int:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await asyncio.sleep(100)
        await asyncio.sleep(then)
        return 3

    async def clean() -> None:
        try:
            await work(0)
            await asyncio.sleep(100)
        finally:
            await asyncio.sleep(0.9 * GRACE)
            abandoned.append("cleaned")

    async def go() -> None:
        assert await Graceful(work(10 * GRACE), abandoned.append) == 3
        waiting = Graceful(clean(), abandoned.append)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1 + GRACE / 2):  # cancelled when the limit inside is just over
                await waiting

    in_virtual_time(go)
    assert abandoned == ["cleaned"]


def test_a_loop_that_others_hold_up_takes_nobody_s_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(abandoning, "GRACE", 0.1)

    async def work() -> int:
        async with asyncio.timeout(0.01):
            try:
                await asyncio.sleep(100)
            finally:
                for _ in range(4):
                    await asyncio.sleep(0)
        return 3

    async def hold_up() -> None:
        await asyncio.sleep(0.01)
        for _ in range(6):
            await asyncio.sleep(0)
            time.sleep(0.05)

    async def go() -> None:
        other = asyncio.create_task(hold_up())
        with pytest.raises(TimeoutError):
            await Graceful(work(), print)
        await other

    asyncio.run(go())


@pytest.mark.parametrize(
    "usage",
    [
        Usage(-5, 3),
        Usage(3, -1),
        Usage(10**15, 1),
        Usage(1, 2**70),
        None,
        Usage(1.5, 2),
        Usage(1, 1, cached=-1),
    ],  # type: ignore[arg-type]
    ids=repr,
)
def test_counts_that_cannot_be_are_replaced_by_estimates_and_the_trace_says_so(usage: Any) -> None:
    async def answer(request: Request) -> Response:
        return Response("fine", usage)

    result = virtually(compile_text(ONE, "main.flow").plan, around(Scripted(answer)), word="flow")
    assert (result.result, result.tokens_in, result.tokens_out) == ("fine", 4, 1)
    assert result.cost_usd == 5.0
    assert result.trace is not None
    notes = [str(event.attributes["note"]) for event in result.trace.events() if event.kind == "note"]
    assert [note[:14] for note in notes] == ["warning[E0849]"]
    assert "`ask`" in notes[0]
    assert "main/0:ask" in notes[0]


def test_a_budget_takes_the_worst_case_of_a_call_whose_counts_cannot_be() -> None:
    text = ASK + (
        "@budget(tokens=1035)\nflow main(word: str) -> list[str]:\n"
        "    a = ask(word)\n    b = ask(a + word)\n    return [a, b]\n"
    )

    async def honest(request: Request) -> Response:
        return Response("fine", Usage(4, 1))

    async def lying(request: Request) -> Response:
        return Response("fine", Usage(-(10**9), -(10**9)))

    plan = compile_text(text, "main.flow").plan
    assert virtually(plan, around(Scripted(honest)), word="flow").result == ["fine", "fine"]
    failed = virtually(plan, around(Scripted(lying)), word="flow")
    assert failed.problem is not None
    assert failed.problem.code == "E0722"


@pytest.mark.parametrize("after", [math.nan, math.inf, -math.inf, 1e18, -5.0])
@pytest.mark.parametrize("code", ["E0820", "E0821"])
def test_a_provider_that_asks_for_an_impossible_wait_does_not_stop_the_run(code: str, after: float) -> None:
    refusals = [ProviderError(Problem(code, "later"), after=after)]

    async def moody(request: Request) -> str:
        if refusals:
            raise refusals.pop()
        return "fine"

    plan = compile_text(ASK.replace("@model", "@retry(1)\n@model") + ONE[len(ASK) :], "main.flow").plan
    result = virtually(plan, around(Scripted(moody)), word="flow")
    assert result.result == "fine"
    assert result.wall_ms <= (LONGEST_WAIT + 10) * 1e3


def test_limits_that_change_midway_slow_a_batch_down_and_every_run_ends_well() -> None:
    text = (
        ASK.replace("@model", "@retry(40)\n@model") + "flow main(word: str) -> str:\n    return ask(word)\n"
    )
    provider = Simulated(
        7, Behaviour(quotas=(Quota(), Quota(after=1.0, requests_per_minute=20, concurrency=3)))
    )
    model = ModelSettings("m", provider="mine")
    loop = VirtualLoop()
    try:
        loaded = load(compile_text(text, "main.flow").plan, around(provider, model))
        words = [{"word": f"w{number}"} for number in range(40)]
        ended = loop.run_until_complete(run_many(loaded, "main", words, width=16))
    finally:
        loop.close()
    assert [each.status for each in ended if isinstance(each, RunResult)] == ["ok"] * 40
    assert sum(each.calls for each in ended if isinstance(each, RunResult)) <= 100, "a storm has no end"
