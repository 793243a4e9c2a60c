"""What a journal is made of, wherever it is kept: runs, segments of their records, and blobs."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from attrs import frozen

from flowc.runtime.journal.failures import damaged

DIGEST = 16
"""Bytes of a blob's address."""
DAMAGED = "damaged"
"""The status of a run of which the row cannot be believed."""


@frozen
class Segment:
    """Consecutive records of a run, `first` to `first + count - 1`, as `frames` lays them out.

    `status` is what became of the run with them; empty where that is as before.
    """

    run: str
    first: int
    count: int
    body: bytes
    status: str = ""


@frozen
class Row:
    """A run in the list of runs. `status` is the last one that is not empty, since the time `changed` (in
    seconds since 1970); where the row is damaged, it is `DAMAGED`, and `number` is 0 where none is left.
    """

    run: str
    number: int
    head: bytes
    status: str = ""
    changed: float | None = None


class Store(Protocol):
    """A place where runs are kept. Any thread may call; every failure is a FlowError E091x."""

    def begin(self, run: str, head: bytes) -> None:
        """Begins a run, durably when this returns. Raises E0915 where it exists already."""

    def append(self, segments: Sequence[Segment], blobs: Mapping[bytes, bytes], *, sync: bool) -> None:
        """Adds segments and blobs, all or nothing; with `sync`, they and all before them survive a power
        failure.

        Raises E0914 where somebody else continued one of the runs.
        """

    def segments(self, run: str, first: int = 0) -> Iterator[Segment]:
        """The segments of a run in order, from the one that begins with record `first`; none of an unknown
        run.

        Raises E0910 at a gap, at an overlap, and where acknowledged records are missing at the end.
        """

    def blob(self, digest: bytes) -> bytes:
        """What has an address. Raises E0910 where it is missing or something else."""

    def rows(self, limit: int | None = None) -> list[Row]:
        """The runs, newest first. One that began and is lost has a row that is `DAMAGED` and names no run."""

    def row(self, run: str) -> Row | None:
        """One run, if it is there. Raises E0910 where it is known to have begun, and is not."""

    def find(self, prefix: str) -> list[str]:
        """The runs whose name begins so, newest first. Raises E0910 as `row` does for a whole name."""

    def take(self, run: str) -> bool:
        """Makes this store the only one that continues a run; False where another one has it, in this process
        or in another one that lives.
        """

    def release(self, run: str) -> None:
        """Lets others continue a run."""

    def taken(self, run: str) -> bool:
        """Whether somebody has a run, this store included."""

    def close(self) -> None:
        """Releases all runs; nothing else may be called afterwards."""


def address(body: bytes) -> bytes:
    """Where a blob is found: BLAKE2b (RFC 7693) of what it holds."""
    return hashlib.blake2b(body, digest_size=DIGEST).digest()


def consecutive(run: str, first: int, found: Iterable[Segment], least: int = 0) -> Iterator[Segment]:
    """The segments of a run from record `first` on, which must have at least `least` records.

    Raises FlowError E0910 at a gap, at an overlap, and at the end where it comes too early.
    """
    for each in found:
        if each.first != first:
            raise damaged(run, first, f"what follows is record {each.first}")
        yield each
        first += each.count
    if first < least:
        raise damaged(run, first, f"{least} records are acknowledged, and {first} are there")
