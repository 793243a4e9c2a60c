"""flowc's own functions: sums by group and random numbers that depend on position alone."""

from collections.abc import Callable
from typing import Any

from flowc.compiler.python import sampling as own
from flowc.compiler.python.numeric.arithmetic import to_dtype, value_of
from flowc.compiler.python.numeric.context import Context
from flowc.compiler.python.numeric.functions.creation import extents_of
from flowc.compiler.python.numeric.functions.dtypes import dtype_of_object
from flowc.compiler.python.numeric.functions.registry import add, implements
from flowc.dialects.array import composites, irregular_build
from flowc.runtime.dtypes import itemsizes


def _segments(kind: str) -> Callable[..., Any]:
    def build(c: Context, values: object, keys: object, n: object) -> object:
        count, name = c.extent_value(n), c.extent_name(n)
        return c.array(
            c.emit(irregular_build.segment(kind, value_of(c, keys), count, value_of(c, values), name))
        )

    build.__doc__ = f"The `{kind}` of the rows with each key below n."
    return build


for _function, _kind in (
    (own.segment_sum, "sum"),
    (own.segment_prod, "prod"),
    (own.segment_min, "min"),
    (own.segment_max, "max"),
):
    add(_function, _segments(_kind))


@implements(own.segment_mean)
def segment_mean(c: Context, values: object, keys: object, n: object) -> object:
    """The mean of the rows with each key below n; NaN where there are none."""
    count, name = c.extent_value(n), c.extent_name(n)
    return c.array(composites.segment_mean(c.emit, value_of(c, keys), count, value_of(c, values), name))


def _random(kind: str) -> Callable[..., Any]:
    def build(c: Context, seed: object, shape: object, dtype: object = "f32") -> object:
        extents = extents_of(shape)
        name = dtype if isinstance(dtype, str) and dtype in itemsizes else dtype_of_object(dtype)
        sizes, names = [c.extent_value(extent) for extent in extents], list(map(c.extent_name, extents))
        start = to_dtype(c, value_of(c, seed), "i64")
        return c.wrap(c.emit(irregular_build.random(kind, start, names, sizes, str(name))))

    build.__doc__ = f"Random numbers of a shape, {kind}, by seed and position."
    return build


add(own.random_uniform, _random("uniform"))
add(own.random_normal, _random("normal"))


@implements(own.dropout)
def dropout(c: Context, x: object, p: object, seed: object) -> object:
    """x / (1 - p), and 0 in a random share p of the places."""
    start = to_dtype(c, value_of(c, seed), "i64")
    return c.wrap(composites.dropout(c.emit, value_of(c, x), value_of(c, p), start))


@implements(own.categorical)
def categorical(c: Context, x: object, seed: object) -> object:
    """A position drawn from softmax(x) along the last axis."""
    return c.wrap(composites.categorical(c.emit, value_of(c, x), to_dtype(c, value_of(c, seed), "i64")))
