"""Submitters share a model by what their calls really use, whatever was expected of them."""

import asyncio
import math
from collections.abc import Sequence

from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.runtime.admission.calls import Call, Program
from flowc.runtime.admission.gate import Gate, Place
from flowc.runtime.providers.base import ModelSettings
from tests.runtime.worlds import in_virtual_time

LARGEST = 200
"""Tokens that a call of these tests uses at most."""


@frozen
class Work:
    """A call: what is said of it, what it uses in the end, how it ends and after how many seconds."""

    expected: float
    used: int
    ends: str = "answered"
    seconds: float = 1.0


def weighed(weight: float, name: str) -> Program:
    return Program(f"run of {name}", submitter=name, weight=weight)


def served(
    works: dict[str, Sequence[Work]], weights: dict[str, float], places: int
) -> list[tuple[float, dict[str, float]]]:
    """Submitters whose calls all wait from the start: what each had used over its weight as each call ended,
    until one has no more calls that wait.
    """
    account: list[tuple[float, dict[str, float]]] = []
    used = dict.fromkeys(works, 0.0)
    left = {name: len(calls) for name, calls in works.items()}

    async def go() -> None:
        loop = asyncio.get_running_loop()
        gate = Gate(ModelSettings(max_in_flight=places))

        async def one(name: str, work: Work) -> None:
            call = Call(weighed(weights[name], name), tokens=int(work.expected), expected=work.expected)
            place = await gate.enter(call)
            left[name] -= 1
            await asyncio.sleep(work.seconds)
            used[name] += ended(place, work) / weights[name]
            if all(left.values()):
                account.append((loop.time(), dict(used)))

        await asyncio.gather(*(one(name, work) for name, calls in works.items() for work in calls))
        assert gate.in_flight == 0
        assert not any(lane.under_way or lane.expected for lane in gate.queue.lanes.values())

    in_virtual_time(go)
    return account


def ended(place: Place, work: Work) -> float:
    """Ends a call as it says; gives the tokens that count."""
    if work.ends == "answered":
        place.settle(work.used // 2, work.used - work.used // 2)
    elif work.ends == "refused":
        place.refuse(0.0)
        place.gate.pace.most = None
    elif work.ends == "failed":
        place.owe(work.used)
    place.leave()
    if work.ends == "cancelled":
        return max(work.expected, 1)
    return 1 if work.ends == "refused" else max(work.used, 1)


def tokens(most: float) -> st.SearchStrategy[int]:
    return st.integers(0, int(most))


BAD = st.one_of(st.floats(0, 1e9), st.sampled_from([0.0, 1.0, 1e12]))
"""What may be said of a call, right or absurd."""

WEIGHTS = st.lists(st.sampled_from([0.5, 1.0, 2.0, 4.0]), min_size=2, max_size=4)


@settings(max_examples=50, deadline=None)
@given(st.data(), WEIGHTS, st.integers(1, 8))
def test_shares_follow_the_weights_whatever_was_expected(
    data: st.DataObject, weights: list[float], places: int
) -> None:
    names = {str(number): weight for number, weight in enumerate(weights)}
    works = {
        name: data.draw(st.lists(st.builds(Work, BAD, tokens(LARGEST)), min_size=20, max_size=40))
        for name in names
    }
    bound = 2 * (places + 1) * LARGEST / min(weights)
    for _, used in served(works, names, places):
        assert max(used.values()) - min(used.values()) <= bound


@settings(max_examples=30, deadline=None)
@given(st.data(), st.integers(1, 6))
def test_calls_that_fail_or_are_cancelled_are_charged_what_they_used(
    data: st.DataObject, places: int
) -> None:
    ends = st.sampled_from(["answered", "failed", "cancelled", "refused"])
    work = st.builds(Work, st.integers(1, LARGEST).map(float), tokens(LARGEST), ends)
    names = {"steady": 1.0, "failing": 2.0}
    works = {
        "steady": data.draw(st.lists(st.builds(Work, BAD, tokens(LARGEST)), min_size=40, max_size=60)),
        "failing": data.draw(st.lists(work, min_size=40, max_size=60)),
    }
    for _, used in served(works, names, places):
        assert abs(used["steady"] - used["failing"]) <= 2 * (places + 1) * LARGEST


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), BAD, tokens(1_000)), min_size=2, max_size=5), st.integers(1, 4))
def test_nobody_starves_however_much_others_ask(floods: list[tuple[int, float, int]], places: int) -> None:
    """Who uses next to nothing waits for a call under way, and for one of each other submitter."""

    async def go() -> None:
        loop = asyncio.get_running_loop()
        gate = Gate(ModelSettings(max_in_flight=places))

        async def one(program: Program, expected: float, used: int) -> float:
            begun = loop.time()
            place = await gate.enter(Call(program, tokens=int(expected), expected=expected))
            waited = loop.time() - begun
            await asyncio.sleep(1)
            place.settle(used, 0)
            place.leave()
            return waited

        flood = [
            asyncio.create_task(one(Program(str(number), submitter=str(number)), expected, used))
            for number, (times, expected, used) in enumerate(floods)
            for _ in range(20 * times)
        ]
        await asyncio.sleep(10.5)
        quiet = Program("quiet", submitter="quiet")
        for _ in range(5):
            assert await one(quiet, 1e9, 0) <= 1 + len(floods)
        for task in flood:
            task.cancel()
        await asyncio.gather(*flood, return_exceptions=True)

    in_virtual_time(go)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 20), st.integers(0, 3), BAD, tokens(LARGEST), st.floats(0.1, 5)),
        min_size=1,
        max_size=60,
    ),
    st.integers(1, 5),
)
def test_no_place_is_free_while_a_call_waits(
    calls: list[tuple[float, int, float, int, float]], places: int
) -> None:
    async def go() -> None:
        gate = Gate(ModelSettings(max_in_flight=places))

        def busy() -> None:
            assert gate.queue.first() is None or gate.in_flight == places

        async def one(time: float, submitter: int, expected: float, used: int, seconds: float) -> None:
            await asyncio.sleep(time)
            program = Program(submitter=str(submitter), weight=1.0 + submitter)
            entering = asyncio.create_task(gate.enter(Call(program, tokens=int(expected), expected=expected)))
            await asyncio.sleep(0)
            busy()
            place = await entering
            await asyncio.sleep(seconds)
            place.settle(used, 0)
            place.leave()
            busy()

        await asyncio.gather(*(one(*each) for each in calls))
        assert gate.in_flight == 0

    in_virtual_time(go)


