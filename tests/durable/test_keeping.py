"""What a run keeps: stopped by hand, gone on with by others, read back by who looks."""

import asyncio
import gc
import json
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from attrs import evolve

from flowc.compiler.driver import Compiled, compile_text
from flowc.runtime.blocking import cancelled
from flowc.runtime.durable import runs, telling
from flowc.runtime.durable.codec import encode_json
from flowc.runtime.durable.keeper import _release
from flowc.runtime.durable.kept import Kept
from flowc.runtime.durable.past import FAR, Past, Spending, read_past
from flowc.runtime.errors import FlowError
from flowc.runtime.journal.memory import MemoryStore
from flowc.runtime.journal.store import DAMAGED, Row, Segment, address
from flowc.runtime.journal.writer import Writer
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.steady import LINE, in_line
from tests.durable.crashing import RUN, Fuse, Machine, ending_of
from tests.durable.programs import PROGRAMS
from tests.durable.simulated import compiled
from tests.durable.world import HEADER, World


def program(text: str, level: int = 2) -> Compiled:
    return compile_text(HEADER + text, "program.flow", level=level)


# ---- stopped by hand


WRITES = """
flow main(n: int) -> int:
    xs = [drip(i) + slow(i) for i in range(n)]
    t = 0
    for i in range(4):
        t = t + drip(t + sum(xs))
    return t
"""


def stopped(machine: Machine, at: float) -> None:
    """Has the next process of a machine be interrupted at a time of its loop."""

    def interrupt(engine: Engine) -> None:
        engine.loop.call_later(at, engine.cancel, cancelled())

    machine.on_start = interrupt


def test_a_run_that_is_interrupted_goes_on_as_if_it_had_not_been() -> None:
    compiled = program(WRITES)
    wanted = ending_of(Machine(compiled, {"n": 3}, {}))
    statuses = set()
    for at in range(0, 420, 14):
        machine = Machine(compiled, {"n": 3}, {})
        stopped(machine, at / 1000)
        result = machine.process()
        assert result is not None
        statuses.add(result.status)
        assert not machine.past().in_doubt()  # it is stopped where nothing is under way
        machine.on_start = None
        assert ending_of(machine) == wanted, at
    assert statuses == {"cancelled", "ok"}


def test_nothing_new_begins_once_a_run_is_interrupted() -> None:
    machine = Machine(program(WRITES), {"n": 3}, {})
    stopped(machine, 0.005)
    machine.process()
    assert 1 <= len(machine.world.effects) <= 3
    assert all(each.tool == "drip" and each.arguments in range(3) for each in machine.world.effects)


def test_what_may_be_done_twice_is_not_waited_for() -> None:
    machine = Machine(program("flow main(n: int) -> int:\n    return slow(n) + slow(n + 1)\n"), {"n": 3}, {})
    stopped(machine, 0.005)
    result = machine.process()
    assert result is not None
    assert result.status == "cancelled"
    machine.on_start = None
    assert machine.last().result == 21


# ---- people and time


def test_a_question_that_nobody_answers_in_time_is_withdrawn() -> None:
    text = """
flow ask(n: int) -> int:
    with timeout(10min):
        return arrived(n)

flow main(n: int) -> int:
    return try ask(n) else put(n)
"""
    machine = Machine(program(text), {"n": 3}, {})
    first = machine.process()
    assert first is not None
    assert first.status == "waiting"
    assert list(telling.waiting_steps(machine.past()))
    machine.world.now += 601.0
    last = machine.process()
    assert last is not None
    assert (last.status, last.result) == ("ok", 31)
    assert not telling.waiting_steps(machine.past())


def test_answers_are_told_from_elsewhere() -> None:
    machine = Machine(program("flow main(n: int) -> int:\n    return put(arrived(n))\n"), {"n": 3}, {})
    machine.process()
    journal = runs.Journal(machine.store, Writer(machine.store))
    telling.answer(journal, RUN, "arrived", 4)
    journal.writer.close()
    assert machine.last().result == 41


