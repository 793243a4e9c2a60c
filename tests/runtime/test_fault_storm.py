"""Endpoints at their worst, over a real socket: memory, time and money stay within their limits, and nothing
is left open.
"""

import asyncio
import gc
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest

from flowc.runtime.config import Config
from flowc.runtime.environment import Environment
from flowc.runtime.execute import load, run_plan
from flowc.runtime.limits import Price
from flowc.runtime.plan import Plan
from flowc.runtime.providers import openai
from flowc.runtime.providers.base import ModelSettings
from flowc.runtime.providers.openai import OpenAI
from flowc.runtime.providers.openai_answers import MOST_PARTS, Answer, Kept
from flowc.runtime.providers.openai_errors import TooLarge
from flowc.runtime.result import RunResult
from tests.hostile_answers import HOSTILE
from tests.openai_server import Behave, Server
from tests.runtime.test_openai import ask, asking

LONG = os.environ.get("FLOWC_HYPOTHESIS") == "long"
MEGABYTE = 1 << 20


def peak() -> int:
    """The most memory that this process has had since `forget`, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024


def forget() -> int:
    """Begins to watch for the most memory; gives what is taken now."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def open_files() -> int:
    """How many descriptors this process has."""
    return len([*Path("/proc/self/fd").iterdir()])


@pytest.fixture(scope="module")
def warm() -> None:
    """What is loaded with the first call is not what an answer takes; what was there before is gone through
    once, not at every look for garbage."""
    with Server().running() as server:
        ask(asking(), server)
    gc.collect()
    gc.freeze()


@pytest.mark.parametrize(("fault", "code"), [(name, code) for name, (code, _) in HOSTILE.items()])
@pytest.mark.usefixtures("warm")
def test_each_hostile_answer_has_its_code_and_takes_little_memory(
    fault: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openai, "MOST_CHUNKS", 20_000)
    with Server([Behave(fault)]).running() as server:
        files, before = open_files(), forget()
        outcome = ask(asking(), server, timeout=0.4 if code == "E0823" else 20.0)
        assert peak() - before < 48 * MEGABYTE
        assert open_files() <= files + 2, "the server's side may be open still"
    if code:
        assert outcome.problem is not None
        assert outcome.problem.code == code
    else:
        assert outcome.result == ["fine"]


def settings(server: Server, **more: Any) -> ModelSettings:
    return ModelSettings("small", "openai", "tiny-1", server.url, price=Price(1e-6, 4e-6), **more)


async def left_over() -> int:
    """How many tasks there are, once the loop has closed the generators that were broken off: it does so in
    tasks of their own, whenever they are found to be garbage.
    """
    gc.collect()
    for _ in range(10):
        await asyncio.sleep(0)
    return len(asyncio.all_tasks())


async def ended(of: Plan, model: ModelSettings, seconds: float = 60.0) -> tuple[RunResult, int]:
    """The result of a run, and how many tasks it leaves behind."""
    loaded = load(of, Environment(config=Config(models={"small": model})))
    before = len(asyncio.all_tasks())
    try:
        async with asyncio.timeout(seconds):
            result = await run_plan(loaded, "main", {})
    finally:
        await loaded.registry.close()
    return result, await left_over() - before


