"""The one way in which the reference semantics refuses."""

from typing import Any


class KernelFault(Exception):
    """What a kernel reports instead of a result: a position, a count or an extent that does not fit."""


def extent_of(number: Any) -> int:
    """An extent that a program gives; raises KernelFault for a negative one."""
    extent = int(number)
    if extent < 0:
        raise KernelFault(f"an extent of {extent}")
    return extent
