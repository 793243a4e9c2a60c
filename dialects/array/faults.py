"""How the reference semantics refuses."""

from typing import Any


class KernelFault(Exception):
    """What a kernel reports instead of a result: a position, a count or an extent that does not fit."""


class UnsaidExtent(KernelFault):
    """Beside others of which no type says how long they are, an axis is 1 long. Where a compiler proves that
    it is, it may stretch it, as NumPy does.
    """


def extent_of(number: Any) -> int:
    """An extent that a program gives; raises KernelFault for a negative one."""
    extent = int(number)
    if extent < 0:
        raise KernelFault(f"an extent of {extent}")
    return extent
