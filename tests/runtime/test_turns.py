"""Who goes on with what is ready: the loop while nothing can block, threads for the bodies of tools."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import pytest

from flowc.runtime.environment import Environment
from flowc.runtime.execute import run, run_plan
from flowc.runtime.plan import Effect, Plan
from flowc.runtime.result import RunResult
from flowc.runtime.scheduler import workers
from flowc.runtime.types import INT, List
from tests.runtime.plans import Builder, plan, tool
from tests.runtime.worlds import in_virtual_time


async def waiting(x: int) -> int:
    await asyncio.sleep(x)
    return x + 1


def calls(name: str, times: int) -> Plan:
    """A chain of calls, and a map of them over the sum of two."""
    body, inner = Builder(), Builder()
    x = body.constant(0)
    for _ in range(times):
        x = body.apply("add", body.tool(name, x), body.constant(1))
    of_element = inner.region(inner.tool(name, inner.parameter()))
    mapped = body.one("map", body.apply("range", x), regions=[of_element])
    return plan(body.region(mapped), operations=[tool(name, INT)], result=List(INT))


def test_a_run_of_calls_that_wait_and_of_packing_between_them_needs_no_thread() -> None:
    def start(job: Callable[[], None]) -> None:
        raise AssertionError("a thread is started")

    environment = Environment(tools={"wait": waiting})
    with mock.patch.object(workers, "start", start):
        result = in_virtual_time(lambda: run_plan(calls("wait", 3), "main", environment=environment))
    assert result.problem is None
    assert result.result == [1, 2, 3, 4, 5, 6]


def test_the_body_of_a_plain_tool_never_runs_on_the_loop() -> None:
    ran: set[int] = set()

    def plain(x: int) -> int:
        ran.add(threading.get_ident())
        return x + 1

    environment = Environment(tools={"plain": plain})
    assert run(calls("plain", 3), "main", environment=environment).result == [1, 2, 3, 4, 5, 6]
    assert threading.get_ident() not in ran


def test_what_takes_over_where_a_scope_failed_before_its_calls_began_is_gone_on_with() -> None:
    """In one turn a call is posted, its scope fails, the call is dropped, and the other way begins."""
    tried, otherwise, body = Builder(), Builder(), Builder()
    called = tried.tool("wait", tried.constant(1), rank=2.0)
    failing = tried.apply("index", tried.constant([]), tried.constant(5))
    regions = [
        tried.region(tried.apply("add", called, failing)),
        otherwise.region(otherwise.tool("wait", otherwise.constant(3))),
    ]
    of = plan(body.region(body.one("attempt", regions=regions)), operations=[tool("wait", INT)], result=INT)

    async def within_a_while() -> RunResult:
        async with asyncio.timeout(60.0):  # else this waits for ever
            return await run_plan(of, "main", environment=Environment(tools={"wait": waiting}))

    result = in_virtual_time(within_a_while)
    assert (result.result, result.wall_ms) == (4, 3000.0)


def test_a_long_stretch_of_packing_leaves_the_loop_to_others() -> None:
    inner = Builder()
    turn, carried = inner.parameter(), inner.parameter()
    stop = inner.constant(False)
    body = Builder()
    numbers = body.apply("range", body.constant(6_000))
    summed = inner.region(stop, inner.apply("add", carried, turn))
    of = plan(body.region(body.one("for", numbers, body.constant(0), regions=[summed])))

    async def beside() -> tuple[RunResult, int]:
        task = asyncio.create_task(run_plan(of, "main"))
        turns = 0
        while not task.done():
            turns += 1
            await asyncio.sleep(0)
        return await task, turns

    result, turns = asyncio.run(beside())
    assert result.result == sum(range(6_000))
    assert turns > 5


@contextmanager
def handler(of: Callable[..., object]) -> Iterator[None]:
    before = signal.signal(signal.SIGINT, of)
    try:
        yield
        assert signal.getsignal(signal.SIGINT) is of
    finally:
        signal.signal(signal.SIGINT, before)


def interrupt() -> None:
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, signal.SIGINT)


@pytest.mark.parametrize("again", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("own", [False, True], ids=["Python's handler before", "one of the caller's before"])
def test_the_first_interrupt_cancels_the_run_and_the_second_ends_the_program(own: bool, again: bool) -> None:
    ended: list[str] = []

    async def wait() -> int:
        interrupt()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")
        return 1

    async def wait_twice() -> int:
        try:
            return await wait()
        finally:
            asyncio.get_running_loop().call_soon(interrupt)
            await asyncio.sleep(0)

    body = Builder()
    of = plan(body.region(body.tool("it")), operations=[tool("it", effects=[Effect("pure")])])
    tools = {"it": wait_twice if again else wait}
    before = (lambda *_: None) if own else signal.default_int_handler
    with handler(before):
        if again:
            with pytest.raises(KeyboardInterrupt):
                run(of, "main", environment=Environment(tools=tools))
        else:
            assert run(of, "main", environment=Environment(tools=tools)).status == "cancelled"
    assert ended == ["cancelled"]
