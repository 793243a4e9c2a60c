"""Functions that give elements other places."""

import math
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from xdsl.ir import SSAValue

from flowc.compiler.python.numeric.arithmetic import apply, settled, to_dtype, value_of
from flowc.compiler.python.numeric.basic import Range
from flowc.compiler.python.numeric.context import INTEGERS, Context
from flowc.compiler.python.numeric.errors import SHAPES, Refused
from flowc.compiler.python.numeric.functions.conditions import require, require_extents
from flowc.compiler.python.numeric.functions.creation import arange, extents_of
from flowc.compiler.python.numeric.functions.registry import implements
from flowc.compiler.python.numeric.masks import spread
from flowc.compiler.python.numeric.subscripts import gather, subscript
from flowc.compiler.python.numeric.values import Array, Number
from flowc.dialects.array import build, irregular_build
from flowc.dialects.array.inference import normalise_axis
from flowc.dialects.array.reshape import reshape as reshape_op


def as_array(c: Context, a: object) -> Array:
    """An array, made of a list or a tuple if need be."""
    if isinstance(a, Array):
        return a
    made = c.wrap(value_of(c, a))
    if not isinstance(made, Array):
        raise Refused("this takes an array, not a number")
    return made


def at_least_1d(c: Context, a: object) -> Array:
    """An array; of a number, a vector of one."""
    made = a if isinstance(a, Array) else c.wrap(value_of(c, a))
    return made if isinstance(made, Array) else c.array(c.emit(build.expand(made.value, 0)))


def axis_of(c: Context, axis: object, rank: int) -> int:
    """An axis counted from the front."""
    known = c.static(axis, "an axis")
    if isinstance(known, bool) or not isinstance(known, int):
        raise Refused(f"an axis is a whole number, not {known!r}")
    return normalise_axis(known, rank)


def axes_of(c: Context, axis: object, rank: int) -> tuple[int, ...]:
    """One axis or several; None means all."""
    known = c.static(axis, "an axis")
    if known is None:
        return tuple(range(rank))
    items = known if isinstance(known, tuple | list) else (known,)
    return tuple(axis_of(c, item, rank) for item in items)


@implements(np.reshape)
def reshape(c: Context, a: object, shape: object, order: object = "C") -> object:
    """The elements in another shape, in row-major order or in Fortran's; one extent may be -1."""
    array = at_least_1d(c, a)
    extents = extents_of(shape)
    if c.static(order, "the order of elements") != "C":
        if order != "F":
            raise Refused("the order of elements is 'C' or 'F'")
        return transpose(c, reshape(c, transpose(c, array), extents[::-1]))
    if len(array.shape) == 1 and extents == [-1]:
        return array
    if -1 in [extent for extent in extents if isinstance(extent, int)]:
        extents = _completed(c, array, extents)
    if not extents:
        return subscript(c, array, [0] * len(array.shape))
    names = tuple(map(c.extent_name, extents))
    known = [name for name in array.shape if name != 1]
    wanted = [name for name in names if name != 1]
    if known == wanted and "" not in known:
        return _same_but_ones(c, array, names)
    op = reshape_op(c.value(array), [c.extent_value(extent) for extent in extents], names)
    return c.copied(c.array(c.emit(op)), array)


def _same_but_ones(c: Context, array: Array, shape: Sequence[object]) -> object:
    """A reshape that only drops and adds axes of extent 1 is a view."""
    result: object = array
    dropped = [axis for axis, extent in enumerate(array.shape) if extent == 1]
    added = [axis for axis, extent in enumerate(shape) if extent == 1]
    if len(dropped) == len(array.shape):
        dropped, added = dropped[1:], added[1:]  # an array keeps an axis
    for axis in reversed(dropped):
        result = _drop(c, result, axis)
    for axis in added:
        result = expand_dims(c, result, axis)
    return result


def _drop(c: Context, a: object, axis: int) -> object:
    zero = c.constant(0, "i64")
    return c.view(as_array(c, a), lambda source: build.index(source, zero, axis))


def _completed(c: Context, array: Array, extents: list[object]) -> list[object]:
    total: object = 1
    for known in c.extents_of(array):
        total = apply(c, "mul", total, known)
    rest: object = 1
    for extent in extents:
        if not (isinstance(extent, int) and extent == -1):
            rest = apply(c, "mul", rest, extent)
    missing = total if rest == 1 and isinstance(rest, int) else apply(c, "floordiv", total, rest)
    if len(array.shape) == 1 and rest == 1 and isinstance(rest, int):
        missing = c.extent(array, 0)
    return [missing if isinstance(extent, int) and extent == -1 else extent for extent in extents]


