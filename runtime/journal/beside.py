"""The file beside a journal: which process continues which run, and how many records of each are
acknowledged.

Locks are POSIX byte ranges, so that a dead process holds none: byte 0 by everybody who has the journal open
(who comes alone has it to himself for a moment), and one byte for each run that goes on. A process loses all
its locks of a file when it closes any descriptor of it; hence one descriptor a journal and process, shared by
its stores.

Marks say what a journal must have: each run, from when it began, and how many records of it. They are no part
of it and are never synced: a mark that is lost or torn counts as none. The mark of what was synced is true
whenever it is there, and the mark of what was written holds until the computer starts anew.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from struct import Struct
from threading import Lock
from zlib import crc32

from attrs import define, field

_MARK = Struct("<II")
ENTRY = 2 * _MARK.size
"""Bytes of a run: a mark of what is written, a mark of what is synced. Number 0 is no run, and tells the
boot.
"""
TRIES, PAUSE = 5, 0.002
"""So often a lock is tried, and the seconds between: others look whether a run is free by locking it for a
moment.
"""
AT_ONCE, MOST = 4096, 1 << 20
"""Runs of which the marks are read at once, and those that are looked through for one that is missing."""
PATIENCE = 10.0
"""Seconds for which one waits for another process that looks through the journal."""
_OPEN: dict[Path, "Beside"] = {}
_GUARD = Lock()


@cache
def boot() -> str:
    """Something that differs each time the computer starts; empty where that is not told."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


@define(eq=False)
class Beside:
    """The file, opened by this process for so many stores; `owners` says which of them has which run."""

    path: Path
    descriptor: int
    stores: int = 0
    owners: dict[int, int] = field(factory=dict)
    lock: Lock = field(factory=Lock)

    def take(self, number: int, owner: int) -> bool:
        """Gives a store the run of a number, unless another one has it."""
        with self.lock:
            if number in self.owners or not self._tried(number):
                return False
            self.owners[number] = owner
            return True

    def release(self, number: int, owner: int) -> None:
        """Takes back a run that a store has; nothing where it has not."""
        with self.lock:
            if self.owners.get(number) == owner:
                del self.owners[number]
                fcntl.lockf(self.descriptor, fcntl.LOCK_UN, 1, number)

    def taken(self, number: int) -> bool:
        """Whether a store of this process, or another process, has a run."""
        with self.lock:
            if number in self.owners or not self._locked(fcntl.LOCK_SH, number):
                return True
            fcntl.lockf(self.descriptor, fcntl.LOCK_UN, 1, number)
            return False

    def _tried(self, number: int) -> bool:
        for _ in range(TRIES):
            if self._locked(fcntl.LOCK_EX, number):
                return True
            time.sleep(PAUSE)
        return False

    def _locked(self, kind: int, place: int) -> bool:
        try:
            fcntl.lockf(self.descriptor, kind | fcntl.LOCK_NB, 1, place)
        except (BlockingIOError, PermissionError):  # POSIX lets a system choose
            return False
        return True

    def alone(self) -> bool:
        """Whether no other process has the journal open; if so, others wait until `settle`.

        Raises TimeoutError where one of them has not settled for long.
        """
        if self._locked(fcntl.LOCK_EX, 0):
            return True
        until = time.monotonic() + PATIENCE
        while not self._locked(fcntl.LOCK_SH, 0):
            if time.monotonic() > until:
                raise TimeoutError("another process began to open it, and has not ended that")
            time.sleep(PAUSE)
        return False

    def settle(self) -> None:
        """Lets others open the journal, and notes in which boot it was found in order."""
        os.pwrite(self.descriptor, _mark("", boot(), 0), 0)
        fcntl.lockf(self.descriptor, fcntl.LOCK_SH, 1, 0)

    def same_boot(self) -> bool:
        """Whether the computer has run without a break since the journal was found in order."""
        return boot() != "" and os.pread(self.descriptor, _MARK.size, 0) == _mark("", boot(), 0)

    def mark(self, number: int, run: str, records: int, *, sync: bool) -> None:
        """Notes that a run has so many records and, with `sync`, that they survive a power failure."""
        marks = _mark(run, boot(), records) + (_mark(run, "synced", records) if sync else b"")
        os.pwrite(self.descriptor, marks, number * ENTRY)

    def marked(self, number: int, run: str) -> int:
        """How many records a run must have at least."""
        marks = os.pread(self.descriptor, ENTRY, number * ENTRY)
        written, synced = marks[: _MARK.size], marks[_MARK.size :]
        return max(_records(written, run, boot()), _records(synced, run, "synced"))

    def last(self) -> int:
        """The greatest number that may have a mark. Who reads that before the journal finds there every run
        up to it, whatever others begin meanwhile: numbers grow, and a run is there before its mark is.
        """
        return max(0, os.fstat(self.descriptor).st_size - 1) // ENTRY

    def begun(self, first: int, last: int) -> Iterator[int]:
        """The numbers from `first` to `last` of which runs have begun."""
        return (number for number, marks in self._entries(first, last) if any(marks))

    def has_begun(self, run: str, last: int) -> bool:
        """Whether a run of a number up to `last` has begun."""
        return any(
            seal and since and seal == _seal(run, since, records)
            for _, marks in self._entries(1, last)
            for since, (records, seal) in zip((boot(), "synced"), _MARK.iter_unpack(marks), strict=True)
        )

    def _entries(self, first: int, last: int) -> Iterator[tuple[int, bytes]]:
        last = min(last, first + MOST - 1)
        for low in range(first, last + 1, AT_ONCE):
            marks = os.pread(self.descriptor, (min(low + AT_ONCE, last + 1) - low) * ENTRY, low * ENTRY)
            marks += bytes(-len(marks) % ENTRY)
            for place in range(0, len(marks), ENTRY):
                yield low + place // ENTRY, marks[place : place + ENTRY]

    def clear(self) -> None:
        """Takes all marks away: they are of a journal that was removed."""
        os.ftruncate(self.descriptor, 0)


def _mark(run: str, since: str, records: int) -> bytes:
    return _MARK.pack(records, _seal(run, since, records))


def _records(mark: bytes, run: str, since: str) -> int:
    """What a mark says; 0 where it is none of this run, torn, or of another boot."""
    if len(mark) < _MARK.size or not since:
        return 0
    records, seal = _MARK.unpack(mark)
    return int(records) if seal == _seal(run, since, records) else 0


def _seal(run: str, since: str, records: int) -> int:
    return crc32(f"{since}/{run}/{records}".encode())


def joined(path: Path) -> tuple[Beside, bool]:
    """The file of a path for one more store of this process, made where it is missing, and whether that is
    the first store. Raises OSError where it cannot be opened.
    """
    with _GUARD:
        beside = _OPEN.get(path)
        if beside is None:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            beside = _OPEN[path] = Beside(path, descriptor)
        beside.stores += 1
        return beside, beside.stores == 1


def has_marks(path: Path) -> bool:
    """Whether there is such a file, with marks of runs."""
    try:
        return path.stat().st_size > ENTRY
    except FileNotFoundError:
        return False


def is_joined(path: Path) -> bool:
    """Whether a store of this process has the file open."""
    with _GUARD:
        return path in _OPEN


def leave(beside: Beside, owner: int) -> None:
    """Releases the runs of a store; with the last store the file is closed."""
    for number in [number for number, other in beside.owners.items() if other == owner]:
        beside.release(number, owner)
    with _GUARD:
        beside.stores -= 1
        if not beside.stores:
            del _OPEN[beside.path]
            os.close(beside.descriptor)
