"""The history on disk: one SQLite file, bounded, shared by processes.

What cannot be read is left alone and said, never guessed at: a damaged file is put aside, a stranger's or a
newer flowc's stays as it is.
"""

import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from attrs import astuple, field, fields, frozen

from flowc.runtime.errors import FlowError, fail
from flowc.runtime.history.place import is_there
from flowc.runtime.history.samples import MOST_TEXT, MOST_TOKENS, CallSample, Samples, is_sound

KEPT = 200
"""The latest samples of an operation at a model, and of a step, that are kept."""
MOST = 1_000
"""The latest samples of an operation or a model, at whatever provider, that are read."""
ALL = 200_000
"""Samples of either kind that are kept in all."""
MOST_BYTES = 256 << 20
MARK = 0x666C6F77
"""The application's id in the file's header: "flow"."""
VERSION = 1
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
S = TypeVar("S")
T = TypeVar("T")

_COLUMNS = tuple(each.name for each in fields(CallSample))
_TYPES = tuple(each.type for each in fields(CallSample))
_READ = tuple(
    f"CASE WHEN typeof({name}) = 'text' AND length({name}) <= {MOST_TEXT} THEN {name} END"
    if kind is str
    else f"CASE WHEN typeof({name}) IN ('integer', 'real') THEN {name} END"
    for name, kind in zip(_COLUMNS, _TYPES, strict=True)
)
"""What is read of a row: nothing of what no run wrote, however large it is."""
_TABLES = (
    f"CREATE TABLE calls (id INTEGER PRIMARY KEY AUTOINCREMENT, {', '.join(_COLUMNS)})",
    "CREATE INDEX calls_by_name ON calls (name, provider, model, id)",
    "CREATE INDEX calls_by_alias ON calls (alias, id)",
    "CREATE TABLE steps (id INTEGER PRIMARY KEY AUTOINCREMENT, name, ran)",
    "CREATE INDEX steps_by_name ON steps (name, id)",
)
_MARKS = (
    f"PRAGMA application_id = {MARK}",
    f"PRAGMA user_version = {VERSION}",
)


