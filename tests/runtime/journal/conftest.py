"""Journals of each kind for the tests of what all of them promise."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from flowc.runtime.journal.memory import MemoryStore
from flowc.runtime.journal.postgres import PostgresStore
from flowc.runtime.journal.sqlite import SqliteStore
from flowc.runtime.journal.store import Store
from tests.runtime.journal.postgresql import programs, server

Opening = Callable[[], Store]


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a PostgreSQL server."""
    if programs() is None:
        pytest.skip("there is no PostgreSQL server on this machine: install the package `postgresql`")
    with server() as url:
        yield url


@pytest.fixture
def postgresql(postgresql_server: str) -> Iterator[str]:
    """The URL of an empty PostgreSQL database."""
    yield postgresql_server
    with psycopg.connect(postgresql_server, autocommit=True) as base:
        base.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")


@pytest.fixture
def unsynced(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where there is such a place: for many journals whose syncs do not matter."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="flowc-", dir=memory) as folder:
        yield Path(folder)


@pytest.fixture(params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opening]:
    """Opens a journal that several stores may have open at once; closes them all."""
    opened: list[Store] = []
    url = request.getfixturevalue("postgresql") if request.param == "postgres" else ""

    def opening() -> Store:
        opened.append(PostgresStore(url) if url else SqliteStore(tmp_path / "journal.db"))
        return opened[-1]

    yield opening
    for store in opened:
        store.close()


@pytest.fixture(params=["sqlite", "memory", "postgres"])
def again(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opening]:
    """Opens a journal, and each time closes the store that had it open."""
    url = request.getfixturevalue("postgresql") if request.param == "postgres" else ""
    opened: list[Store] = []

    def opening() -> Store:
        before = opened.pop() if opened else MemoryStore()
        before.close()
        if isinstance(before, MemoryStore) and request.param == "memory":
            opened.append(before.crashed())
        else:
            opened.append(PostgresStore(url) if url else SqliteStore(tmp_path / "journal.db"))
        return opened[-1]

    yield opening
    for store in opened:
        store.close()
