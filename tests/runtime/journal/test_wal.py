"""SQLite's write-ahead log: whether commits lie behind a flaw."""

import sqlite3
import struct
from pathlib import Path

import pytest

from flowc.runtime.journal.wal import lost_commits

PAGE = 512
SALTS, OLD = b"saltsalt", b"oldsalts"


def summed(order: str, data: bytes, sums: tuple[int, int]) -> tuple[int, int]:
    """The checksum as walformat.html tells it."""
    first, second = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for place in range(0, len(words), 2):
        first = (first + words[place] + second) % 2**32
        second = (second + words[place + 1] + first) % 2**32
    return first, second


def log(*frames: tuple[int, bool, bytes], order: str = "<") -> bytes:
    """A log of frames: pages of the database after a commit, or 0; whether it is sound; its salts."""
    header = struct.pack(">IIII8s", 0x377F0682 + (order == ">"), 3007000, PAGE, 0, SALTS)
    sums = summed(order, header, (0, 0))
    made = header + struct.pack(">II", *sums)
    for number, (pages, sound, salts) in enumerate(frames, 1):
        head, page = struct.pack(">II", number, pages), bytes([number]) * PAGE
        sums = summed(order, page, summed(order, head, sums))
        made += head + salts + struct.pack(">II", *sums) + (page if sound else page[:-1] + b"!")
    return made


START, COMMIT = (0, True, SALTS), (7, True, SALTS)
FLAWED, TORN = (0, False, SALTS), (7, False, SALTS)
BEFORE = (7, True, OLD)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("frames", "lost"),
    [
        ([], False),
        ([COMMIT, START, COMMIT], False),
        ([COMMIT, START], False),  # somebody died within a transaction
        ([COMMIT, START, TORN], False),  # or within its last frame
        ([COMMIT, FLAWED, START], False),
        ([COMMIT, COMMIT, BEFORE, BEFORE], False),  # the log began anew, and is shorter than it was
        ([TORN, COMMIT], True),
        ([COMMIT, FLAWED, COMMIT], True),
        ([COMMIT, TORN, START, COMMIT, BEFORE], True),
        ([COMMIT, BEFORE, COMMIT], True),  # a flaw in the salts
    ],
)
def test_commits_behind_a_flaw_are_lost(
    tmp_path: Path, frames: list[tuple[int, bool, bytes]], lost: bool, order: str
) -> None:
    path = tmp_path / "log"
    content = log(*frames, order=order)
    path.write_bytes(content)
    assert lost_commits(path) is lost
    path.write_bytes(content + bytes(100))  # part of a frame
    assert lost_commits(path) is lost


def test_a_log_without_a_sound_header_has_lost_all_that_is_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "log"
    content = log(COMMIT)
    for place in (0, 3, 8, 20, 31):
        flawed = bytearray(content)
        flawed[place] ^= 1
        path.write_bytes(flawed)
        assert lost_commits(path)
        path.write_bytes(flawed[:32])
        assert not lost_commits(path)
    for size in range(32):
        path.write_bytes(content[:size])
        assert not lost_commits(path)
    assert not lost_commits(tmp_path / "missing")


def test_the_logs_of_sqlite_are_sound(tmp_path: Path) -> None:
    base = sqlite3.connect(tmp_path / "base", isolation_level=None)
    base.execute("PRAGMA journal_mode = WAL")
    base.execute("CREATE TABLE t (x)")
    path = tmp_path / "base-wal"
    for size in (10, 9000, 300):
        base.execute("INSERT INTO t VALUES (?)", (b"x" * size,))
        assert not lost_commits(path)
    content = path.read_bytes()
    path.write_bytes(content[:5000] + bytes([content[5000] ^ 1]) + content[5001:])
    assert lost_commits(path)
    path.write_bytes(content)
    base.close()
