"""The file of the history: one SQLite database, for its user alone, opened as one transaction.

What cannot be read is left alone and said, never guessed at: a damaged file is put aside, a stranger's or a
newer flowc's stays as it is.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from attrs import fields

from flowc.runtime.errors import FlowError, fail
from flowc.runtime.history.kernel_samples import KernelSample
from flowc.runtime.history.place import is_there
from flowc.runtime.history.samples import CallSample

MOST_BYTES = 256 << 20
MARK = 0x666C6F77
"""The application's id in the file's header: "flow"."""
VERSION = 2
PATIENCE = 5.0
"""Seconds for which a writer waits for another process, and which all that is asked of a history may take."""
READS_WITHIN = 0.3
"""Seconds for which a reader waits: a program is compiled without its history just as well."""
LAST = 2**62
"""No sample has a larger number."""
HEADER = 100
MAGIC = b"SQLite format 3\0"
JOURNALS = ("-journal", "-wal", "-shm")
DAMAGED = ".damaged"

NUMBER = "id INTEGER PRIMARY KEY AUTOINCREMENT"
CALL_COLUMNS = tuple(each.name for each in fields(CallSample))
KERNEL_COLUMNS = tuple(each.name for each in fields(KernelSample))
_TABLES = (
    f"CREATE TABLE calls ({NUMBER}, {', '.join(CALL_COLUMNS)})",
    "CREATE INDEX calls_by_name ON calls (name, provider, model, id)",
    "CREATE INDEX calls_by_alias ON calls (alias, id)",
    f"CREATE TABLE steps ({NUMBER}, name, ran)",
    "CREATE INDEX steps_by_name ON steps (name, id)",
    f"CREATE TABLE kernels ({NUMBER}, {', '.join(KERNEL_COLUMNS)})",
    "CREATE INDEX kernels_by_name ON kernels (name, machine, id)",
)
_SAMPLED = ("calls", "steps", "kernels")
_MARKS = (
    f"PRAGMA application_id = {MARK}",
    f"PRAGMA user_version = {VERSION}",
)


@contextmanager
def opened(where: Path, *, create: bool = False) -> Iterator[sqlite3.Connection]:
    """The file as one transaction. A damaged history is put aside, and E0900 raised all the same."""
    uri = f"{where.absolute().as_uri()}?mode={'rw' if create else 'ro'}"
    patience = PATIENCE if create else READS_WITHIN
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=patience, isolation_level=None)) as base:
            base.execute("PRAGMA trusted_schema = OFF")
            base.text_factory = _text
            base.execute("BEGIN IMMEDIATE" if create else "BEGIN")
            until = time.monotonic() + PATIENCE
            base.set_progress_handler(lambda: time.monotonic() > until, 10_000)
            if create and not base.execute("PRAGMA user_version").fetchone()[0]:
                for statement in (*_TABLES, *_MARKS):
                    base.execute(statement)
            _check_tables(base)
            yield base
            base.execute("COMMIT")
    except sqlite3.OperationalError as error:
        if create:
            raise _unwritable(where, error) from error
        raise _unusable(where, str(error)) from error
    except (sqlite3.DatabaseError, UnicodeDecodeError, OverflowError) as error:
        raise _unusable(where, f"{error}{_put_aside(where)}") from error


def _text(raw: bytes) -> str | None:
    """A text of the file; None where it is none."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _check_tables(base: sqlite3.Connection) -> None:
    """Raises DatabaseError unless there are the tables that were made, no other and no view in their place,
    with room for rows.
    """
    made = {*_TABLES, "CREATE TABLE sqlite_sequence(name,seq)"}
    found = base.execute("SELECT type, sql FROM sqlite_master LIMIT ?", (len(made) + 1,)).fetchall()
    if len(found) > len(made) or set(found) != {(sql.split()[1].lower(), sql) for sql in made}:
        raise sqlite3.DatabaseError("its tables are not those of a history")
    numbers = " UNION ALL ".join(f"SELECT max(id) FROM {table}" for table in _SAMPLED)
    for (last,) in base.execute(f"{numbers} UNION ALL SELECT seq FROM sqlite_sequence LIMIT 9"):
        if last is not None and not (type(last) is int and last < LAST):
            raise sqlite3.DatabaseError("its numbers are used up")


def begin(where: Path) -> None:
    """Makes the file of a history where there is none, for its user alone; SQLite would let others read it.

    Raises FlowError E0900 where something else is there, E0901 where it cannot be made.
    """
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        if not is_begun(where):
            os.close(os.open(where, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise _unwritable(where, error) from error


def is_begun(where: Path, *, forgetting: bool = False) -> bool:
    """Whether there is a history, by the file's first bytes (sqlite.org/fileformat2.html, section 1.3), which
    are looked at before SQLite does. Raises E0900 for what is none; what is only to be forgotten may be of
    another version, damaged or too large.
    """
    try:
        if not is_there(where):
            return False
        if not where.is_file():  # what is no file may never end, as a pipe does
            raise _unusable(where, "it is no file")
        size = where.stat().st_size
        with where.open("rb") as file:
            header = file.read(HEADER)
    except OSError as error:
        raise _unusable(where, str(error)) from error
    if not header:
        return False  # somebody is about to make it
    if len(header) < HEADER and header[: len(MAGIC)] == MAGIC[: len(header)]:
        if forgetting:
            return True
        raise _unusable(where, f"it ends within its header{_put_aside(where)}")
    if not header.startswith(MAGIC) or int.from_bytes(header[68:72]) != MARK:
        raise _unusable(where, "it is another program's file")
    if forgetting:
        return True
    if size > MOST_BYTES:
        why = f"it has more than {MOST_BYTES:,} bytes; `flowc tune --forget` begins a new one"
        raise _unusable(where, why)
    version = int.from_bytes(header[60:64])
    if version != VERSION:
        raise _unusable(where, f"it has version {version}, and this flowc writes {VERSION}")
    return True


def _beside(where: Path, *endings: str) -> list[Path]:
    """The files that belong to a history, by what their names end in."""
    return [where.with_name(where.name + ending) for ending in endings]


def forget(where: Path) -> bool:
    """Removes a history and what was put aside of it; whether there was one.

    Raises FlowError E0900 for a file that is none, and E0901 where it cannot be removed.
    """
    begun = is_begun(where, forgetting=True)
    (aside,) = _beside(where, DAMAGED)
    begun |= is_there(aside)
    try:
        for each in (where, aside, *_beside(where, *JOURNALS)) if begun else ():
            each.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(where, error) from error
    return begun


def _put_aside(where: Path) -> str:
    """Gives a damaged history another name, so that the next run begins a new one; says so. A journal would
    bring its pages back.
    """
    (aside,) = _beside(where, DAMAGED)
    try:
        where.replace(aside)
        for each in _beside(where, *JOURNALS):
            each.unlink(missing_ok=True)
    except OSError:
        return ""
    return f"; it is kept as {aside.name}, and the next traced run begins a new one"


def _unusable(where: Path, why: str) -> FlowError:
    help = "what is expected follows from the program alone; FLOWC_HISTORY names another file, or is none"
    return fail("E0900", f"{where} is no history of runs that can be used", why=why, help=help)


def _unwritable(where: Path, error: Exception) -> FlowError:
    help = "the run is not learned from; name a file that can be written: FLOWC_HISTORY, or none"
    return fail("E0901", f"the history of runs {where} cannot be written", why=str(error), help=help)
