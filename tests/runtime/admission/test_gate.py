"""The gate before a model: limits are kept full and never exceeded, nobody starves, refusals slow it down."""

import asyncio
from collections import deque
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.compiler.driver import compile_text
from flowc.runtime.admission.calls import LONGEST, Call, Policy, Program, order_of
from flowc.runtime.admission.gate import Gate
from flowc.runtime.admission.windows import Window
from flowc.runtime.config import Config
from flowc.runtime.environment import Environment
from flowc.runtime.providers.base import ModelSettings, Request
from tests.runtime.worlds import Scripted, in_virtual_time, virtually

Asked = tuple[float, int, int, float]
"""When a call comes, the most tokens that it may use, how many it does use, and its seconds."""

ASKED = st.builds(
    lambda time, most, share, length: (time, most, max(1, int(most * share)), length),
    st.floats(0, 100),
    st.integers(1, 60),
    st.floats(0, 1),
    st.floats(0, 90),
)


def admitted(asked: Sequence[Asked], model: ModelSettings) -> list[tuple[float, int]]:
    """When each call was let in, and what it used in the end."""
    let_in: list[tuple[float, int]] = []

    async def go() -> None:
        loop = asyncio.get_running_loop()
        gate = Gate(model)

        async def call(number: int, time: float, most: int, used: int, length: float) -> None:
            await asyncio.sleep(time)
            place = await gate.enter(Call(Program(str(number), time), tokens=most))
            let_in.append((loop.time(), used))
            await asyncio.sleep(length)
            place.settle(used, 0)
            place.leave()

        await asyncio.gather(*(call(number, *each) for number, each in enumerate(asked)))
        assert gate.in_flight == 0

    in_virtual_time(go)
    return let_in


def fullest(let_in: Sequence[tuple[float, int]]) -> tuple[int, int]:
    """The most calls and tokens in any window of a minute."""
    window: deque[tuple[float, int]] = deque()
    calls = tokens = 0
    for time, used in let_in:
        window.append((time, used))
        while window[0][0] <= time - 60 + 1e-6:
            window.popleft()
        calls, tokens = max(calls, len(window)), max(tokens, sum(used for _, used in window))
    return calls, tokens


@settings(max_examples=60, deadline=None)
@given(st.lists(ASKED, min_size=1, max_size=40), st.integers(1, 6), st.integers(60, 150))
def test_what_is_given_back_is_used_again_and_yet_no_minute_holds_more_than_the_limits(
    asked: list[Asked], requests: int, tokens: int
) -> None:
    model = ModelSettings(requests_per_minute=requests, tokens_per_minute=tokens)
    let_in = admitted(asked, model)
    assert len(let_in) == len(asked)
    calls, used = fullest(let_in)
    assert calls <= requests
    assert used <= tokens


@pytest.mark.parametrize(
    ("model", "most", "used"),
    [
        (ModelSettings(requests_per_minute=50), 10, 10),
        (ModelSettings(tokens_per_minute=10_000), 150, 150),
        (ModelSettings(tokens_per_minute=10_000), 300, 100),
        (ModelSettings(tokens_per_minute=10_000, requests_per_minute=100), 300, 99),
    ],
    ids=["requests", "tokens", "tokens given back", "both"],
)
def test_while_calls_wait_a_limit_is_used_to_97_of_100(model: ModelSettings, most: int, used: int) -> None:
    let_in = admitted([(0.0, most, used, 1.0)] * 1_000, model)
    minutes = 5
    within = [tokens for time, tokens in let_in if 60 <= time < 60 * (1 + minutes)]
    shares = []
    if model.requests_per_minute is not None:
        shares.append(len(within) / (minutes * model.requests_per_minute))
    if model.tokens_per_minute is not None:
        shares.append(sum(within) / (minutes * model.tokens_per_minute))
    assert 0.97 <= max(shares) <= 1.0


