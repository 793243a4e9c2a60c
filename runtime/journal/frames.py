"""Records in the body of a segment: each with its length before it, and behind it a checksum that hangs on
all before.

A body begins with the checksum of the record before it. The checksum (CRC-32) of a record is over that, the
run, the record's number, its length and its bytes, so that a flipped bit, a lost or a moved record breaks the
chain.
"""

from collections.abc import Iterable, Iterator
from struct import Struct
from zlib import crc32

from attrs import define, field

from flowc.runtime.errors import FlowError
from flowc.runtime.journal.failures import damaged
from flowc.runtime.journal.store import Segment

_WORD = Struct("<I")
_PLACE = Struct("<QII")


def start(run: str) -> int:
    """The chain of a run before its first record."""
    return crc32(run.encode())


def after(segment: Segment) -> tuple[int, int]:
    """Where a sound segment leaves its run: the number of the next record, and the chain."""
    return segment.first + segment.count, int.from_bytes(segment.body[-4:], "little")


@define(eq=False)
class Framer:
    """The end of a run that grows: the number of its next record, the chain, and what waits to be framed."""

    run: str
    first: int
    chain: int
    status: str = ""
    waiting: list[bytes] = field(factory=list)

    def add(self, payload: bytes) -> None:
        """Collects a record."""
        self.waiting.append(payload)

    def collected(self) -> tuple[list[bytes], str]:
        """Hands over what was collected, and the status, to be framed later."""
        payloads, self.waiting = self.waiting, []
        status, self.status = self.status, ""
        return payloads, status

    def frame(self, payloads: list[bytes], status: str = "") -> Segment:
        """Records as the next segment; the run goes on behind it."""
        first, chain, seed = self.first, self.chain, start(self.run)
        parts = [_WORD.pack(chain)]
        for number, payload in enumerate(payloads, first):
            length = len(payload)
            chain = crc32(payload, crc32(_PLACE.pack(number, length, seed), chain))
            parts += (_WORD.pack(length), payload, _WORD.pack(chain))
        self.first, self.chain = first + len(payloads), chain
        return Segment(self.run, first, len(payloads), b"".join(parts), status)

    def take(self) -> Segment:
        """What was collected, as the next segment."""
        return self.frame(*self.collected())


def unframe(segments: Iterable[Segment]) -> Iterator[tuple[int, bytes]]:
    """The records of consecutive segments of one run, with their numbers.

    Raises FlowError E0910 at the first that is not what was written.
    """
    expected: int | None = None
    chain: int | None = None
    for segment in segments:
        expected = segment.first if expected is None else expected
        if segment.first != expected:
            raise damaged(segment.run, expected, f"what follows is record {segment.first}")
        chain = start(segment.run) if expected == 0 else chain
        found: list[bytes] = []
        try:
            chain = _unframe(segment, chain, found)
        except FlowError:
            yield from enumerate(found, expected)
            raise
        yield from enumerate(found, expected)
        expected += len(found)
        if expected != segment.first + segment.count:
            raise damaged(segment.run, expected, f"{segment.count} records should be in its segment")


def _unframe(segment: Segment, chain: int | None, found: list[bytes]) -> int:
    """Appends the records of a body, and gives the chain behind them; `chain` is the one before, if known."""
    body, run, number = segment.body, segment.run, segment.first
    end, seed = len(body), start(run)
    word, placed = _WORD.unpack_from, _PLACE.pack
    if end < _WORD.size or segment.count < 1:
        raise damaged(run, number, "its segment holds nothing")
    before: int = word(body)[0]
    if chain is not None and before != chain:
        raise damaged(run, number, "it does not follow the record before it")
    place = _WORD.size
    while place < end:
        if place + 4 > end:
            raise damaged(run, number, "its segment ends within it")
        (length,) = word(body, place)
        begin, behind = place + 4, place + 4 + length
        place = behind + 4
        if place > end:
            raise damaged(run, number, "its segment ends within it")
        payload = body[begin:behind]
        before = crc32(payload, crc32(placed(number, length, seed), before))
        if before != word(body, behind)[0]:
            raise damaged(run, number, "its checksum is another")
        found.append(payload)
        number += 1
    return before
