"""Functions that run as the Python they are, where they would be compiled otherwise."""

from typing import Any

from flowc.runtime.errors import fail


def filled(result: Any, out: Any) -> Any:
    """The result, written to the arrays that the caller gives for it, if any: one, or a tuple for several.

    Where the tuple has None, the result itself is given back. Raises FlowError (E0760) for more
    arrays than results, or fewer.
    """
    if out is None:
        return result
    several = isinstance(result, tuple | list)
    values = result if several else (result,)
    targets = out if isinstance(out, tuple) else (out,)
    if len(targets) != len(values):
        raise fail(
            "E0760",
            "`out` cannot take the results of a function",
            why=f"it gets {len(targets)}, and takes {len(values)}",
            help="give an array, or None, for each result",
        )
    found = []
    for target, value in zip(targets, values, strict=True):
        if target is not None:
            target[...] = value
        found.append(value if target is None else target)
    if not several:
        return found[0]
    return type(result)(*found) if hasattr(result, "_fields") else type(result)(found)
