"""Positions and sorting."""

from collections.abc import Callable

import numpy as np
from xdsl.dialects import scf
from xdsl.ir import Block, Region, SSAValue

from flowc.compiler.python import functions as own
from flowc.compiler.python.numeric.arithmetic import apply, to_dtype, truth_value, value_of
from flowc.compiler.python.numeric.context import Context
from flowc.compiler.python.numeric.errors import Refused
from flowc.compiler.python.numeric.functions.conditions import require
from flowc.compiler.python.numeric.functions.registry import add, implements
from flowc.compiler.python.numeric.functions.shapes import as_array, axis_of, ravel, size
from flowc.compiler.python.numeric.library import quantiles
from flowc.compiler.python.numeric.picking import positions_by_axis, true_positions
from flowc.compiler.python.numeric.subscripts import gather, scatter, subscript
from flowc.compiler.python.numeric.values import Array, Number
from flowc.dialects.array import build, composites, irregular_build
from flowc.dialects.array.types import dtype_of


def _position(c: Context, kind: str, a: object, axis: object, keepdims: object) -> object:
    array = as_array(c, a if axis is not None else ravel(c, a))
    place = 0 if axis is None else axis_of(c, axis, len(array.shape))
    keep = bool(c.static(keepdims, "`keepdims`"))
    return c.wrap(c.emit(build.argreduce(kind, c.value(array), place, keep)))


@implements(np.argmax, own.argmax)
def argmax(c: Context, a: object, axis: object = None, keepdims: object = False) -> object:
    """The position of the greatest, the first among equals."""
    return _position(c, "argmax", a, axis, keepdims)


@implements(np.argmin, own.argmin)
def argmin(c: Context, a: object, axis: object = None, keepdims: object = False) -> object:
    """The position of the least, the first among equals."""
    return _position(c, "argmin", a, axis, keepdims)


@implements(np.sort)
def sort(c: Context, a: object, axis: object = -1, kind: object = None) -> object:
    """The elements in rising order along an axis; NaN last."""
    array = as_array(c, a if axis is not None else ravel(c, a))
    place = 0 if axis is None else axis_of(c, axis, len(array.shape))
    return c.array(c.emit(irregular_build.sort(c.value(array), place)))


@implements(np.argsort)
def argsort(c: Context, a: object, axis: object = -1, kind: object = None) -> object:
    """The positions that sort an axis; equal elements keep their order."""
    array = as_array(c, a if axis is not None else ravel(c, a))
    place = 0 if axis is None else axis_of(c, axis, len(array.shape))
    return c.array(c.emit(irregular_build.argsort(c.value(array), place)))


@implements(quantiles.in_order)
def in_order(c: Context, lines: Array, first: object, count: int) -> object:
    """Some neighbours of each line along the last axis, as they stand in rising order."""
    place = to_dtype(c, value_of(c, first), "i64")
    return c.array(c.emit(irregular_build.order_statistics(c.value(lines), place, count)))


@implements(np.partition)
def partition(c: Context, a: object, kth: object, axis: object = -1) -> object:
    """The elements with those below a position before it; here all are sorted."""
    _require_position(c, as_array(c, a), kth, axis)
    return sort(c, a, axis)


def _require_position(c: Context, a: Array, kth: object, axis: object) -> None:
    """A place, or several, lies in the axis that is to be parted."""
    extent: object = c.extent(a, axis_of(c, axis, len(a.shape))) if axis is not None else size(c, a)
    for place in kth if isinstance(kth, tuple | list) else (kth,):
        inside = apply(
            c, "and", apply(c, "ge", place, apply(c, "neg", extent)), apply(c, "lt", place, extent)
        )
        require(c, inside, "position")


@implements(np.argpartition)
def argpartition(c: Context, a: object, kth: object, axis: object = -1) -> object:
    """The positions that bring the elements below a position before it; here all are sorted."""
    _require_position(c, as_array(c, a), kth, axis)
    return argsort(c, a, axis)


@implements(np.lexsort)
def lexsort(c: Context, keys: object) -> object:
    """The positions that sort vectors by several keys, the last before the others."""
    if not isinstance(keys, tuple | list) or not keys:
        raise Refused("the keys are a tuple of vectors")
    order = argsort(c, keys[0])
    for key in keys[1:]:
        order = subscript(c, order, [argsort(c, subscript(c, as_array(c, key), [order]))])
    return order


@implements(np.searchsorted)
def searchsorted(c: Context, a: object, v: object, side: object = "left") -> object:
    """Where values would be inserted in a sorted vector."""
    known = c.static(side, "`side`")
    return c.wrap(c.emit(irregular_build.searchsorted(value_of(c, a), value_of(c, v), str(known))))


def _at(kind: str) -> Callable[..., None]:
    def build_at(c: Context, a: object, indices: object, b: object, /) -> None:
        scatter(c, as_array(c, a), list(indices) if isinstance(indices, tuple) else [indices], b, kind)

    build_at.__doc__ = f"`{kind}` at positions of the first axis, each as often as it stands there; in place."
    return build_at


for _ufunc, _kind in ((np.add, "sum"), (np.multiply, "prod"), (np.minimum, "min"), (np.maximum, "max")):
    add(_ufunc.at, _at(_kind))


