"""Where the journal is, and what opens it: a file, or a PostgreSQL database."""

import os
from pathlib import Path

from flowc.runtime.journal.failures import no_driver
from flowc.runtime.journal.memory import MemoryStore
from flowc.runtime.journal.store import Store

_SERVERS = ("postgres://", "postgresql://")


def place() -> str:
    """Where the journal is unless one is named: FLOWC_JOURNAL, else a file in the user's state folder."""
    chosen = os.environ.get("FLOWC_JOURNAL")
    if chosen:
        return chosen
    from platformdirs import user_state_path

    return str(user_state_path("flowc") / "journal.db")


def open_journal(where: str | None, *, create: bool) -> Store:
    """The journal at a path or a postgresql:// URL, else the usual one. Where there is none, it is made with
    `create`, and without it an empty one in memory stands in for it.

    Raises FlowError E0911 for what is no journal, E0910 for a damaged one.
    """
    chosen = place() if where is None else where
    if chosen.startswith(_SERVERS):
        return _on_server(chosen, create)
    from flowc.runtime.journal.sqlite import SqliteStore  # starting without a journal does without SQLite
    from flowc.runtime.journal.sqlite_file import found

    path = Path(chosen)
    return SqliteStore(path) if found(path) or create else MemoryStore()


def _on_server(url: str, create: bool) -> Store:
    try:
        from flowc.runtime.journal.postgres import PostgresStore
    except ImportError:
        raise no_driver() from None
    store = PostgresStore(url, create=create)
    if store.is_made:
        return store
    store.close()
    return MemoryStore()
