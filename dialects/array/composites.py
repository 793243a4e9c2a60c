"""Functions that are several operators: each emits them through `emit` and gives the value of the last."""

from collections.abc import Callable, Sequence

from xdsl.ir import Operation, SSAValue

from flowc.dialects.array import build, irregular_build
from flowc.dialects.array.irregular_inference import edge_dtype
from flowc.dialects.array.types import Extent, ShapeError, dtype_of, is_float, shape_of

Emit = Callable[[Operation], SSAValue]
"""Appends an operator to the program; gives its first result."""


def histogram(
    emit: Emit,
    source: SSAValue,
    bins: SSAValue,
    low: SSAValue,
    high: SSAValue,
    weights: SSAValue | None = None,
    size: Extent = "",
) -> tuple[SSAValue, SSAValue]:
    """`numpy.histogram(source, bins, (low, high), weights=weights)`: what lies in each bin, and the edges.

    `size` is the number of bins where it is known. Where `low` and `high` are equal, the range is widened by
    a half on either side, as in NumPy.
    """
    half = emit(build.constant(0.5, "f64"))
    low, high = emit(build.cast(low, "f64")), emit(build.cast(high, "f64"))
    equal = emit(build.elementwise("eq", [low, high]))
    widened = [emit(build.elementwise(kind, [each, half])) for kind, each in (("sub", low), ("add", high))]
    low = emit(build.elementwise("where", [equal, widened[0], low]))
    high = emit(build.elementwise("where", [equal, widened[1], high]))
    count = emit(build.elementwise("add", [bins, emit(build.constant(1, "i64"))]))
    edges = emit(irregular_build.linspace(low, high, count, size + 1 if isinstance(size, int) else ""))
    wanted = edge_dtype(dtype_of(source.type))
    edges = edges if wanted == "f64" else emit(build.cast(edges, wanted))
    return emit(irregular_build.histogram(source, edges, weights, uniform=True)), edges


def segment_mean(
    emit: Emit, keys: SSAValue, count: SSAValue, values: SSAValue, extent: Extent = ""
) -> SSAValue:
    """The mean of the rows with each key; NaN where there are none."""
    total = emit(irregular_build.segment("sum", keys, count, values, extent))
    number = emit(irregular_build.segment("count", keys, count, extent=extent))
    for _ in shape_of(values.type)[1:]:
        number = emit(build.expand(number, len(shape_of(number.type))))
    dtype = dtype_of(total.type)
    return emit(
        build.elementwise("div", [total, emit(build.cast(number, dtype)) if is_float(dtype) else number])
    )


def dropout(emit: Emit, source: SSAValue, rate: SSAValue, seed: SSAValue) -> SSAValue:
    """`source / (1 - rate)`, or 0 where the random number of the position is below `rate`."""
    dtype = dtype_of(source.type)
    if not is_float(dtype):
        raise ShapeError(f"`dropout` takes floating-point numbers, not {dtype}")
    chance = emit(build.cast(rate, "f32"))
    draws = _uniform(emit, seed, source, "f32")
    kept = emit(build.elementwise("ge", [draws, chance]))
    left = emit(build.elementwise("sub", [emit(build.constant(1.0, "f32")), chance]))
    scaled = emit(build.elementwise("div", [source, emit(build.cast(left, dtype))]))
    return emit(build.elementwise("where", [kept, scaled, emit(build.constant(0.0, dtype))]))


def categorical(emit: Emit, logits: SSAValue, seed: SSAValue) -> SSAValue:
    """A position drawn from softmax(logits) along the last axis, by the Gumbel-max trick."""
    shape = shape_of(logits.type)
    if not shape or not is_float(dtype_of(logits.type)):
        raise ShapeError("`categorical` takes an array of floating-point logits")
    draws = _uniform(emit, seed, logits, "f32")
    # 1 - u lies in (0, 1], and the least positive number keeps the outer logarithm finite.
    positive = emit(build.elementwise("sub", [emit(build.constant(1.0, "f32")), draws]))
    inner = emit(build.elementwise("neg", [emit(build.elementwise("log", [positive]))]))
    least = emit(build.elementwise("maximum", [inner, emit(build.constant(2.0**-126, "f32"))]))
    noise = emit(build.elementwise("neg", [emit(build.elementwise("log", [least]))]))
    return emit(build.argreduce("argmax", emit(build.elementwise("add", [logits, noise])), -1))


def _uniform(emit: Emit, seed: SSAValue, like: SSAValue, dtype: str) -> SSAValue:
    shape: Sequence[Extent] = shape_of(like.type)
    extents = [emit(build.dim(like, axis)) for axis in range(len(shape))]
    return emit(irregular_build.random("uniform", seed, shape, extents, dtype))
