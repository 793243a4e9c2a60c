"""Programs that read windows: positions that are sums of counters, rows weighted by numbers, and slices whose
lengths only the run knows."""

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import i64
from xdsl.ir import SSAValue

from flowc.dialects.array import build
from flowc.dialects.array.slices import AxisSlice
from flowc.testing.strategies.kernels import Add, Program
from tests.kernels.sketch import NUMBERS, SHORT, Sketch, number, pair, sliced

FEW = (0, 1, 2, 3, 5, 15, 16, 17, 18)
COLUMNS = (1, 2, 6, 15, 16, 17, 31, 32, 33, 64, 65, 127, 128, 129)
LENGTHS = (*SHORT, 127, 128, 129, 1025)


def windows(sketch: Sketch) -> Program:
    """The windows of a vector, or rows of a matrix, moved and perhaps beyond an end, in products and sums."""
    n, k, m = sketch.extent("n", LENGTHS), sketch.extent("k", FEW), sketch.extent("m", (1, 2, 3, 16))
    dtype, deep = sketch.one(*NUMBERS), sketch.one(False, False, True)
    x, w = sketch.array(dtype, [n, m] if deep else [n]), sketch.array(dtype, [k])
    moved, back = sketch.one(0, 0, 0, 1, -1), sketch.one(False, False, True)
    after, swapped = sketch.one("product", "product", "sum", "rows", "both"), sketch.one(False, True)

    def body(add: Add, *values: SSAValue) -> Sequence[SSAValue]:
        vector, weights = values[x], values[w]
        length, width = add(build.dim(vector, 0)), add(build.dim(weights, 0))
        count = pair(add, "add", pair(add, "sub", length, width), add(build.constant(1, "i64")))
        low, high = add(build.iota(count)), add(build.iota(width))
        low = pair(add, "add", low, number(add, moved, low)) if moved else low
        rows = add(build.expand(low, 1))
        places = pair(add, "add", high, rows) if swapped else pair(add, "add", rows, high)
        if back:
            places = pair(add, "sub", places, number(add, 1, places))
        seen = add(build.gather(vector, places))
        if deep:
            return [add(build.reduce("sum", seen, [1]))]
        found = {
            "product": lambda: add(build.contract(seen, weights)),
            "sum": lambda: add(build.reduce("sum", pair(add, "mul", seen, weights), [1])),
            "rows": lambda: add(build.contract(weights, add(build.transpose(seen, [1, 0])))),
        }
        return [each() for name, each in found.items() if after in (name, "both")]

    return sketch.done(body)


def weighted(sketch: Sketch) -> Program:
    """Sums over some axes of an array without a last axis times one that has it, as of a filter."""
    a, k, c = (sketch.extent(name, FEW) for name in "akc")
    j = sketch.extent("j", COLUMNS)
    dtype = sketch.one("f32", "f32", "f64", *NUMBERS)
    x, w = sketch.array(dtype, [a, k, c]), sketch.array(sketch.one(dtype, dtype, "f64"), [k, c, j])
    kind, keep = sketch.one("sum", "sum", "mean", "max"), sketch.one(False, True)
    axes, exchanged = sketch.one([1, 2], [1, 2], [1], [2], [0, 1, 2]), sketch.one(False, True)
    shift, after = sketch.one(0, 0, 1), sketch.one("none", "bias")

    def body(add: Add, *values: SSAValue) -> Sequence[SSAValue]:
        left, right = values[x], values[w]
        if shift:
            left, right = (sliced(add, each, axis, AxisSlice(1)) for each, axis in ((left, 2), (right, 1)))
        sides = [add(build.expand(left, 3)), add(build.expand(right, 0))]
        product = pair(add, "mul", *(reversed(sides) if exchanged else sides))
        found = add(build.reduce(kind, product, axes, keep))
        return [pair(add, "add", found, found) if after == "bias" else found]

    return sketch.done(body)


def slices(sketch: Sketch) -> Program:
    """Elements of slices beside those of others: equally long, one long, or not to be brought together."""
    n, m = sketch.extent("n"), sketch.extent("m")
    dtype, other = sketch.one(*NUMBERS), sketch.one(*NUMBERS)
    x, y, z = (sketch.array(each, shape) for each, shape in ((dtype, [m, n]), (other, [m, n]), (dtype, [n])))
    bounds = [sketch.given(np.int64(sketch.one(0, 1, 2, -1, 3, 40, -40)), i64) for _ in range(4)]
    axis, said, third = sketch.one(0, 1), sketch.one(False, True), sketch.one(False, True)
    last = sketch.one("none", "sum", "rows", "columns")

    def body(add: Add, *values: SSAValue) -> Sequence[SSAValue]:
        def part(value: SSAValue, along: int, first: int) -> SSAValue:
            return sliced(
                add, value, along, AxisSlice("$0", "$1"), *(values[b] for b in bounds[first : first + 2])
            )

        left = values[x] if said else part(values[x], axis, 0)
        found = pair(add, "add", left, part(values[y], axis, 2))
        if third and axis == 1:
            found = pair(add, "mul", part(values[z], 0, 0), found)
        if last == "none":
            return [found]
        return [add(build.reduce("max", found, {"sum": None, "rows": [1], "columns": [0]}[last]))]

    return sketch.done(body)
