"""How the reference semantics refuses."""

from typing import Any


class KernelFault(Exception):
    """What a kernel reports instead of a result: a position, a count or an extent that does not fit."""


class UnsaidExtent(KernelFault):
    """An axis is 1 long, beside longer ones of which no type says how long they are. A compiler that proves
    the 1 may stretch that axis, as NumPy does: whether the kernel fails is open, what it gives is not.
    """


def extent_of(number: Any) -> int:
    """An extent that a program gives; raises KernelFault for a negative one."""
    extent = int(number)
    if extent < 0:
        raise KernelFault(f"an extent of {extent}")
    return extent
