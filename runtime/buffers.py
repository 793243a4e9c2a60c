"""Memory for large results: recycled, with huge pages advised, because the first touch of fresh memory costs
more than many a kernel.

An array from here owns its block through its `base`; every view and every other holder of the array keeps it.
When the last of them goes, the block goes back to a bounded store, or to the system where that is full.
"""

import mmap
import threading
from collections.abc import Sequence
from ctypes import addressof, c_char
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

from flowc.runtime.errors import FlowError, fail
from flowc.runtime.settings import number

if TYPE_CHECKING:
    import numpy as np

SMALLEST = 1 << 20
"""Results of fewer bytes come from NumPy's own allocator, which recycles those well."""

HUGE_PAGE = 1 << 21

BYTES = 256 << 20
"""How much unused memory a store keeps at most, unless FLOWC_POOL_BYTES says otherwise; 0 is no recycling."""


VARIABLE = "FLOWC_POOL_BYTES"
MOST = 1 << 62


def _no_bytes(text: str) -> FlowError:
    return fail(
        "E0791",
        f"`{text}` is no number of bytes",
        why="it says how much unused memory is kept for later results",
        help=f"leave it out for {BYTES >> 20} MiB, or write the bytes: `{VARIABLE}={BYTES}`",
    )


@frozen(eq=False)
class Block:
    """Mapped memory: `size` usable bytes from `address`, which begins a huge page."""

    mapping: mmap.mmap
    address: int
    size: int


@define(eq=False)
class Store:
    """Unused blocks by size, the most recently returned first: it is likeliest in the cache.

    `limit` is how much unused memory it keeps; where it is not given, the environment is asked once.
    """

    limit: int | None = None
    unused: int = 0
    blocks: dict[int, list[Block]] = field(factory=dict)
    lock: threading.Lock = field(factory=threading.Lock)

    def most_unused(self) -> int:
        """How much unused memory it keeps; raises E0791 where the environment gives no number of bytes."""
        if self.limit is None:
            given = number(VARIABLE, 0, MOST, _no_bytes)
            self.limit = BYTES if given is None else given
        return self.limit

    def take(self, size: int) -> Block:
        """A block of at least that size; raises MemoryError where the system has none."""
        rounded = rounded_size(size)
        with self.lock:
            kept = self.blocks.get(rounded)
            if kept:
                self.unused -= rounded
                return kept.pop()
        try:
            return _map(rounded)
        except (OSError, MemoryError, OverflowError, ValueError):
            # What lies here unused may be what is missing elsewhere.
            self.clear()
        try:
            return _map(rounded)
        except (OSError, OverflowError, ValueError) as error:
            raise MemoryError(f"Unable to allocate {size} bytes for a result") from error

    def give(self, block: Block) -> None:
        """Takes back a block that nothing refers to; one too many goes back to the system.

        May run wherever Python drops an object, even inside `take`: it never waits.
        """
        if not self.lock.acquire(blocking=False):
            return
        try:
            if self.unused + block.size <= (self.limit or 0):
                self.unused += block.size
                self.blocks.setdefault(block.size, []).append(block)
        finally:
            self.lock.release()

    def clear(self) -> None:
        """Gives all unused memory back to the system."""
        with self.lock:
            dropped, self.blocks, self.unused = self.blocks, {}, 0
        dropped.clear()


class Owner:
    """What the array of a block has as its base; returns the block when the last reference goes."""

    __slots__ = ("__array_interface__", "_block", "_store")

    def __init__(self, block: Block, shape: tuple[int, ...], typestr: str, store: Store) -> None:
        self._block, self._store = block, store
        self.__array_interface__ = {
            "data": (block.address, False),
            "shape": shape,
            "typestr": typestr,
            "version": 3,
        }

    def __del__(self) -> None:
        self._store.give(self._block)


STORE = Store()
"""The store of this process."""


def empty(shape: Sequence[int], dtype: "np.dtype[Any]", store: Store = STORE) -> "np.ndarray[Any, Any]":
    """An array in row-major order whose elements are not set; raises MemoryError, ValueError, or E0791."""
    import numpy as np

    size = dtype.itemsize
    for extent in shape:
        size *= extent
    if size < SMALLEST or store.most_unused() <= 0:
        return np.empty(shape, dtype)
    block = store.take(size)
    # The interface of arrays knows NumPy's own types only: others are views of words as wide.
    plain = np.dtype(f"u{dtype.itemsize}") if dtype.kind == "V" else dtype
    array = np.asarray(Owner(block, tuple(shape), plain.str, store))
    return array if plain is dtype else array.view(dtype)


def rounded_size(size: int) -> int:
    """Bytes to map for a result: few sizes, so that blocks fit again, and an eighth too much at the most.

    >>> rounded_size(5 << 20), rounded_size(64 << 20)
    (6291456, 67108864)
    """
    step = max(HUGE_PAGE, 1 << max(size.bit_length() - 4, 0))
    return -(-size // step) * step


def _map(size: int) -> Block:
    """Fresh memory from the system, from the start of a huge page on."""
    mapping = mmap.mmap(-1, size + HUGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    address = addressof(c_char.from_buffer(mapping))
    aligned = -(-address // HUGE_PAGE) * HUGE_PAGE
    if hasattr(mmap, "MADV_HUGEPAGE"):
        mapping.madvise(mmap.MADV_HUGEPAGE)
    return Block(mapping, aligned, size)
