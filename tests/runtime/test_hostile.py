"""Tools, plans and people at their worst: the run ends with a code, soon, and nothing is left behind."""

import asyncio
import itertools
import json
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from flowc.runtime.config import Config
from flowc.runtime.environment import Environment
from flowc.runtime.execute import run
from flowc.runtime.limits import Price
from flowc.runtime.plan import Effect, Function, Limits
from flowc.runtime.providers.base import ModelSettings, Request
from flowc.runtime.result import RunResult
from flowc.runtime.trace.chrome import chrome_trace
from flowc.runtime.trace.model import Trace
from flowc.runtime.types import INT, NONE, STR, List, Scalar, Type
from tests.runtime.plans import NO_LIMITS, Builder, llm, plan, tool
from tests.runtime.worlds import Scripted, virtually

JSON = Scalar("json")


class Speechless(Exception):
    """An exception that cannot say what it is about."""

    def __str__(self) -> str:
        raise ValueError("no words")


class Ungrateful:
    """A result that strikes back when it is shown."""

    def __repr__(self) -> str:
        raise KeyboardInterrupt


def calls_it(
    function: Callable[..., Any],
    result: Type = INT,
    limits: Limits = NO_LIMITS,
    effect: str = "pure",
) -> RunResult:
    body = Builder()
    effects = [Effect(effect, None if effect == "pure" else "world")]
    declared = tool("it", result=result, limits=limits, effects=effects)
    of = plan(body.region(body.tool("it")), operations=[declared], result=result)
    return run(of, "main", environment=Environment(tools={"it": function}))


def raising(error: BaseException) -> Callable[[], int]:
    def it() -> int:
        raise error

    return it