@pytest.mark.parametrize("after", ["31536000", "1e300", "inf", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_wait_of_a_year_is_not_begun_where_the_time_is_up_before(after: str) -> None:
    of = asking(retries=3, timeout=5.0)
    with Server([Behave("429", retry_after=after)] * 4).running() as server:
        result, _ = asyncio.run(ended(of, settings(server), seconds=4.0))
        assert len(server.requests) == 1
    assert result.problem is not None
    assert result.problem.code == "E0820"


@pytest.mark.parametrize("after", ["-31536000", "soon", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_a_wait_that_makes_no_sense_is_none(after: str) -> None:
    of = asking(retries=1, timeout=20.0)
    with Server([Behave("429", retry_after=after)]).running() as server:
        result, _ = asyncio.run(ended(of, settings(server)))
    assert result.result == ["a plain answer"]


@pytest.mark.parametrize("years", [-1, 1])
def test_a_clock_that_jumps_by_a_year_changes_neither_waits_nor_limits(
    years: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dates in headers are the only thing that the clock on the wall is asked about."""
    real, begun = time.time, time.time()

    def jumping() -> float:
        now = real()
        return now + years * 31_536_000 * int((now - begun) * 20)

    monkeypatch.setattr(time, "time", jumping)
    limits = {"x-ratelimit-remaining-requests": "5", "x-ratelimit-limit-requests": "100"}
    of = asking(retries=2, times=4, timeout=30.0)
    with Server([Behave(), Behave("429", retry_after="0")], limits=limits).running() as server:
        result, _ = asyncio.run(ended(of, settings(server, requests_per_minute=600)))
    assert result.result == ["a plain answer"] * 4


def test_the_connection_of_a_cancelled_call_is_closed() -> None:
    async def go() -> None:
        asked, closed = asyncio.Event(), asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: ")
            asked.set()
            while await reader.read(1000):
                pass
            closed.set()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        model = ModelSettings("small", "openai", "tiny-1", f"http://127.0.0.1:{port}/v1")
        loaded = load(asking(), Environment(config=Config(models={"small": model})))
        task = asyncio.create_task(run_plan(loaded, "main", {}))
        await asyncio.wait_for(asked.wait(), 20)
        assert not closed.is_set()
        task.cancel()
        await asyncio.wait([task])
        await asyncio.wait_for(closed.wait(), 10)
        await loaded.registry.close()
        server.close()

    asyncio.run(go())


def test_calls_keep_no_more_together_than_they_may() -> None:
    kept = Kept(1000)

    async def crumbs(count: int) -> Any:
        for _ in range(count):
            yield b"x" * 100

    async def go() -> None:
        first, second = (Answer(None, kept) for _ in range(2))  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="no event"):
            await first.read(crumbs(6), plain=False)
        with pytest.raises(TooLarge):
            await second.read(crumbs(6), plain=False)
        second.close()
        assert kept.total == 600
        first.close()
        assert kept.total == 0

    asyncio.run(go())


def test_an_answer_with_very_many_commas_in_its_text_is_one_all_the_same() -> None:
    text = "1," * (MOST_PARTS // 3)
    with Server([Behave(text=text, stream=False)]).running() as server:
        assert ask(asking(), server).result == [text]


STORM = (
    "429", "500", "reset", "empty", "truncated", "cut", "garbage", "html", "gzip", "endless", "huge", "drip",
    *(name for name, (code, _) in HOSTILE.items() if code),
)  # fmt: skip


@pytest.mark.parametrize("seed", range(8) if LONG else [11])
@pytest.mark.parametrize("share", [1.0, 0.05], ids=["enough", "too little"])
def test_in_a_storm_memory_time_and_money_keep_their_limits_and_nothing_is_left(
    seed: int, share: float
) -> None:
    """Half of all requests go wrong, in any way there is, with sixteen under way. With enough money, all
    answers come in the end; with too little, no more is spent.
    """
    calls = 1000 if LONG else 60
    money = calls * 3e-3 * share
    of = asking(retries=20, times=calls, money=money, timeout=1200.0)
    provider = OpenAI()
    with Server(seed=seed, storm=0.5, faults=STORM).running() as server:
        model = settings(server, timeout=0.5, max_in_flight=16, max_tokens=20)

        async def go() -> tuple[RunResult, int]:
            config = Config(models={"small": model})
            loaded = load(of, Environment(config=config, providers={"openai": provider}))
            result = await run_plan(loaded, "main", {})
            await provider.close()
            return result, await left_over() - 1

        files, before = open_files(), forget()
        result, tasks = asyncio.run(go())
        grown = peak() - before
    gc.collect()
    if share < 1:
        assert result.status == "over-budget"
    else:
        assert result.result == ["a plain answer"] * calls
        assert len(server.requests) > 1.5 * calls
    assert result.cost_usd <= money
    assert (tasks, provider.kept.total) == (0, 0)
    assert grown < (200 if LONG else 80) * MEGABYTE, f"{grown / MEGABYTE:.0f} MB"  # the server's, too
    assert open_files() <= files
