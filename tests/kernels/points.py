"""Programs over many rows of a few elements, such as points, colours and boxes."""

from collections.abc import Sequence

from xdsl.ir import SSAValue

from flowc.dialects.array import build
from flowc.dialects.array.slices import AxisSlice
from flowc.dialects.array.types import array_type
from flowc.testing.strategies.kernels import Add, Program, array_of
from tests.kernels.sketch import NUMBERS, Sketch, number, pair, sliced, unary

ROWS = (0, 1, 2, 17, 511, 512, 513, 1025, 1600)
STEPS = ("weight", "other", "each", "scale", "turn", "clip")
LAST = ("whole", "whole", "sum", "max", "both", "column", "mean")


def points(sketch: Sketch) -> Program:
    """What is done to each element, beside weights for each column, and what becomes of the rows."""
    columns = sketch.one(2, 3, 4)
    outer = [sketch.extent("h", (1, 2, 5))] if sketch.one(False, True) else []
    outer.append(sketch.extent("w", ROWS))
    dtype = sketch.one(*NUMBERS)
    sizes = [sketch.sizes[name] for name in outer]

    def array(extents: Sequence[str], end: Sequence[int]) -> int:
        kind = sketch.one(dtype, dtype, "f32")
        concrete = [*(sketch.sizes[name] for name in extents), *end]
        values = array_of(kind, concrete, sketch.one(*range(99)), sketch.special)
        return sketch.given(values, array_type(kind, [*extents, *end]))

    image, other = array(outer, [columns]), array(outer, [columns])
    weights, each = array([], [columns]), array(outer, [1])
    steps = [sketch.one(*STEPS) for _ in range(sketch.one(0, 1, 2, 3))]
    last = sketch.one(*LAST) if sketch.one(False, True) or not sizes else "whole"

    def body(add: Add, *values: SSAValue) -> Sequence[SSAValue]:
        value = values[image]
        for step in steps:
            match step:
                case "weight":
                    value = pair(add, "mul", value, values[weights])
                case "other":
                    value = pair(add, "sub", value, values[other])
                case "each":
                    value = pair(add, "add", value, values[each])
                case "scale":
                    value = pair(add, "add", pair(add, "mul", value, number(add, 2, value)), values[weights])
                case "turn":
                    value = sliced(add, value, len(outer), AxisSlice(step=-1))
                case _:
                    value = pair(add, "maximum", unary(add, "abs", value), values[weights])
        return [value, *_rows(add, last, value, len(outer))]

    return sketch.done(body)


def _rows(add: Add, last: str, value: SSAValue, axis: int) -> list[SSAValue]:
    """What becomes of the rows besides."""
    if last == "column":
        return [sliced(add, value, axis, AxisSlice(step=2))]
    kinds = {"sum": ["sum"], "max": ["max"], "mean": ["mean"], "both": ["sum", "min"]}.get(last, [])
    return [add(build.reduce(kind, value, [axis], False)) for kind in kinds]