@implements(np.take)
def take(c: Context, a: object, indices: object, axis: object = None) -> object:
    """Elements at positions, of the flat array or along an axis."""
    array = as_array(c, a if axis is not None else ravel(c, a))
    place = 0 if axis is None else axis_of(c, axis, len(array.shape))
    if isinstance(indices, int | Number):
        position = c.extent_value(indices)
        return c.view(array, lambda source: build.index(source, position, place))
    return c.array(gather(c, c.value(array), value_of(c, indices), place))


@implements(np.take_along_axis)
def take_along_axis(c: Context, arr: object, indices: object, axis: object = -1) -> object:
    """Elements at positions along one axis, each line with positions of its own."""
    array = as_array(c, arr)
    place = axis_of(c, axis, len(array.shape))
    return c.array(c.emit(irregular_build.take_along(c.value(array), value_of(c, indices), place)))


@implements(np.nonzero)
def nonzero(c: Context, a: object) -> object:
    """Where the elements are not zero, a vector of positions for each axis."""
    truth = truth_value(c, as_array(c, a))
    return tuple(c.array(part) for part in positions_by_axis(c, truth))


@implements(np.flatnonzero)
def flatnonzero(c: Context, a: object) -> object:
    """Where the elements are not zero, in the flat array."""
    return c.array(true_positions(c, truth_value(c, as_array(c, a))))


@implements(np.argwhere)
def argwhere(c: Context, a: object) -> object:
    """Where the elements are not zero, a row of positions for each."""
    parts = positions_by_axis(c, truth_value(c, as_array(c, a)))
    return c.array(c.emit(build.concat([c.emit(build.expand(part, 1)) for part in parts], 1)))


@implements(np.compress)
def compress(c: Context, condition: object, a: object, axis: object = None) -> object:
    """The elements, or the rows along an axis, for which a condition holds."""
    array = as_array(c, a if axis is not None else ravel(c, a))
    place = 0 if axis is None else axis_of(c, axis, len(array.shape))
    positions = true_positions(c, truth_value(c, as_array(c, condition)))
    return c.array(gather(c, c.value(array), positions, place))


@implements(np.histogram)
def histogram(
    c: Context,
    a: object,
    bins: object = 10,
    range: object = None,
    density: object = None,
    weights: object = None,
) -> object:
    """Counts, or sums of weights, in bins of equal width; with the edges."""
    if density:
        raise Refused("`density` has no native form", help="divide by the sum and the width")
    values = value_of(c, ravel(c, a) if isinstance(a, Array) and len(a.shape) > 1 else a)
    given = None
    if weights is not None:
        given = value_of(
            c, ravel(c, weights) if isinstance(weights, Array) and len(weights.shape) > 1 else weights
        )
    if isinstance(bins, Array | list):
        edges = value_of(c, bins)
        made = c.emit(irregular_build.histogram(values, edges, given))
        return c.array(made), c.array(edges)
    low, high = range if isinstance(range, tuple | list) else _ends(c, values)
    count, name = c.extent_value(bins), c.extent_name(bins)
    counts, edges = composites.histogram(
        c.emit, values, count, value_of(c, low), value_of(c, high), given, name
    )
    return c.array(counts), c.array(edges)


def _ends(c: Context, values: SSAValue) -> tuple[Number, ...]:
    """The least and the greatest of some values; 0 and 1 of none, as `np.histogram` has it."""
    count = value_of(c, size(c, c.array(values)))
    some = c.emit(build.elementwise("gt", [count, c.constant(0, "i64")]))
    sides = Block(), Block()
    with c.inside(sides[0]):
        ends = [c.emit(build.reduce(kind, values, None, False)) for kind in ("min", "max")]
        c.append(scf.YieldOp(*ends))
    with c.inside(sides[1]):
        c.append(scf.YieldOp(*[c.constant(end, dtype_of(values.type)) for end in (0, 1)]))
    made = scf.IfOp(some, [end.type for end in ends], Region(sides[0]), Region(sides[1]))
    c.append(made)
    return tuple(map(Number, made.results))


@implements(np.bincount)
def bincount(c: Context, x: object, /, weights: object = None, minlength: object = 0) -> object:
    """How often each whole number occurs, or sums of weights; none may reach a given `minlength`."""
    if isinstance(minlength, int) and minlength == 0:
        minlength = _above_all(c, x)
    count, name = c.extent_value(minlength), c.extent_name(minlength)
    values = None
    if weights is not None:
        values = c.emit(build.cast(value_of(c, weights), "f64"))
    kind = "count" if values is None else "sum"
    return c.array(c.emit(irregular_build.segment(kind, value_of(c, x), count, values, name)))


def _above_all(c: Context, x: object) -> object:
    """One more than the greatest of some whole numbers that are not negative; 0 of none."""
    least = c.emit(build.expand(c.constant(-1, "i64"), 0))
    whole = c.emit(build.concat([to_dtype(c, value_of(c, x), "i64"), least], 0))
    return apply(c, "add", c.wrap(c.emit(build.reduce("max", whole, [0], False))), 1)


@implements(own.topk)
def topk(c: Context, x: object, k: object) -> object:
    """The k largest along the last axis and their positions."""
    op = build.topk(value_of(c, x), c.extent_value(k), c.extent_name(k))
    c.append(op)
    return own.TopK(c.array(op.results[0]), c.array(op.results[1]))


@implements(own.softmax)
def softmax(c: Context, x: object, axis: object = -1) -> object:
    """Exponentials that sum to one along an axis."""
    array = as_array(c, x)
    return c.array(c.emit(build.softmax(c.value(array), axis_of(c, axis, len(array.shape)))))
