"""Arrays between guard pages, in any layout: an access beyond either end kills the process."""

import ctypes
import mmap
from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import frozen

Array = np.ndarray[Any, np.dtype[Any]]
PAGE = mmap.PAGESIZE
CANARY = 0xA5
_library = ctypes.CDLL(None, use_errno=True)


@frozen
class Layout:
    """How an array lies in memory: its axes from the outermost to the innermost, and a step for each axis.

    A step of 2 leaves every second element unused, a negative one counts from the end, and 0 repeats the
    first position along the axis.
    """

    order: tuple[int, ...]
    steps: tuple[int, ...]


def contiguous(rank: int) -> Layout:
    """The layout of a C array."""
    return Layout(tuple(range(rank)), (1,) * rank)


@frozen
class Guarded:
    """An array, and the writable bytes around it."""

    array: Array
    room: Array
    inside: slice

    def is_unharmed(self) -> bool:
        """Whether the bytes beside the array hold what was put there."""
        outside = np.concatenate([self.room[: self.inside.start], self.room[self.inside.stop :]])
        return bool((outside == CANARY).all())


def guarded(values: Array, layout: Layout, at_end: bool) -> Guarded:
    """A copy of the values whose first byte follows a guard page, or whose last byte precedes one."""
    strides, origin, span = _placed(values.shape, layout)
    size = span * values.itemsize
    pages = max(-(-size // PAGE), 1)
    region = mmap.mmap(-1, (pages + 2) * PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(region))
    for page in (0, pages + 1):
        if _library.mprotect(ctypes.c_void_p(start + page * PAGE), ctypes.c_size_t(PAGE), 0):
            raise OSError(ctypes.get_errno(), "mprotect")
    room = np.frombuffer(region, np.uint8, pages * PAGE, PAGE)
    room[:] = CANARY
    first = pages * PAGE - size if at_end else 0
    base = room[first : first + size].view(values.dtype)
    array = np.lib.stride_tricks.as_strided(
        base[origin:], values.shape, [stride * values.itemsize for stride in strides]
    )
    array[...] = repeated(values, layout)
    return Guarded(array, room, slice(first, first + size))


def _placed(shape: Sequence[int], layout: Layout) -> tuple[list[int], int, int]:
    """The strides in elements, where the first element lies, and how many elements there are in all."""
    strides = [0] * len(shape)
    running, origin, span = 1, 0, 1
    for axis in reversed(layout.order):
        step = layout.steps[axis]
        strides[axis] = running * step
        reach = running * abs(step) * max(shape[axis] - 1, 0)
        span += reach
        origin += reach if step < 0 else 0
        running = running * abs(step) * max(shape[axis], 1) if step else running
    return strides, origin, span if 0 not in shape else 0


def repeated(values: Array, layout: Layout) -> Array:
    """The values that an array of this layout holds."""
    for axis, step in enumerate(layout.steps):
        if step == 0 and values.shape[axis]:
            values = np.broadcast_to(values.take([0], axis), values.shape)
    return values
