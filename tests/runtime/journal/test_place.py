"""Where a journal is looked for, and what is refused there."""

import os
import sqlite3
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowc.runtime.errors import FlowError
from flowc.runtime.journal.frames import Framer, start
from flowc.runtime.journal.place import open_journal, place
from flowc.runtime.journal.sqlite import SqliteStore


def problem(where: Path | str, *, create: bool = True) -> tuple[str, str]:
    """The code and the reason with which a place is refused."""
    with pytest.raises(FlowError) as error:
        open_journal(str(where), create=create).rows()
    return error.value.problem.code, error.value.problem.why


def test_a_place_is_named_or_set_or_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("FLOWC_JOURNAL", raising=False)
    assert Path(place()).name == "journal.db"
    monkeypatch.setenv("FLOWC_JOURNAL", str(tmp_path / "set.db"))
    assert place() == str(tmp_path / "set.db")
    open_journal(None, create=True).close()
    open_journal(str(tmp_path / "named.db"), create=True).close()
    assert sorted(path.name for path in tmp_path.glob("*.db")) == ["named.db", "set.db"]


def test_a_journal_and_its_folders_are_for_the_user_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = open_journal(str(tmp_path / "some" / "folder" / "journal.db"), create=True)
        store.begin("run", b"")
    finally:
        os.umask(before)
    files = list((tmp_path / "some" / "folder").iterdir())
    assert len(files) == 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "some").stat().st_mode) == 0o700
    store.close()


def test_looking_at_a_journal_that_is_not_there_makes_none(tmp_path: Path) -> None:
    store = open_journal(str(tmp_path / "folder" / "journal.db"), create=False)
    assert store.rows() == []
    store.close()
    assert list(tmp_path.iterdir()) == []


def test_a_half_made_journal_is_empty_and_then_made(tmp_path: Path) -> None:
    empty, begun = tmp_path / "empty.db", tmp_path / "begun.db"
    empty.touch()
    with sqlite3.connect(begun) as base:
        base.execute("PRAGMA journal_mode = WAL")
    base.close()
    assert open_journal(str(empty), create=False).rows() == []
    assert empty.read_bytes() == b""
    for where in (empty, begun):
        store = open_journal(str(where), create=True)
        store.begin("run", b"head")
        store.close()
        store = open_journal(str(where), create=False)
        assert store.find("") == ["run"]
        store.close()


def test_a_folder_a_pipe_and_links_that_go_round_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "round").symlink_to(tmp_path / "round")
    (tmp_path / "file").touch()
    for create in (True, False):
        assert problem(tmp_path, create=create) == ("E0911", "it is no file")
        assert problem(tmp_path / "pipe", create=create) == ("E0911", "it is no file")
        assert problem(tmp_path / "round", create=create)[0] == "E0911"
    assert problem(tmp_path / "file" / "journal.db")[0] in ("E0911", "E0912")
    assert problem("x" * 300)[0] == "E0911"


def test_a_link_leads_to_the_journal(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link.db").symlink_to(tmp_path / "real" / "journal.db")
    one = open_journal(str(tmp_path / "link.db"), create=True)
    one.begin("run", b"")
    assert one.take("run")
    other = open_journal(str(tmp_path / "real" / "journal.db"), create=False)
    assert other.taken("run")
    one.close()
    other.close()


def test_another_programs_file_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    text, other = tmp_path / "text", tmp_path / "other.db"
    text.write_text("what I wanted to buy: bread, cheese")
    with sqlite3.connect(other) as base:
        base.execute("CREATE TABLE t (x)")
    base.close()
    for where in (text, other):
        before = where.read_bytes()
        assert problem(where) == ("E0911", "it is another program's file")
        assert where.read_bytes() == before


def test_a_newer_journal_is_refused(tmp_path: Path) -> None:
    where = tmp_path / "journal.db"
    SqliteStore(where).close()
    with sqlite3.connect(where) as base:
        base.execute("PRAGMA user_version = 99")
    base.close()
    assert problem(where) == ("E0911", "it has version 99, and this flowc knows 1")


def test_a_folder_that_cannot_be_written_is_an_error() -> None:
    where = Path("/proc/journal/journal.db")
    assert problem(where)[0] == "E0912"


@pytest.fixture
def unprivileged(unsynced: Path) -> Iterator[Path]:
    """A folder of the user as whom the test goes on, who is not root: root may do everything."""
    if os.geteuid() != 0:
        yield unsynced
        return
    os.chown(unsynced, 65534, 65534)
    os.seteuid(65534)
    yield unsynced
    os.seteuid(0)


def test_what_may_not_be_read_or_written_is_refused(unprivileged: Path) -> None:
    where = unprivileged / "journal.db"
    SqliteStore(where).close()
    where.chmod(0o000)
    assert problem(where)[0] == "E0911"
    where.chmod(0o400)
    store = open_journal(str(where), create=False)
    assert store.rows() == []
    with pytest.raises(FlowError) as error:
        store.begin("run", b"")
    assert error.value.problem.code == "E0912"
    store.close()
    where.chmod(0o600)
    (unprivileged / "closed").mkdir(mode=0o500)
    assert problem(unprivileged / "closed" / "journal.db")[0] == "E0912"
    (unprivileged / "hidden").mkdir(mode=0o000)
    assert problem(unprivileged / "hidden" / "journal.db")[0] == "E0911"
    open_journal(str(where), create=False).close()


def test_the_file_of_locks_may_be_no_link(tmp_path: Path) -> None:
    (tmp_path / "journal.db.lock").symlink_to(tmp_path / "precious")
    assert problem(tmp_path / "journal.db")[0] == "E0912"
    assert not (tmp_path / "precious").exists()


def test_a_journal_that_was_emptied_is_damaged(tmp_path: Path) -> None:
    where = tmp_path / "journal.db"
    store = open_journal(str(where), create=True)
    store.begin("run", b"")
    store.append([Framer("run", 0, start("run")).frame([b"x"])], {}, sync=True)
    store.close()
    where.write_bytes(b"")
    assert problem(where, create=False) == ("E0910", "it is empty, and runs were kept in it")


def test_postgresql_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "flowc.runtime.journal.postgres", raising=False)
    with pytest.raises(FlowError) as error:
        open_journal("postgresql://host/base", create=True)
    assert error.value.problem.code == "E0916"
    assert error.value.problem.help == "pip install 'flowc[postgres]'"
