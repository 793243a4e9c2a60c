"""Programs before a finite cache: contexts that are in fit together, all programs end, the oldest goes on."""

import asyncio
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.runtime.admission.calls import Call, Program
from flowc.runtime.admission.gate import Gate
from flowc.runtime.admission.residency import GROWN, KEPT, KEPT_IDLE, Residency
from flowc.runtime.providers.base import ModelSettings
from tests.runtime.worlds import in_virtual_time

Turns = Sequence[tuple[int, float]]
"""What each turn adds to the context, and how long the pause behind it is."""


def run(programs: Sequence[Turns], capacity: int) -> tuple[list[str], int]:
    """The programs in the order in which they end, and the largest sum of contexts under way at once."""
    ended: list[str] = []
    contexts: dict[str, int] = {}
    most = 0

    async def go() -> None:
        nonlocal most
        gate = Gate(ModelSettings(kv_tokens=capacity))
        assert gate.residency is not None

        async def one(name: str, turns: Turns) -> None:
            nonlocal most
            program, context = Program(name), 0
            for added, pause in turns:
                context += added
                place = await gate.enter(Call(program, tokens=context, context=context))
                contexts[name] = context
                most = max(most, sum(contexts.values()))
                await asyncio.sleep(1)
                del contexts[name]
                place.settle(context, 0)
                place.leave()
                await asyncio.sleep(pause)
            gate.ended(name)
            ended.append(name)

        await asyncio.gather(*(one(f"p{number}", turns) for number, turns in enumerate(programs)))
        assert not gate.outside
        assert not gate.residency.residents

    in_virtual_time(go)
    return ended, most


TURN = st.tuples(st.integers(1, 60), st.sampled_from([0.0, 2.0, KEPT + 5]))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.lists(TURN, min_size=1, max_size=5), min_size=1, max_size=12), st.integers(50, 400))
def test_every_program_ends_and_contexts_under_way_fit_unless_one_alone_does_not(
    programs: list[Turns], capacity: int
) -> None:
    ended, most = run(programs, capacity)
    assert len(ended) == len(programs)
    largest = max(sum(added for added, _ in turns) for turns in programs)
    growth = max(added for turns in programs for added, _ in turns)
    assert most <= max(capacity, largest) + growth * len(programs)


def test_programs_of_equal_size_are_let_in_as_many_as_fit() -> None:
    _, most = run([[(100, 2.0)] * 1] * 9, 350)
    assert most == 300


def test_a_program_that_has_begun_goes_on_before_another_begins() -> None:
    ended, _ = run([[(60, 3.0), (1, 3.0), (1, 3.0)], [(60, 0.0)]], 100)
    assert ended == ["p0", "p1"]


def test_a_program_that_calls_nobody_for_long_makes_room() -> None:
    ended, _ = run([[(60, KEPT * 10), (1, 0.0)], [(60, 0.0)]], 100)
    assert ended == ["p1", "p0"]


def test_where_contexts_outgrow_the_cache_those_let_in_last_stand_back() -> None:
    residency = Residency(100)
    assert residency.admit("a", 40)
    assert residency.admit("b", 40)
    assert not residency.admit("c", 40)
    assert residency.inside() == {"a", "b"}
    residency.settle("a", 70)
    assert residency.inside() == {"a"}
    residency.settle("a", 200)
    assert residency.inside() == {"a"}, "the oldest goes on, however large it is"
    residency.end("a")
    assert residency.inside() == {"b"}


def test_new_programs_are_expected_to_grow_as_those_that_have_ended() -> None:
    residency = Residency(100)
    assert residency.admit("a", 10)
    residency.settle("a", 80)
    residency.end("a")
    assert residency.typical == GROWN * 80
    assert residency.admit("b", 10)
    assert not residency.admit("c", 10), "two of 60 do not fit"


def test_while_the_model_is_idle_a_program_that_waits_for_another_soon_makes_room_for_it() -> None:
    async def go() -> float:
        gate = Gate(ModelSettings(kv_tokens=100))
        first = await gate.enter(Call(Program("first"), context=80))
        answered = asyncio.Event()

        async def other() -> None:
            place = await gate.enter(Call(Program("other"), context=80))
            place.leave()
            answered.set()

        task = asyncio.create_task(other())
        await asyncio.sleep(1)
        first.leave()
        await answered.wait()
        await task
        return asyncio.get_running_loop().time()

    assert in_virtual_time(go) == 1 + KEPT_IDLE


TOKENS = st.integers(0, 500)


@given(st.lists(st.tuples(TOKENS, st.none() | TOKENS), min_size=1, max_size=6), st.booleans())
def test_what_calls_have_left_takes_the_place_of_what_was_expected_of_them(
    calls: list[tuple[int, int | None]], at_once: bool
) -> None:
    """Each call is expected to leave so much and leaves so much, or nobody knows what where it fails."""
    residency = Residency(1_000)
    residency.admit("p", 0)
    if at_once:
        for expected, _ in calls:
            residency.begin("p", expected, 0.0)
    for expected, used in calls:
        if not at_once:
            residency.begin("p", expected, 0.0)
        assert residency.residents["p"].tokens >= expected
        if used is not None:
            residency.settle("p", used)
        residency.leave("p", 1.0)
    known = max((used for _, used in calls if used is not None), default=0)
    resident = residency.residents["p"]
    if known and (at_once or calls[-1][1] is not None):
        assert resident.tokens == known
    assert resident.tokens >= known