# ---- loops


def test_a_long_run_is_gone_through_again_in_turns() -> None:
    text = "flow main(n: int) -> int:\n    return sum([work(i) for i in range(n)]) + put(n)\n"
    whole = Machine(program(text), {"n": 700}, {})
    wanted = ending_of(whole)
    assert ending_of(Machine(program(text), {"n": 700}, {}, fuses=[Fuse(whole.fuse.used, False)])) == wanted


TWO_LOOPS = """
flow main(n: int) -> int:
    xs = [i for i in range(0)]
    for i in range(n):
        xs = xs + [put(i) for j in range(30)]
    t = 0
    while look(t) < 60 up to 9:
        t = t + put(t) + 1
    return len(xs) + t
"""


def test_calls_of_a_batch_wait_until_it_is_known_what_is_kept() -> None:
    text = """
flow main(n: int) -> str:
    xs = [work(i) for i in range(n)]
    ys = [say(i) + "!" for i in range(3)]
    mark(sum(xs))
    return say(sum(xs)) + ys[1]
"""
    compiled = program(text)
    whole = Machine(compiled, {"n": 2500}, {})
    wanted = ending_of(whole)
    for place in (whole.fuse.used, whole.fuse.used - 9):
        machine = Machine(compiled, {"n": 2500}, {}, fuses=[Fuse(place, True)])
        assert ending_of(machine) == wanted
        assert machine.world.asked <= whole.world.asked + 3


SIDE_BY_SIDE = """
flow one(n: int) -> int:
    t = 0
    for i in range(n):
        t = t + put(t)
    return t

flow other(n: int) -> int:
    t = 0
    for i in range(n):
        t = t + shelve(t + 1)
    return t

flow main(n: int) -> int:
    return one(n) + other(n)
"""


def test_loops_side_by_side_go_on_each_with_its_own_turn() -> None:
    compiled = program(SIDE_BY_SIDE)
    whole = Machine(compiled, {"n": 3}, {})
    wanted = ending_of(whole)
    for place in range(1, whole.fuse.used + 1):
        assert ending_of(Machine(compiled, {"n": 3}, {}, fuses=[Fuse(place, True)])) == wanted


def test_every_loop_goes_on_with_its_own_turn() -> None:
    compiled = program(TWO_LOOPS)
    whole = Machine(compiled, {"n": 4}, {})
    wanted = ending_of(whole)
    for place in range(1, whole.fuse.used, 9):
        assert ending_of(Machine(compiled, {"n": 4}, {}, fuses=[Fuse(place, True)])) == wanted


def test_what_is_far_between_the_entries_of_a_loop_does_not_hide_the_newest() -> None:
    records = [["done", 0, f"m/0:for[{i}]/0:f", "f", "", i, None] for i in range(3)]
    records[1:1] = [["done", 0, f"m/1:map[{i}]/0:f", "f", "", i, None] for i in range(FAR + 9)]
    records.append(["turn", "m/0:for", 2, 2, True, [0]])
    past = _read(records)
    steps = [step for step in past.outcomes if step.startswith("m/0")]
    assert steps == ["m/0:for[0]/0:f", "m/0:for[2]/0:f"]  # the first takes room, and is never asked for
    assert past.spent["m/0:for"] == Spending(calls=1)


def test_a_state_of_a_loop_leaves_what_comes_behind_it() -> None:
    records = [
        ["intent", 0, "m/0:for[1]/0:put", "put", 1, False, {"i": 1}, 0, 0.0],
        ["turn", "m/0:for", 1, 1, True, [0]],
    ]
    assert [each.step for each in _read(records).in_doubt()] == ["m/0:for[1]/0:put"]


def _read(records: list[list[object]], *, whole: bool = False) -> Past:
    import json

    payloads = [(number, json.dumps(each).encode()) for number, each in enumerate(records)]
    return read_past("r", {"flow": "m"}, payloads, whole=whole)


