"""Kernels that give the same bits in every process, for runs that others go on with.

Long sums are taken by whole lines of the cache, so that their last bits depend on where an array begins in
memory, and that is another place in each process. What is dense begins with a line here,
and what has gaps is made dense.
"""

from collections.abc import Callable
from typing import Any

from flowc.runtime.values import is_array

LINE = 64
"""Bytes of a line of the cache."""


def steady(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """The kernel, given arrays that begin where a line does."""

    def call(*arguments: Any) -> Any:
        return kernel(*[in_line(each) for each in arguments])

    return call


def in_line(value: Any) -> Any:
    """A value; if it is an array, one whose elements are dense from the beginning of a line on."""
    if not is_array(value) or (value.flags.c_contiguous and value.ctypes.data % LINE == 0):
        return value
    import numpy

    room = numpy.empty(value.nbytes + LINE, dtype=numpy.uint8)
    begin = -room.ctypes.data % LINE
    copy = room[begin : begin + value.nbytes].view(value.dtype).reshape(value.shape)
    copy[...] = value
    return copy
