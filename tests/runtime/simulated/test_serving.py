"""The simulated server: equal to stepping through every token, and within its bounds."""

import math
import random
from collections.abc import Sequence

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.runtime.providers.simulated.behaviour import Serving
from flowc.runtime.providers.simulated.serving import INFINITE, Event, Job, Server
from tests.runtime.simulated.stepping import Asked, Stepper

QUARTERS = st.integers(0, 80).map(lambda number: number / 4)


@st.composite
def servers(draw: st.DrawFn) -> Serving:
    """Servers whose times are exact in binary, so that sums are equal whatever their order."""
    return Serving(
        prefill=draw(st.sampled_from([0.0, 0.5])),
        per_prompt_token=draw(st.sampled_from([0.0, 0.125])),
        iteration=draw(st.sampled_from([0.25, 1.0])),
        per_sequence=draw(st.sampled_from([0.0, 0.125])),
        per_context=draw(st.sampled_from([0.0, 0.0078125])),
        max_batch=draw(st.sampled_from([1, 2, 3, 8, 8, 8])),
        kv_tokens=draw(st.sampled_from([24, 26, 32, 40, 48, 80])),
        block=4,
        policy=draw(st.sampled_from(["fcfs", "priority"])),
        pin=draw(st.sampled_from([0.0, 2.5, 6.0, 20.0])),
    )


