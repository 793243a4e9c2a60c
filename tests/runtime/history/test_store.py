"""The history on disk: bounded, shared, and never trusted."""

import os
import random
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from flowc.runtime.errors import FlowError
from flowc.runtime.history import database, store
from flowc.runtime.history.database import forget
from flowc.runtime.history.kernel_samples import KernelSample
from flowc.runtime.history.samples import CallSample, Samples, StepSample
from flowc.runtime.history.store import KEPT, Past, read, read_kernels, write

KERNEL = KernelSample("k" * 24, "some x 2", "8x384,=10,", 2, 0.004)
CALL = CallSample("a" * 24, "llm", "default", "offline", "m", 100, 20, 0, 0.5, 0.1, 0.0, 1.5)


@pytest.fixture
def where(tmp_path: Path) -> Path:
    return tmp_path / "state" / "history.sqlite"


def code(error: pytest.ExceptionInfo[FlowError]) -> str:
    return error.value.problem.code


def everything(where: Path) -> Past:
    return read(where, [CALL.name], ["default"], ["s"])


def test_what_was_written_is_read_in_order(where: Path) -> None:
    calls = tuple(evolve(CALL, answer=n + 1) for n in range(5))
    write(where, Samples(calls[:2], (StepSample("s", 3),)))
    write(where, Samples(calls[2:], (StepSample("s", 0), StepSample("t", 1))))
    assert everything(where) == Past({CALL.name: calls}, {"default": calls}, {"s": (3, 0)})


def kernels(where: Path, machine: str = KERNEL.machine) -> tuple[KernelSample, ...]:
    return read_kernels(where, [KERNEL.name], machine)[0].get(KERNEL.name, ())


def test_kernels_are_kept_by_their_code_and_machine_the_latest_of_them(where: Path) -> None:
    assert kernels(where) == ()
    calls = tuple(evolve(KERNEL, seconds=n + 1.0) for n in range(KEPT + 5))
    elsewhere = evolve(KERNEL, machine="other x 8")
    write(where, Samples(kernels=(*calls[:3], elsewhere)))
    write(where, Samples(kernels=calls[3:]))
    assert kernels(where) == calls[-KEPT:]
    assert kernels(where, "other x 8") == (elsewhere,)
    assert read_kernels(where, ["else"], KERNEL.machine) == ({}, 0)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("seconds", 0.0),
        ("seconds", -1.0),
        ("seconds", 1e30),
        ("seconds", "soon"),
        ("seconds", None),
        ("threads", 0),
        ("threads", 2.5),
        ("sizes", "8x"),
        ("sizes", 7),
        ("sizes", "9," * 5_000),
    ],
)
def test_times_and_sizes_that_no_kernel_can_have_are_left_out(
    where: Path, column: str, value: object
) -> None:
    other = evolve(KERNEL, seconds=1.0)
    write(where, Samples(kernels=(KERNEL, other)))
    with sqlite3.connect(where) as base:
        base.execute(f"UPDATE kernels SET {column} = ? WHERE seconds < 1.0", (value,))
    assert read_kernels(where, [KERNEL.name], KERNEL.machine) == ({KERNEL.name: (other,)}, 1)


def test_where_there_is_no_file_nothing_is_known_and_none_is_made(where: Path) -> None:
    assert everything(where) == Past()
    assert not where.exists()
    assert not forget(where)


def test_the_latest_samples_of_each_model_are_kept(where: Path) -> None:
    for start in range(0, 3 * KEPT, KEPT):
        calls = [evolve(CALL, answer=start + n + 1) for n in range(KEPT)]
        write(where, Samples(tuple(calls), tuple(StepSample("s", start + n) for n in range(KEPT))))
    write(where, Samples((evolve(CALL, model="other"),)))
    found = everything(where)
    assert [call.answer for call in found.calls[CALL.name]] == [*range(2 * KEPT + 1, 3 * KEPT + 1), 20]
    assert found.steps["s"] == tuple(range(2 * KEPT, 3 * KEPT))


def test_in_all_no_more_is_kept_than_the_bound(where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "ALL", 10)
    for number in range(30):
        write(where, Samples((evolve(CALL, name=f"{number}"),), (StepSample(f"{number}", 1),)))
    with sqlite3.connect(where) as base:
        assert base.execute("SELECT count(*) FROM calls").fetchone() == (10,)
        assert base.execute("SELECT count(*) FROM steps").fetchone() == (10,)


def test_several_processes_add_at_once_and_nothing_is_lost(where: Path) -> None:
    script = """
import sys
from pathlib import Path
from flowc.runtime.history.samples import CallSample, Samples
from flowc.runtime.history.store import write
for number in range(20):
    call = CallSample("a" * 24, "llm", "default", sys.argv[2], "m", 100, number + 1, seconds=1.0)
    write(Path(sys.argv[1]), Samples((call,)))
"""
    running = [subprocess.Popen([sys.executable, "-c", script, str(where), name]) for name in ("x", "y")]
    assert [each.wait(60) for each in running] == [0, 0]
    calls = everything(where).calls[CALL.name]
    for name in ("x", "y"):
        assert [call.answer for call in calls if call.provider == name] == list(range(1, 21))


