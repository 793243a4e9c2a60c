"""Functions that join arrays."""

from collections.abc import Sequence

import numpy as np
from xdsl.ir import SSAValue

from flowc.compiler.python.numeric.arithmetic import apply, beside, strong_dtypes, to_dtype, value_of
from flowc.compiler.python.numeric.basic import Range
from flowc.compiler.python.numeric.context import Context
from flowc.compiler.python.numeric.errors import SHAPES, Refused
from flowc.compiler.python.numeric.functions.conditions import require
from flowc.compiler.python.numeric.functions.creation import arange, filled
from flowc.compiler.python.numeric.functions.dtypes import dtype_of_object
from flowc.compiler.python.numeric.functions.registry import implements
from flowc.compiler.python.numeric.functions.shapes import (
    as_array,
    at_least_1d,
    axis_of,
    expand_dims,
    moveaxis,
    ravel,
    reshape,
)
from flowc.compiler.python.numeric.subscripts import gather, subscript
from flowc.compiler.python.numeric.values import Array
from flowc.dialects.array import build
from flowc.dialects.array.types import promote_all, shape_of


def joined(c: Context, arrays: Sequence[object], axis: int, dtype: object = None) -> Array:
    """Arrays joined along an axis that they have."""
    values = [value_of(c, array) for array in arrays]
    made = c.emit(build.concat(values, axis))
    return c.array(made if dtype is None else to_dtype(c, made, dtype_of_object(dtype)))


def _sequence(c: Context, arrays: object) -> Sequence[object]:
    """The arrays to be joined; an array stands for those along its first axis."""
    if isinstance(arrays, Array):
        if not isinstance(arrays.shape[0], int):
            c.need_extents("how many arrays there are is not known when the code is made")
        return [subscript(c, arrays, [position]) for position in range(arrays.shape[0])]
    if not isinstance(arrays, tuple | list) or not arrays:
        raise Refused("this takes a tuple or a list of arrays")
    return arrays


@implements(np.concatenate)
def concatenate(c: Context, arrays: object, axis: object = 0, dtype: object = None) -> object:
    """Arrays joined along an axis."""
    if isinstance(arrays, Array) and isinstance(axis, int) and axis == 0 and len(arrays.shape) > 1:
        _, second, *rest = c.extents_of(arrays)
        rows = apply(c, "mul", c.extent(arrays, 0), second)
        return joined(c, [reshape(c, arrays, [rows, *rest])], 0, dtype)
    parts = _sequence(c, arrays)
    if axis is None:
        return joined(c, [ravel(c, part) for part in parts], 0, dtype)
    return joined(c, parts, axis_of(c, axis, len(as_array(c, parts[0]).shape)), dtype)


@implements(np.stack)
def stack(c: Context, arrays: object, axis: object = 0) -> object:
    """Arrays joined along a new axis."""
    if isinstance(arrays, Array):
        return c.array(value_of(c, moveaxis(c, arrays, 0, axis)))
    parts = _sequence(c, arrays)
    values = _numbers_alike(c, parts)
    place = axis_of(c, axis, len(shape_of(values[0].type)) + 1)
    return c.array(c.emit(build.concat([c.emit(build.expand(value, place)) for value in values], place)))


def _numbers_alike(c: Context, parts: Sequence[object]) -> list[SSAValue]:
    dtypes = strong_dtypes(parts)
    if not dtypes:
        return [value_of(c, part) for part in parts]
    common = promote_all(dtypes)
    return [beside(c, part, common) for part in parts]


@implements(np.hstack)
def hstack(c: Context, tup: object) -> object:
    """Arrays side by side."""
    if isinstance(tup, Array) and len(tup.shape) == 2:
        return concatenate(c, tup)
    parts = [at_least_1d(c, part) for part in _sequence(c, tup)]
    return joined(c, parts, 0 if len(parts[0].shape) == 1 else 1)


@implements(np.vstack)
def vstack(c: Context, tup: object) -> object:
    """Arrays below each other."""
    if isinstance(tup, Array):
        rows = tup if len(tup.shape) > 1 else expand_dims(c, tup, 1)
        return c.array(value_of(c, rows)) if len(as_array(c, rows).shape) == 2 else concatenate(c, rows)
    parts = [at_least_1d(c, part) for part in _sequence(c, tup)]
    return joined(c, [expand_dims(c, p, 0) if len(p.shape) == 1 else p for p in parts], 0)


@implements(np.column_stack)
def column_stack(c: Context, tup: object) -> object:
    """Vectors as the columns of a matrix."""
    parts = [at_least_1d(c, part) for part in _sequence(c, tup)]
    return joined(c, [expand_dims(c, p, 1) if len(p.shape) == 1 else p for p in parts], 1)


