"""Threads and memory of native kernels: how many threads they may use, and blocks from the arena they use.

The functions are compiled for the machine on first use, which needs llvmlite; nothing is imported before.
"""

from flowc.runtime.native import library as _library
from flowc.runtime.native import width
from flowc.runtime.native.width import threads

__all__ = ["allocate", "free", "set_threads", "threads", "trim"]


def set_threads(count: int) -> None:
    """Lets kernels use so many threads from their next launch on; raises E0790 below 1."""
    width.choose(count)
    if _library.loaded():
        _library.library().set_threads(count)


def allocate(size: int) -> int:
    """The address of a block of so many bytes, aligned to 64; from 1 MiB on to a huge page, and perhaps used
    before. Raises MemoryError where there is none."""
    address = _library.library().allocate(size) if size >= 0 else None
    if address is None:
        raise MemoryError(f"no block of {size} bytes")
    return address


def free(address: int, size: int) -> None:
    """Gives back a block of `allocate`, with the size that was asked for."""
    _library.library().free(address, size)


def trim() -> None:
    """Gives the blocks that lie idle back to the system."""
    if _library.loaded():
        _library.library().trim()
