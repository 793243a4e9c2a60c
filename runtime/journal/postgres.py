"""A journal in a PostgreSQL database, for runs of several machines: the same tables, and advisory locks.

A connection that is lost is an error: with it went the locks. The run can be resumed. What a server keeps is
its own affair, so there are no marks beside it as beside a file.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any
from urllib.parse import unquote

import psycopg

from flowc.runtime.journal import failures
from flowc.runtime.journal.numbers import Numbers
from flowc.runtime.journal.store import Row, Segment, address, consecutive

VERSION = 1
PATIENCE = 10
"""Seconds for which one waits for a connection, and for another process."""
LONGEST = 60
"""Seconds that a statement may take, or a lost connection stay unnoticed."""
_CLASS = 0x666C6F6A
"""The first half of our advisory locks, the second is the number of a run; 0 is who makes the tables."""
_AT_ONCE = 16
_TABLES = """
CREATE TABLE flowc_runs (
    number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, run text NOT NULL UNIQUE, head bytea NOT NULL);
CREATE TABLE flowc_segments (
    run integer NOT NULL, first bigint NOT NULL, records bigint NOT NULL, status text NOT NULL,
    changed double precision NOT NULL, body bytea NOT NULL, PRIMARY KEY (run, first));
CREATE INDEX flowc_statuses ON flowc_segments (run, first) WHERE status <> '';
CREATE TABLE flowc_blobs (digest bytea PRIMARY KEY, body bytea NOT NULL);
CREATE TABLE flowc_journal (version integer NOT NULL);
"""
_BEGIN = "INSERT INTO flowc_runs (run, head) VALUES (%s, %s)"
_APPEND = (
    "INSERT INTO flowc_segments SELECT * FROM "
    "unnest(%s::integer[], %s::bigint[], %s::bigint[], %s::text[], %s::float8[], %s::bytea[])"
)
_KEEP = "INSERT INTO flowc_blobs SELECT * FROM unnest(%s::bytea[], %s::bytea[]) ON CONFLICT DO NOTHING"
_FLUSH = "SELECT pg_logical_emit_message(true, 'flowc', '')"
"""Something to commit where nothing else is: with it all before is flushed."""
_SEGMENTS = (
    "SELECT first, records, status, body FROM flowc_segments "
    "WHERE run = %s AND first >= %s ORDER BY first LIMIT %s"
)
_ROWS = (
    "SELECT r.run, r.number, r.head, coalesce(s.status, ''), s.changed FROM flowc_runs AS r "
    "LEFT JOIN LATERAL (SELECT status, changed FROM flowc_segments "
    "WHERE run = r.number AND status <> '' ORDER BY first DESC LIMIT 1) AS s ON true"
)
_THERE = "SELECT 1 FROM flowc_segments WHERE run = %s AND first = %s"
_HELD = (
    "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND objid = %s AND objsubid = 2 "
    "AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class PostgresStore:
    """A `Store` at a postgresql:// URL; its tables are made with `create` where they are missing."""

    def __init__(self, url: str, *, create: bool = True, now: Callable[[], float] = time.time) -> None:
        self._url = url
        self._where = shown(url)
        self._now = now
        self._lock = Lock()
        self._numbers = Numbers(self._numbered)
        self._taken: set[int] = set()
        try:
            self._base = psycopg.connect(
                url, autocommit=True, connect_timeout=PATIENCE, tcp_user_timeout=LONGEST * 1000
            )
        except psycopg.Error as error:
            raise failures.unreachable(self._where, self._told(error)) from None
        try:
            with self._coded():
                self.is_made = self._prepare(create)
        except BaseException:
            self._base.close()
            raise

    def _prepare(self, create: bool) -> bool:
        """Whether the tables are there, or now are. Raises E0911 where a newer flowc made them."""
        base = self._base
        base.execute(f"SET lock_timeout = '{PATIENCE}s'; SET statement_timeout = '{LONGEST}s'")
        with base.transaction():
            base.execute("SELECT pg_advisory_xact_lock(%s, 0)", (_CLASS,))
            if base.execute("SELECT to_regclass('flowc_journal')").fetchone() == (None,):
                if create:
                    base.execute(f"{_TABLES} INSERT INTO flowc_journal VALUES ({VERSION})")
                return create
            found = base.execute("SELECT version FROM flowc_journal").fetchall()
        if found != [(VERSION,)]:
            told = ", ".join(str(version) for (version,) in found) or "none"
            raise failures.unusable(self._where, f"it has version {told}, and this flowc knows {VERSION}")
        return True

    def begin(self, run: str, head: bytes) -> None:
        with self._lock, self._coded():
            try:
                with self._transaction(sync=True):
                    self._base.execute(_BEGIN, (run, head))
            except psycopg.errors.UniqueViolation:
                raise failures.exists(run) from None

    def append(self, segments: Sequence[Segment], blobs: Mapping[bytes, bytes], *, sync: bool) -> None:
        numbers = [self._numbers.of(each.run) for each in segments]
        with self._lock, self._coded():
            try:
                with self._base.pipeline(), self._transaction(sync):
                    self._insert(numbers, segments)
                    if blobs:
                        self._base.execute(_KEEP, (list(blobs), list(blobs.values())))
                    if not segments:  # blobs may be there already
                        self._base.execute(_FLUSH)
            except psycopg.errors.UniqueViolation:
                raise failures.overtaken(self._overtaken(numbers, segments)) from None

    def _insert(self, numbers: list[int], segments: Sequence[Segment]) -> None:
        if segments:
            now = self._now()
            columns = (
                numbers,
                [each.first for each in segments],
                [each.count for each in segments],
                [each.status for each in segments],
                [now if each.status else 0.0 for each in segments],
                [each.body for each in segments],
            )
            self._base.execute(_APPEND, columns)

    def _overtaken(self, numbers: list[int], segments: Sequence[Segment]) -> str:
        """The run that has a record of somebody else's where one of the segments begins."""
        for number, each in zip(numbers, segments, strict=True):
            if self._base.execute(_THERE, (number, each.first)).fetchone():
                return each.run
        return segments[0].run

    @contextmanager
    def _transaction(self, sync: bool) -> Iterator[None]:
        with self._base.transaction():
            self._base.execute(f"SET LOCAL synchronous_commit TO {'on' if sync else 'off'}")
            yield

    @contextmanager
    def _coded(self) -> Iterator[None]:
        """Raises as a FlowError what the server and the connection raise."""
        try:
            yield
        except psycopg.errors.LockNotAvailable as error:
            raise failures.busy(self._where, self._told(error)) from None
        except psycopg.Error as error:
            raise failures.unwritable(self._where, self._told(error)) from None

    def _told(self, error: psycopg.Error) -> str:
        """What an error says, on one line and without the password."""
        return without_password(" ".join(str(error).split()), self._url)

    def _asked(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock, self._coded():
            return self._base.execute(question, values).fetchall()

    def _numbered(self, run: str) -> int | None:
        found = self._asked("SELECT number FROM flowc_runs WHERE run = %s", run)
        return int(found[0][0]) if found else None

    def segments(self, run: str, first: int = 0) -> Iterator[Segment]:
        number = self._numbers.looked_up(run)
        return consecutive(run, first, self._read(run, number, first) if number is not None else ())

    def _read(self, run: str, number: int, first: int) -> Iterator[Segment]:
        while rows := self._asked(_SEGMENTS, number, first, _AT_ONCE):
            for begins, count, status, body in rows:
                yield Segment(run, begins, count, body, status)
                first = begins + count

    def blob(self, digest: bytes) -> bytes:
        found = self._asked("SELECT body FROM flowc_blobs WHERE digest = %s", digest)
        if not found or address(found[0][0]) != digest:
            raise failures.lost_blob(self._where, digest, missing=not found)
        return bytes(found[0][0])

    def rows(self, limit: int | None = None) -> list[Row]:
        return [Row(*values) for values in self._asked(f"{_ROWS} ORDER BY r.number DESC LIMIT %s", limit)]

    def row(self, run: str) -> Row | None:
        for values in self._asked(f"{_ROWS} WHERE r.run = %s", run):
            return Row(*values)
        return None

    def find(self, prefix: str) -> list[str]:
        question = "SELECT run FROM flowc_runs WHERE starts_with(run, %s) ORDER BY number DESC"
        return [run for (run,) in self._asked(question, prefix)]

    def take(self, run: str) -> bool:
        number = self._numbers.of(run)
        # The server would let one connection have a lock twice.
        if number in self._taken or self._asked("SELECT pg_try_advisory_lock(%s, %s)", _CLASS, number) != [
            (True,)
        ]:
            return False
        self._taken.add(number)
        return True

    def release(self, run: str) -> None:
        number = self._numbers.forget(run)
        if number in self._taken:
            self._taken.remove(number)
            self._asked("SELECT pg_advisory_unlock(%s, %s)", _CLASS, number)

    def taken(self, run: str) -> bool:
        return bool(self._asked(_HELD, _CLASS, self._numbers.of(run)))

    def close(self) -> None:
        self._base.close()


def shown(url: str) -> str:
    """A URL without its password, and without options, which may hold another one.

    >>> shown("postgresql://me:secret@host:5433/runs?password=secret")
    'postgresql://me@host:5433/runs'
    """
    scheme, authority, path, _ = _parts(url)
    user, at, host = authority.rpartition("@")
    return f"{scheme}://{user.partition(':')[0]}{at}{host}{path}"


def without_password(text: str, url: str) -> str:
    """A text in which the passwords of a URL are stars.

    >>> without_password("no: s%40crets, s@crets", "postgres://me:s%40crets@host/runs")
    'no: ***, ***'
    """
    _, authority, _, query = _parts(url)
    secrets = [authority.rpartition("@")[0].partition(":")[2]]
    secrets += [
        value for key, _, value in (each.partition("=") for each in query.split("&")) if "pass" in key
    ]
    forms = {form for each in secrets for form in (each, unquote(each)) if form}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "***")
    return text


def _parts(url: str) -> tuple[str, str, str, str]:
    """Scheme, authority, path and query, of URLs with mistakes as well: their passwords are secret, too."""
    rest, _, query = url.partition("?")
    scheme, _, rest = rest.partition("://")
    authority, slash, path = rest.partition("/")
    return scheme, authority, slash + path, query
