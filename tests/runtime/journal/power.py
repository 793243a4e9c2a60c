"""Power failures: SQLite's own code on files that note every write, and the states a disk may be found in
after.

A write, a truncation, a file's name are certain once they are synced; until then each sector of a write may
be there or not, whatever came before or after it. As SQLite does on Unix, syncing a new log syncs the folder
too.
"""

import random
import sqlite3
from pathlib import Path
from typing import Any

import apsw
from attrs import define, field, frozen

SECTOR = 512


@frozen
class Event:
    """Something that happened to a file: write, truncate, sync, create, delete; or `folder`, which was
    synced.
    """

    kind: str
    file: str = ""
    offset: int = 0
    data: bytes = b""


@define(eq=False)
class Disk:
    """All that happened, in order."""

    events: list[Event] = field(factory=list)

    def note(self, kind: str, path: str, offset: int = 0, data: bytes = b"") -> None:
        self.events.append(Event(kind, Path(path).name, offset, data))


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        self.path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        self.disk = disk
        is_new = not Path(self.path).exists()
        self.new_log = is_new and bool(flags[0] & (apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL))
        super().__init__("", name, flags)
        if is_new:
            disk.note("create", self.path)

    def xWrite(self, data: bytes, offset: int) -> None:
        self.disk.note("write", self.path, offset, bytes(data))
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:
        self.disk.note("truncate", self.path, size)
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:
        super().xSync(flags)
        self.disk.note("sync", self.path)
        if self.new_log:
            self.new_log = False
            self.disk.note("folder", self.path)


class _Files(apsw.VFS):
    def __init__(self, name: str, disk: Disk) -> None:
        self.disk = disk
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> _File:
        return _File(self.disk, name, flags)

    def xDelete(self, name: str, sync: bool) -> None:
        super().xDelete(name, sync)
        self.disk.note("delete", name)
        if sync:
            self.disk.note("folder", name)


@define(eq=False)
class Machine:
    """What a store takes for SQLite and for syncing: the same, on noted files. `careless` syncs no
    transaction.
    """

    name: str
    careless: bool = False
    disk: Disk = field(factory=Disk)
    files: Any = None

    def __attrs_post_init__(self) -> None:
        self.files = _Files(self.name, self.disk)

    def connecting(self, path: Path) -> Any:
        """A connection as sqlite3's, which takes its log into the file after a few pages."""
        return _Connection(apsw.Connection(str(path), vfs=self.name), self.careless)

    def syncing(self, path: Path) -> None:
        """Syncs the log, where there is one."""
        if path.with_name(path.name + "-wal").exists() and not self.careless:
            self.disk.note("sync", f"{path}-wal")


class _Connection:
    def __init__(self, base: apsw.Connection, careless: bool) -> None:
        self.base = base
        self.careless = careless
        base.execute("PRAGMA wal_autocheckpoint = 12")

    def execute(self, statement: str, parameters: tuple[Any, ...] = ()) -> Any:
        if self.careless:
            statement = statement.replace("synchronous = FULL", "synchronous = NORMAL")
        if statement.startswith("PRAGMA journal_size_limit"):
            statement = "PRAGMA journal_size_limit = 20000"
        try:
            return self.base.execute(statement, parameters)
        except apsw.ConstraintError as error:
            raise sqlite3.IntegrityError(str(error)) from error

    def close(self) -> None:
        self.base.close()


@define(eq=False)
class _Content:
    """A file: what is certain of it, and what was done since."""

    certain: bytes = b""
    pending: list[Event] = field(factory=list)

    def now(self) -> bytes:
        """The file as everybody sees it before the power fails."""
        return _done(self.certain, self.pending, lambda: True)


def after_failure(events: list[Event], existing: str, chance: random.Random) -> dict[str, bytes]:
    """The files that may be found when the power fails after these events. `existing` is there from the
    first.
    """
    first = _Content()
    names, certain_names = {existing: first}, {existing: first}
    changes: list[tuple[str, _Content | None]] = []
    for event in events:
        match event.kind:
            case "create":
                names[event.file] = _Content()
                changes.append((event.file, names[event.file]))
            case "delete":
                del names[event.file]
                changes.append((event.file, None))
            case "folder":
                certain_names, changes = dict(names), []
            case "sync":
                names[event.file].certain = names[event.file].now()
                names[event.file].pending = []
            case _:
                names[event.file].pending.append(event)
    likely = chance.choice((0.0, 0.3, 0.7, 0.95, 1.0))

    def kept() -> bool:
        return chance.random() < likely

    found: dict[str, _Content | None] = {**certain_names}
    found |= {name: content for name, content in changes if kept()}
    return {name: _done(each.certain, each.pending, kept) for name, each in found.items() if each is not None}


def _done(content: bytes, events: list[Event], kept: Any) -> bytes:
    """A file after writes and truncations, of which some are kept, by sectors."""
    made = bytearray(content)
    for event in events:
        if event.kind == "truncate":
            if kept():
                del made[event.offset :]
            continue
        place, end = event.offset, event.offset + len(event.data)
        while place < end:
            after = min(end, (place // SECTOR + 1) * SECTOR)
            if kept():
                made.extend(bytes(max(0, after - len(made))))
                made[place:after] = event.data[place - event.offset : after - event.offset]
            place = after
    return bytes(made)
