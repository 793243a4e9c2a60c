"""Whether SQLite's write-ahead log lost transactions: SQLite reads it up to the first flaw and drops silently
what is behind.

The format is told in sqlite.org/walformat.html. A tail without a commit is normal: somebody died while
writing it.
"""

from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from typing import BinaryIO

from attrs import frozen

_HEADER = Struct(">IIII8sII")
_FRAME = Struct(">II8sII")
_MAGIC = 0x377F0682
"""Sums are of little-endian words; with one more, of big-endian ones."""
_HEADER_SUMMED, _FRAME_SUMMED = 24, 8
"""Bytes of the header, and of the head of a frame, that are summed."""
_WORD = 0xFFFFFFFF


@frozen
class _Log:
    """What the header of a log tells: the length of a page, the salts of this round's frames, the order of
    bytes in sums, and where those begin.
    """

    page: int
    salts: bytes
    order: str
    sums: tuple[int, int]


def lost_commits(path: Path) -> bool:
    """Whether there are commits of the log's present round behind a flaw. No other process may be writing.

    A flaw in the last commit is none: SQLite writes the head of a frame and its page one after the other, and
    may be killed between.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER.size)
            log = _log(header) if len(header) == _HEADER.size else None
            if log is None:  # a flaw as well, unless there is nothing behind it
                return file.read(1) != b""
            return _is_torn(log, _frames(file, log.page))
    except FileNotFoundError:
        return False


def _log(header: bytes) -> _Log | None:
    """What a header tells; None where it is damaged."""
    magic, _, page, _, salts, first, second = _HEADER.unpack(header)
    order = "<" if magic == _MAGIC else ">"
    sums = _summed(order, header[:_HEADER_SUMMED], 0, 0)
    if magic | 1 != _MAGIC | 1 or sums != (first, second) or not 512 <= page <= 65536:
        return None
    return _Log(page, salts, order, sums)


def _frames(file: BinaryIO, page: int) -> Iterator[bytes]:
    """The frames that are wholly there."""
    size = _FRAME.size + page
    while len(frame := file.read(size)) == size:
        yield frame


def _is_torn(log: _Log, frames: Iterator[bytes]) -> bool:
    sums, sound = log.sums, True
    for frame in frames:
        _, pages, salts, first, second = _FRAME.unpack_from(frame)
        if not sound and pages and salts == log.salts:
            return True
        if sound:
            sums = _summed(log.order, frame[:_FRAME_SUMMED], *sums)
            sums = _summed(log.order, frame[_FRAME.size :], *sums)
            sound = salts == log.salts and sums == (first, second)
    return False


def _summed(order: str, data: bytes, first: int, second: int) -> tuple[int, int]:
    """The checksum of 32-bit words, on from an earlier one."""
    words = iter(Struct(f"{order}{len(data) // 4}I").unpack(data))
    for even, odd in zip(words, words, strict=True):
        first = (first + even + second) & _WORD
        second = (second + odd + first) & _WORD
    return first, second
