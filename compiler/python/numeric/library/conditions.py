"""Conditions of the functions that are written as programs."""

from typing import Any


def require(holds: Any, reason: str) -> None:
    """Ends the kernel where a condition does not hold, for a reason that `array.require` knows.

    Its native form is that operator.
    """
    if not holds:
        raise ValueError(reason)