def test_what_one_submitter_overstates_costs_it_nothing_when_another_comes() -> None:
    """A newcomer goes on from what was really used, not from what is expected of the calls under way."""

    async def go() -> list[str]:
        gate = Gate(ModelSettings(max_in_flight=1))
        order: list[str] = []

        async def one(name: str, expected: float) -> None:
            program = Program(name, submitter=name)
            place = await gate.enter(Call(program, tokens=int(expected), expected=expected))
            order.append(name)
            await asyncio.sleep(1)
            place.settle(10, 0)
            place.leave()

        tasks = [asyncio.create_task(one("overstated", 1e9)) for _ in range(40)]
        await asyncio.sleep(0.5)
        tasks += [asyncio.create_task(one("exact", 10.0)) for _ in range(40)]
        await asyncio.gather(*tasks)
        return order

    order: list[str] = in_virtual_time(go)
    assert abs(order[:40].count("exact") - 20) <= 1


@settings(max_examples=20, deadline=None)
@given(st.floats(0, 1e12))
def test_a_call_that_is_broken_off_is_charged_no_more_than_it_reserved(expected: float) -> None:
    async def go() -> float:
        gate = Gate(ModelSettings(max_in_flight=1))
        place = await gate.enter(Call(Program("one", submitter="one"), tokens=100, expected=expected))
        lane = gate.queue.lanes["one"]
        assert lane.expected <= 100
        place.leave()
        return lane.used

    assert in_virtual_time(go) <= 100


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=80))
def test_submitters_that_come_and_go_are_forgotten_and_yet_earn_nothing(
    visits: list[tuple[int, bool]],
) -> None:
    async def go() -> None:
        gate = Gate(ModelSettings(max_in_flight=1))
        level = 0.0
        for name, waits in visits:
            place = await gate.enter(Call(Program(submitter=str(name)), tokens=10))
            await asyncio.sleep(1 if waits else 0)
            place.settle(10, 0)
            place.leave()
            assert gate.queue._level() >= level
            level = gate.queue._level()
        assert len(gate.queue.lanes) <= 3
        assert not math.isinf(level)

    in_virtual_time(go)