@pytest.mark.parametrize(
    "error",
    [
        Speechless(),
        SystemExit(3),
        KeyboardInterrupt(),
        GeneratorExit(),
        StopIteration(),
        BaseException("odd"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("limits", [Limits(), Limits(retries=1)], ids=["plain", "with retries"])
@pytest.mark.parametrize("effect", ["pure", "writes"])
def test_whatever_a_tool_raises_fails_the_run_with_a_code(
    error: BaseException, limits: Limits, effect: str
) -> None:
    result = calls_it(raising(error), limits=limits, effect=effect)
    assert result.problem is not None
    assert (result.status, result.problem.code) == ("failed", "E0801")


@pytest.mark.parametrize("limits", [Limits(), Limits(retries=1)], ids=["plain", "with retries"])
def test_a_result_that_cannot_even_be_shown_is_refused_with_a_code(limits: Limits) -> None:
    result = calls_it(Ungrateful, limits=limits)
    assert result.problem is not None
    assert result.problem.code == "E0802"


def test_work_that_a_tool_leaves_to_be_awaited_is_never_lost_in_silence() -> None:
    done: list[int] = []

    async def work() -> None:
        done.append(1)

    left = []

    def it() -> object:
        left.append(work())
        return left[-1]

    result = calls_it(it, NONE)
    left[0].close()
    assert result.problem is not None
    assert (result.problem.code, done) == ("E0802", [])


def chain_of_flows(length: int) -> RunResult:
    functions = []
    for number in range(length):
        body = Builder()
        last = number == length - 1
        value = (
            body.apply("len", body.constant("ab")) if last else body.one("call", function=f"f{number + 1}")
        )
        functions.append(Function(f"f{number}", (), INT, body.region(value), Limits()))
    body = Builder()
    return run(plan(body.region(body.one("call", function="f0")), functions=functions), "main")


def test_flows_may_call_each_other_deeper_than_the_stack_is() -> None:
    result = chain_of_flows(2500)
    assert (result.result, result.nodes) == (2, 2501)


def test_a_long_vote_without_agreement_takes_as_many_steps_as_ballots() -> None:
    inner = Builder()
    answer = inner.apply("add", inner.parameter(), inner.constant(0))
    body = Builder()
    of = plan(body.region(body.one("vote", regions=[inner.region(answer)], max=3000, lead=3)))
    result = run(of, "main")
    assert result.result == 0
    assert result.wall_ms < 5000


def test_the_critical_path_is_never_longer_than_the_run() -> None:
    """Bodies that were given up go on while the next try runs; they do not add up."""
    tries = itertools.count(1)
    first_ended = threading.Event()
    second_began = threading.Event()

    def it() -> int:
        if next(tries) == 1:
            second_began.wait(10)
            first_ended.set()
            raise OSError("too late")
        second_began.set()
        first_ended.wait(10)
        return 1

    body = Builder()
    value = body.tool("it")
    inner = Function("inner", (), INT, body.region(value), Limits(timeout=0.05, retries=1))
    outer = Builder()
    of = plan(
        outer.region(outer.one("call", function="inner")),
        operations=[tool("it", effects=[Effect("reads", "web")])],
        functions=[inner],
    )
    result = run(of, "main", environment=Environment(tools={"it": it}))
    assert result.critical_path_ms <= result.wall_ms


def test_what_effects_gave_is_in_the_trace_of_a_run_that_failed() -> None:
    body = Builder()
    kept = body.tool("good")
    of = plan(
        body.region(body.tool("bad", kept)),
        operations=[
            tool("good", effects=[Effect("reads", "web")]),
            tool("bad", INT, effects=[Effect("reads", "web")]),
        ],
    )
    tools = {"good": lambda: 42, "bad": lambda x: 1 // 0}
    result = run(of, "main", environment=Environment(tools=tools, keep=True))
    assert isinstance(result.trace, Trace)
    events: Any = json.loads(json.dumps(chrome_trace(result.trace)))["traceEvents"]
    assert [event["args"]["result"] for event in events if "result" in event["args"]] == [42]


def test_a_run_leaves_the_handler_of_interrupts_as_it_was() -> None:
    def mine(number: int, frame: object) -> None:
        raise AssertionError("nobody interrupts")

    before = signal.signal(signal.SIGINT, mine)
    try:
        assert calls_it(lambda: 1).result == 1
        assert signal.getsignal(signal.SIGINT) is mine
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_interrupt_reaches_a_run_that_was_started_inside_a_loop() -> None:
    cancelled: list[bool] = []

    async def it() -> int:
        main = threading.main_thread().ident  # it waits for the run
        assert main is not None
        signal.pthread_kill(main, signal.SIGINT)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise
        return 1

    async def main() -> None:
        calls_it(it)

    loop = asyncio.new_event_loop()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(main())
    finally:
        signal.signal(signal.SIGINT, before)
        asyncio.set_event_loop(None)
        loop.close()
    assert cancelled == [True]


@pytest.mark.parametrize("late", [False, True])
def test_an_interrupt_while_the_thread_of_a_run_starts_ends_that_run(
    monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    """`late`: the run is under way when the interrupt comes; otherwise its thread has just begun."""
    begun = threading.Event()
    ended: list[str] = []
    released = threading.Event()
    start, run_thread = threading.Thread.start, threading.Thread.run

    async def it() -> int:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return 1

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        if thread.name == "flowc-run":
            if late:
                assert begun.wait(10)
            raise KeyboardInterrupt

    def held(thread: threading.Thread) -> None:
        if thread.name == "flowc-run" and not late:
            threading.Timer(0.05, released.set).start()
            assert released.wait(10)
        run_thread(thread)

    async def main() -> None:
        calls_it(it)

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    monkeypatch.setattr(threading.Thread, "run", held)
    loop = asyncio.new_event_loop()
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(main())
    loop.close()
    assert ended == (["cancelled"] if late else [])
    assert begun.is_set() == late
    assert not [thread for thread in threading.enumerate() if thread.name == "flowc-run"]


def test_steps_of_a_plan_that_exit_fail_like_any_tool() -> None:
    body = Builder()
    steps = [{"id": "1", "tool": "it", "arguments": {}}]
    value = body.one("execute", body.constant({"steps": steps}), tools=["it"])
    of = plan(body.region(value), operations=[tool("it")], result=JSON)
    result = run(of, "main", environment=Environment(tools={"it": raising(SystemExit(3))}))
    assert result.problem is not None
    assert (result.problem.code, result.problem.why) == ("E0801", "SystemExit: 3")


def test_pauses_between_tries_depend_on_the_step_and_not_on_who_fails_first() -> None:
    def pauses(slow: int) -> dict[int, float]:
        loop_times: dict[int, list[float]] = {0: [], 1: []}

        async def it(which: int) -> int:
            times = loop_times[which]
            await asyncio.sleep(5 if which == slow else 1)
            times.append(asyncio.get_running_loop().time())
            if len(times) == 1:
                raise OSError("once")
            return which

        body = Builder()
        declared = tool("it", INT, limits=Limits(retries=1, backoff=1.0))
        both = body.one("list", *[body.tool("it", body.constant(which)) for which in (0, 1)])
        virtually(plan(body.region(both), operations=[declared], result=JSON), Environment(tools={"it": it}))
        return {
            which: times[1] - times[0] - (5 if which == slow else 1) for which, times in loop_times.items()
        }

    assert pauses(slow=0) == pytest.approx(pauses(slow=1))


def test_a_call_that_never_left_costs_nothing() -> None:
    """Of two calls one is under way and the other waits before the gate when a tool fails the run."""

    async def answer(request: Request) -> str:
        await asyncio.sleep(9)
        return "late"

    async def bad() -> int:
        await asyncio.sleep(1)
        raise OSError("gone")

    provider = Scripted(answer)
    body = Builder()
    asked = [
        body.one("generate", body.constant("x"), operation="ask", segments=[{"input": 0, "name": "q"}])
        for _ in range(2)
    ]
    operations = [llm("ask", model="m"), tool("bad")]
    of = plan(body.region(body.one("list", body.tool("bad"), *asked)), operations=operations, result=JSON)
    settings = ModelSettings("m", "mine", price=Price(1.0, 1.0), max_in_flight=1)
    environment = Environment(
        config=Config(models={"m": settings}), providers={"mine": provider}, tools={"bad": bad}
    )
    result = virtually(of, environment)
    assert (result.status, len(provider.requests)) == ("failed", 1)
    assert (result.tokens_in, result.cost_usd) == (1, 1.0)


def test_a_batch_of_what_is_no_list_ends_the_run() -> None:
    async def answer(_: Request) -> str:
        return "fine"

    inner = Builder()
    element = inner.parameter()
    asked = inner.one("generate", element, operation="ask", segments=["Why ", {"input": 0, "name": "x"}])
    body = Builder()
    found = body.one("generate_batch", body.constant(5), regions=[inner.region(asked)], width=4)
    models = {"m": ModelSettings("m", provider="scripted")}
    of = plan(body.region(found), operations=[llm("ask", model="m")], result=List(STR))
    environment = Environment(config=Config(models=models), providers={"scripted": Scripted(answer)})
    assert virtually(of, environment).status == "failed"
