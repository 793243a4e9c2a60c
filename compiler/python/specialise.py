"""What compiled numeric code depends on: the types of a call's arguments, as the compiler names them."""

import math
from collections.abc import Sequence
from typing import Any

from attrs import evolve, field, frozen

from flowc.compiler.python.facts import Facts
from flowc.runtime.dtypes import REAL_PARTS, dtype_name, itemsizes, numpy_dtype, widened
from flowc.runtime.errors import fail
from flowc.runtime.kernel_arguments import layout_of, whole_strides

FEW_COLUMNS, MANY_ELEMENTS = 32, 1024
"""Many rows of so few elements, such as points, colours and features, have code of their own: without loops
of unknown length, and where they are shortest with several rows at a time taken apart in registers."""
MORE_COLUMNS, MOST_ELEMENTS = 64, 16384
"""Of longer rows there must be more, as they gain less."""
NARROW = 8
"""So few rows or columns of a matrix, as of one that turns points, are part of the code too."""


@frozen
class ArgumentType:
    """The type of one argument; `dims` is empty for a number, `value` set where code is made for one value.

    An extent is 1, or a name that stands for one extent throughout the call: equal extents have equal names;
    or a number that the code is made for. `layout` says how an array lies, a word of `LAYOUTS`. The dtypes
    `int`, `float` and `bool` are Python's own numbers; `same` is the extent that such a number is equal to,
    None where that does not matter. An array that is `turned` lies in columns: the kernel gets it
    transposed, and `layout` is that of the transposed.
    """

    dtype: str
    dims: tuple[int | str, ...] = ()
    value: Any = field(default=None, eq=repr)
    layout: str = "contiguous"
    known: bool = False
    same: str | None = None
    least: tuple[int, ...] = ()
    turned: bool = False


def argument_types(
    function: str,
    names: Sequence[str],
    arguments: Sequence[Any],
    facts: Facts,
    turns: bool = True,
    short: bool = True,
) -> tuple[ArgumentType, ...]:
    """The types of a call; `turns` says that an array in columns may come transposed, `short` that code may
    be made for the lengths of short rows.

    Raises FlowError (E0093) for an argument that no code can be made for.
    """
    import numpy as np

    given = dict(zip(names, arguments, strict=True))
    numbers = {_extent_at(given[name], axis) for name, axis in facts.extents}
    numbers |= _short_extents(arguments) if short else set()
    for name, axis, number in facts.least:
        if _extent_at(given[name], axis) < number:
            numbers.add(_extent_at(given[name], axis))
    extents: dict[int, str] = {}

    def dim(extent: int) -> int | str:
        if extent == 1 or extent in numbers:
            return extent
        return extents.setdefault(extent, f"n{len(extents)}")

    found: list[ArgumentType] = []
    for name, argument in given.items():
        if isinstance(argument, np.integer | np.bool_) and name in facts.values:
            found.append(ArgumentType(argument.dtype.name, value=argument.item(), known=True))
        elif type(argument) in (np.ndarray, np.memmap) or isinstance(argument, np.generic):
            dtype = _dtype(function, name, argument.dtype)
            if dtype == "bool" and not argument.ndim:
                dtype = "bool_"  # "bool" without axes is Python's own
            dims, least = tuple(map(dim, argument.shape)), _least(name, argument.ndim, facts)
            layout = _layout(argument)
            turned = turns and layout == "any" and argument.ndim > 1 and _layout(argument.T) != "any"
            if turned:
                layout = _layout(argument.T)
            found.append(ArgumentType(dtype, dims, layout=layout, least=least, turned=turned))
        elif isinstance(argument, bool | int | float) and name not in facts.values:
            found.append(ArgumentType(_number(argument)))
        elif _is_constant(argument):
            found.append(ArgumentType(type(argument).__name__, value=argument, known=True))
        else:
            raise fail(
                "E0093",
                f"`{function}` takes arrays and numbers; `{name}` is a {type(argument).__name__}",
                help=REAL_PARTS
                if isinstance(argument, complex)
                else f"convert it first: `numpy.asarray({name})`",
            )
    return tuple(
        evolve(type_, same=extents.get(given[name], ""))
        if name in facts.matches and type_.dtype == "int"
        else type_
        for name, type_ in zip(names, found, strict=True)
    )


def _least(name: str, rank: int, facts: Facts) -> tuple[int, ...]:
    """How long each axis is at least, unless the code is made for its number; empty where that is not
    asked."""
    asked = [(axis, number) for other, axis, number in facts.least if other == name]
    return tuple(max((n for a, n in asked if a == axis), default=0) for axis in range(rank)) if asked else ()


def _short_extents(arguments: Sequence[Any]) -> set[int]:
    """The lengths of rows that are short and many, and the extents of narrow matrices they may meet."""
    found = {_columns(argument) for argument in arguments} - {0, 1}
    narrow = [
        set(argument.shape)
        for argument in arguments
        if getattr(argument, "ndim", 0) == 2
        and 1 < min(argument.shape) <= NARROW
        and max(argument.shape) <= MORE_COLUMNS
    ]
    return found.union(*(extents for extents in narrow if extents & found))


def _columns(argument: Any) -> int:
    """The length of an array's rows where they are short and many, else 0."""
    rank = getattr(argument, "ndim", 0)
    if rank < 2:
        return 0
    columns, elements = _extent_at(argument, rank - 1), math.prod(argument.shape)
    if columns <= FEW_COLUMNS:
        return columns if elements >= MANY_ELEMENTS else 0
    return columns if columns <= MORE_COLUMNS and elements >= MOST_ELEMENTS else 0


def _extent_at(argument: Any, axis: int) -> int:
    return int(argument.shape[axis]) if axis < getattr(argument, "ndim", 0) else 0


def _number(argument: bool | int | float) -> str:
    """Python's own type of a number, which an enumeration's members only derive from."""
    return next(kind.__name__ for kind in (bool, int, float) if isinstance(argument, kind))


def _is_constant(argument: Any) -> bool:
    """Whether code can be made for just this value: a text, None, or a tuple of such and of numbers."""
    if isinstance(argument, tuple):
        return all(map(_is_constant, argument))
    return argument is None or type(argument) in (bool, int, float, str)


def _dtype(function: str, name: str, dtype: Any) -> str:
    found = dtype_name(dtype.newbyteorder("=")) or widened(dtype)
    if found is None:
        known = ", ".join(str(numpy_dtype(each)) for each in itemsizes)
        raise fail(
            "E0093",
            f"`{function}` cannot be compiled for `{name}` of dtype {dtype}",
            why=f"native code is made for {known}",
            help=REAL_PARTS
            if dtype.kind == "c"
            else f"convert it first: `{name}.astype({'np.int64' if dtype.kind == 'u' else 'np.float64'})`",
        )
    return found


def _layout(array: Any) -> str:
    """How the array lies when the kernel gets it: one that must be converted arrives as a whole copy."""
    if not array.ndim or not array.dtype.isnative or widened(array.dtype) or not whole_strides(array):
        return "contiguous"
    return layout_of(array)
