"""Kernels of the array dialect for tests: a way to write one, and Hypothesis strategies that invent them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from xdsl.ir import Attribute, SSAValue

from flowc.dialects.array.types import Extent, ShapeError, array_type
from flowc.testing.strategies.choices import Choices, from_draw
from flowc.testing.strategies.kernel_arrays import SORTS, array_of, of_sort, strided
from flowc.testing.strategies.kernel_building import Add, Program, as_module, make_kernel
from flowc.testing.strategies.kernel_places import EVERY
from flowc.testing.strategies.kernel_sites import Site, is_exact
from flowc.testing.strategies.kernel_steps import DTYPES, USUAL, Step

__all__ = [
    "DTYPES", "EVERY", "SIZES", "SORTS", "Add", "Draw", "Program", "array_of", "as_module", "drawn_kernel",
    "every_program", "is_exact", "make_kernel", "programs", "strided",
]  # fmt: skip

Draw = Callable[[st.SearchStrategy[Any]], Any]

SIZES = (0, 1, 2, 3, 5, 17, 70)
"""What the named extents of a kernel are drawn from."""
AXES: tuple[Extent, ...] = ("n", "m", 1, 3)
"""What the axes of arguments are drawn from."""


@st.composite
def programs(draw: Draw, special: bool = False) -> Program:
    """A kernel of up to eight of the usual operators on one to three arguments, which lie in any layout."""
    return drawn_kernel(from_draw(draw), USUAL, SORTS[special])


@st.composite
def every_program(draw: Draw) -> Program:
    """A kernel of up to eight operators of every sort, on numbers of every sort."""
    choices = from_draw(draw)
    return drawn_kernel(choices, EVERY, choices.one(SORTS))


def drawn_kernel(
    choices: Choices,
    steps: Sequence[Step] = EVERY,
    sort: str = "plain",
    sizes: Sequence[int] = SIZES,
    count: int | None = None,
    most: int = 8,
    axes: Sequence[Extent] = AXES,
) -> Program:
    """A kernel of up to `most` steps on `count` arguments, or on one to three, which lie in any layout."""
    extents = {name: choices.one(sizes) for name in ("n", "m")}
    parameters: dict[str, Attribute] = {}
    arguments = []
    for number in range(choices.number(1, 3) if count is None else count):
        dtype = choices.one(DTYPES)
        shape: list[Extent] = choices.several(axes, 0, 3)
        concrete = [extents[extent] if isinstance(extent, str) else extent for extent in shape]
        parameters[f"a{number}"] = array_type(dtype, shape)
        array = of_sort(sort, dtype, concrete, choices.number(0, 999))
        arguments.append(strided(array, choices.number(0, 3)))

    def body(add: Add, *values: SSAValue) -> Sequence[SSAValue]:
        pool = list(values)
        for _ in range(choices.number(1, most)):
            try:
                pool += choices.one(steps)(Site(choices, add, pool, sort == "extreme"))
            except ShapeError:
                continue
        made = pool[len(values) :]
        unread = [
            value for value in made if not any(True for _ in value.uses)
        ]  # what nothing reads would not be seen
        return choices.several(unread or made or pool, 1, 2)

    kernel = make_kernel(parameters, body)
    return Program(as_module(kernel), kernel, tuple(map(np.asarray, arguments)))