def test_reading_leaves_the_collector_as_it_was() -> None:
    gc.disable()
    try:
        _read([])
        assert not gc.isenabled()
    finally:
        gc.enable()
    _read([])
    assert gc.isenabled()


def test_spending_is_known_below_every_path() -> None:
    past = Past("r", {})
    past.spend("m/0:a", Spending(1, 10, 0.5))
    assert past.spent_under("m/0:a") == Spending(1, 10, 0.5)
    past.spend("m/0:a/b", Spending(1, 5, 0.0))
    past.spend("m/0:ab", Spending(9, 9, 9.0))
    past.spend("m/0:a", Spending(0, 1, 0.0))
    assert past.spent_under("m/0:a") == Spending(2, 16, 0.5)
    assert past.spent_under("m") == Spending(11, 25, 9.5)


# ---- plans


def test_a_plan_that_fails_is_kept_as_it_failed() -> None:
    text = """
flow main(n: int) -> int:
    return (try len(execute(misplan(n))) else 50) + put(n)
"""
    compiled = program(text)
    whole = Machine(compiled, {"n": 3}, {})
    wanted = ending_of(whole)
    assert wanted.value == 81
    for place in range(1, whole.fuse.used + 1):
        for keeps in (False, True):
            assert ending_of(Machine(compiled, {"n": 3}, {}, fuses=[Fuse(place, keeps)])) == wanted


@pytest.mark.parametrize("name", ["plans", "race", "batch of calls", "timeout", "embeddings"])
def test_short_programs_die_at_every_record(name: str) -> None:
    found = next(each for each in PROGRAMS if each.name == name)
    make: Callable[..., Machine] = partial(Machine, compiled(found), found.arguments, found.answers)
    whole = make()
    wanted = ending_of(whole)
    for place in range(1, whole.fuse.used + 1):
        for keeps in (False, True):
            assert ending_of(make(fuses=[Fuse(place, keeps)])) == wanted


# ---- choices and attempts


def test_a_race_is_won_by_whom_the_journal_says() -> None:
    text = "flow main(n: int) -> int:\n    return race(slow(n), slow(n + 7))\n"
    for arm, value in enumerate((9, 30)):
        ends = [
            ["done", 0.0, f"main/0:race.{number}/0:slow", "slow", "", end, None]
            for number, end in enumerate((9, 30))
        ]
        machine = kept(text, *ends, ["decided", "main/0:race", arm])
        assert machine.last().result == value


def test_attempts_are_counted_over_all_processes() -> None:
    compiled = program("flow main(n: int) -> int:\n    return try hopeless(n) else put(n)\n")
    whole = Machine(compiled, {"n": 3}, {})
    wanted = ending_of(whole)
    assert whole.world.calls["hopeless", "(3,)"] == 4
    for place in range(1, whole.fuse.used + 1):
        machine = Machine(compiled, {"n": 3}, {}, fuses=[Fuse(place, True)])
        assert ending_of(machine) == wanted
        assert machine.world.calls["hopeless", "(3,)"] <= 5  # one was broken off


# ---- what does not fit


def kept(text: str, *records: list[Any]) -> Machine:
    """A run of which these records are kept, and no more."""
    machine = Machine(program(text), {"n": 3}, {})
    journal = runs.Journal(machine.store, Writer(machine.store))
    keeping = runs.begin(journal, machine.plan, "main", [3], {}, run=RUN, clock=machine.world.time)
    for record in records:
        keeping._append(record)
    journal.writer.close()
    machine.store.release(RUN)
    return machine


PLAN = {"steps": [{"id": "a", "tool": "put", "arguments": {"i": 5}}]}