@implements(np.ravel)
def ravel(c: Context, a: object, order: object = "C") -> object:
    """All elements in a row."""
    return reshape(c, a, -1, order)


@implements(np.transpose)
def transpose(c: Context, a: object, axes: object = None) -> object:
    """The axes in another order, reversed by default; a view."""
    array = as_array(c, a)
    known = c.static(axes, "the order of axes")
    order = list(known) if isinstance(known, tuple | list) else list(range(len(array.shape)))[::-1]
    return c.view(array, lambda source: build.transpose(source, order))


@implements(np.swapaxes)
def swapaxes(c: Context, a: object, axis1: object, axis2: object) -> object:
    """Two axes change places; a view."""
    rank = len(as_array(c, a).shape)
    first, second = axis_of(c, axis1, rank), axis_of(c, axis2, rank)
    order = list(range(rank))
    order[first], order[second] = second, first
    return transpose(c, a, order)


@implements(np.moveaxis)
def moveaxis(c: Context, a: object, source: object, destination: object) -> object:
    """An axis, or several, move to other places; a view."""
    rank = len(as_array(c, a).shape)
    origins, targets = axes_of(c, source, rank), axes_of(c, destination, rank)
    if len(origins) != len(targets):
        raise Refused("as many axes move as there are places for them", code=SHAPES)
    order = [axis for axis in range(rank) if axis not in origins]
    for target, origin in sorted(zip(targets, origins, strict=True)):
        order.insert(target, origin)
    return transpose(c, a, order)


@implements(np.expand_dims)
def expand_dims(c: Context, a: object, axis: object) -> object:
    """New axes of extent 1; a view."""
    added = axis if isinstance(axis, tuple | list) else (axis,)
    result = settled(c, as_array(c, a) if isinstance(a, tuple | list) else a)
    rank = ndim(c, result) + len(added)
    for place in sorted(axis_of(c, each, rank) for each in added):
        result = _expanded(c, result, place)
    return result


def _expanded(c: Context, a: object, place: int) -> object:
    if not isinstance(a, Array):
        return c.array(c.emit(build.expand(value_of(c, a), place)))
    return c.view(a, lambda source: build.expand(source, place))


def with_axes(c: Context, a: object, count: int) -> object:
    """An array with new axes of extent 1 at its end."""
    for _ in range(count if isinstance(a, Array) else 0):
        a = expand_dims(c, a, len(as_array(c, a).shape))
    return a


@implements(np.squeeze)
def squeeze(c: Context, a: object, axis: object = None) -> object:
    """Axes of extent 1 dropped; a view."""
    array = as_array(c, a)
    if axis is None:
        if "" in array.shape:
            c.need_extents("which axes have extent 1 is not known here", "name them: `axis=`")
        gone = [k for k, extent in enumerate(array.shape) if extent == 1]
    else:
        gone = list(axes_of(c, axis, len(array.shape)))
    result: object = array
    for place in sorted(gone, reverse=True):
        if as_array(c, result).shape[place] != 1:
            c.need_extents(f"axis {place} does not have extent 1")
        result = _drop(c, result, place)
    return result


@implements(np.broadcast_to)
def broadcast_to(c: Context, array: object, shape: object) -> object:
    """An array stretched to a shape."""
    extents = extents_of(shape)
    names = tuple(map(c.extent_name, extents))
    sizes = [c.extent_value(extent) for extent in extents]
    value = spread(c, value_of(c, array), names, sizes.__getitem__)
    made = c.wrap(c.emit(build.broadcast(value, names, sizes)))
    return c.copied(made, array) if isinstance(made, Array) and isinstance(array, Array) else made


@implements(np.flip)
def flip(c: Context, m: object, axis: object = None) -> object:
    """The order along axes reversed; a view."""
    array = as_array(c, m)
    turned = axes_of(c, axis, len(array.shape))
    return subscript(c, array, [Range(step=-1) if k in turned else Range() for k in range(len(array.shape))])


@implements(np.flipud)
def flipud(c: Context, m: object) -> object:
    """The first axis reversed; a view."""
    return flip(c, m, 0)


@implements(np.fliplr)
def fliplr(c: Context, m: object) -> object:
    """The second axis reversed; a view."""
    return flip(c, m, 1)


