"""The file of a journal in SQLite: found, made where it is missing, refused where it is somebody else's or
damaged.
"""

import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

from flowc.runtime.errors import FlowError
from flowc.runtime.journal import failures
from flowc.runtime.journal.beside import Beside, has_marks, is_joined
from flowc.runtime.journal.wal import lost_commits

MARK = 0x666C6F6A
"""The application's id in the file's header: "floj"."""
VERSION = 1
_MAGIC = b"SQLite format 3\0"
PATIENCE = 10.0
"""Seconds for which one waits for another process."""
WAL_BYTES = 16 << 20
"""What is left of the write-ahead log after a long one."""
_TABLES = (
    "CREATE TABLE runs "
    "(number INTEGER PRIMARY KEY, run TEXT NOT NULL UNIQUE, head BLOB NOT NULL, seal INTEGER NOT NULL)",
    # Rows in order of time and a small unique index: with bodies in the index itself, commits of many runs
    # would each change as many pages as runs. The index is the fence: who comes second cannot go on.
    "CREATE TABLE segments "
    "(id INTEGER PRIMARY KEY, run INTEGER NOT NULL, first INTEGER NOT NULL, records INTEGER NOT NULL, "
    "status TEXT NOT NULL, changed REAL NOT NULL, seal INTEGER NOT NULL, body BLOB NOT NULL, "
    "UNIQUE (run, first))",
    "CREATE INDEX statuses ON segments (run, first, status, changed) WHERE status <> ''",
    "CREATE TABLE blobs (digest BLOB PRIMARY KEY, body BLOB NOT NULL)",
)
_MARKS = (f"PRAGMA application_id = {MARK}", f"PRAGMA user_version = {VERSION}")

_CODES = {
    sqlite3.SQLITE_BUSY: failures.busy,
    sqlite3.SQLITE_LOCKED: failures.busy,
    sqlite3.SQLITE_CORRUPT: failures.damaged_journal,
    sqlite3.SQLITE_NOTADB: failures.damaged_journal,
    sqlite3.SQLITE_ERROR: failures.damaged_journal,  # no such table
}
Connect = Callable[[Path], sqlite3.Connection]
OPENING = Lock()
"""Held while this process opens the file of a journal, in whatever way."""


