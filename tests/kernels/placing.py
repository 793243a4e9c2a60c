"""Programs whose places depend on values, or whose extents depend on the run: grouping, scattering,
histograms, random numbers, and what is joined, reshaped and stretched."""

from collections.abc import Callable, Sequence

import numpy as np
from xdsl.dialects.builtin import i64
from xdsl.ir import SSAValue

from flowc.dialects.array import build, composites, irregular_build
from flowc.dialects.array.reshape import reshape
from flowc.dialects.array.slices import AxisSlice
from flowc.dialects.array.types import ShapeError, shape_of
from flowc.testing.strategies.kernels import Add, Program, is_exact
from tests.kernels.sketch import NUMBERS, Sketch, extents, pair, sliced, unary

JOINS = (
    "concat", "flat", "fold", "unknown", "add", "reduce", "sort", "iota", "tanh", "scan", "stretch",
    "transpose", "slice",
)  # fmt: skip


def scatters(sketch: Sketch) -> Program:
    """Rows picked or stored at positions from an array."""
    n, m = sketch.axes(2)
    dtype, rows = sketch.one(*NUMBERS), sketch.one(1, 2, 7, 64, 300)
    kind = sketch.one("gather", "gather", "set", "sum", "prod", "min", "max")
    wide, each, doubled = (sketch.one(True, False) for _ in range(3))
    base = sketch.array(dtype, [rows, m] if wide else [rows])
    places = sketch.places(n, -rows, rows)
    values = sketch.array(dtype, [*([n] if each else []), *([m] if wide else [])])

    def body(add: Add, *given: SSAValue) -> SSAValue:
        source = pair(add, "add", given[base], given[base]) if doubled else given[base]
        if kind == "gather":
            return pair(add, "add", add(build.gather(source, given[places])), given[values])
        return add(irregular_build.scatter(kind, source, given[places], given[values]))

    return sketch.done(body)


def groupings(sketch: Sketch) -> Program:
    """Counts, sums, means and extremes of rows that share a key."""
    n, m = sketch.axes(2)
    groups = sketch.one(1, 2, 7, 64, 300)
    kind = sketch.one("count", "mean", "sum", "prod", "min", "max")
    keys = sketch.places(n, 0, groups)
    values = sketch.array(sketch.one(*NUMBERS), [n, m] if sketch.one(True, False) else [n])

    def body(add: Add, *given: SSAValue) -> SSAValue:
        count = add(build.constant(groups, "i64"))
        if kind == "mean":
            return composites.segment_mean(add, given[keys], count, given[values])
        rows = None if kind == "count" else given[values]
        return add(irregular_build.segment(kind, given[keys], count, rows))

    return sketch.done(body)


def searches(sketch: Sketch) -> Program:
    """Histograms, positions in what is sorted, and elements taken along an axis."""
    n, m = sketch.axes(2)
    dtype, bins = sketch.one(*NUMBERS), sketch.one(1, 2, 7, 64)
    choice, flag, axis = (
        sketch.one("histogram", "weighted", "along", "search"),
        sketch.one(True, False),
        sketch.one(0, 1),
    )
    source = sketch.array(dtype, [n, m])
    other = sketch.array(sketch.one("f32", "f64", "i32"), [n, m])
    line, values = sketch.array(dtype, [n]), sketch.array(dtype, [m])

    def body(add: Add, *given: SSAValue) -> Sequence[SSAValue]:
        if choice == "along":
            order = add(irregular_build.argsort(given[source], axis))
            taken = add(irregular_build.take_along(given[source], order, axis))
            return [taken, order] if flag else [pair(add, "mul", taken, taken)]
        if choice == "search":
            ordered = add(irregular_build.sort(given[line]))
            side = "left" if flag else "right"
            return [add(irregular_build.searchsorted(ordered, given[values], side))]
        count = add(build.constant(bins, "i64"))
        low, high = (add(build.constant(end, "f64")) for end in (-1.0, 2.0 if flag else -1.0))
        weights = given[other] if choice == "weighted" else None
        return composites.histogram(add, given[source], count, low, high, weights)

    return sketch.done(body)


