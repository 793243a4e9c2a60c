"""Runs that began, and are in no table any more: nobody is told that they never were."""

import sqlite3
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowc.runtime.errors import FlowError
from flowc.runtime.journal import beside as besides
from flowc.runtime.journal.beside import ENTRY, joined, leave
from flowc.runtime.journal.place import open_journal
from flowc.runtime.journal.sqlite import SqliteStore
from flowc.runtime.journal.store import DAMAGED, Row, Store
from tests.runtime.journal.images import Image, image_of, laid_out

RUNS = ("first", "second", "third")


@pytest.fixture
def cut(unsynced: Path) -> tuple[Image, list[int]]:
    """A journal of three runs as a dead process leaves it, and the length of its log before each of them."""
    where = unsynced / "whole.db"
    log, lengths = where.with_name("whole.db-wal"), []
    store = SqliteStore(where)
    for run in RUNS:
        lengths.append(log.stat().st_size)
        store.begin(run, b"head")
    image = image_of(where)
    store.close()
    return image, lengths


def refused(store: Store, run: str) -> None:
    """Checks that whoever names a run is told that it is lost."""
    for ask in (store.row, store.find, lambda run: list(store.segments(run))):
        with pytest.raises(FlowError) as error:
            ask(run)
        assert error.value.problem.code == "E0910"
        assert f"run {run} began" in str(error.value.problem.why)


def opened(image: Image, length: int, where: Path) -> SqliteStore:
    """The journal after its log has lost what is behind a length."""
    return SqliteStore(laid_out(image | {"-wal": image["-wal"][:length]}, where))


@pytest.mark.parametrize("left", [0, 1, 2])
def test_runs_that_a_cut_log_lost_are_listed_and_refused(
    cut: tuple[Image, list[int]], unsynced: Path, left: int
) -> None:
    image, lengths = cut
    store = opened(image, lengths[left] + 100, unsynced / "cut.db")
    rows = [Row("", number, b"", DAMAGED) for number in range(3, left, -1)]
    rows += [Row(run, number + 1, b"head") for number, run in reversed([*enumerate(RUNS[:left])])]
    assert store.rows() == rows
    for limit in range(1, 4):
        assert store.rows(limit) == rows[:limit]
    for run in RUNS[left:]:
        refused(store, run)
    for run in RUNS[:left]:
        assert store.find(run) == [run]
        assert list(store.segments(run)) == []
    assert store.row("never") is None
    assert store.find("never") == []
    assert store.find("") == [*reversed(RUNS[:left])]
    store.close()


def test_a_run_that_begins_later_does_not_hide_those_that_are_lost(
    cut: tuple[Image, list[int]], unsynced: Path
) -> None:
    image, lengths = cut
    store = opened(image, lengths[1] + 100, unsynced / "cut.db")
    store.begin("later", b"head")
    assert [(row.run, row.number) for row in store.rows()] == [("later", 4), ("", 3), ("", 2), ("first", 1)]
    assert [row.run for row in store.rows(2)] == ["later", ""]
    refused(store, "third")
    store.close()