def connect(where: Path) -> sqlite3.Connection:
    """SQLite's connection to a file that is there."""
    uri = f"{where.as_uri()}?mode=rw"
    base = sqlite3.connect(uri, uri=True, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
    base.text_factory = lambda raw: raw.decode(errors="replace")  # a damaged row must not hide the others
    return base


@contextmanager
def coded(where: Path) -> Iterator[None]:
    """Raises as a FlowError what SQLite and the system raise."""
    try:
        yield
    except sqlite3.Error as error:
        raise of_sqlite(where, error) from error
    except UnicodeDecodeError as error:  # from a message of SQLite's about a damaged file
        raise failures.damaged_journal(str(where), str(error)) from error
    except TimeoutError as error:
        raise failures.busy(str(where), str(error)) from error
    except OSError as error:
        raise failures.unwritable(str(where), str(error)) from error


def of_sqlite(where: Path, error: sqlite3.Error) -> FlowError:
    """An error of SQLite's by its primary code (sqlite.org/rescode.html)."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_IOERR) & 0xFF
    return _CODES.get(code, failures.unwritable)(str(where), str(error))


def found(where: Path) -> bool:
    """Whether there is a journal, or else nothing or what somebody only began to make. Links are followed.

    Raises FlowError E0911 for what is no file, or another program's.
    """
    try:
        path = where.resolve()
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe might never end
            raise failures.unusable(str(where), "it is no file")
        begins = _begins(path) if status.st_size else b""
        if not begins and has_marks(beside_path(path)):
            raise failures.damaged_journal(str(where), "it is empty, and runs were kept in it")
    except FileNotFoundError:
        return False
    except (OSError, RuntimeError) as error:  # RuntimeError: links that go round
        raise failures.unusable(str(where), str(error)) from error
    if begins not in (b"", _MAGIC):
        raise failures.unusable(str(where), "it is another program's file")
    return begins != b""


def _begins(path: Path) -> bytes:
    """The first bytes of a file. Of one that this process has open SQLite has seen them; to close a
    descriptor of it would end the locks that SQLite holds (sqlite.org/howtocorrupt.html, section 2.2).
    """
    with OPENING:
        if is_joined(beside_path(path)):
            return _MAGIC
        with path.open("rb") as file:
            return file.read(len(_MAGIC))


def make(where: Path) -> tuple[Path, bool]:
    """Makes an empty file, for its user alone, and its folders where there are none; durable at once. Gives
    its path, and whether it is new.
    """
    with coded(where):
        path = where.resolve()
        _make_folder(path.parent)
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            return path, False
        _sync_folder(path.parent)
        return path, True


def _make_folder(folder: Path) -> None:
    if not folder.exists():
        _make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def opened(
    where: Path, path: Path, connecting: Connect, beside: Beside, *, first: bool, fresh: bool
) -> sqlite3.Connection:
    """The connection, in write-ahead mode, with the tables; `first` says that no store of this process has
    it, `fresh` that the file was just made.

    Raises FlowError E0910 where the log lost what was written since the computer started, or the tables of
    runs that had begun, E0911 for another
    program's file or a newer flowc's. After a power failure the log may end anywhere behind what was synced.
    """
    alone = first and beside.alone()
    lost = alone and lost_commits(_log_of(path))
    if lost and beside.same_boot():
        why = "its write-ahead log has a flaw, with transactions behind it"
        raise failures.damaged_journal(str(where), why)
    if fresh and alone and not path.stat().st_size:  # nor has anybody else begun to use it
        beside.clear()
    base = connecting(path)
    try:
        if not fresh and beside.last() and not _is_made(where, base):
            raise failures.damaged_journal(str(where), "it has no tables, and runs were kept in it")
        _prepare(where, base)
        if lost:  # what is dropped now must not look like a loss the next time
            base.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except BaseException:
        base.close()
        raise
    if alone:
        beside.settle()
    return base


def sync_log(path: Path) -> None:
    """Makes durable what was written to a journal; what is not in its log any more is that already."""
    with suppress(FileNotFoundError):
        descriptor = os.open(_log_of(path), os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)


def beside_path(path: Path) -> Path:
    """The file beside a journal."""
    return path.with_name(path.name + ".lock")


def _log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def _prepare(where: Path, base: sqlite3.Connection) -> None:
    """Looks whose file it is before anything is changed, then makes what is missing."""
    base.execute("PRAGMA trusted_schema = OFF")
    base.execute("PRAGMA cell_size_check = ON")
    base.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
    if not _is_made(where, base):
        _begin_log(base)
        base.execute("PRAGMA synchronous = FULL")
        base.execute("BEGIN IMMEDIATE")
        if not _is_made(where, base):
            for statement in (*_TABLES, *_MARKS):
                base.execute(statement)
        base.execute("COMMIT")


def _is_made(where: Path, base: sqlite3.Connection) -> bool:
    """Whether the tables are there; False where nothing is. Raises E0911 where something else is."""
    mark, version, tables = (
        base.execute(question).fetchone()[0]
        for question in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
    )
    if not (mark or version or tables):
        return False
    if mark != MARK:
        raise failures.unusable(str(where), "it is another program's file")
    if version != VERSION:
        raise failures.unusable(str(where), f"it has version {version}, and this flowc knows {VERSION}")
    return True


def _begin_log(base: sqlite3.Connection) -> None:
    """Sets the write-ahead mode, for which SQLite does not wait where another process does the same."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            (mode,) = base.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            if mode != "wal":
                raise sqlite3.OperationalError(f"this place has no write-ahead log, but {mode}")
            return
