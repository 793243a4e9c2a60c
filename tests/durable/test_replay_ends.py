"""Replays that do not agree: of pure tools, prompts, ends; and what a replay leaves alone."""

import asyncio
from threading import Lock
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import evolve

from flowc.runtime.blocking import cancelled
from flowc.runtime.durable import replay as replay_module
from flowc.runtime.durable import replaying
from flowc.runtime.durable.past import Outcome, Past
from flowc.runtime.durable.replay import replay
from flowc.runtime.durable.replaying import Replaying, Unwritten, _call, _may_run_ahead
from flowc.runtime.durable.telling import UNDO
from flowc.runtime.errors import FlowError, Problem
from tests.durable.broken_off import surroundings, whole
from tests.durable.crashing import RUN, Machine
from tests.durable.programs import PROGRAMS, Program
from tests.durable.test_keeping import kept
from tests.durable.test_replay import forged, records, replayed
from tests.durable.world import World

ASKS = "flow main(n: int) -> str:\n    return say(n)\n"
FAILS = "flow main(n: int) -> int:\n    return put(shaky(n))\n"


def ends(machine: Machine, *ending: Any) -> list[tuple[str, str]]:
    """Where a replay differs from a run whose last record ends so."""
    changed = records(machine)
    changed[-1][2:] = ending
    return [(each.what, each.told) for each in replayed(forged(machine, changed)).differences]


def test_a_run_that_is_said_to_have_ended_otherwise_is_found() -> None:
    nothing = ["E0801", "`shaky` failed", "", "", 0, 0]
    machine = whole(PROGRAMS[0])
    assert ends(machine, "failed", {"problem": nothing}) == [("end", "ended as failed, and now as ok")]
    machine = whole(Program("fails", FAILS, {"n": 3}))
    problem = records(machine)[-1][3]["problem"]
    other = [*problem]
    other[0] = "E0716"
    told = [("end", f"failed with E0716, and now with {problem[0]}")]
    assert ends(machine, "failed", {"problem": other}) == told
    assert ends(machine, "failed", {"problem": problem}) == []


def test_a_prompt_that_is_another_one_now_is_told() -> None:
    machine = whole(Program("asks", ASKS))
    changed = records(machine)
    intent = next(each for each in changed if each[0] == "intent")
    intent[9][2] = "0" * len(intent[9][2])
    found = replayed(forged(machine, changed))
    assert [(each.step, each.what) for each in found.differences] == [("main/0:say", "prompt")]


def test_a_replay_that_is_interrupted_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = whole(PROGRAMS[0])
    run = replay_module.run

    def interrupted(*given: Any, **more: Any) -> Any:
        return evolve(run(*given, **more), problem=cancelled())

    monkeypatch.setattr(replay_module, "run", interrupted)
    with pytest.raises(FlowError) as raised:
        replay(machine.store, RUN, surroundings(machine))
    assert raised.value.problem.code == "E0716"


def test_what_took_a_write_back_with_other_inputs_is_told() -> None:
    machine = whole(next(each for each in PROGRAMS if each.name == "transaction"))
    changed = records(machine)
    undone = next(each for each in changed if each[0] == "done" and UNDO in each[2])
    undone[4] = "other"
    found = replayed(forged(machine, changed))
    assert [(each.step, each.what) for each in found.differences] == [(undone[2], "inputs")]


# ---- pure tools


def compared(before: Problem | None, after: Problem | None, value: Any = 7, now: Any = 7) -> list[str]:
    """What is told of a pure tool that ended so before, and so now."""
    keeper = Replaying(Past(RUN, {"flow": "main"}), {}.__getitem__, {})
    keeper._compare(Outcome(0, "main/0:f", "f", "", value, before, 0.0), now, after)
    assert {each.what for each in keeper.differences} <= {"result"}
    return [each.told for each in keeper.differences]