def served(calls: Sequence[Call], policy: Policy | None = None, seconds: float = 1.0) -> list[Call]:
    """The order in which calls that come together are served, one at a time."""
    order: list[Call] = []

    async def go() -> None:
        gate = Gate(ModelSettings(max_in_flight=1), policy or Policy())

        async def one(call: Call) -> None:
            place = await gate.enter(call)
            order.append(call)
            await asyncio.sleep(seconds)
            place.leave()

        await asyncio.gather(*map(one, (Call(Program("busy")), *calls)))

    in_virtual_time(go)
    return order[1:]


def test_the_longest_remaining_path_goes_first_and_of_equal_ones_the_older_program() -> None:
    young, old = Program("young", begun=-1.0), Program("old", begun=-5.0)
    calls = [Call(young, -2e3), Call(young, -30e3), Call(old, -2e3)]
    assert served(calls) == [calls[1], calls[2], calls[0]]
    assert served(calls, Policy(rank=False)) == [calls[2], calls[0], calls[1]]
    assert served(calls, Policy(age=False)) == [calls[1], calls[0], calls[2]]


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0, 1e5),
    st.lists(st.tuples(st.floats(0, 1e9), st.floats(0, 1e5)), min_size=2, max_size=2),
    st.floats(0, 1e6),
)
def test_no_call_is_overtaken_by_what_comes_later_than_the_bounds_on_rank_and_age(
    now: float, calls: list[tuple[float, float]], more: float
) -> None:
    first, second = (Call(Program(begun=-age), -rank) for rank, age in calls)
    later = now + 2 * LONGEST + more
    assert order_of(first, now) <= order_of(second, later) + 1e-6


def test_a_short_call_gets_its_turn_in_a_stream_of_longer_paths() -> None:
    waited: list[float] = []

    async def go() -> None:
        loop = asyncio.get_running_loop()
        gate = Gate(ModelSettings(max_in_flight=1))

        async def one(call: Call) -> float:
            begun = loop.time()
            place = await gate.enter(call)
            await asyncio.sleep(1)
            place.leave()
            return loop.time() - begun

        async def stream() -> None:
            tasks = []
            for number in range(3_000):
                program = Program(str(number), loop.time())
                tasks.append(asyncio.create_task(one(Call(program, -1e9))))
                await asyncio.sleep(0.99)
            await asyncio.gather(*tasks)

        streaming = asyncio.create_task(stream())
        await asyncio.sleep(10)
        waited.append(await one(Call(Program("short", loop.time()))))
        streaming.cancel()

    in_virtual_time(go)
    assert waited[0] <= 2 * LONGEST + 60


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.sampled_from([1.0, 2.0, 4.0]), min_size=2, max_size=4),
    st.lists(st.integers(10, 200), min_size=4, max_size=4),
)
def test_submitters_with_work_share_a_model_by_their_weights(weights: list[float], sizes: list[int]) -> None:
    """Start-time fair queueing: normalised service of two backlogged submitters differs by one call each."""
    calls = []
    for number, weight in enumerate(weights):
        program = Program(f"of {number}", submitter=str(number), weight=weight)
        calls += [Call(program, -1e5 * number, sizes[number])] * 60
    got = dict.fromkeys(range(len(weights)), 0.0)
    bound = max(size / weight for size, weight in zip(sizes, weights, strict=False)) * 2
    left = dict.fromkeys(got, 60)
    for call in served(calls):
        number = int(call.program.submitter)
        got[number] += call.tokens / call.program.weight
        left[number] -= 1
        if not all(left.values()):
            return
        assert max(got.values()) - min(got.values()) <= bound + 1e-6


def test_who_asked_for_nothing_for_a_while_has_earned_nothing_by_it() -> None:
    async def go() -> None:
        gate = Gate(ModelSettings(max_in_flight=1))
        order: list[str] = []

        async def one(name: str) -> None:
            place = await gate.enter(Call(Program(name, submitter=name), tokens=100))
            order.append(name)
            await asyncio.sleep(1)
            place.leave()

        tasks = [asyncio.create_task(one("steady")) for _ in range(100)]
        await asyncio.sleep(50.5)
        tasks += [asyncio.create_task(one("late")) for _ in range(20)]
        await asyncio.gather(*tasks)
        begun = order.index("late")
        assert order[begun : begun + 20].count("late") == 10

    in_virtual_time(go)