def write(where: Path, samples: Samples) -> None:
    """Adds the samples of a run, and lets go of the oldest.

    Raises FlowError E0900 where the file is no history that can be used, E0901 where it cannot be written.
    """
    calls = _latest(samples.calls, _owner)
    steps = _latest(samples.steps, lambda step: step.name)
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        if not _is_begun(where):  # for its user alone; SQLite would let others read it
            os.close(os.open(where, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise _unwritable(where, error) from error
    with _opened(where, create=True) as base:
        base.executemany(
            f"INSERT INTO calls ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})",
            [astuple(call) for call in calls],
        )
        base.executemany("INSERT INTO steps (name, ran) VALUES (?, ?)", [astuple(step) for step in steps])
        _trim(base, {_owner(call) for call in calls}, {step.name for step in steps})


def _owner(call: CallSample) -> tuple[str, str, str]:
    return call.name, call.provider, call.model


def _latest(samples: Iterable[S], key: Callable[[S], Hashable]) -> list[S]:
    """Of each key the latest samples, in order: more would be let go of at once."""
    found: dict[Hashable, deque[tuple[int, S]]] = {}
    for number, sample in enumerate(samples):
        found.setdefault(key(sample), deque(maxlen=KEPT)).append((number, sample))
    numbered = sorted((each for some in found.values() for each in some), key=lambda each: each[0])
    return [sample for _, sample in numbered]


def _trim(base: sqlite3.Connection, owners: set[tuple[str, str, str]], steps: set[str]) -> None:
    whose = "name = ? AND provider = ? AND model = ?"
    for owner in sorted(owners):
        base.execute(
            f"DELETE FROM calls WHERE {whose} AND id NOT IN "
            f"(SELECT id FROM calls WHERE {whose} ORDER BY id DESC LIMIT ?)",
            (*owner, *owner, KEPT),
        )
    for name in sorted(steps):
        base.execute(
            "DELETE FROM steps WHERE name = ? AND id NOT IN "
            "(SELECT id FROM steps WHERE name = ? ORDER BY id DESC LIMIT ?)",
            (name, name, KEPT),
        )
    base.execute("DELETE FROM calls WHERE id <= (SELECT max(id) FROM calls) - ?", (ALL,))
    base.execute("DELETE FROM steps WHERE id <= (SELECT max(id) FROM steps) - ?", (ALL,))


@frozen
class Past:
    """What a history has of a program, the oldest first: the calls of its operations, those of its models,
    the steps by their name. `left_out` samples cannot be.
    """

    calls: Mapping[str, tuple[CallSample, ...]] = field(factory=dict)
    models: Mapping[str, tuple[CallSample, ...]] = field(factory=dict)
    steps: Mapping[str, tuple[int, ...]] = field(factory=dict)
    left_out: int = 0


def read(where: Path, names: Iterable[str], aliases: Iterable[str], steps: Iterable[str]) -> Past:
    """The samples of operations, models and steps by their names; nothing where there is no file.

    Raises FlowError E0900 where the file is no history that can be used.
    """
    if not _is_begun(where):
        return Past()
    bad = 0

    def sound(rows: Iterable[tuple[object, ...]]) -> tuple[CallSample, ...]:
        nonlocal bad
        made = [_sample(row) for row in rows]
        kept = tuple(each for each in reversed(made) if each is not None)
        bad += len(made) - len(kept)
        return kept

    def counts(rows: Iterable[tuple[object, ...]]) -> tuple[int, ...]:
        nonlocal bad
        made = [ran for (ran,) in rows]
        kept = tuple(ran for ran in reversed(made) if type(ran) is int and 0 <= ran <= MOST_TOKENS)
        bad += len(made) - len(kept)
        return kept

    chosen = f"SELECT {', '.join(_READ)} FROM calls WHERE"
    ran = "CASE WHEN typeof(ran) = 'integer' THEN ran END"
    with _opened(where) as base:
        calls = {
            name: sound(base.execute(f"{chosen} name = ? ORDER BY id DESC LIMIT ?", (name, MOST)))
            for name in sorted(set(names))
        }
        models = {
            alias: sound(base.execute(f"{chosen} alias = ? ORDER BY id DESC LIMIT ?", (alias, MOST)))
            for alias in sorted(set(aliases))
        }
        found = {
            name: counts(
                base.execute(f"SELECT {ran} FROM steps WHERE name = ? ORDER BY id DESC LIMIT ?", (name, KEPT))
            )
            for name in sorted(set(steps))
        }
    return Past(_filled(calls), _filled(models), _filled(found), bad)


def _filled(table: Mapping[str, tuple[T, ...]]) -> dict[str, tuple[T, ...]]:
    return {name: some for name, some in table.items() if some}


def _sample(row: tuple[object, ...]) -> CallSample | None:
    """A row as a sample; None where it holds what no run wrote, for SQLite takes anything anywhere."""
    for value, kind in zip(row, _TYPES, strict=True):
        if type(value) is not kind:
            return None
    made = CallSample(*row)  # type: ignore[arg-type]
    return made if is_sound(made) else None


def forget(where: Path) -> bool:
    """Removes a history and what was put aside of it; whether there was one.

    Raises FlowError E0900 for a file that is none, and E0901 where it cannot be removed.
    """
    begun = _is_begun(where, forgetting=True)
    (aside,) = _beside(where, DAMAGED)
    begun |= is_there(aside)
    try:
        for each in (where, aside, *_beside(where, *JOURNALS)) if begun else ():
            each.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(where, error) from error
    return begun


# ---- the file


@contextmanager
def _opened(where: Path, *, create: bool = False) -> Iterator[sqlite3.Connection]:
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
    numbers = "SELECT max(id) FROM calls UNION ALL SELECT max(id) FROM steps UNION ALL"
    for (last,) in base.execute(f"{numbers} SELECT seq FROM sqlite_sequence LIMIT 9"):
        if last is not None and not (type(last) is int and last < LAST):
            raise sqlite3.DatabaseError("its numbers are used up")


def _is_begun(where: Path, *, forgetting: bool = False) -> bool:
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