@implements(np.repeat)
def repeat(c: Context, a: object, repeats: object, axis: object = None) -> object:
    """Each element a number of times, or each as often as an array says for it."""
    array = at_least_1d(c, a)
    if axis is None:
        array, place = as_array(c, ravel(c, array)), 0
    else:
        place = axis_of(c, axis, len(array.shape))
    if isinstance(repeats, list | tuple) and len(repeats) == 1:
        (repeats,) = repeats
    if isinstance(repeats, Array | list | tuple):
        places = _as_often(c, c.extent(array, place), repeats)
        return c.array(gather(c, c.value(array), places, place))
    require_extents(c, repeats)
    count = apply(c, "mul", c.extent(array, place), repeats)
    positions = apply(c, "floordiv", arange(c, count), repeats)
    return c.array(gather(c, c.value(array), value_of(c, positions), place))


def _as_often(c: Context, extent: object, repeats: object) -> SSAValue:
    """The positions along an axis, each as often as is said for it."""
    times = as_array(c, repeats)
    if times.dtype not in (*INTEGERS, "bool"):
        raise Refused(f"`repeats` are whole numbers, not {times.dtype}", code=SHAPES)
    require(c, apply(c, "eq", extent, c.extent(times, 0)), "extents")
    if isinstance(repeats, list | tuple) and all(isinstance(each, int) and each >= 0 for each in repeats):
        known = list(accumulate(map(int, repeats)))
        ends, total = value_of(c, known or arange(c, 0)), c.constant(sum(known[-1:]), "i64")
        return c.emit(irregular_build.searchsorted(ends, c.emit(build.iota(total)), "right"))
    counts = to_dtype(c, c.value(times), "i64")
    ends = c.emit(irregular_build.scan("sum", counts, 0))
    for least in (counts, ends):  # a total beyond i64 makes an end negative
        whole = c.emit(build.elementwise("ge", [least, c.constant(0, "i64")]))
        require(c, c.wrap(c.emit(build.reduce("all", whole, None, False))), "extent")
    total = c.emit(build.reduce("sum", counts, None, False))
    return c.emit(irregular_build.searchsorted(ends, c.emit(build.iota(total)), "right"))


@implements(np.tile)
def tile(c: Context, A: object, reps: object) -> object:
    """An array repeated as a whole."""
    array = c.array(c.value(as_array(c, A)))
    times = list(reps) if isinstance(reps, tuple | list) else [reps]
    result: object = array
    for _ in range(len(times) - len(array.shape)):
        result = expand_dims(c, result, 0)
    rank = len(as_array(c, result).shape)
    for place, number in enumerate([1] * (rank - len(times)) + times):
        if isinstance(number, int) and number == 1:
            continue
        require_extents(c, number)
        extent = c.extent(as_array(c, result), place)
        positions = apply(c, "mod", arange(c, apply(c, "mul", extent, number)), extent)
        result = c.array(gather(c, value_of(c, result), value_of(c, positions), place))
    return result


def _triangle(c: Context, m: object, k: object, kind: str) -> object:
    array = as_array(c, m)
    rows, columns = (c.extent(array, axis) for axis in (-2, -1)) if len(array.shape) > 1 else (None, None)
    if rows is None:
        raise Refused("a triangle needs a matrix")
    down = apply(c, "add", with_axes(c, arange(c, rows), 1), k)
    return apply(c, "where", apply(c, kind, arange(c, columns), down), array, nothing(array))


def nothing(array: Array) -> bool | int:
    """The weak number that is zero in the array's own dtype."""
    return False if array.dtype == "bool" else 0


@implements(np.triu)
def triu(c: Context, m: object, k: object = 0) -> object:
    """Zero below a diagonal."""
    return _triangle(c, m, k, "ge")


@implements(np.tril)
def tril(c: Context, m: object, k: object = 0) -> object:
    """Zero above a diagonal."""
    return _triangle(c, m, k, "le")


@implements(np.size)
def size(c: Context, a: object, axis: object = None) -> object:
    """The number of elements, or the extent of an axis."""
    array = as_array(c, a)
    if axis is not None:
        return c.extent(array, axis_of(c, axis, len(array.shape)))
    extents = c.extents_of(array)
    if all(isinstance(extent, int) for extent in extents):
        return math.prod(int(extent) for extent in extents if isinstance(extent, int))
    total: object = extents[0]
    for extent in extents[1:]:
        total = apply(c, "mul", total, extent)
    return total


@implements(np.shape)
def shape(c: Context, a: object) -> object:
    """The extents."""
    return c.extents_of(as_array(c, a)) if not isinstance(a, Number | int | float) else ()


@implements(np.ndim)
def ndim(c: Context, a: object) -> int:
    """The number of axes."""
    if isinstance(a, list | tuple) and a:
        return 1 + ndim(c, a[0])
    return len(a.shape) if isinstance(a, Array) else 0
