"""What NumPy writes with brackets instead of a call: `np.r_[...]`, `np.mgrid[...]` and their kin."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from flowc.compiler.python.numeric.arithmetic import value_of
from flowc.compiler.python.numeric.basic import Range
from flowc.compiler.python.numeric.context import Context
from flowc.compiler.python.numeric.errors import Refused
from flowc.compiler.python.numeric.functions.creation import arange
from flowc.compiler.python.numeric.functions.joining import column_stack, hstack, stack
from flowc.compiler.python.numeric.functions.shapes import as_array, broadcast_to, reshape


def _line(c: Context, item: object) -> object:
    """A slice as the numbers it counts; anything else as it is."""
    if not isinstance(item, Range):
        return item
    if item.stop is None:
        raise Refused("a slice here has an end", help="write `0:n`")
    step = 1 if item.step is None else item.step
    return arange(c, 0 if item.start is None else item.start, item.stop, step)


def row(c: Context, items: Sequence[object]) -> object:
    """Numbers, slices and vectors joined to one vector."""
    return hstack(c, [_line(c, item) for item in items])


def columns(c: Context, items: Sequence[object]) -> object:
    """Vectors as the columns of a matrix."""
    return column_stack(c, [_line(c, item) for item in items])


def open_grid(c: Context, items: Sequence[object]) -> object:
    """The positions along each axis, standing along it."""
    lines = [as_array(c, _line(c, item)) for item in items]
    if len(lines) == 1:
        return lines[0]
    return tuple(
        reshape(c, line, [1] * place + [c.extent(line, 0)] + [1] * (len(lines) - 1 - place))
        for place, line in enumerate(lines)
    )


def grid(c: Context, items: Sequence[object]) -> object:
    """The positions along each axis, for each place of a grid."""
    lines = [as_array(c, _line(c, item)) for item in items]
    if len(lines) == 1:
        return lines[0]
    shape = [c.extent(line, 0) for line in lines]
    standing = open_grid(c, items)
    assert isinstance(standing, tuple)
    return stack(c, [c.array(value_of(c, broadcast_to(c, line, shape))) for line in standing])


BRACKETS: Mapping[str, Callable[[Context, Sequence[object]], Any]] = {
    "r_": row,
    "c_": columns,
    "mgrid": grid,
    "ogrid": open_grid,
}
"""By their names in NumPy."""


def of_brackets(value: object) -> Callable[[Context, Sequence[object]], Any] | None:
    """What such an object makes of what stands in its brackets; None for anything else."""
    return next((made for name, made in BRACKETS.items() if value is getattr(np, name)), None)