def test_a_lost_run_is_told_after_the_computer_began_anew(
    cut: tuple[Image, list[int]], unsynced: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(besides, "boot", lambda: "another")
    image, lengths = cut
    store = opened(image, lengths[2] + 100, unsynced / "cut.db")
    refused(store, "third")
    store.close()


def test_a_journal_that_lost_its_tables_is_not_taken_for_a_new_one(
    cut: tuple[Image, list[int]], unsynced: Path
) -> None:
    with pytest.raises(FlowError) as error:
        opened(cut[0], 0, unsynced / "cut.db")
    assert error.value.problem.code == "E0910"


def test_a_new_journal_in_the_place_of_one_that_was_removed_has_lost_nothing(unsynced: Path) -> None:
    where = unsynced / "journal.db"
    for _ in range(2):
        store = open_journal(str(where), create=True)
        assert store.rows() == []
        assert store.row("first") is None
        store.begin("first", b"head")
        assert [row.number for row in store.rows()] == [1]
        store.close()
        where.unlink()


def test_a_run_that_begins_meanwhile_is_never_taken_for_lost(unsynced: Path) -> None:
    """Another connection begins runs while this one lists them and asks for those that come next."""
    where = unsynced / "journal.db"
    writing, reading = SqliteStore(where), SqliteStore(where)
    names = [f"run-{number}" for number in range(120)]

    def write() -> None:
        for name in names:
            writing.begin(name, b"head")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        while len(rows := reading.rows()) < len(names):
            assert all(row.status != DAMAGED for row in rows)
            assert all(row.status != DAMAGED for row in reading.rows(2))
            for name in names[len(rows) : len(rows) + 3]:  # E0910 for one that is just beginning
                reading.row(name)
                reading.find(name)
                list(reading.segments(name))
    finally:
        thread.join()
        writing.close()
        reading.close()


def test_a_run_that_begins_between_the_two_questions_is_not_lost(
    unsynced: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = SqliteStore(unsynced / "journal.db"), SqliteStore(unsynced / "journal.db")
    ask, count = store._asked, iter(range(100))

    def late(question: str, *values: object) -> object:
        found = ask(question, *values)
        other.begin(f"late-{next(count)}", b"head")
        return found

    monkeypatch.setattr(store, "_asked", late)
    assert store.row("late-0") is None
    assert store.find("late-1") == []
    assert list(store.segments("late-2")) == []
    assert [row.run for row in store.rows()] == ["late-2", "late-1", "late-0"]
    store.close()
    other.close()


@given(numbers=st.sets(st.integers(1, 40)), last=st.integers(0, 45), first=st.integers(1, 45))
def test_marks_are_found_wherever_they_are(
    tmp_path_factory: pytest.TempPathFactory, numbers: set[int], last: int, first: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "marks.lock"
    beside, _ = joined(path)
    try:
        beside.clear()
        assert beside.last() == 0
        for number in numbers:
            beside.mark(number, f"run-{number}", 0, sync=True)
        assert beside.last() == max(numbers, default=0)
        assert [*beside.begun(first, last)] == [each for each in sorted(numbers) if first <= each <= last]
        for number in range(1, 42):
            assert beside.has_begun(f"run-{number}", last) == (number in numbers and number <= last)
    finally:
        leave(beside, 1)


def test_a_file_of_marks_without_end_is_not_read_to_its_end(
    unsynced: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(besides, "MOST", 10)
    monkeypatch.setattr(besides, "AT_ONCE", 4)
    beside, _ = joined(unsynced / "marks.lock")
    for number in (1, 9, 10, 11, 1 << 30):
        beside.mark(number, f"run-{number}", 3, sync=False)
    assert [*beside.begun(1, beside.last())] == [1, 9, 10]
    assert beside.has_begun("run-10", beside.last())
    assert not beside.has_begun("run-11", beside.last())
    assert beside.last() * ENTRY > 1 << 30
    leave(beside, 1)


@pytest.mark.parametrize(
    "number", ["'one'", "x'31'", "NULL", "1.5", "-7", "0", str(2**59 - 1), str(2**59), str(2**63 - 1)]
)
@pytest.mark.parametrize("runs", [("first",), RUNS])
def test_a_run_whose_number_is_none_is_damaged(unsynced: Path, number: str, runs: tuple[str, ...]) -> None:
    """As a page of another table in the place of this one has it."""
    where = unsynced / "runs.db"
    store = SqliteStore(where)
    for run in RUNS:
        store.begin(run, b"head")
    store.close()
    base = sqlite3.connect(where)
    names = ", ".join(f"'{run}'" for run in runs)
    base.executescript(
        "CREATE TABLE other (number, run TEXT, head BLOB, seal INTEGER);"
        f"INSERT INTO other SELECT iif(run IN ({names}), {number}, number), run, head, seal FROM runs;"
        "DROP TABLE runs; ALTER TABLE other RENAME TO runs;"
    )
    base.close()
    store = SqliteStore(where)
    rows = store.rows()
    numbered = {
        Row("", at, b"", DAMAGED) if run in runs else Row(run, at, b"head") for at, run in enumerate(RUNS, 1)
    }
    assert {*rows} == numbered | {Row(run, 0, b"", DAMAGED) for run in runs}
    assert [row.number for row in rows] == [3, 2, 1, *(0 for _ in runs)]
    for limit in range(8):
        shown = store.rows(limit)
        assert [row.number for row in shown] == [row.number for row in rows[:limit]]
        assert {*shown} <= {*rows}
    for run in runs:
        assert store.row(run) == Row(run, 0, b"", DAMAGED)
        for ask in (store.take, store.taken, lambda run: list(store.segments(run))):
            with pytest.raises(FlowError) as error:
                ask(run)
            assert error.value.problem.code == "E0910"
    store.begin("new", b"head")
    assert store.row("new") == Row("new", 4, b"head")
    store.close()
