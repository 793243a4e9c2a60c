"""What a Python function sees of the functions around it."""

from collections.abc import Callable
from typing import Any


def closure(function: Callable[..., Any]) -> dict[str, Any]:
    """The variables of enclosing functions that the function uses, as far as they are set."""
    code, cells = getattr(function, "__code__", None), getattr(function, "__closure__", None) or ()
    found = {}
    for name, cell in zip(code.co_freevars if code else (), cells, strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue
    return found
