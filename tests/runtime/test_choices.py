"""Regions that may fail: race, vote, attempt, limits; and what cancellation leaves behind."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.runtime.environment import Environment
from flowc.runtime.errors import fail
from flowc.runtime.execute import run_plan
from flowc.runtime.plan import Effect, Json, Limits, Region
from flowc.runtime.result import RunResult
from flowc.runtime.scheduler.failure import UNCATCHABLE
from flowc.runtime.types import INT, STR
from tests.runtime.plans import Builder, plan, tool
from tests.runtime.worlds import in_virtual_time, virtually

WAIT = tool("wait", INT, INT)
BAD = tool("bad", INT)


class World:
    """Tools that note what they do."""

    def __init__(self) -> None:
        self.started: list[int] = []
        self.ended: list[int] = []
        self.cancelled: list[int] = []

    async def wait(self, key: int, seconds: int) -> int:
        self.started.append(key)
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled.append(key)
            raise
        self.ended.append(key)
        return key

    async def bad(self, seconds: int) -> int:
        await asyncio.sleep(seconds)
        raise ValueError("broken")

    def environment(self, **tools: Callable[..., Any]) -> Environment:
        return Environment(tools={"wait": self.wait, "bad": self.bad, **tools})


def waiting(key: int, seconds: int) -> Region:
    body = Builder()
    return body.region(body.tool("wait", body.constant(key), body.constant(seconds)))


def failing(seconds: int) -> Region:
    body = Builder()
    return body.region(body.tool("bad", body.constant(seconds)))


def around(op: str, *regions: Region, **settings: Json) -> Any:
    body = Builder()
    return plan(body.region(body.one(op, regions=regions, **settings)), operations=[WAIT, BAD])


def test_the_first_arm_to_succeed_wins_a_race_and_the_others_are_cancelled() -> None:
    world = World()
    result = virtually(around("race", waiting(1, 9), failing(1), waiting(2, 3)), world.environment())
    assert (result.result, result.wall_ms) == (2, pytest.approx(3000))
    assert (world.ended, world.cancelled) == ([2], [1])


def test_a_race_fails_when_every_arm_has_failed() -> None:
    result = virtually(around("race", failing(1), failing(2)), World().environment())
    assert result.problem is not None
    assert result.problem.code == "E0718"
    assert result.problem.why.count("E0801") == 2


def test_a_failed_region_gives_way_to_the_other_once_all_inside_has_stopped() -> None:
    world = World()
    tried = Builder()
    broken = tried.tool("bad", tried.constant(1))
    tried.tool("wait", tried.constant(7), tried.constant(50))
    result = virtually(around("attempt", tried.region(broken), waiting(2, 1)), world.environment())
    assert (result.result, result.wall_ms) == (2, pytest.approx(2000))
    assert world.cancelled == [7]


def test_a_failed_node_cancels_its_siblings_and_fails_the_run() -> None:
    world = World()
    body = Builder()
    slots = [body.tool("wait", body.constant(key), body.constant(5)) for key in range(3)]
    slots.append(body.tool("bad", body.constant(1), line=7))
    of = plan(body.region(body.one("list", *slots)), operations=[WAIT, BAD])
    result = virtually(of, world.environment())
    assert result.status == "failed"
    assert result.problem is not None
    assert (result.problem.code, result.problem.line) == ("E0801", 7)
    assert "ValueError: broken" in result.problem.why
    assert sorted(world.cancelled) == [0, 1, 2]
    assert result.wall_ms == pytest.approx(1000)


def votes(
    *answers: int, most: int, lead: int, seconds: Callable[[int], int] = lambda at: 1
) -> tuple[RunResult, int]:
    """The result of a vote whose ballots give these answers, and how many were cast."""
    cast = 0

    async def ballot(index: int) -> int:
        nonlocal cast
        await asyncio.sleep(seconds(index))
        cast += 1
        return answers[index]

    inner = Builder()
    given_ = inner.tool("ballot", inner.parameter())
    body = Builder()
    of = plan(
        body.region(body.one("vote", regions=[inner.region(given_)], max=most, lead=lead)),
        operations=[tool("ballot", INT)],
    )
    return virtually(of, Environment(tools={"ballot": ballot})), cast


def test_a_vote_ends_as_soon_as_the_lead_is_reached() -> None:
    result, cast = votes(5, 5, 5, 6, 6, 6, 6, most=7, lead=3)
    assert (result.result, cast) == (5, 3)


def test_each_dissent_opens_further_ballots() -> None:
    result, cast = votes(5, 6, 5, 5, 5, 0, 0, most=7, lead=3)
    assert (result.result, cast) == (5, 5)
    assert result.wall_ms == pytest.approx(2000)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=9, max_size=9), st.integers(1, 9), st.integers(1, 4))
def test_a_vote_gives_a_plurality_winner_and_asks_no_more_than_it_may(
    answers: list[int], most: int, lead: int
) -> None:
    result, cast = votes(*answers, most=most, lead=min(lead, most))
    assert cast <= most
    counts = {answer: answers[:cast].count(answer) for answer in answers[:cast]}
    assert counts[result.result] == max(counts.values())


def test_what_takes_longer_than_its_limit_is_cancelled() -> None:
    world = World()
    result = virtually(around("limit", waiting(1, 60), timeout=2.5), world.environment())
    assert result.problem is not None
    assert (result.problem.code, world.cancelled) == ("E0714", [1])
    assert result.wall_ms == pytest.approx(2500)


def test_a_flow_with_a_timeout_is_cut_off_from_outside() -> None:
    of = plan(waiting(1, 60), operations=[WAIT], limits=Limits(timeout=3))
    result = virtually(of, World().environment())
    assert result.problem is not None
    assert (result.problem.code, result.wall_ms) == ("E0714", pytest.approx(3000))


def test_an_inner_limit_ends_before_an_outer_one() -> None:
    inner = Builder()
    limited = inner.one("limit", regions=[waiting(1, 60)], timeout=1)
    result = virtually(around("attempt", inner.region(limited), waiting(2, 1)), World().environment())
    assert (result.result, result.wall_ms) == (2, pytest.approx(2000))


def flaky(failures: int) -> tuple[Callable[[], int], list[float]]:
    times: list[float] = []

    async def call() -> int:
        times.append(asyncio.get_running_loop().time())
        if len(times) <= failures:
            raise OSError("not yet")
        return len(times)

    return call, times


def test_a_tool_is_tried_again_with_growing_pauses() -> None:
    call, times = flaky(3)
    body = Builder()
    declared = tool("call", effects=[Effect("reads", "web")], limits=Limits(retries=3, backoff=1.0))
    of = plan(body.region(body.tool("call")), operations=[declared])
    result = virtually(of, Environment(tools={"call": call}))
    assert (result.result, result.calls) == (4, 4)
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(2**n / 2 <= pause <= 2**n for n, pause in enumerate(pauses))


def test_a_tool_that_goes_on_failing_fails_with_its_last_error() -> None:
    call, times = flaky(9)
    body = Builder()
    of = plan(body.region(body.tool("call")), operations=[tool("call", limits=Limits(retries=2))])
    result = virtually(of, Environment(tools={"call": call}))
    assert result.problem is not None
    assert (result.problem.code, len(times)) == ("E0801", 3)


def test_a_block_is_tried_again_as_a_whole() -> None:
    call, _ = flaky(2)
    inner = Builder()
    called = inner.tool("call")
    body = Builder()
    of = plan(
        body.region(body.one("limit", regions=[inner.region(called)], retries=2, backoff=1.0)),
        operations=[tool("call")],
    )
    assert virtually(of, Environment(tools={"call": call})).result == 3


def test_a_block_whose_time_is_up_while_it_waits_is_not_tried_again() -> None:
    call, times = flaky(1)
    inner, tried = Builder(), Builder()
    limited = tried.one(
        "limit", regions=[inner.region(inner.tool("call"))], retries=1, backoff=9.0, timeout=2
    )
    body = Builder()
    of = plan(
        body.region(body.one("attempt", regions=[tried.region(limited), waiting(2, 60)])),
        operations=[WAIT, tool("call")],
    )
    result = virtually(of, World().environment(call=call))
    assert (result.result, result.wall_ms, times) == (2, pytest.approx(62_000), [0])


def test_a_budget_of_calls_holds_over_retries() -> None:
    call, times = flaky(9)
    inner = Builder()
    called = inner.tool("call")
    body = Builder()
    of = plan(
        body.region(body.one("limit", regions=[inner.region(called)], calls=4)),
        operations=[tool("call", limits=Limits(retries=9, backoff=1.0))],
    )
    result = virtually(of, Environment(tools={"call": call}))
    assert result.problem is not None
    assert (result.status, result.problem.code, len(times)) == ("over-budget", "E0721", 4)
    assert result.exit_code == 3
    assert result.wall_ms <= 15_000  # four pauses: that the budget is spent is no reason to try again


def test_a_block_that_ended_in_time_is_left_alone_when_its_time_is_up() -> None:
    body = Builder()
    limited = body.one("limit", regions=[waiting(1, 1)], timeout=2)
    of = plan(
        body.region(body.one("list", limited, body.tool("wait", body.constant(2), body.constant(5)))),
        operations=[WAIT],
    )
    result = virtually(of, World().environment())
    assert (result.result, result.wall_ms) == ([1, 2], pytest.approx(5000))


def test_all_tries_of_a_block_share_its_budget() -> None:
    call, times = flaky(9)
    inner, body = Builder(), Builder()
    tried = body.one("limit", regions=[inner.region(inner.tool("call"))], calls=3, retries=9)
    result = virtually(plan(body.region(tried), operations=[tool("call")]), Environment(tools={"call": call}))
    assert result.problem is not None
    assert (result.status, result.problem.code, len(times)) == ("over-budget", "E0721", 3)


@pytest.mark.parametrize("code", sorted(UNCATCHABLE))
def test_what_ends_a_run_is_not_tried_again(code: str) -> None:
    times: list[int] = []

    async def call() -> int:
        times.append(1)
        raise fail(code, "this is the end")

    body = Builder()
    of = plan(body.region(body.tool("call")), operations=[tool("call", limits=Limits(retries=2))])
    assert virtually(of, Environment(tools={"call": call})).problem is not None
    assert len(times) == 1


def test_a_budget_of_calls_holds_for_quick_plain_tools() -> None:
    seen: list[int] = []
    inner = Builder()
    slots = [inner.tool("note", inner.constant(key)) for key in range(10)]
    body = Builder()
    of = plan(
        body.region(body.one("limit", regions=[inner.region(slots[-1])], calls=4)),
        operations=[tool("note", INT)],
    )
    result = virtually(of, Environment(tools={"note": lambda x: seen.append(x) or x}))
    assert (result.status, len(seen)) == ("over-budget", 4)


def test_a_result_above_the_limit_of_memory_ends_the_block() -> None:
    inner = Builder()
    large = inner.apply("mul", inner.constant("x"), inner.constant(10_000))
    body = Builder()
    of = plan(body.region(body.one("limit", regions=[inner.region(large)], memory=5_000)), result=STR)
    result = virtually(of, Environment())
    assert result.problem is not None
    assert result.problem.code == "E0724"


def test_a_person_who_cannot_be_asked_ends_the_run_as_waiting_and_no_try_hides_it() -> None:
    def nobody() -> int:
        raise fail("E0730", "nobody is there")

    tried = Builder()
    asked = tried.tool("nobody")
    body = Builder()
    of = plan(
        body.region(body.one("attempt", regions=[tried.region(asked), waiting(1, 1)])),
        operations=[tool("nobody"), WAIT],
    )
    result = virtually(of, World().environment(nobody=nobody))
    assert (result.status, result.exit_code) == ("waiting", 4)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 12), st.lists(st.integers(1, 12), min_size=1, max_size=12))
def test_cancelling_a_run_leaves_no_coroutine_behind(after: int, seconds: list[int]) -> None:
    world = World()
    body = Builder()
    slots = [body.tool("wait", body.constant(key), body.constant(time)) for key, time in enumerate(seconds)]
    of = plan(body.region(body.one("list", *slots)), operations=[WAIT])

    async def go() -> set[asyncio.Task[Any]]:
        running = asyncio.create_task(run_plan(of, "main", environment=world.environment()))
        await asyncio.sleep(after + 0.5)
        running.cancel()
        await asyncio.wait([running])
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert in_virtual_time(go) == set()
    assert set(world.started) == set(range(len(seconds)))
    assert set(world.ended) | set(world.cancelled) == set(world.started)
    assert set(world.ended) == {key for key, time in enumerate(seconds) if time <= after}
