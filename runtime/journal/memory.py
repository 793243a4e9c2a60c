"""A journal in memory, for simulated runs: it fails where it is told to, and loses what a computer without
power loses.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Lock

from attrs import define, field, frozen

from flowc.runtime.journal import failures
from flowc.runtime.journal.store import Row, Segment, address, consecutive

WHERE = "in memory"


@frozen
class Faults:
    """What is to go wrong: the append of this number (from 1 on) and all later ones fail; `after` it is
    written, or before.
    """

    append: int = 0
    after: bool = False


NONE = Faults()


@frozen
class _Change:
    """What one call wrote: the beginning of a run with a head, or segments and blobs."""

    at: float
    run: str = ""
    head: bytes = b""
    segments: tuple[Segment, ...] = ()
    blobs: Mapping[bytes, bytes] = field(factory=dict)


@define(eq=False)
class _Run:
    number: int
    head: bytes
    segments: list[Segment] = field(factory=list)
    status: str = ""
    changed: float | None = None

    @property
    def next(self) -> int:
        """The number of the record that comes next."""
        return self.segments[-1].first + self.segments[-1].count if self.segments else 0


class MemoryStore:
    """A `Store` in this process. `now` is the clock of the times in rows."""

    def __init__(self, *, faults: Faults = NONE, now: Callable[[], float] = time.time) -> None:
        self._faults = faults
        self._now = now
        self._lock = Lock()
        self._runs: dict[str, _Run] = {}
        self._blobs: dict[bytes, bytes] = {}
        self._changes: list[_Change] = []
        self._synced = 0
        self._appends = 0
        self._taken: set[str] = set()

    def crashed(self, *, faults: Faults = NONE) -> "MemoryStore":
        """What is left when the process dies: everything but the locks."""
        return self._replayed(len(self._changes), faults)

    def without_power(self, seed: int, *, faults: Faults = NONE) -> "MemoryStore":
        """What is left when the power fails: what was synced, and of what came after as much as the seed
        says.
        """
        kept = random.Random(seed).randint(self._synced, len(self._changes))
        return self._replayed(kept, faults)

    def _replayed(self, kept: int, faults: Faults) -> "MemoryStore":
        left = MemoryStore(faults=faults, now=self._now)
        for change in self._changes[:kept]:
            left._apply(change)
        left._synced = kept
        return left

    def begin(self, run: str, head: bytes) -> None:
        with self._lock:
            if run in self._runs:
                raise failures.exists(run)
            self._apply(_Change(self._now(), run, head))
            self._synced = len(self._changes)

    def append(self, segments: Sequence[Segment], blobs: Mapping[bytes, bytes], *, sync: bool) -> None:
        with self._lock:
            self._appends += 1
            fails = 0 < self._faults.append <= self._appends
            if fails and not self._faults.after:
                raise failures.unwritable(WHERE, "it was to fail here")
            expected = {each.run: self._found(each.run).next for each in segments}
            for each in segments:
                if each.first != expected[each.run]:
                    raise failures.overtaken(each.run)
                expected[each.run] += each.count
            self._apply(_Change(self._now(), segments=tuple(segments), blobs=dict(blobs)))
            if sync:
                self._synced = len(self._changes)
            if fails:
                raise failures.unwritable(WHERE, "it was to fail here")

    def _found(self, run: str) -> _Run:
        if run not in self._runs:
            raise failures.unknown(run)
        return self._runs[run]

    def _apply(self, change: _Change) -> None:
        self._changes.append(change)
        if change.run:
            self._runs[change.run] = _Run(len(self._runs) + 1, change.head)
        for segment in change.segments:
            run = self._runs[segment.run]
            run.segments.append(segment)
            if segment.status:
                run.status, run.changed = segment.status, change.at
        self._blobs.update(change.blobs)

    def segments(self, run: str, first: int = 0) -> Iterator[Segment]:
        found = self._runs.get(run)
        kept = [each for each in found.segments if each.first >= first] if found else ()
        return consecutive(run, first, kept)

    def blob(self, digest: bytes) -> bytes:
        body = self._blobs.get(digest)
        if body is None or address(body) != digest:
            raise failures.lost_blob(WHERE, digest, missing=body is None)
        return body

    def rows(self, limit: int | None = None) -> list[Row]:
        newest = list(reversed(self._runs.items()))[:limit]
        return [Row(name, run.number, run.head, run.status, run.changed) for name, run in newest]

    def row(self, run: str) -> Row | None:
        found = self._runs.get(run)
        return Row(run, found.number, found.head, found.status, found.changed) if found else None

    def find(self, prefix: str) -> list[str]:
        return [run for run in reversed(self._runs) if run.startswith(prefix)]

    def take(self, run: str) -> bool:
        with self._lock:
            self._found(run)
            if run in self._taken:
                return False
            self._taken.add(run)
            return True

    def release(self, run: str) -> None:
        with self._lock:
            self._taken.discard(run)

    def taken(self, run: str) -> bool:
        self._found(run)
        return run in self._taken

    def close(self) -> None:
        self._taken.clear()
