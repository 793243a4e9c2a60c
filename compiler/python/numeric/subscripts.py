"""Subscripts: NumPy's basic and advanced indexing as views, gathers and masks, and stores through them."""

import math
from collections.abc import Sequence
from typing import Any

from xdsl.ir import SSAValue

from flowc.compiler.python.numeric.advanced import gathered, scattered, whole_mask
from flowc.compiler.python.numeric.arithmetic import apply, settled, stacked, to_dtype, value_of
from flowc.compiler.python.numeric.basic import Range, basic_views
from flowc.compiler.python.numeric.context import INTEGERS, Context
from flowc.compiler.python.numeric.equivalence import equivalent
from flowc.compiler.python.numeric.errors import SHAPES, Refused
from flowc.compiler.python.numeric.masks import spread
from flowc.compiler.python.numeric.strides import store_by_steps, with_positions
from flowc.compiler.python.numeric.values import Array, Masked, Number
from flowc.dialects.array import build
from flowc.dialects.array.types import dtype_of, shape_of


def subscript(c: Context, array: object, items: Sequence[object]) -> object:
    """`array[items]`: a view where the items are numbers, slices, None or `...`; else new values."""
    if isinstance(array, list | tuple | str):
        return _of_sequence(c, array, items)
    array = settled(c, array)
    if isinstance(array, Number) and all(item in (None, Ellipsis) for item in items):
        return _with_axes(c, array, items.count(None))
    if not isinstance(array, Array):
        raise Refused("only arrays, tuples and lists have elements")
    items = with_positions(c, array, _positions(c, items))
    if not any(isinstance(item, Array) for item in items):
        return c.view(array, *basic_views(c, array, items))
    if isinstance(mask := whole_mask(c, array, items), Array):
        return Masked(c.value(array), c.value(mask))
    return gathered(c, array, items)


def _with_axes(c: Context, number: Number, count: int) -> object:
    """A number as an array of so many axes of extent 1."""
    value = number.value
    for _ in range(count):
        value = c.emit(build.expand(value, 0))
    return c.array(value) if count else number


def _of_sequence(
    c: Context, sequence: list[object] | tuple[object, ...] | str, items: Sequence[object]
) -> object:
    item = items[0]
    if isinstance(item, Range):
        bounds: list[Any] = [c.static(bound, "a bound") for bound in (item.start, item.stop, item.step)]
        return sequence[slice(*bounds)]
    position = c.static(item, "a position in a tuple")
    if not isinstance(position, int) or not -len(sequence) <= position < len(sequence):
        raise Refused(f"position {position!r} in a sequence of {len(sequence)}", code=SHAPES)
    return sequence[position]


def gather(c: Context, source: SSAValue, indices: SSAValue, axis: int) -> SSAValue:
    """`np.take(source, indices, axis)`."""
    rank, width = len(shape_of(source.type)), len(shape_of(indices.type))
    if dtype_of(indices.type) not in INTEGERS:
        raise Refused(f"positions are whole numbers, not {dtype_of(indices.type)}", code=SHAPES)
    if axis == 0:
        return c.emit(build.gather(source, indices))
    front = [axis, *(k for k in range(rank) if k != axis)]
    picked = c.emit(build.gather(c.emit(build.transpose(source, front)), indices))
    before = list(range(width, width + axis))
    order = [*before, *range(width), *range(width + axis, width + rank - 1)]
    return c.emit(build.transpose(picked, order))


def store(c: Context, array: object, items: Sequence[object], value: object) -> None:
    """`array[items] = value`."""
    if not isinstance(array, Array):
        raise Refused(f"only arrays have elements that can be set, not {type(array).__name__}")
    items = _positions(c, items)
    plain = isinstance(value, Number | bool | int | float)
    if plain and store_by_steps(c, array, items, lambda place: store(c, array, place, value)):
        return
    items = with_positions(c, array, items)
    if not any(isinstance(item, Array) for item in items):
        views = basic_views(c, array, items)
        seen = c.value(Array(array.storage, array.type, (*array.views, *views)))
        target = Array(array.storage, seen.type, (*array.views, *views))
        c.write(target, fitted(c, value, target))
        return
    mask = whole_mask(c, array, items)
    if mask is None or not _store_masked(c, array, mask, value):
        scattered(c, array, items, settled(c, value), "set")


def scatter(c: Context, array: Array, items: Sequence[object], value: object, kind: str) -> None:
    """Combines what stands at positions with a value, as often as a position stands there."""
    scattered(c, array, _positions(c, items), settled(c, value), kind)


def _positions(c: Context, items: Sequence[object]) -> list[object]:
    """The items, lists among them as arrays."""
    return [settled(c, stacked(c, item) if isinstance(item, list) else item) for item in items]


def fitted(c: Context, value: object, target: Array) -> SSAValue:
    """A value as it is stored: of the array's dtype, without leading axes of extent 1 that it lacks."""
    if isinstance(value, bool | int | float):
        if isinstance(value, float) and target.dtype in INTEGERS:
            if not math.isfinite(value):
                raise Refused(f"{value} is no whole number, and the array holds {target.dtype}", code=SHAPES)
            value = int(value)
        return c.constant(value, target.dtype)
    c.limit(value, target.dtype)
    given = value_of(c, value)
    while len(shape_of(given.type)) > len(target.shape) and shape_of(given.type)[0] == 1:
        given = c.emit(build.index(given, c.constant(0, "i64"), 0))
    if len(shape_of(given.type)) > len(target.shape):
        raise Refused("the value has more axes than the place it is stored in", code=SHAPES)

    def extent(axis: int) -> SSAValue:
        return c.extent_value(c.extent(target, axis))

    return to_dtype(c, spread(c, given, target.shape, extent), target.dtype)


def _store_masked(c: Context, array: Array, mask: Array, value: object) -> bool:
    """Stores a number, or what the same mask picked, under a mask; whether it is one of these."""
    if isinstance(value, Masked):
        if not equivalent(value.mask, c.value(mask)):
            return False
        value = c.array(value.values)
    elif isinstance(value, Array | list | tuple):
        return False
    old = Array(array.storage, array.type, array.views)
    chosen = apply(c, "where", mask, value, old)
    c.write(array, fitted(c, chosen, array))
    return True