@pytest.mark.parametrize(
    ("text", "records"),
    [
        (
            "flow main(n: int) -> int:\n    return try put(n) else 0\n",
            [["done", 0.0, "main/0:attempt.0/0:put", "put", "other", 7, None]],
        ),
        (
            "flow main(n: int) -> int:\n    return try len(execute(arrange(n))) else 0\n",
            [
                ["done", 0.0, "main/0:attempt.0/0:arrange", "arrange", "", PLAN, None],
                ["done", 0.0, "main/0:attempt.0/1:execute/a:put", "put", "other", 7, None],
            ],
        ),
    ],
)
def test_a_write_is_not_made_again_with_other_inputs(text: str, records: list[list[Any]]) -> None:
    machine = kept(text, *records)
    result = machine.process()
    assert result is not None
    assert result.problem is not None
    assert (result.problem.code, machine.world.effects) == ("E0733", [])


def test_a_read_is_made_again_with_other_inputs() -> None:
    text = "flow main(n: int) -> int:\n    return look(n)\n"
    assert kept(text, ["done", 0.0, "main/0:look", "look", "other", 7, None]).last().result == 6


def test_a_run_whose_records_are_damaged_is_left_to_others() -> None:
    machine = kept("flow main(n: int) -> int:\n    return put(n)\n", ["session", {"at": 0.0}])
    segments = machine.store._runs[RUN].segments
    segments[0] = evolve(segments[0], body=segments[0].body[:-1] + b"?")
    with pytest.raises(FlowError, match="E0910"):
        machine.process()
    assert not machine.store.taken(RUN)


def test_a_run_whose_beginning_is_damaged_says_so() -> None:
    with pytest.raises(FlowError, match="E0910"):
        runs._head(Row(RUN, 1, b"", DAMAGED))


# ---- whose run it is


def test_one_process_alone_goes_on_with_a_run() -> None:
    machine = Machine(program("flow main(n: int) -> int:\n    return arrived(put(n))\n"), {"n": 1}, {})
    machine.process()
    journal = runs.Journal(machine.store, Writer(machine.store))
    assert machine.store.take(RUN)
    for taken in (lambda: runs.go_on(journal, RUN), lambda: telling.answer(journal, RUN, "arrived", 1)):
        with pytest.raises(FlowError, match="E0921"):
            taken()
    journal.writer.close()


def test_runs_are_found_by_the_beginning_of_their_names() -> None:
    store = MemoryStore()
    with pytest.raises(FlowError, match="E0920"):
        runs.named(store, "last")
    for name in ("ab1", "ab2", "b"):
        store.begin(name, b'{"flow":"main"}')
    assert [runs.named(store, name) for name in ("last", "ab1", "b")] == ["b", "ab1", "b"]
    for name, said in (("ab", "several runs"), ("c", "no run")):
        with pytest.raises(FlowError, match=said):
            runs.named(store, name)
    with pytest.raises(FlowError, match="E0920"):
        runs.head_of(store, "c")


class Mended(World):
    """A world in which nothing is shaky any more."""

    def shaky(self, i: int) -> int:
        return i


def test_a_retry_of_the_step_that_failed_makes_it_again() -> None:
    machine = Machine(program("flow main(n: int) -> int:\n    return put(shaky(n))\n"), {"n": 3}, {})
    assert machine.last().status == "failed"
    (step,) = telling.failed_steps(machine.past())
    journal = runs.Journal(machine.store, Writer(machine.store))
    telling.resolve(journal, RUN, step, "retry")
    journal.writer.close()
    machine.world = Mended()
    assert machine.last().result == 31


def test_a_run_begins_in_a_file(tmp_path: object) -> None:
    journal = runs.journal_at(f"{tmp_path}/j.db")
    keeping = runs.begin(journal, compiled(PROGRAMS[0]).plan, "main", [3], {"seed": 1}, parts={"a": b"text"})
    head = runs.head_of(journal.store, keeping.run)
    assert runs.part_of(journal.store, head, "a") == b"text"
    assert runs.part_of(journal.store, head, "b") is None
    assert runs.arguments_of(journal.store, head) == [3]
    assert runs.program_hash(runs.plan_of(journal.store, head)) == head["program"]
    journal.close()


