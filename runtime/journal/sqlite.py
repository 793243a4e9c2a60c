"""A journal in a SQLite file: one transaction a group of records, in a write-ahead log."""

import sqlite3
import struct
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any
from zlib import crc32

from flowc.runtime.journal import failures
from flowc.runtime.journal.beside import ENTRY, joined, leave
from flowc.runtime.journal.numbers import Numbers
from flowc.runtime.journal.sqlite_file import (
    OPENING,
    Connect,
    beside_path,
    coded,
    connect,
    make,
    opened,
    sync_log,
)
from flowc.runtime.journal.store import DAMAGED, Row, Segment, address, consecutive

_AT_ONCE = 16
"""Segments that are read at once: no reader holds the log's end for long."""
_GREATEST = (2**63 - 1) // ENTRY - 1
"""The greatest number of a run: the file beside the journal has a mark of each."""
_SEALED = struct.Struct("<QQQd")
_INSERT = (
    "INSERT INTO segments (run, first, records, status, changed, seal, body) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_BEGIN = (
    "INSERT INTO runs (number, run, head, seal) "
    f"VALUES (1 + max(?, (SELECT coalesce(max(number), 0) FROM runs WHERE number < {_GREATEST})), ?, ?, ?)"
)
_SEGMENTS = (
    "SELECT first, records, status, changed, seal, body FROM segments "
    "WHERE run = ? AND first >= ? ORDER BY first LIMIT ?"
)
_ROWS = (
    "SELECT r.number, r.run, r.head, r.seal, s.seal, s.first, s.records, s.status, s.changed FROM runs AS r "
    "LEFT JOIN segments AS s ON s.run = r.number AND s.first = "
    "(SELECT max(first) FROM segments WHERE run = r.number AND status <> '')"
)
_NEWEST = (  # and those that come last because their numbers are none of a run
    f"{_ROWS} ORDER BY r.number DESC "
    f"LIMIT ? + (SELECT count(*) FROM runs WHERE number < 1 OR number > {_GREATEST})"
)


