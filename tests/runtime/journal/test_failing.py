"""A journal on a disk that is full, broken or read-only, or in use: coded errors, and nothing lost."""

import resource
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flowc.runtime.errors import FlowError
from flowc.runtime.journal import sqlite_file
from flowc.runtime.journal.frames import Framer, start, unframe
from flowc.runtime.journal.sqlite import SqliteStore
from flowc.runtime.journal.sqlite_file import connect
from flowc.runtime.journal.store import Segment
from flowc.runtime.journal.writer import Writer

FULL, BROKEN, READ_ONLY, LOCKED = 13, 10 | 4 << 8, 8, 5
CODES = {
    FULL: "E0912",
    BROKEN: "E0912",
    READ_ONLY: "E0912",
    LOCKED: "E0913",
    11: "E0910",
    26: "E0910",
    1: "E0910",
}


class Failing:
    """A connection whose statements fail from the time when it is told to, at those that begin so."""

    def __init__(self, base: sqlite3.Connection) -> None:
        self.base = base
        self.code = 0
        self.at = ""
        self.after = False

    def execute(self, statement: str, *parameters: Any) -> Any:
        """Executes a statement, or fails before it, or after it."""
        fails = self.code and statement.startswith(self.at)
        if not fails or self.after:
            done = self.base.execute(statement, *parameters)
        if fails:
            error = sqlite3.OperationalError("it was to fail here")
            error.sqlite_errorcode = self.code
            raise error
        return done

    def __getattr__(self, name: str) -> Any:
        return getattr(self.base, name)


def failing(where: Path) -> tuple[SqliteStore, Failing]:
    made: list[Failing] = []

    def connecting(path: Path) -> Any:
        made.append(Failing(connect(path)))
        return made[0]

    return SqliteStore(where, connecting=connecting), made[0]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", ["BEGIN", "INSERT", "COMMIT"])
@pytest.mark.parametrize("code", CODES)
def test_a_failure_is_coded_and_leaves_what_was_acknowledged(
    unsynced: Path, code: int, at: str, after: bool
) -> None:
    store, base = failing(unsynced / "journal.db")
    store.begin("run", b"")
    writer = Writer(store)
    writer.open("run", 0, start("run"))
    writer.wait(writer.append("run", b"one"), sync=True)
    base.code, base.at, base.after = code, at, after
    with pytest.raises(FlowError) as error:
        writer.wait(writer.append("run", b"two"), sync=True)
    assert error.value.problem.code == CODES[code]
    assert "it was to fail here" in error.value.problem.why
    base.code = 0
    with pytest.raises(FlowError):
        writer.append("run", b"three")
    with pytest.raises(FlowError):
        writer.close()
    store.close()
    store = SqliteStore(unsynced / "journal.db")
    found = [payload for _, payload in unframe(store.segments("run"))]
    assert found == [b"one", b"two"][: 2 if at == "COMMIT" and after else 1]
    store.append([Framer("run", 1, start("run")).frame([b"again"])] if len(found) == 1 else [], {}, sync=True)
    store.close()


def test_a_failure_while_reading_is_coded(unsynced: Path) -> None:
    store, base = failing(unsynced / "journal.db")
    store.begin("run", b"")
    base.code, base.at = BROKEN, "SELECT"
    for asked in (
        store.rows,
        lambda: store.find(""),
        lambda: list(store.segments("run")),
        lambda: store.blob(b""),
    ):
        with pytest.raises(FlowError) as error:
            asked()
        assert error.value.problem.code == "E0912"
    store.close()


WRITES = """
import sys
from pathlib import Path
from flowc.runtime.errors import FlowError
from flowc.runtime.journal.frames import start
from flowc.runtime.journal.sqlite import SqliteStore
from flowc.runtime.journal.writer import Writer

store = SqliteStore(Path(sys.argv[1]))
store.begin("run", b"head")
writer = Writer(store)
writer.open("run", 0, start("run"))
try:
    for number in range(100_000):
        writer.wait(writer.append("run", b"%d " % number * 100), sync=False)
        print(number, flush=True)
except FlowError as error:
    print(error.problem.code, flush=True)
"""