def test_after_a_refusal_nothing_is_asked_until_the_endpoint_said_and_then_less_at_once() -> None:
    starts: list[float] = []
    refused: list[float] = []

    async def go() -> None:
        loop = asyncio.get_running_loop()
        gate = Gate(ModelSettings())
        under_way = 0

        async def one(number: int) -> None:
            nonlocal under_way
            while True:
                place = await gate.enter(Call(Program(str(number))))
                starts.append(loop.time())
                if under_way >= 4:
                    await asyncio.sleep(0.1)
                    refused.append(loop.time())
                    place.refuse(10.0)
                    place.leave()
                    continue
                under_way += 1
                await asyncio.sleep(3)
                under_way -= 1
                place.settle(1, 1)
                place.leave()
                return

        await asyncio.gather(*map(one, range(32)))

    in_virtual_time(go)
    assert starts.count(0) == 32
    assert refused.count(0.1) == 28
    for time in refused:
        assert not [start for start in starts if time < start < time + 10]
    assert len(refused) - 28 <= 12 + 4 + 4, "each further refusal halves what is asked at once"


def test_many_refusals_of_one_moment_count_once() -> None:
    async def go() -> None:
        gate = Gate(ModelSettings())
        places = [await gate.enter(Call(Program())) for _ in range(8)]
        for place in places:
            place.refuse(None)
        assert gate.pace.most == 4.0
        for place in places:
            place.leave()
        await asyncio.sleep(5)
        place = await gate.enter(Call(Program()))
        place.refuse(float("nan"))
        assert gate.pace.most == 1.0
        assert gate.pace.until == asyncio.get_running_loop().time() + 1.0

    in_virtual_time(go)


def test_a_call_that_is_cancelled_as_it_is_let_in_leaves_its_place() -> None:
    async def go() -> None:
        gate = Gate(ModelSettings(max_in_flight=1))
        first = await gate.enter(Call(Program("a")))
        waiting = asyncio.create_task(gate.enter(Call(Program("b"))))
        await asyncio.sleep(0)
        first.leave()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert waiting.cancelled()
        assert gate.in_flight == 0

    in_virtual_time(go)


def test_the_rank_of_a_step_counts_what_is_left_around_its_block() -> None:
    text = (
        '@model("m")\nllm ask(word: str) -> str:\n    """What is {word}?"""\n\n'
        "flow inner(word: str) -> str:\n    return ask(word)\n\n"
        "flow main(word: str) -> str:\n    return ask(ask(inner(word)))\n"
    )
    ranks: list[float] = []

    async def answer(request: Request) -> str:
        ranks.append(request.rank)
        return "fine"

    config = Config(models={"m": ModelSettings("m", provider="mine")})
    environment = Environment(config=config, providers={"mine": Scripted(answer)})
    plan = compile_text(text, "main.flow").plan
    assert virtually(plan, environment, word="flow").result == "fine"
    first, second, third = ranks
    assert first - second == pytest.approx(second - third, rel=0.01)
    assert third > 0


def test_what_is_settled_after_its_minute_gives_nothing_back() -> None:
    window = Window(10)
    long = window.take(0.0, 10)
    assert window.delay(61.0, 10) == 0
    window.take(61.0, 10)
    window.settle(long, 0)
    assert window.delay(62.0, 1) == 59


def test_when_a_program_has_ended_the_gate_holds_nothing_of_its_calls() -> None:
    async def go() -> None:
        gate = Gate(ModelSettings(requests_per_minute=1, kv_tokens=10))
        place = await gate.enter(Call(Program("run")))
        waiting = [asyncio.create_task(gate.enter(Call(Program(name)))) for name in ("run", "run", "other")]
        await asyncio.sleep(0)
        assert gate.timer is not None
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        place.leave()
        gate.ended("run")
        assert gate.timer is None
        assert gate.queue.first() is None
        assert not any(lane.calls for lane in gate.queue.lanes.values())
        assert not gate.outside

    in_virtual_time(go)