@pytest.mark.parametrize(
    "content",
    [b"bread, cheese\n" * 50, b"SQLite format 3\0" + bytes(200), b"\x7fELF" + bytes(100)],
)
def test_a_file_of_another_program_is_refused_and_left_as_it_is(where: Path, content: bytes) -> None:
    where.parent.mkdir()
    where.write_bytes(content)
    for act in (everything, forget, lambda at: write(at, Samples((CALL,)))):
        with pytest.raises(FlowError) as refused:
            act(where)
        assert code(refused) == "E0900"
    assert where.read_bytes() == content


def test_a_database_of_another_program_is_left_as_it_is(where: Path) -> None:
    where.parent.mkdir()
    with sqlite3.connect(where) as base:
        base.execute("CREATE TABLE calls (mine)")
    before = where.read_bytes()
    with pytest.raises(FlowError) as refused:
        write(where, Samples((CALL,)))
    assert code(refused) == "E0900"
    assert where.read_bytes() == before


def test_a_history_of_a_later_version_is_not_used_and_can_be_forgotten(where: Path) -> None:
    write(where, Samples((CALL,)))
    with sqlite3.connect(where) as base:
        base.execute("PRAGMA user_version = 9")
    with pytest.raises(FlowError, match="version 9") as refused:
        everything(where)
    assert code(refused) == "E0900"
    assert forget(where)
    assert not where.exists()


def test_what_is_no_file_is_not_waited_for(where: Path) -> None:
    where.parent.mkdir()
    os.mkfifo(where)
    with pytest.raises(FlowError) as refused:
        everything(where)
    assert code(refused) == "E0900"
    assert stat.S_ISFIFO(where.stat().st_mode)


@given(seed=st.integers(0, 2**32), share=st.floats(0.0005, 0.2))
def test_a_damaged_history_is_left_out_or_put_aside_and_the_next_run_can_write(
    seed: int, share: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    where = tmp_path_factory.mktemp("damaged") / "history.sqlite"
    write(where, Samples(tuple(evolve(CALL, answer=n + 1) for n in range(150)), (StepSample("s", 1),)))
    content = bytearray(where.read_bytes())
    chance = random.Random(seed)
    for _ in range(int(share * len(content))):
        content[chance.randrange(100, len(content))] = chance.randrange(256)
    where.write_bytes(content)
    try:
        for call in everything(where).calls.get(CALL.name, ()):
            assert call.seconds > 0
    except FlowError as error:
        assert error.problem.code == "E0900"  # noqa: PT017
    try:
        write(where, Samples((CALL,)))
    except FlowError as error:
        assert error.problem.code in ("E0900", "E0901")  # noqa: PT017


def test_a_damaged_history_is_put_aside(where: Path) -> None:
    write(where, Samples(tuple(evolve(CALL, answer=n + 1) for n in range(150))))
    content = where.read_bytes()
    where.write_bytes(content[:100] + b"\xff" * (len(content) - 100))
    with pytest.raises(FlowError, match=r"kept as history.sqlite.damaged") as refused:
        everything(where)
    assert code(refused) == "E0900"
    assert everything(where) == Past()
    write(where, Samples((CALL,)))
    assert everything(where).calls[CALL.name] == (CALL,)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("seconds", -1.0),
        ("seconds", 0.0),
        ("seconds", float("inf")),
        ("seconds", "soon"),
        ("seconds", None),
        ("seconds", 1e30),
        ("prompt", -5),
        ("prompt", 2.5),
        ("answer", 0),
        ("answer", 10**15),
        ("beside", -3.0),
        ("waited", b"\0"),
        ("queued", float("-inf")),
        ("kind", 7),
        ("kind", "l" * 201),
        ("provider", "p" * 10_000),
        ("model", b"m"),
    ],
)
def test_samples_that_no_run_can_have_written_are_left_out(where: Path, column: str, value: object) -> None:
    write(where, Samples((CALL, evolve(CALL, answer=21))))
    with sqlite3.connect(where) as base:
        base.execute(f"UPDATE calls SET {column} = ? WHERE answer = 20", (value,))
    found = everything(where)
    assert found.calls[CALL.name] == (evolve(CALL, answer=21),)
    assert found.left_out == 2  # once as the operation's, once as the model's


def test_counts_that_cannot_be_are_left_out(where: Path) -> None:
    write(where, Samples((), tuple(StepSample("s", n) for n in range(4))))
    with sqlite3.connect(where) as base:
        base.execute("UPDATE steps SET ran = -1 WHERE ran = 2")
        base.execute("UPDATE steps SET ran = 'x' WHERE ran = 3")
    found = everything(where)
    assert (found.steps["s"], found.left_out) == ((0, 1), 2)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_said(where: Path) -> None:
    where.parent.mkdir(mode=0o500)
    with pytest.raises(FlowError) as refused:
        write(where, Samples((CALL,)))
    assert code(refused) == "E0901"