def test_who_took_a_run_first_has_it() -> None:
    class Taken(MemoryStore):
        def take(self, run: str) -> bool:
            return False

    store = Taken()
    writer = Writer(store)
    with pytest.raises(FlowError, match="E0921"):
        runs.begin(runs.Journal(store, writer), compiled(PROGRAMS[0]).plan, "main", [3], {}, run=RUN)
    writer.close()


def test_a_fork_of_all_that_is_kept_shares_it() -> None:
    machine = kept("flow main(n: int) -> int:\n    return put(n)\n", ["session", {"at": 1.0}])
    head = runs.head_of(machine.store, RUN) | {"forked": {"run": RUN, "records": 5}}
    machine.store.begin("fork", encode_json(head).encode())
    assert runs.past_of(machine.store, "fork").sessions == [{"at": 1.0}]


def test_a_call_that_is_made_again_after_it_was_cancelled_is_in_doubt() -> None:
    intent = ["intent", 1.0, "main/0:put", "put", 1, False, None, 0, 0.0]
    cancelled = ["cancelled", 2.0, "main/0:put", None]
    text = "flow main(n: int) -> int:\n    return put(n)\n"
    for records, doubts in (([intent], 1), ([intent, cancelled], 0), ([intent, cancelled, intent], 1)):
        assert len(runs.past_of(kept(text, *records).store, RUN).in_doubt()) == doubts


def test_what_was_in_flight_at_a_crash_is_taken_to_have_cost_what_it_held() -> None:
    intent = ["intent", 1.0, "main/0:put", "put", 1, True, None, 100, 0.5]
    past = runs.past_of(kept("flow main(n: int) -> int:\n    return put(n)\n", intent, intent).store, RUN)
    assert past.spent["main/0:put"] == Spending(2, 100, 0.5)


def test_what_an_attempt_cost_is_kept_and_ends_of_writes_alone_are_synced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept_as: dict[str, bool] = {}
    append = Kept._append_text

    def noted(keeping: Kept, text: str, *more: Any, sync: bool = False) -> int:
        if text.startswith('["done"'):
            kept_as[json.loads(text)[3]] = sync
        return append(keeping, text, *more, sync=sync)

    monkeypatch.setattr(Kept, "_append_text", noted)
    text = "flow main(n: int) -> int:\n    return guess(n) + put(look(n))\n"
    machine = Machine(program(text), {"n": 3}, {})
    assert machine.last().status == "ok"
    assert kept_as == {"look": False, "guess": False, "put": True}
    records = [json.loads(payload) for _, payload in runs.records_of(machine.store, RUN)]
    assert [each[-1] for each in records if each[0] == "tried"] == [[0, 0, 0.0, 0, 0.0]]


def test_forks_of_forks_share_what_each_took_over_however_many_they_are() -> None:
    machine = kept(
        "flow main(n: int) -> int:\n    return put(n)\n", *[["session", {"at": at}] for at in range(3)]
    )
    head, origin = runs.head_of(machine.store, RUN), RUN
    for number, shared in enumerate((3, *[2] * 2000, 9)):
        forked = {"forked": {"run": origin, "records": shared}}
        machine.store.begin(origin := f"fork{number}", encode_json(head | forked).encode())
    assert runs.past_of(machine.store, "fork0").sessions == [{"at": at} for at in range(3)]
    damaged = Segment("fork0", 0, 1, b"what is not shared need not be sound")
    machine.store.append([damaged], {}, sync=True)
    assert runs.past_of(machine.store, origin).sessions == [{"at": at} for at in range(2)]


def test_runs_that_are_forked_in_a_circle_are_damage() -> None:
    machine = kept("flow main(n: int) -> int:\n    return put(n)\n")
    head = runs.head_of(machine.store, RUN)
    for name, origin in (("a", "b"), ("b", "a")):
        forked = {"forked": {"run": origin, "records": 1}}
        machine.store.begin(name, encode_json(head | forked).encode())
    with pytest.raises(FlowError, match=r"E0910(.|\n)*forked from itself"):
        runs.past_of(machine.store, "a")


