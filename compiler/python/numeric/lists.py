"""Operators on tuples, lists and texts."""

from typing import Any

from flowc.compiler.python.numeric.arithmetic import apply, settled, value_of
from flowc.compiler.python.numeric.context import Context
from flowc.compiler.python.numeric.errors import Refused
from flowc.compiler.python.numeric.misfits import described
from flowc.compiler.python.numeric.values import Array

SIGNS = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "floordiv": "//", "mod": "%", "pow": "**", "bitand": "&",
    "bitor": "|", "bitxor": "^", "shl": "<<", "shr": ">>",
}  # fmt: skip
"""How the operators between two values are written."""


def as_arrays(c: Context, left: object, right: object) -> tuple[object, object]:
    """Beside an array a list is an array; two lists are joined, which none is here that only the run
    knows."""
    if not isinstance(left, Array) and not isinstance(right, Array):
        raise Refused(
            "a list that is as long as only the run knows has no operators",
            help="make it an array: `np.array([... for ...])`",
        )
    return settled(c, left), settled(c, right)


def of_sequences(c: Context, kind: str, left: Any, right: Any) -> object:
    """Joining and repeating tuples, lists and texts; beside an array a list is an array."""
    if isinstance(left, Array) or isinstance(right, Array):
        sides = [
            c.array(value_of(c, side)) if isinstance(side, list | tuple) else side for side in (left, right)
        ]
        return apply(c, kind, *sides)
    if kind == "add" and type(left) is type(right):
        return left + right
    if kind == "mul":
        sequence, times = (left, right) if isinstance(left, tuple | list | str) else (right, left)
        count = c.static(times, "how often a sequence is repeated")
        if isinstance(sequence, tuple | list | str) and isinstance(count, int):
            return sequence * count
    listed = next((side for side in (left, right) if isinstance(side, tuple | list)), None)
    raise Refused(
        f"`{SIGNS[kind]}` is not defined between {described(left)} and {described(right)}",
        why="a tuple, a list or a text is joined to one of its own kind, and repeated by a whole number",
        help="make an array of the numbers: `np.array(...)`"
        if listed
        else "only numbers and arrays are computed with",
    )
