"""A small journal as the bytes of its files, and what a store makes of changed ones."""

from pathlib import Path

from attrs import frozen

from flowc.runtime.errors import FlowError
from flowc.runtime.journal.frames import Framer, start, unframe
from flowc.runtime.journal.place import open_journal
from flowc.runtime.journal.sqlite import SqliteStore
from flowc.runtime.journal.store import Store, address

ENDINGS = ("", "-wal", "-shm", ".lock")
RUNS = ("first", "second")
BLOB = b"a large value " * 40

Image = dict[str, bytes]
"""The files of a journal by what their names end in."""


@frozen
class Held:
    """What a journal holds: the records of each run, and its status."""

    records: dict[str, tuple[bytes, ...]]
    statuses: dict[str, str]


def written(where: Path, groups: int, *, sync: bool = True) -> SqliteStore:
    """A new journal in which two runs took turns; it stays open, so that its log is there."""
    store = SqliteStore(where)
    framers = {run: Framer(run, 0, start(run)) for run in RUNS}
    for run in RUNS:
        store.begin(run, b"head of " + run.encode())
    for number in range(groups):
        run = RUNS[number % 2]
        segment = framers[run].frame([b"%d" % number * 9, b""], f"at {number}")
        store.append([segment], {address(BLOB): BLOB} if number == 1 else {}, sync=sync)
    return store


def image_of(where: Path) -> Image:
    """The files as they are, of which only this process may have any open, and nobody may be writing."""
    paths = {ending: where.with_name(where.name + ending) for ending in ENDINGS}
    return {ending: path.read_bytes() for ending, path in paths.items() if path.exists()}


def laid_out(image: Image, where: Path) -> Path:
    """Writes the files to another place."""
    for ending in ENDINGS:
        path = where.with_name(where.name + ending)
        path.unlink(missing_ok=True)
        if ending in image:
            path.write_bytes(image[ending])
    return where


def held(store: Store) -> Held:
    """All that can be read. Raises FlowError where anything is damaged."""
    store.blob(address(BLOB))
    return Held(
        {run: tuple(payload for _, payload in unframe(store.segments(run))) for run in RUNS},
        {row.run: row.status for row in store.rows()},
    )


def seen(image: Image, where: Path) -> Held | str:
    """What an image holds, or the code of the error with which that is refused."""
    store: Store | None = None
    try:
        store = open_journal(str(laid_out(image, where)), create=False)
        return held(store)
    except FlowError as error:
        return error.problem.code
    finally:
        if store is not None:
            store.close()