def chances(sketch: Sketch) -> Program:
    """Random numbers and what is made of them."""
    dtype = sketch.one("f32", "f64")
    source = sketch.array(dtype, sketch.axes(sketch.one(1, 2)))
    choice = sketch.one("bits", "uniform", "normal", "dropout", *([] if sketch.special else ["categorical"]))
    sketch.given(np.int64(sketch.choices.number(-(2**63), 2**63 - 1)), i64)

    def body(add: Add, *values: SSAValue) -> SSAValue:
        array, seed = values[source], values[-1]
        if choice == "dropout":
            return composites.dropout(add, array, add(build.constant(0.25, "f64")), seed)
        if choice == "categorical":
            return composites.categorical(add, array, seed)
        numbers = irregular_build.random(choice, seed, shape_of(array.type), extents(add, array), dtype)
        return add(numbers) if choice == "bits" else pair(add, "mul", add(numbers), array)

    return sketch.done(body)


def joins(sketch: Sketch) -> Program:
    """Concatenations, reshapes and broadcasts of extents that only the run knows, one in the other."""
    n, m = sketch.axes(2)
    dtype = sketch.one(*NUMBERS)
    sketch.array(dtype, [n, m])
    sketch.array(sketch.one(dtype, *NUMBERS), [n, sketch.one(m, m, 1)])
    sketch.array(dtype, [sketch.one(n, 1), m])
    steps = [
        (sketch.one(*JOINS), sketch.choices.number(0, 99), sketch.choices.number(0, 99), sketch.one(0, 1))
        for _ in range(sketch.one(1, 2, 3, 4, 5, 6))
    ]
    returned = sketch.choices.several(range(6), 1, 2)

    def body(add: Add, *values: SSAValue) -> Sequence[SSAValue]:
        pool = list(values)
        for name, first, second, axis in steps:
            a, b = pool[-1 - first % len(pool)], pool[-1 - second % len(pool)]
            if not shape_of(a.type):
                continue
            try:
                pool += _joined(add, name, a, b, axis % len(shape_of(a.type)))
            except ShapeError:
                continue
        found = pool[len(values) :] or pool
        return [found[-1 - number % len(found)] for number in returned]

    return sketch.done(body)


def _joined(add: Add, name: str, a: SSAValue, b: SSAValue, axis: int) -> list[SSAValue]:
    rank = len(shape_of(a.type))
    if name == "sort":
        return [add(irregular_build.sort(a, axis))] if is_exact(a) else []
    if name == "unknown":
        bound = add(build.dim(a, axis)) if axis else add(build.constant(1, "i64"))
        return [sliced(add, a, axis, AxisSlice(0, "$0"), bound)]
    if name == "stretch":
        return [add(build.broadcast(a, shape_of(b.type), extents(add, b)))]
    if name in ("flat", "fold"):
        return [_reshaped(add, a, name)]
    simple: dict[str, Callable[[], SSAValue]] = {
        "concat": lambda: add(build.concat([a, b, a] if axis else [a, b], axis)),
        "add": lambda: pair(add, "add", a, b),
        "reduce": lambda: add(build.reduce("sum", a, [axis], rank == 1)),
        "iota": lambda: pair(add, "add", a, add(build.iota(add(build.dim(a, rank - 1))))),
        "tanh": lambda: unary(add, "tanh", a),
        "scan": lambda: add(irregular_build.scan("sum", a, axis)),
        "transpose": lambda: add(build.transpose(a)),
        "slice": lambda: sliced(add, a, axis, AxisSlice(None, None, 2)),
    }
    return [simple[name]()]


def _reshaped(add: Add, value: SSAValue, name: str) -> SSAValue:
    """All elements in one axis, or the axes' extents the other way round."""
    sizes = extents(add, value)
    if name == "fold":
        return add(reshape(value, sizes[::-1], ("",) * len(sizes)))
    total = add(build.constant(1, "i64"))
    for extent in sizes:
        total = pair(add, "mul", total, extent)
    return add(reshape(value, [total], ("",)))