@pytest.mark.parametrize("changed", [lambda whole: zlib.compress(bytes(1 << 20)), lambda whole: whole[:-5]])
def test_a_text_that_grows_beyond_all_bounds_or_is_cut_is_damage(
    changed: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "LARGEST", 100_000)
    machine = kept("flow main(n: int) -> int:\n    return put(n)\n")
    head = runs.head_of(machine.store, RUN)
    assert runs.plan_of(machine.store, head) == machine.plan
    blob = changed(machine.store.blob(bytes.fromhex(head["plan"])))
    machine.store.append([], {address(blob): blob}, sync=True)
    head |= {"plan": address(blob).hex(), "parts": {"source": address(blob).hex()}}
    for read in (
        lambda: runs.plan_of(machine.store, head),
        lambda: runs.part_of(machine.store, head, "source"),
    ):
        with pytest.raises(FlowError) as error:
            read()
        assert error.value.problem.code == "E0910"
        assert "more than 100000 bytes" in str(error.value.problem.why)


def test_a_program_is_kept_up_to_a_bound_and_not_beyond(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = kept("flow main(n: int) -> int:\n    return put(n)\n")
    monkeypatch.setattr(runs, "LARGEST", 100_000)
    blobs: list[tuple[bytes, bytes]] = []
    pinned = runs.pinned(machine.plan, {"source": bytes(100_000)}, blobs)
    machine.store.append([], dict(blobs), sync=True)
    assert runs.part_of(machine.store, pinned, "source") == bytes(100_000)
    with pytest.raises(FlowError) as error:
        runs.pinned(machine.plan, {"source": bytes(100_001)}, [])
    assert error.value.problem.code == "E0912"


async def _gone(future: "asyncio.Future[None]") -> None:
    future.cancel()
    _release(future)


def test_who_no_longer_waits_for_what_is_kept_is_told_nothing() -> None:
    async def work() -> None:
        await _gone(asyncio.get_running_loop().create_future())

    asyncio.run(work())


class Scattered(World):
    """A world whose arrays begin anywhere."""

    def rows(self, i: int) -> Any:
        import numpy as np

        whole = np.random.default_rng(3).standard_normal((256 * i, 3)).astype(np.float32)
        room = np.empty(whole.size + 16, dtype=np.float32)
        first = len(self.effects) * 5 + self.calls["rows", repr((i,))] * 3
        found = room[first : first + whole.size].reshape(whole.shape)
        found[...] = whole
        return found


def test_what_a_kernel_gives_does_not_depend_on_where_its_arrays_begin() -> None:
    text = """
flow main(n: int) -> int:
    t = 0
    for i in range(5):
        s = sum(rows(n + i - i))
        mark(int(f64(s) * 1e9))
        t = t + put(i)
    return t
"""
    machine = Machine(program(text), {"n": 3}, {})
    machine.world = Scattered()
    assert machine.last().status == "ok"
    assert len({each.arguments for each in machine.world.effects if each.tool == "mark"}) == 1


@pytest.mark.parametrize("begin", [0, 1, 7])
def test_arrays_are_laid_out_by_lines(begin: int) -> None:
    import numpy as np

    whole = np.arange(60, dtype=np.float32)[begin : begin + 40]
    for array in (whole, whole.reshape(8, 5).T, whole[::2], whole[:0]):
        found = in_line(array)
        assert found.ctypes.data % LINE == 0 or not array.size
        assert found.flags.c_contiguous
        assert (found == array).all()
    assert in_line(3) == 3


def test_a_beginning_with_members_of_other_types_is_damaged() -> None:
    store = MemoryStore()
    head = {"flow": "main", "arguments": [], "plan": "", "program": "", "parts": [], "settings": {}}
    store.begin("r", encode_json(head).encode())
    with pytest.raises(FlowError) as error:
        runs.past_of(store, "r")
    assert error.value.problem.code == "E0910"
