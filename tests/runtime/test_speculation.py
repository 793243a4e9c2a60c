"""Branches that start before their condition is known: what goes on, what is given up, what counts."""

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest
from attrs import evolve

from flowc.runtime.environment import Environment
from flowc.runtime.errors import FlowError
from flowc.runtime.plan import Effect, Json, Limits, Plan, Region
from flowc.runtime.plan_check import check_plan
from flowc.runtime.result import RunResult
from flowc.runtime.scheduler import workers
from flowc.runtime.types import BOOL, INT
from tests.runtime.plans import Builder, plan, tool
from tests.runtime.worlds import virtually

PUTS = (Effect("writes", "db"),)


def branch(*names: str) -> Region:
    """A region that calls tools one after the other, each with what the one before gave."""
    inner = Builder()
    value = inner.constant(1)
    for name in names:
        value = inner.tool(name, value)
    return inner.region(value)


def choosing(then: Region, otherwise: Region, early: Json) -> Plan:
    """A flow that tests, and takes one of two branches that may have started before."""
    body = Builder()
    test = body.tool("test", body.constant(0))
    (started,) = body.node("speculate", others=[])
    found = body.one("if", test, started, regions=[then, otherwise], early=early)
    operations = [tool("test", INT, result=BOOL), *(tool(name, INT) for name in ("slow", "quick", "fails"))]
    return plan(body.region(found), operations=[*operations, tool("put", INT, effects=PUTS)])


class World:
    """Tools that take their time in virtual seconds, and note when they end or are broken off."""

    def __init__(self, answer: bool, **seconds: float) -> None:
        self.seconds = {"test": 3.0, "slow": 5.0, "quick": 1.0, "fails": 1.0, "put": 1.0} | seconds
        self.answer = answer
        self.notes: list[tuple[float, str]] = []

    def tool(self, name: str) -> Callable[[int], Awaitable[object]]:
        async def call(number: int) -> object:
            loop = asyncio.get_running_loop()
            try:
                await asyncio.sleep(self.seconds[name])
            except asyncio.CancelledError:
                self.notes.append((loop.time(), f"{name} broken off"))
                raise
            self.notes.append((loop.time(), name))
            if name == "fails":
                raise ValueError("it fails")
            return self.answer if name == "test" else number + 1

        return call

    def run(self, of: Plan) -> RunResult:
        check_plan(of)
        return virtually(of, Environment(tools={name: self.tool(name) for name in self.seconds}))


def test_the_branch_that_is_taken_has_already_run_for_as_long_as_the_test_took() -> None:
    result = World(True).run(choosing(branch("slow"), branch("quick"), [[0], []]))
    assert (result.result, result.wall_ms) == (2, 5_000)


def test_the_branch_that_is_not_taken_is_broken_off_at_once() -> None:
    world = World(False)
    result = world.run(choosing(branch("slow"), branch("quick"), [[0], []]))
    assert (result.result, result.wall_ms) == (2, 4_000)
    assert (3.0, "slow broken off") in world.notes


@pytest.mark.parametrize("retries", [0, 1], ids=["on the runner", "called from the loop"])
def test_a_function_that_hangs_in_a_branch_that_is_not_taken_holds_no_clock(
    retries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "HELD", 0.05)
    released, world = threading.Event(), World(False)

    def hang(number: int) -> int:
        released.wait(60)
        return number

    of = choosing(branch("slow"), branch("quick"), [[0], []])
    limited = evolve(of.operations["slow"], limits=Limits(retries=retries))
    of = evolve(of, operations={**of.operations, "slow": limited})
    tools = {name: world.tool(name) for name in world.seconds} | {"slow": hang}
    found: list[RunResult] = []
    runs = threading.Thread(target=lambda: found.append(virtually(of, Environment(tools=tools))), daemon=True)
    try:
        runs.start()
        runs.join(20)
        assert found, "the run waits for what nobody wants"
        assert (found[0].result, found[0].wall_ms) == (2, 4_000)
    finally:
        released.set()


def test_both_branches_may_start() -> None:
    assert World(False).run(choosing(branch("slow"), branch("quick"), [[0], [0]])).wall_ms == 3_000
    assert World(True).run(choosing(branch("slow"), branch("quick"), [[0], [0]])).wall_ms == 5_000


def test_what_is_held_back_runs_only_in_the_branch_that_is_taken() -> None:
    taken, left = World(True), World(False)
    plan_ = choosing(branch("quick", "put", "quick"), branch("quick"), [[0], []])
    assert taken.run(plan_).wall_ms == 5_000
    assert (4.0, "put") in taken.notes
    left.run(plan_)
    assert not any("put" in name for _, name in left.notes)


def test_a_failure_counts_only_where_the_branch_is_taken_and_not_before() -> None:
    plan_ = choosing(branch("fails"), branch("quick"), [[0], []])
    assert World(False).run(plan_).result == 2
    failed = World(True).run(plan_)
    assert failed.status == "failed"
    assert failed.wall_ms == 3_000
    late = World(True, fails=7.0).run(plan_)
    assert (late.status, late.wall_ms) == ("failed", 7_000)


def test_a_failure_of_the_test_ends_all_that_has_started() -> None:
    body = Builder()
    test = body.tool("fails", body.constant(0))
    (started,) = body.node("speculate", others=[])
    yes = body.apply("eq", test, body.constant(0))
    found = body.one("if", yes, started, regions=[branch("slow"), branch("quick")], early=[[0], []])
    world = World(True)
    result = world.run(
        plan(body.region(found), operations=[tool(name, INT) for name in ("slow", "quick", "fails")])
    )
    assert (result.status, result.wall_ms) == ("failed", 1_000)
    assert (1.0, "slow broken off") in world.notes


def test_what_a_branch_captures_late_is_there_when_it_is_taken() -> None:
    inner = Builder()
    soon = inner.tool("quick", inner.constant(1))
    late = inner.use(1)
    found = inner.apply("add", soon, late)
    body = Builder()
    zero = body.constant(0)
    assert body.tool("slow", zero) == 1
    test = body.tool("test", zero)
    (started,) = body.node("speculate", others=[])
    regions = [inner.region(found), branch("quick")]
    result = body.one("if", test, started, regions=regions, early=[[0], []])
    operations = [tool("test", INT, result=BOOL), tool("slow", INT), tool("quick", INT)]
    ran = World(True).run(plan(body.region(result), operations=operations))
    assert (ran.result, ran.wall_ms) == (3, 5_000)


@pytest.mark.parametrize("early", [None, [[0]], [[7], []], [["x"], []], [[1], []]])
def test_a_plan_that_starts_early_what_it_cannot_is_refused(early: Json) -> None:
    with pytest.raises(FlowError, match="not a plan"):
        check_plan(choosing(branch("slow", "quick"), branch("quick"), early))


def test_what_starts_branches_belongs_to_one_of_them() -> None:
    body = Builder()
    test = body.tool("test", body.constant(0))
    (started,) = body.node("speculate", others=[])
    unused = plan(body.region(test), operations=[tool("test", INT, result=BOOL)], result=BOOL)
    with pytest.raises(FlowError):
        check_plan(unused)
    found = body.one("if", test, test, regions=[branch("quick"), branch("quick")])
    wrong = plan(body.region(found, started), operations=[tool("test", INT), tool("quick", INT)])
    with pytest.raises(FlowError):
        check_plan(wrong)
