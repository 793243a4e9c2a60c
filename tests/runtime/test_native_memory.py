"""The memory of kernels, and the number of their threads."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowc.runtime import native
from flowc.runtime.errors import FlowError
from flowc.runtime.native.width import usable_cores

MEGABYTE = 1 << 20


def mapped() -> int:
    """The bytes of address space that the process has."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    native.trim()
    yield
    native.trim()


@given(st.lists(st.integers(0, 8 * MEGABYTE), min_size=1, max_size=12))
def test_blocks_are_aligned_writable_to_their_last_byte_and_apart(sizes: list[int]) -> None:
    blocks = [(native.allocate(size), size) for size in sizes]
    for number, (address, size) in enumerate(blocks):
        ctypes.memset(address, number, size)
        assert address % (2 * MEGABYTE if size >= MEGABYTE else 64) == 0
    ends = sorted((address, address + size) for address, size in blocks)
    assert all(end <= start for (_, end), (start, _) in pairwise(ends))
    for number, (address, size) in enumerate(blocks):
        assert ctypes.string_at(address, size) == bytes([number]) * size
        native.free(address, size)


@pytest.mark.parametrize("size", [MEGABYTE // 5, 20 * MEGABYTE])
def test_the_next_large_block_of_about_a_size_is_the_last_one_freed(size: int) -> None:
    first, second = native.allocate(size), native.allocate(size)
    native.free(first, size)
    native.free(second, size)
    assert native.allocate(size - 5000) == second
    assert native.allocate(size) == first
    native.free(first, size)
    native.free(second, size - 5000)


def test_what_is_kept_is_bounded_in_blocks_and_in_bytes_and_goes_when_asked() -> None:
    before = mapped()
    for size, count in ((4 * MEGABYTE, 50), (100 * MEGABYTE, 6), (300 * MEGABYTE, 2)):
        blocks = [native.allocate(size) for _ in range(count)]
        for block in blocks:
            native.free(block, size)
        assert mapped() - before <= min(16 * size, 256 * MEGABYTE) + MEGABYTE
    native.trim()
    assert mapped() - before <= MEGABYTE


@pytest.mark.parametrize("size", [-1, 1 << 48, 1 << 62, (1 << 63) - 1])
def test_memory_that_cannot_be_is_refused(size: int) -> None:
    with pytest.raises(MemoryError):
        native.allocate(size)


def test_threads_share_the_blocks_without_mixing_them_up() -> None:
    script = """
import ctypes, threading
from flowc.runtime import native
def work(mark):
    for k in range(400):
        size = (1 + k % 5) << 20
        block = native.allocate(size)
        ctypes.memset(block, mark, 4096)
        ctypes.memset(block + size - 4096, mark, 4096)
        assert ctypes.string_at(block, 4096) == bytes([mark]) * 4096
        assert ctypes.string_at(block + size - 4096, 4096) == bytes([mark]) * 4096
        native.free(block, size)
        if k % 50 == 0:
            native.trim()
failed = []
threading.excepthook = failed.append
threads = [threading.Thread(target=work, args=(mark,)) for mark in range(6)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert not failed
"""
    subprocess.run(
        [sys.executable, "-c", script], env=os.environ | {"MALLOC_CHECK_": "3"}, check=True, timeout=100
    )


@pytest.mark.parametrize("count", [0, -1, True, 1.5, "2", 1 << 20])
def test_a_number_of_threads_is_a_whole_number_above_zero(count: Any) -> None:
    before = native.threads()
    with pytest.raises(FlowError, match="E0790"):
        native.set_threads(count)
    assert native.threads() == before


def test_the_environment_says_how_many_threads_until_the_program_does() -> None:
    script = """
from flowc.runtime import native
print(native.threads())
native.set_threads(5)
print(native.threads())
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"FLOWC_THREADS": "3"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split() == ["3", "5"]


@pytest.mark.parametrize(
    ("group", "files", "cores"),
    [
        ("0::/", {"cpu.max": "max 100000"}, None),
        ("0::/", {"cpu.max": "100000 100000"}, 1),
        ("0::/a/b", {"a/cpu.max": "50000 100000", "a/b/cpu.max": "max 100000"}, 1),
        ("0::/a/b", {"cpu.max": "100000 100000"}, 1),
        ("3:cpu,cpuacct:/a", {"cpu/a/cpu.cfs_quota_us": "100000", "cpu/a/cpu.cfs_period_us": "100000"}, 1),
        ("3:cpu,cpuacct:/a", {"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "100000"}, None),
        ("2:memory:/b", {"b/cpu.max": "100000 100000"}, None),
        ("0::/", {"cpu.max": "nonsense"}, None),
        ("0::/", {}, None),
    ],
)
def test_cores_are_those_of_the_affinity_within_the_quotas(
    tmp_path: Path, group: str, files: dict[str, str], cores: int | None
) -> None:
    own = tmp_path / "own"
    own.write_text(group + "\n")
    for name, content in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")
    whole = len(os.sched_getaffinity(0))
    assert usable_cores(tmp_path / "groups", own) == (cores or whole)
