"""What is PostgreSQL's own: passwords stay hidden, connections get lost, tables may be newer."""

import threading

import psycopg
import pytest

from flowc.runtime.errors import FlowError
from flowc.runtime.journal import postgres
from flowc.runtime.journal.place import open_journal
from flowc.runtime.journal.postgres import PostgresStore, shown, without_password
from flowc.runtime.journal.store import Segment


def test_a_url_is_shown_without_its_password() -> None:
    assert shown("postgres://me:secret@host:5433/runs?password=secret&x=1") == "postgres://me@host:5433/runs"
    assert shown("postgresql:///runs") == "postgresql:///runs"


@pytest.mark.parametrize(
    "url",
    [
        "postgres://me:s%20cret@host/runs",
        "postgres://me@host/runs?password=s%20cret",
        "postgres://host/runs?sslpassword=s%20cret&passfile=x",
    ],
)
def test_a_password_is_taken_out_of_what_is_said(url: str) -> None:
    said = without_password(f"no: s cret, {url}", url)
    assert "cret" not in said
    assert said.startswith("no: ***, postgres://")


def test_a_server_that_cannot_be_reached_is_an_error_without_the_password(tmp_path: object) -> None:
    for url in (
        f"postgresql://me:hidden@/runs?host={tmp_path}",
        "postgresql://me:hidden@/runs?nonsense=hidden",
        "postgresql://me:hidden@[broken/runs",
    ):
        with pytest.raises(FlowError) as error:
            open_journal(url, create=True)
        assert error.value.problem.code == "E0916"
        assert "hidden" not in str(error.value)


def test_looking_at_an_empty_database_makes_nothing(postgresql: str) -> None:
    assert open_journal(postgresql, create=False).rows() == []
    with psycopg.connect(postgresql) as base:
        assert base.execute("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'flowc%'").fetchone() == (0,)
    store = open_journal(postgresql, create=True)
    store.begin("run", b"")
    store.close()
    store = open_journal(postgresql, create=False)
    assert store.find("") == ["run"]
    store.close()


def test_tables_are_made_once_however_many_come_at_once(postgresql: str) -> None:
    stores: list[PostgresStore] = []
    threads = [threading.Thread(target=lambda: stores.append(PostgresStore(postgresql))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, store in enumerate(stores):
        store.begin(f"run-{number}", b"")
    assert len(stores[0].rows()) == 6
    for store in stores:
        store.close()


@pytest.mark.parametrize(
    ("change", "told"), [("UPDATE flowc_journal SET version = 9", "9"), ("DELETE FROM flowc_journal", "none")]
)
def test_a_newer_journal_is_refused(postgresql: str, change: str, told: str) -> None:
    store = PostgresStore(postgresql)
    store._base.execute(change)
    store.close()
    with pytest.raises(FlowError) as error:
        PostgresStore(postgresql)
    assert error.value.problem.code == "E0911"
    assert error.value.problem.why == f"it has version {told}, and this flowc knows 1"


def test_a_lost_connection_is_an_error_and_frees_its_runs(postgresql: str) -> None:
    store, other = PostgresStore(postgresql), PostgresStore(postgresql)
    store.begin("run", b"")
    assert store.take("run")
    other._base.execute("SELECT pg_terminate_backend(%s)", (store._base.info.backend_pid,))
    with pytest.raises(FlowError) as error:
        store.append([Segment("run", 0, 1, b"...")], {}, sync=True)
    assert error.value.problem.code == "E0912"
    with pytest.raises(FlowError):
        store.rows()
    assert other.take("run")
    assert list(other.segments("run")) == []
    other.append([Segment("run", 0, 1, b"...")], {}, sync=True)
    store.close()
    other.close()


def test_tables_that_another_holds_are_busy(postgresql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    other = PostgresStore(postgresql)
    other.begin("run", b"")
    store = PostgresStore(postgresql)
    store._base.execute("SET lock_timeout = '50ms'")
    with other._base.transaction():
        other._base.execute("LOCK TABLE flowc_segments")
        with pytest.raises(FlowError) as error:
            store.append([Segment("run", 0, 1, b"...")], {}, sync=True)
    assert error.value.problem.code == "E0913"
    store.append([Segment("run", 0, 1, b"...")], {}, sync=True)
    store.close()
    other.close()


def test_only_what_asks_for_it_waits_for_the_disk(postgresql: str) -> None:
    store = PostgresStore(postgresql)
    store.begin("run", b"")
    statements: list[str] = []
    execute = store._base.execute

    def noting(statement: str, *more: object) -> object:
        statements.append(statement)
        return execute(statement, *more)

    store._base.execute = noting  # type: ignore[assignment, method-assign]
    store.append([Segment("run", 0, 1, b"...")], {}, sync=False)
    store.append([Segment("run", 1, 1, b"...")], {}, sync=True)
    store.append([], {}, sync=True)
    asked = [
        each.removeprefix("SET LOCAL synchronous_commit TO ") for each in statements if each.startswith("SET")
    ]
    assert asked == ["off", "on", "on"]
    assert statements[-1] == postgres._FLUSH
    store.append([], {b"x": b"x"}, sync=True)  # which may be there already
    assert statements[-1] == postgres._FLUSH
    store.close()