class SqliteStore:
    """A `Store` in a file, which is made where it is missing. `now` is the clock of the times in rows."""

    def __init__(
        self,
        where: Path,
        *,
        connecting: Connect = connect,
        syncing: Callable[[Path], None] = sync_log,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._syncing = syncing
        self._now = now
        self._lock = Lock()
        self._numbers = Numbers(self._numbered)
        self._synchronous = ""
        self._closed = False
        self._where = where
        self._path, fresh = make(where)
        with OPENING, coded(where):
            self._beside, first = joined(beside_path(self._path))
            try:
                self._base = opened(where, self._path, connecting, self._beside, first=first, fresh=fresh)
            except BaseException:
                leave(self._beside, id(self))
                raise

    def begin(self, run: str, head: bytes) -> None:
        with self._transaction(sync=True) as base:
            last = self._beside.last()  # a run that is lost keeps its number, and with it its mark
            try:
                base.execute(_BEGIN, (last, run, head, _sealed(run, head)))
            except sqlite3.IntegrityError:
                raise failures.exists(run) from None
        with coded(self._where):
            self._beside.mark(self._numbers.of(run), run, 0, sync=True)

    def append(self, segments: Sequence[Segment], blobs: Mapping[bytes, bytes], *, sync: bool) -> None:
        if segments or blobs:
            self._insert(segments, blobs, sync)
        if sync and not segments:  # blobs that are there already are no transaction that would be synced
            with coded(self._where):
                self._syncing(self._path)

    def _insert(self, segments: Sequence[Segment], blobs: Mapping[bytes, bytes], sync: bool) -> None:
        numbers = [self._numbers.of(each.run) for each in segments]
        with self._transaction(sync) as base:
            for number, each in zip(numbers, segments, strict=True):
                row = (number, each.first, each.count, each.status, self._now() if each.status else 0.0)
                try:
                    base.execute(_INSERT, (*row, _status_seal(*row), each.body))
                except sqlite3.IntegrityError:
                    raise failures.overtaken(each.run) from None
            for blob in blobs.items():
                base.execute("INSERT INTO blobs VALUES (?, ?) ON CONFLICT DO NOTHING", blob)
        with coded(self._where):
            for number, each in zip(numbers, segments, strict=True):
                self._beside.mark(number, each.run, each.first + each.count, sync=sync)

    @contextmanager
    def _transaction(self, sync: bool) -> Iterator[sqlite3.Connection]:
        """All or nothing; durable with `sync`."""
        synchronous = "FULL" if sync else "NORMAL"
        with self._lock, coded(self._where):
            if synchronous != self._synchronous:
                self._base.execute(f"PRAGMA synchronous = {synchronous}")
                self._synchronous = synchronous
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield self._base
                self._base.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # some errors end the transaction by themselves
                    self._base.execute("ROLLBACK")
                raise

    def _asked(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock, coded(self._where):
            return self._base.execute(question, values).fetchall()

    def _numbered(self, run: str) -> int | None:
        found = self._asked("SELECT number FROM runs WHERE run = ?", run)
        if found and not _is_number(found[0][0]):
            raise failures.damaged_journal(str(self._where), f"run {run} has no number")
        return found[0][0] if found else None

    def segments(self, run: str, first: int = 0) -> Iterator[Segment]:
        last = self._last()
        number = self._numbers.looked_up(run)
        if number is None:
            self._check_unknown(run, last)
            return
        with coded(self._where):
            least = self._beside.marked(number, run)  # before anything is read: the run may be growing
        yield from consecutive(run, first, self._read(run, number, first), least)

    def _last(self) -> int:
        with coded(self._where):
            return self._beside.last()

    def _check_unknown(self, run: str, last: int) -> None:
        """Raises E0910 for a run that is in no table, and had begun when `last` was the last one."""
        with coded(self._where):
            if self._beside.has_begun(run, last):
                raise failures.lost_run(str(self._where), run)

    def _read(self, run: str, number: int, first: int) -> Iterator[Segment]:
        while rows := self._asked(_SEGMENTS, number, first, _AT_ONCE):
            for begins, count, status, changed, seal, body in rows:
                if not (_is_whole(seal, number, begins, count, status, changed) and isinstance(body, bytes)):
                    raise failures.damaged(run, first, "its segment is not what was written")
                yield Segment(run, begins, count, body, status)
                first = begins + count

    def blob(self, digest: bytes) -> bytes:
        found = self._asked("SELECT body FROM blobs WHERE digest = ?", digest)
        body = found[0][0] if found else None
        if not isinstance(body, bytes) or address(body) != digest:
            raise failures.lost_blob(str(self._where), digest, missing=not found)
        return body

    def rows(self, limit: int | None = None) -> list[Row]:
        last = self._last()
        found = [_row(*each) for each in self._asked(_NEWEST, _GREATEST if limit is None else limit)]
        numbers = {row.number for row in found if row.number}
        is_whole = limit is None or len(numbers) < limit
        first = 1 if is_whole else min(numbers, default=last + 1)
        with coded(self._where):
            lost = [number for number in self._beside.begun(first, last) if number not in numbers]
        found += [Row("", number, b"", DAMAGED) for number in lost]
        return sorted(found, key=lambda row: row.number, reverse=True)[:limit]

    def row(self, run: str) -> Row | None:
        last = self._last()
        for values in self._asked(f"{_ROWS} WHERE r.run = ?", run):
            return _row(*values)
        self._check_unknown(run, last)
        return None

    def find(self, prefix: str) -> list[str]:
        question = "SELECT run FROM runs WHERE run >= ? AND run < ? ORDER BY number DESC"
        last = self._last()
        found = self._asked(question, prefix, prefix + chr(sys.maxunicode))
        if not found:
            self._check_unknown(prefix, last)
        return [run for (run,) in found if isinstance(run, str)]

    def take(self, run: str) -> bool:
        number = self._numbers.of(run)
        with coded(self._where):
            return self._beside.take(number, id(self))

    def release(self, run: str) -> None:
        number = self._numbers.forget(run)
        if number is not None:  # else it was not taken
            with coded(self._where):
                self._beside.release(number, id(self))

    def taken(self, run: str) -> bool:
        number = self._numbers.of(run)
        with coded(self._where):
            return self._beside.taken(number)

    def close(self) -> None:
        with self._lock, coded(self._where):
            if not self._closed:
                self._closed = True
                self._base.close()
                leave(self._beside, id(self))


def _sealed(run: str, head: bytes) -> int:
    return crc32(head, crc32(run.encode()))


def _is_whole(
    seal: object, number: object, first: object, count: object, status: object, changed: object
) -> bool:
    """Whether the columns beside a body are what was written; SQLite gives anything of a damaged row."""
    if not isinstance(status, str):
        return False
    try:
        return seal == _status_seal(number, first, count, status, changed)
    except struct.error:
        return False


def _status_seal(number: object, first: object, count: object, status: str, changed: object) -> int:
    return crc32(status.encode(), crc32(_SEALED.pack(number, first, count, changed)))


def _is_number(value: Any) -> bool:
    """Whether a run can have such a number; SQLite gives anything of a damaged row."""
    return type(value) is int and 0 < value <= _GREATEST


def _row(number: Any, run: Any, head: Any, seal: Any, status_seal: Any, *said: Any) -> Row:
    """A row of the list; of a damaged one what can be believed."""
    if not _is_number(number):
        return Row(str(run), 0, b"", DAMAGED)
    if not (isinstance(run, str) and isinstance(head, bytes) and seal == _sealed(run, head)):
        return Row(str(run), number, b"", DAMAGED)
    if status_seal is None:
        return Row(run, number, head)
    if not _is_whole(status_seal, number, *said):
        return Row(run, number, head, DAMAGED)
    return Row(run, number, head, *said[2:])