def test_a_file_where_the_folder_should_be_is_said(where: Path) -> None:
    where.parent.write_text("a file")
    with pytest.raises(FlowError) as refused:
        write(where, Samples((CALL,)))
    assert code(refused) == "E0901"


def test_a_writer_who_holds_the_file_makes_others_give_up(
    where: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PATIENCE", 0.05)
    monkeypatch.setattr(database, "READS_WITHIN", 0.0)
    write(where, Samples((CALL,)))
    holder = sqlite3.connect(where, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(FlowError, match="locked") as refused:
        write(where, Samples((CALL,)))
    assert code(refused) == "E0901"
    holder.execute("ROLLBACK")
    assert len(everything(where).calls[CALL.name]) == 1
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(FlowError, match="locked") as refused:
        everything(where)
    assert code(refused) == "E0900"
    holder.close()
    assert len(everything(where).calls[CALL.name]) == 1


def test_a_reader_waits_for_others_for_less_time_than_anybody_notices() -> None:
    assert database.READS_WITHIN <= 0.3 < database.PATIENCE


def test_only_its_user_may_read_a_history(where: Path) -> None:
    write(where, Samples((CALL,)))
    assert stat.S_IMODE(where.stat().st_mode) == 0o600


FOREVER = (
    "CREATE VIEW calls AS WITH RECURSIVE r(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM r) "
    f"SELECT id, '{CALL.name}' name, 'llm' kind, 'default' alias, 'offline' provider, 'm' model, 8 prompt, "
    "4 answer, 0 cached, 0.0 beside, 0.0 waited, 0.0 queued, 0.3 seconds FROM r"
)


@pytest.mark.parametrize(
    "statements",
    [
        ("DROP TABLE calls",),
        ("DROP TABLE steps",),
        ("DROP TABLE kernels",),
        ("DROP INDEX calls_by_name",),
        ("ALTER TABLE calls RENAME TO old", FOREVER),
        ("CREATE TABLE more (x)",),
        ("CREATE TRIGGER more AFTER INSERT ON steps BEGIN DELETE FROM calls; END",),
        ("UPDATE sqlite_sequence SET seq = 9223372036854775807",),
        ("UPDATE calls SET id = 9223372036854775807",),
    ],
)
def test_what_is_not_as_it_was_made_is_put_aside_and_the_next_run_begins_anew(
    where: Path, statements: tuple[str, ...]
) -> None:
    write(where, Samples((CALL,), (StepSample("s", 1),)))
    with sqlite3.connect(where) as base:
        for statement in statements:
            base.execute(statement)
    with pytest.raises(FlowError, match=r"kept as history.sqlite.damaged") as refused:
        write(where, Samples((CALL,)))
    assert code(refused) == "E0900"
    write(where, Samples((CALL,)))
    assert everything(where) == Past({CALL.name: (CALL,)}, {"default": (CALL,)})


def test_what_would_take_forever_is_given_up(where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(where, Samples(tuple(evolve(CALL, name=f"{n}") for n in range(2_000))))
    monkeypatch.setattr(database, "PATIENCE", -1.0)
    with pytest.raises(FlowError, match="interrupted") as refused:
        everything(where)
    assert code(refused) == "E0900"


def test_a_text_that_is_none_leaves_out_its_row_alone(where: Path) -> None:
    write(where, Samples((CALL, evolve(CALL, answer=21))))
    with sqlite3.connect(where) as base:
        base.execute("UPDATE calls SET model = CAST(x'fffe' AS TEXT) WHERE answer = 20")
    found = everything(where)
    assert (found.calls[CALL.name], found.left_out) == ((evolve(CALL, answer=21),), 2)


@pytest.mark.parametrize("length", [1, 15, 16, 99])
def test_a_file_that_ends_within_its_header_is_put_aside(where: Path, length: int) -> None:
    write(where, Samples((CALL,)))
    where.write_bytes(where.read_bytes()[:length])
    with pytest.raises(FlowError, match=r"kept as history.sqlite.damaged"):
        everything(where)
    write(where, Samples((CALL,)))
    assert everything(where).calls[CALL.name] == (CALL,)


def test_forgetting_leaves_nothing_behind(where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(where, Samples((CALL,)))
    for ending in (".damaged", "-journal", "-wal", "-shm"):
        where.with_name(where.name + ending).write_bytes(b"x")
    monkeypatch.setattr(database, "MOST_BYTES", 1)
    with pytest.raises(FlowError, match="more than 1 bytes"):
        everything(where)
    assert forget(where)
    assert list(where.parent.iterdir()) == []


def test_what_was_put_aside_is_forgotten_even_alone(where: Path) -> None:
    where.parent.mkdir()
    where.with_name("history.sqlite.damaged").write_bytes(b"x")
    assert forget(where)
    assert not forget(where)


def test_a_name_that_no_file_can_have_is_one_of_which_nothing_is_known(tmp_path: Path) -> None:
    where = tmp_path / ("h" * 5_000)
    assert everything(where) == Past()
    assert not forget(where)
    with pytest.raises(FlowError) as refused:
        write(where, Samples((CALL,)))
    assert code(refused) == "E0901"