def test_a_pure_tool_must_end_as_it_did() -> None:
    one, other = Problem("E0801", "it failed", why="one"), Problem("E0801", "it failed", why="other")
    assert compared(None, None) == compared(one, one) == []
    assert compared(None, None, now=7.0) == compared(None, None, value=True, now=True) == []
    assert compared(None, None, now=8) == ["is pure, and gives another result than it did"]
    assert compared(None, one) == ["is pure and succeeded; now it fails: it failed (one)"]
    assert compared(one, None) == ["is pure and failed with E0801; now it succeeds"]
    assert compared(one, other) == ["failed with: one; and now with: other"]


def test_pure_tools_are_called_whether_they_wait_or_not() -> None:
    async def later(i: int) -> int:
        await asyncio.sleep(0)
        return i + 1

    assert _call(later, [1]) == _call(lambda i: i + 1, [1]) == 2


def test_what_was_given_up_is_not_made_again() -> None:
    text = "flow main(n: int) -> int:\n    return put(race(look(n), work(n)))\n"
    machine = kept(
        text,
        ["done", 0.0, "main/0:race.0/0:look", "look", "", 6, None],
        ["decided", "main/0:race", 0],
        ["done", 0.0, "main/0:race.1/0:work", "work", "", 24, None],
        ["done", 0.0, "main/1:put", "put", "", 61, None],
        ["status", 0.0, "ok", {"spent": [0, 0, 0.0], "result": 61}],
    )
    world = World()
    found = replay(machine.store, RUN, surroundings(machine, world))
    assert (found.whole, found.differences, dict(world.calls)) == (True, (), {})


def test_a_part_of_a_call_that_is_asked_for_with_other_inputs_is_told_and_given() -> None:
    keeper = Replaying(Past(RUN, {"flow": "main"}), {}.__getitem__, {})
    keeper.engine = SimpleNamespace(lock=Lock())  # type: ignore[assignment]
    step = "main/0:execute/a:put"
    for fits in (True, False):
        keeper.past.outcomes[step] = Outcome(0, step, "put", "1", 7, None, 0.0)
        known = asyncio.run(keeper._recall(step, lambda _, fits=fits: fits))  # type: ignore[misc]
        assert known is not None
        assert (known.result(), keeper.is_asked_for(step)) == (7, True)
        assert [each.what for each in keeper.differences] == ["inputs"] * (not fits)


# ---- what is left alone


def test_a_replay_writes_nothing_and_waits_for_nothing() -> None:
    writer = Unwritten()
    writer.wait(writer.append(RUN, b"[]", sync=True), sync=True)

    async def durable() -> bool:
        future = writer.durable(3, sync=True)
        await future
        return future.done()

    assert asyncio.run(durable())


def test_without_a_check_no_more_is_compared() -> None:
    machine = whole(PROGRAMS[0])
    past = replay_module.past_of(machine.store, RUN, whole=True)
    loaded = replay_module.load(machine.plan, surroundings(machine))
    keeper = Replaying(past, machine.store.blob, {})
    replay_module.replayed(machine.store, past, loaded, keeper)
    assert (keeper.status, keeper.differences, keeper.made) == ("ok", [], 0)


STREAMS = """
record Outline:
    title: str
    body: str

llm outline(i: int) -> Outline:
    \"\"\"An outline of {i}.\"\"\"

flow main(n: int) -> str:
    o = outline(n)
    return say(len(o.title)) + o.body
"""


def test_a_call_that_ran_ahead_of_an_answer_is_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def noted(frame: Any) -> bool:
        asked.append(_may_run_ahead(frame))
        return asked[-1]

    monkeypatch.setattr(replaying, "_may_run_ahead", noted)
    outline = {"$": ["record", "Outline", ["title", "body"], ["abc", "d"]]}
    done = [
        ["done", 0.0, "main/0:outline", "outline", "", outline, None],
        ["done", 0.0, "main/1:look", "look", "other", 7, None],
    ]
    streams = kept(STREAMS.replace("say(len(o.title)) + o.body", "str(look(len(o.title))) + o.body"), *done)
    found = replay(streams.store, RUN, surroundings(streams))
    assert asked
    assert asked[-1]
    assert (found.whole, found.differences) == (False, ())
