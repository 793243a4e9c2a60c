"""Who continues a run: one that lives, and nobody that died."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flowc.runtime.errors import FlowError
from flowc.runtime.journal import beside as besides
from flowc.runtime.journal.beside import ENTRY, has_marks, joined, leave
from flowc.runtime.journal.sqlite import SqliteStore
from flowc.runtime.journal.sqlite_file import found

CHILD = """
import sys, time
from pathlib import Path
from flowc.runtime.journal.sqlite import SqliteStore
from flowc.runtime.journal.store import Segment

store = SqliteStore(Path(sys.argv[1]))
print(store.take("run"), flush=True)
print(store.taken("other"), flush=True)
if store.taken("other"):
    store.append([Segment("run", 0, 1, b"...", "going")], {}, sync=True)
time.sleep(600)
"""


@contextmanager
def child(where: Path, *said: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that takes the run `run`, and prints whether it got that."""
    process = subprocess.Popen([sys.executable, "-c", CHILD, str(where)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert [process.stdout.readline().strip() for _ in said] == list(said)
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def where(tmp_path: Path) -> Path:
    """A journal with two runs, that nobody has open."""
    store = SqliteStore(tmp_path / "journal.db")
    store.begin("run", b"")
    store.begin("other", b"")
    store.close()
    return tmp_path / "journal.db"


def test_a_run_that_a_living_process_continues_is_taken(where: Path) -> None:
    with child(where, "True", "False"):
        store = SqliteStore(where)
        assert store.taken("run")
        assert not store.take("run")
        assert store.take("other")
        store.close()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_dead_process_holds_nothing(where: Path, end: signal.Signals) -> None:
    store = SqliteStore(where)
    with child(where, "True", "False") as process:
        assert not store.take("run")
        process.send_signal(end)
        process.wait()
        assert not store.taken("run")
        assert store.take("run")
    store.close()


def test_what_this_process_has_a_child_does_not_get(where: Path) -> None:
    store = SqliteStore(where)
    assert store.take("run")
    assert store.take("other")
    with child(where, "False", "True"):
        assert store.taken("run")
    store.close()


def test_looking_at_an_open_journal_ends_no_lock(where: Path) -> None:
    """To close any descriptor of a file ends all locks that a process has of it, those of SQLite included."""
    store = SqliteStore(where)
    assert store.take("run")
    assert found(where)
    SqliteStore(where).close()
    locks = Path("/proc/locks").read_text()
    held = [line.split() for line in locks.splitlines() if f" {os.getpid()} " in line]
    inodes = {line[5].rsplit(":", 1)[1] for line in held}
    assert str(where.stat().st_ino) in inodes
    assert str(where.with_name("journal.db.lock").stat().st_ino) in inodes
    with child(where, "False", "False"):
        pass
    store.close()


def test_a_log_is_looked_through_by_whoever_opens_the_journal_alone(where: Path) -> None:
    """Another process may be writing it, so a flaw could be a transaction that is under way."""
    with child(where, "True", "False"):
        log = where.with_name("journal.db-wal")
        store = SqliteStore(where)
        store.append([], {b"x" * 16: b"x"}, sync=True)
        size = log.stat().st_size
        store.append([], {b"y" * 16: b"y"}, sync=True)
        store.close()
        content = log.read_bytes()
        log.write_bytes(content[: size - 100] + bytes(100) + content[size:])
        SqliteStore(where).close()
    with pytest.raises(FlowError) as error:
        SqliteStore(where)
    assert error.value.problem.code == "E0910"
    with pytest.raises(FlowError):
        SqliteStore(where)


def test_a_log_that_this_process_writes_is_not_looked_through(where: Path) -> None:
    log = where.with_name("journal.db-wal")
    store = SqliteStore(where)
    store.append([], {b"x" * 16: b"x"}, sync=True)
    size = log.stat().st_size
    store.append([], {b"y" * 16: b"y"}, sync=True)
    content = log.read_bytes()
    flawed = content[: size - 100] + bytes(100) + content[size:]
    log.write_bytes(flawed)
    SqliteStore(where).close()
    log.write_bytes(content)
    store.close()


OPENING = """
import fcntl, sys, time
with open(sys.argv[1], "r+b") as file:
    fcntl.lockf(file, fcntl.LOCK_EX, 1, 0)
    print("opening", flush=True)
    time.sleep(float(sys.argv[2]))
    fcntl.lockf(file, fcntl.LOCK_SH, 1, 0)
    time.sleep(600)
"""


@pytest.mark.parametrize(("takes", "patience"), [(600.0, 0.05), (0.2, 20.0)])
def test_who_is_looking_through_a_journal_is_waited_for(
    where: Path, monkeypatch: pytest.MonkeyPatch, takes: float, patience: float
) -> None:
    monkeypatch.setattr(besides, "PATIENCE", patience)
    words = [sys.executable, "-c", OPENING, f"{where}.lock", str(takes)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "opening\n"
        if takes < patience:
            SqliteStore(where).close()
            return
        with pytest.raises(FlowError) as error:
            SqliteStore(where)
        assert error.value.problem.code == "E0913"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_marks_that_are_torn_or_of_another_run_count_as_none(tmp_path: Path) -> None:
    path = tmp_path / "journal.db.lock"
    assert not has_marks(path)
    beside, first = joined(path)
    assert first
    assert joined(path) == (beside, False)
    beside.mark(3, "run", 7, sync=True)
    assert has_marks(path)
    assert beside.marked(3, "run") == 7
    beside.mark(3, "run", 9, sync=False)
    assert beside.marked(3, "run") == 9
    assert beside.marked(3, "other") == 0
    assert beside.marked(2, "run") == 0
    assert beside.marked(4, "run") == 0
    os.truncate(path, 3 * ENTRY + 5)
    assert beside.marked(3, "run") == 0
    leave(beside, 1)
    leave(beside, 1)
    assert joined(path)[1]
    leave(joined(path)[0], 1)
    leave(besides._OPEN[path], 1)
    assert path not in besides._OPEN


def test_the_boot_is_told_where_the_system_tells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    besides.boot.cache_clear()
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "some-id\n")
    assert besides.boot() == "some-id"
    besides.boot.cache_clear()

    def none(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", none)
    assert besides.boot() == ""
    besides.boot.cache_clear()