@st.composite
def requests(draw: st.DrawFn) -> Asked:
    """Requests that share beginnings: the ids of their blocks are a path in a small tree."""
    prompt, answer = draw(st.integers(1, 13)), draw(st.integers(1, 11))
    path, at = [], 0
    for _ in range((prompt + answer) // 4):
        at = at * 2 + draw(st.integers(0, 1)) + 1
        path.append(at)
    arrival = draw(QUARTERS)
    return Asked(
        arrival,
        prompt,
        answer,
        tuple(path[: draw(st.integers(0, len(path)))]),
        float(draw(st.integers(0, 3))),
        draw(st.sampled_from(["", "a", "b", "c"])),
        arrival + draw(st.sampled_from([math.inf, math.inf, math.inf, 0.25, 1.0, 3.5, 6.0])),
    )


def served(server: Server, asked: Sequence[Asked]) -> tuple[list[Job], list[Event]]:
    """Lets all these requests come and go at their times, and the server run to its end."""
    jobs = [
        Job(each.prompt, each.answer, each.blocks, each.order, each.program, (1,) if each.answer > 1 else ())
        for each in asked
    ]
    coming = sorted(range(len(jobs)), key=lambda number: asked[number].arrival)
    leaving = sorted(range(len(jobs)), key=lambda number: asked[number].gone)
    leaving = [number for number in leaving if asked[number].gone < math.inf]
    events: list[Event] = []
    while True:
        times = [asked[coming[0]].arrival] if coming else []
        times += [asked[leaving[0]].gone] if leaving else []
        time = min([*times, server.next_event()])
        if time == INFINITE:
            return jobs, events
        while coming and asked[coming[0]].arrival == time:
            server.submit(time, jobs[coming.pop(0)])
        while leaving and asked[leaving[0]].gone == time:
            number = leaving.pop(0)
            if asked[number].arrival <= time:
                server.cancel(time, jobs[number])
        events.extend(server.advance(time))
        assert server.cache.used <= server.cache.capacity
        assert server.batch + (server.prefilling is not None) <= server.serving.max_batch


def none(value: float) -> float | None:
    return None if math.isnan(value) else value


@settings(max_examples=150)
@given(servers(), st.lists(requests(), min_size=1, max_size=12))
def test_events_and_stepping_through_every_token_agree(serving: Serving, asked: list[Asked]) -> None:
    agree(serving, asked)


@pytest.mark.parametrize("seed", range(250))
def test_they_agree_under_load_where_pins_cancellations_and_a_full_cache_meet(seed: int) -> None:
    chance = random.Random(seed)
    serving = Serving(
        prefill=0.5,
        per_prompt_token=chance.choice([0.0, 0.125]),
        iteration=1.0,
        per_sequence=chance.choice([0.0, 0.125]),
        per_context=chance.choice([0.0, 0.0078125]),
        max_batch=chance.choice([2, 8]),
        kv_tokens=chance.choice([32, 48, 64]),
        block=4,
        policy=chance.choice(["fcfs", "priority"]),
        pin=chance.choice([0.0, 4.5, 18.0]),
    )
    asked = []
    for _ in range(30):
        prompt, answer = chance.randint(1, 14), chance.randint(1, 14)
        path = [0]
        for _ in range((prompt + answer) // 4):
            path.append(path[-1] * 2 + chance.randint(1, 2))
        gone = chance.choice([INFINITE, INFINITE, chance.randint(1, 120) / 4])
        order, program = float(chance.randint(0, 3)), chance.choice("abcd")
        arrival = chance.randint(0, 400) / 4
        asked.append(Asked(arrival, prompt, answer, tuple(path[1:]), order, program, arrival + gone))
    agree(serving, asked)


def agree(serving: Serving, asked: list[Asked]) -> None:
    server = Server(serving)
    jobs, events = served(server, asked)
    tasks = Stepper(serving).run(asked)
    for job, task in zip(jobs, tasks, strict=True):
        assert (none(job.begun), none(job.first)) == (task.begun, task.first)
        assert (job.ended if job.state == "ended" else None) == task.ended
        if task.begun is not None:
            assert job.cached == task.cached
        if task.first is not None:
            assert job.decoded == task.decoded
    for time, job, tokens in events:
        assert time >= job.first
        assert (time == job.ended) or tokens < job.answer


@given(st.integers(1, 5000), st.integers(1, 500))
def test_one_call_on_an_empty_server_takes_what_the_formula_says(prompt: int, answer: int) -> None:
    serving = Serving(0.25, 0.5, 0.125, 0.25, 0.5, kv_tokens=10_000)
    (job,), _ = served(Server(serving), [Asked(3.0, prompt, answer)])
    steps = answer - 1
    decoding = steps * (0.125 + 0.25) + 0.5 * (steps * (prompt + 1) + steps * (steps - 1) / 2)
    assert (job.first, job.ended) == (3.25 + 0.5 * prompt, 3.25 + 0.5 * prompt + decoding)


@settings(max_examples=50)
@given(servers(), st.lists(requests(), min_size=1, max_size=12))
def test_nobody_starves_and_first_come_is_first_served(serving: Serving, asked: list[Asked]) -> None:
    serving = evolve(serving, policy="fcfs")
    jobs, _ = served(Server(serving), asked)
    assert {job.state for job in jobs} <= {"ended", "cancelled"}
    assert all(job.state == "ended" for job, each in zip(jobs, asked, strict=True) if each.gone == math.inf)
    begun = sorted((job.begun, job.arrived) for job in jobs if not math.isnan(job.begun))
    arrived = [at for _, at in begun]  # calls without work may begin and end at one moment, in any number
    assert arrived == sorted(arrived)


@settings(max_examples=50)
@given(servers(), st.lists(requests(), min_size=1, max_size=12))
def test_tokens_never_come_faster_than_the_largest_batch_allows(serving: Serving, asked: list[Asked]) -> None:
    server = Server(serving)
    jobs, _ = served(server, asked)
    done = server.statistics
    assert done.decoded <= len(jobs) + done.busy / serving.iteration * serving.max_batch
    assert done.prefilled * serving.per_prompt_token <= done.busy
    assert server.cache.private == 0
    assert all(count == 0 for block, count in server.cache.users.items() if not server.cache.pins)


def test_what_can_never_be_served_is_refused() -> None:
    server = Server(Serving(kv_tokens=64, block=16))
    for job in (Job(60, 5), Job(0, 5), Job(5, 0)):
        with pytest.raises(ValueError, match="never be served"):
            server.submit(0.0, job)