@implements(np.roll)
def roll(c: Context, a: object, shift: object, axis: object = None) -> object:
    """The elements moved along an axis, or along several; those that leave come in again."""
    array = as_array(c, a)
    if isinstance(axis, tuple | list):
        shifts = shift if isinstance(shift, tuple | list) else [shift] * len(axis)
        if len(shifts) != len(axis):
            raise Refused("as many shifts as axes are needed", code=SHAPES)
        for each, place in zip(shifts, axis, strict=True):
            array = as_array(c, roll(c, array, each, place))
        return array
    if axis is None and len(array.shape) > 1:
        return reshape(c, roll(c, ravel(c, array), shift), c.extents_of(array))
    place = 0 if axis is None else axis_of(c, axis, len(array.shape))
    extent = c.extent(array, place)
    cut = apply(c, "mod", apply(c, "neg", shift), extent)
    before: list[object] = [Range()] * place
    tail = subscript(c, array, [*before, Range(start=cut)])
    head = subscript(c, array, [*before, Range(stop=cut)])
    rolled = joined(c, [tail, head], place)
    # The parts add up to the whole: its extents are those of the array.
    return rolled


@implements(np.atleast_1d)
def atleast_1d(c: Context, a: object) -> object:
    """A number as an array of one."""
    return at_least_1d(c, a)


@implements(np.pad)
def pad(
    c: Context, array: object, pad_width: object, mode: object = "constant", constant_values: object = 0
) -> object:
    """Borders of one number, or of the array going on: `edge`, `reflect`, `symmetric` or `wrap`."""
    source = as_array(c, array)
    widths = _widths(c.static(pad_width, "the width of a border"), len(source.shape))
    if mode != "constant":
        return _continued(c, source, widths, mode)
    result: object = c.array(c.value(source))
    for axis, (low, high) in enumerate(widths):
        shape = list(c.extents_of(as_array(c, result)))
        parts = [result]
        for width, place in ((low, 0), (high, 2)):
            if width:
                shape[axis] = width
                edge = filled(c, tuple(shape), to_dtype(c, value_of(c, constant_values), source.dtype))
                parts.insert(place, edge)
        result = joined(c, parts, axis) if len(parts) > 1 else result
    return result


def _continued(c: Context, source: Array, widths: Sequence[tuple[int, int]], mode: object) -> object:
    """An array that goes on beyond its ends with elements of its own."""
    value = c.value(source)
    for axis, (low, high) in enumerate(widths):
        if low or high:
            extent = c.extent(source, axis)
            require(c, apply(c, "ge", extent, 1), "nothing")
            before, after = apply(c, "sub", arange(c, low), low), apply(c, "add", arange(c, high), extent)
            ends = [
                gather(c, value, value_of(c, _places_beyond(c, along, extent, mode)), axis)
                for along in (before, after)
            ]
            value = c.emit(build.concat([ends[0], value, ends[1]], axis))
    return c.array(value)


def _places_beyond(c: Context, along: object, extent: object, mode: object) -> object:
    """Where the elements stand that continue an axis."""
    last = apply(c, "sub", extent, 1)
    if mode == "edge":
        return apply(c, "minimum", apply(c, "maximum", along, 0), last)
    if mode == "wrap":
        return apply(c, "mod", along, extent)
    if mode == "symmetric":
        period = apply(c, "mul", extent, 2)
        turned = apply(c, "mod", along, period)
        return apply(c, "minimum", turned, apply(c, "sub", apply(c, "sub", period, 1), turned))
    if mode == "reflect":
        period = apply(c, "maximum", apply(c, "mul", last, 2), 1)
        turned = apply(c, "mod", along, period)
        return apply(c, "minimum", turned, apply(c, "sub", period, turned))
    raise Refused(
        f"`mode={mode!r}` has no native form", help="constant, edge, reflect, symmetric and wrap have"
    )


def _widths(given: object, rank: int) -> list[tuple[int, int]]:
    pair = given if isinstance(given, tuple | list) else (given,)
    pairs = [pair] * rank if pair and all(isinstance(item, int) for item in pair) else list(pair)
    widths = [(each[0], each[-1]) for each in pairs if isinstance(each, tuple | list) and each]
    if len(widths) != rank or not all(isinstance(item, int) for each in widths for item in each):
        raise Refused("the width of a border is a number, a pair, or a pair for each axis")
    if any(item < 0 for each in widths for item in each):
        raise Refused("a border is 0 or more wide", code=SHAPES)
    return widths