def test_a_full_disk_loses_nothing_that_was_acknowledged(unsynced: Path) -> None:
    """The system gives the child files of limited size, and it writes until that is reached."""
    where = unsynced / "journal.db"
    most = 1_000_000
    done = subprocess.run(
        [sys.executable, "-c", WRITES, str(where)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
    )
    *acknowledged, last = done.stdout.split()
    assert last == "E0912", done.stderr
    store = SqliteStore(where)
    found = [payload for _, payload in unframe(store.segments("run"))]
    assert len(acknowledged) > 50
    assert found[: len(acknowledged)] == [b"%d " % number * 100 for number in range(len(acknowledged))]
    assert len(found) <= len(acknowledged) + 1
    store.close()


def test_a_journal_that_another_process_holds_is_busy(
    unsynced: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "PATIENCE", 0.05)
    store = SqliteStore(unsynced / "journal.db")
    store.begin("run", b"")
    other = connect(unsynced / "journal.db")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(FlowError) as error:
        store.append([Segment("run", 0, 1, b"...")], {}, sync=True)
    assert error.value.problem.code == "E0913"
    other.execute("ROLLBACK")
    store.append([Segment("run", 0, 1, b"...")], {}, sync=True)
    other.close()
    store.close()


def test_a_place_without_a_log_is_refused(unsynced: Path) -> None:
    class Logless(Failing):
        def execute(self, statement: str, *parameters: Any) -> Any:
            return self.base.execute(statement.replace("= WAL", "= DELETE"), *parameters)

    with pytest.raises(FlowError) as error:
        SqliteStore(unsynced / "journal.db", connecting=lambda path: Logless(connect(path)))  # type: ignore[arg-type, return-value]
    assert error.value.problem.why == "this place has no write-ahead log, but delete"


def test_a_log_that_is_locked_while_it_is_begun_is_waited_for(
    unsynced: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "PATIENCE", 0.2)

    class Locked(Failing):
        times = 3

        def execute(self, statement: str, *parameters: Any) -> Any:
            self.code, self.at = LOCKED if self.times else 0, "PRAGMA journal_mode"
            self.times -= statement.startswith(self.at) and self.times > 0
            return super().execute(statement, *parameters)

    SqliteStore(unsynced / "journal.db", connecting=lambda path: Locked(connect(path))).close()  # type: ignore[arg-type, return-value]
    (unsynced / "journal.db").unlink()
    monkeypatch.setattr(Locked, "times", 1_000_000)
    with pytest.raises(FlowError) as error:
        SqliteStore(unsynced / "journal.db", connecting=lambda path: Locked(connect(path)))  # type: ignore[arg-type, return-value]
    assert error.value.problem.code == "E0913"


def test_a_journal_that_another_process_makes_meanwhile_is_used(unsynced: Path) -> None:
    where = unsynced / "journal.db"

    class Late(Failing):
        """Somebody else makes the tables, after this one saw that there are none."""

        made = False

        def execute(self, statement: str, *parameters: Any) -> Any:
            if statement == "BEGIN IMMEDIATE" and not self.made:
                self.made = True
                other = connect(where)
                sqlite_file._prepare(where, other)
                other.close()
            return super().execute(statement, *parameters)

    store = SqliteStore(where, connecting=lambda path: Late(connect(path)))  # type: ignore[arg-type, return-value]
    store.begin("run", b"")
    assert store.find("") == ["run"]
    store.close()


def test_a_closed_journal_is_an_error_and_closing_it_again_is_none(unsynced: Path) -> None:
    store = SqliteStore(unsynced / "journal.db")
    store.begin("run", b"")
    store.close()
    store.close()
    with pytest.raises(FlowError) as error:
        store.append([Segment("run", 0, 1, b"...")], {}, sync=True)
    assert error.value.problem.code == "E0912"


def test_syncing_a_log_that_is_taken_into_its_file_already_is_nothing(unsynced: Path) -> None:
    store = SqliteStore(unsynced / "journal.db")
    store.append([], {}, sync=True)
    sqlite_file.sync_log(unsynced / "missing.db")
    store.close()


def test_blobs_that_are_there_already_are_synced(unsynced: Path) -> None:
    synced: list[Path] = []
    store = SqliteStore(unsynced / "journal.db", syncing=synced.append)
    store.append([], {b"x" * 16: b"x"}, sync=False)
    assert synced == []
    store.append([], {b"x" * 16: b"x"}, sync=True)
    assert synced == [unsynced / "journal.db"]
    store.close()


def test_a_log_that_cannot_be_synced_is_an_error(unsynced: Path) -> None:
    def broken(_: Path) -> None:
        raise OSError(5, "Input/output error")

    store = SqliteStore(unsynced / "journal.db", syncing=broken)
    with pytest.raises(FlowError) as error:
        store.append([], {}, sync=True)
    assert error.value.problem.code == "E0912"
    store.close()
