"""What a durable run does not do twice, and does not keep for longer than it needs."""

import gc
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.durable.programs import TOGETHER, writes_at_once
from flowc.compiler.driver import compile_text
from flowc.runtime.durable import choosing, keeper, runs
from flowc.runtime.durable import kept as keeping_base
from flowc.runtime.environment import Environment
from flowc.runtime.execute import run
from flowc.runtime.journal import writer
from flowc.runtime.journal.memory import Faults, MemoryStore
from flowc.runtime.journal.writer import Writer
from flowc.runtime.result import RunResult
from flowc.runtime.scheduler import blocks, runner, workers
from flowc.runtime.scheduler.current import idempotency_key

WRITES = """
tool put(i: int) -> int writes db
tool read(i: int) -> int reads web

flow main(n: int) -> int:
    t = 0
    for i in range(n):
        t = put(t)
    return t
"""


class Counting(MemoryStore):
    """Counts what is synced."""

    synced = 0

    def append(self, segments: Any, blobs: Any, *, sync: bool) -> None:
        self.synced += sync
        super().append(segments, blobs, sync=sync)


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No clock decides what is written together, or on which thread."""
    monkeypatch.setattr(writer, "LINGER", 60.0)
    monkeypatch.setattr(workers, "PATIENCE", 60.0)
    monkeypatch.setattr(runner, "SLOW", 60.0)
    monkeypatch.setattr(blocks, "SLOW", 60.0)
    monkeypatch.setattr(blocks, "QUICK_CALLS", 1)


def kept(
    text: str, n: int, tools: dict[str, Callable[..., Any]], store: MemoryStore
) -> tuple[RunResult, keeper.Keeping]:
    plan = compile_text(text, "thrift.flow").plan
    journal = runs.Journal(store, Writer(store))
    keeping = runs.begin(journal, plan, "main", [n], {}, run="r")
    try:
        result = run(plan, "main", {"n": n}, environment=Environment(tools=tools), keeper=keeping)
    finally:
        journal.writer.close()
    assert result.status == "ok", result.problem
    return result, keeping


@pytest.mark.usefixtures("unhurried")
def test_the_end_of_a_write_shares_its_sync_with_the_next_one() -> None:
    store = Counting()
    result, _ = kept(WRITES, 40, {"put": lambda i: i + 1, "read": abs}, store)
    assert result.result == 40
    assert 40 <= store.synced <= 45


@pytest.mark.usefixtures("unhurried")
def test_writes_that_are_in_flight_at_once_share_a_sync_and_each_is_safe_before_it_is_made() -> None:
    every = range(8)
    tools = "".join(f"tool put{k}(i: int) -> int writes db{k}\n" for k in every)
    calls = "".join(f"        a{k} = put{k}(i)\n" for k in every)
    body = f"    for i in range(n):\n{calls}        t = t + " + " + ".join(f"a{k}" for k in every) + "\n"
    store = Counting()
    unsafe: list[int] = []

    def put(i: int) -> int:
        safe = runs.past_of(store.crashed(), "r").intents
        unsafe.extend([i] if not safe else [])
        return 1

    text = f"{tools}\nflow main(n: int) -> int:\n    t = 0\n{body}    return t\n"
    result, _ = kept(text, 10, {f"put{k}": put for k in every}, store)
    assert result.result == 80
    assert unsafe == []
    assert store.synced <= 8 + 15


@pytest.mark.usefixtures("unhurried")
def test_a_call_that_only_reads_waits_for_no_sync() -> None:
    store = Counting()
    result, _ = kept(WRITES.replace("t = put(t)", "t = read(t)"), 40, {"put": abs, "read": abs}, store)
    assert result.result == 0
    assert store.synced <= 5
    assert len(runs.past_of(store, "r", whole=True).outcomes) == 40


RACES = """
tool one(i: int) -> int reads web
tool two(i: int) -> int reads web

flow main(n: int) -> int:
    t = 0
    for i in range(n):
        t = race(one(t), two(t)) + 1
    return t
"""


def test_what_a_long_loop_has_decided_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "TURN_BYTES", 2000)
    result, keeping = kept(RACES, 300, {"one": abs, "two": abs}, MemoryStore())
    assert result.result == 300
    assert len(keeping.past.decided) < 60


def test_the_collector_is_as_it_was_behind_a_run_that_went_on(monkeypatch: pytest.MonkeyPatch) -> None:
    gc.unfreeze()  # what the tests themselves keep from the collector
    monkeypatch.setattr(keeping_base, "MANY", 5)
    store = MemoryStore()
    plan = compile_text(WRITES, "thrift.flow").plan
    with monkeypatch.context() as dying:

        async def lost(*_: object) -> None:
            pass

        dying.setattr(keeper.Keeping, "finish", lost)
        kept(WRITES, 30, {"put": lambda i: i + 1, "read": abs}, store)
    left = store.crashed()
    journal = runs.Journal(left, Writer(left))
    keeping = runs.go_on(journal, "r")
    frozen: list[int] = []
    began = keeping.attach

    def attached(engine: Any) -> None:
        began(engine)
        frozen.append(gc.get_freeze_count())

    monkeypatch.setattr(keeping, "attach", attached)
    environment = Environment(tools={"put": abs, "read": abs})
    assert run(plan, "main", {"n": 30}, environment=environment, keeper=keeping).result == 30
    journal.writer.close()
    assert frozen[0] > 0
    assert gc.get_freeze_count() == 0
    assert gc.isenabled()


@pytest.mark.parametrize("tries", [1, 3])
def test_a_quick_tool_knows_what_its_call_is_called_by_without_a_journal(tries: int) -> None:
    keys: list[str] = []

    def put(i: int) -> int:
        keys.append(idempotency_key())
        return i + 1

    plan = compile_text(WRITES, "thrift.flow").plan
    environment = Environment(tools={"put": put, "read": abs})
    assert run(plan, "main", {"n": tries}, environment=environment).result == tries
    assert len(set(keys)) == tries


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("append", [4, 40, 47, 55])
@pytest.mark.parametrize("after", [False, True])
def test_a_journal_that_fails_under_calls_that_share_a_sync_ends_the_run_and_loses_nothing(
    append: int, *, after: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    made: list[int] = []

    def put(i: int) -> int:
        made.append(i)
        return i + 1

    store = MemoryStore(faults=Faults(append, after))
    plan = compile_text(writes_at_once(), "thrift.flow").plan
    journal = runs.Journal(store, Writer(store))
    keeping = runs.begin(journal, plan, "main", [80], {}, run="r")
    tools = {f"put{k}": put for k in range(TOGETHER)}
    result = run(plan, "main", {"n": 80}, environment=Environment(tools=tools), keeper=keeping)
    assert result.problem is not None
    assert result.problem.code == "E0912"
    past = runs.past_of(store.crashed(), "r", whole=True)
    assert len(made) <= len(past.intents) + len(past.outcomes)
    assert "Traceback" not in capfd.readouterr().err
