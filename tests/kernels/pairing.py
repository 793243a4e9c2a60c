"""Programs that reduce along an axis for all pairs of rows of two arrays, such as their distances."""

from collections.abc import Sequence

from xdsl.ir import SSAValue

from flowc.dialects.array import build
from flowc.dialects.array.types import dtype_of, shape_of
from flowc.testing.strategies.kernels import Add, Program, is_exact
from tests.kernels.sketch import MOST, NUMBERS, SHORT, Sketch, number, pair, unary

DEPTHS = (0, 1, 2, 3, 8, 15, 16, 17, 33, 255, 256, 257, 600)
COLUMNS = (*SHORT, 127, 128, 129, 160)
AFTER = ("none", "abs", "square", "scale")
LAST = ("none", "root", "bias", "argmin", "sum", "both", "mask")


def pairs(sketch: Sketch) -> Program:
    """A reduction over what the rows of two arrays, or of one, have between them, and what often follows."""
    n, m = sketch.extent("n"), sketch.extent("m", COLUMNS)
    k = sketch.extent("k", DEPTHS)
    if sketch.sizes[n] * sketch.sizes[m] * sketch.sizes[k] > MOST:
        sketch.sizes[sketch.one(n, m)] = 2
    if sketch.sizes[n] * sketch.sizes[m] * sketch.sizes[k] > MOST:
        sketch.sizes[k] = 17
    dtype = sketch.one(*NUMBERS)
    x, y = (sketch.array(dtype, [side, k]) for side in (n, m))
    weights = [sketch.array(sketch.one(dtype, "f32"), [side]) for side in (k, m)]
    alone, exchanged, keep = (sketch.one(False, True) for _ in range(3))
    between, kind = sketch.one("sub", "sub", "mul", "minimum"), sketch.one("sum", "sum", "mean", "max", "min")
    after, weighted, last = sketch.one(*AFTER), sketch.one(None, None, *weights), sketch.one(*LAST)

    def body(add: Add, *values: SSAValue) -> Sequence[SSAValue]:
        first, second = values[x], values[x if alone else y]
        left, right = add(build.expand(first, 1)), add(build.expand(second, 0))
        value = pair(add, between, right, left) if exchanged else pair(add, between, left, right)
        if weighted == weights[0]:
            value = pair(add, "mul", value, values[weighted])
        elif weighted is not None and not alone:
            value = pair(add, "mul", value, add(build.expand(values[weighted], 1)))
        value = _changed(add, after, value)
        found = add(build.reduce(kind, value, [2], keep))
        return [*([found] if last == "both" else []), _finished(add, last, found, value)]

    return sketch.done(body)


def _changed(add: Add, after: str, value: SSAValue) -> SSAValue:
    if after == "square":
        return pair(add, "mul", value, value)
    if after == "scale":
        return pair(add, "add", pair(add, "mul", value, number(add, 2, value)), value)
    return unary(add, "abs", value) if after == "abs" else value


def _finished(add: Add, last: str, found: SSAValue, value: SSAValue) -> SSAValue:
    match last:
        case "root" | "both":
            return unary(add, "sqrt", unary(add, "abs", found))
        case "bias":
            return pair(add, "add", found, found)
        case "argmin" if is_exact(found):
            return add(build.argreduce("argmin", found, 1))
        case "sum":
            return add(build.reduce("max", found, [1]))
        case "mask" if len(shape_of(found.type)) == 2 and dtype_of(found.type) == dtype_of(value.type):
            return pair(add, "minimum", found, add(build.reduce("max", value, [2])))
    return found
