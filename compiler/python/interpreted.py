"""Functions that run as the Python they are, where they would be compiled otherwise."""

from typing import Any


def filled(result: Any, out: Any) -> Any:
    """The result, written to the arrays that the caller gives for it, if any: one, or a tuple for several."""
    if out is None:
        return result
    results, targets = (each if isinstance(each, tuple) else (each,) for each in (result, out))
    for target, value in zip(targets, results, strict=True):
        target[...] = value
    return out
