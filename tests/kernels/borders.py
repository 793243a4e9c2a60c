"""Programs that read arrays within borders at shifted positions: rolled, padded, or joined with others."""

from collections.abc import Sequence

from xdsl.ir import SSAValue

from flowc.dialects.array import build
from flowc.dialects.array.slices import AxisSlice
from flowc.dialects.array.types import shape_of
from flowc.testing.strategies.kernels import Add, Program
from tests.kernels.sketch import NUMBERS, SHORT, Sketch, extents, number, pair, sliced

FORMS = ("none", "roll", "roll", "zeros", "zeros", "ends", "other")
SHIFTS = (-3, -2, -1, -1, 1, 1, 2, 3)
AFTER = ("none", "none", "none", "both", "sum", "max", "product")


def borders(sketch: Sketch) -> Program:
    """Sums of slices of an array that is given a border along each axis, perhaps one around another."""
    rank = sketch.one(1, 2, 2, 3)
    names = [sketch.extent(f"n{axis}", SHORT if rank < 3 else (0, 1, 2, 3, 5, 17)) for axis in range(rank)]
    dtype = sketch.one("f32", "f64", *NUMBERS)
    x = sketch.array(dtype, names)
    beside = [sketch.array(dtype, [*names[:axis], 2, *names[axis + 1 :]]) for axis in range(rank)]
    steps = [
        (sketch.one(*range(rank)), sketch.one(*FORMS), sketch.one(*SHIFTS))
        for _ in range(sketch.one(1, 2, 3))
    ]
    width = sketch.one(1, 2, 3)
    reads = [[sketch.one(*range(width + 1)) for _ in range(rank)] for _ in range(sketch.one(2, 3, 6))]
    after, axis = sketch.one(*AFTER), sketch.one(0, -1)

    def body(add: Add, *values: SSAValue) -> Sequence[SSAValue]:
        whole = values[x]
        for at, form, shift in steps:
            whole = _bordered(add, whole, values[beside[at]], at, form, shift)
        parts = []
        for read in reads:
            part = whole
            for at, start in enumerate(read):
                part = sliced(add, part, at, AxisSlice(start, start - width or None))
            parts.append(part)
        total = parts[0]
        for part in parts[1:]:
            total = pair(add, "add", total, part)
        if after == "product":
            total = pair(add, "mul", total, parts[-1])
        if after in ("sum", "max"):
            return [add(build.reduce(after, total, [axis]))]
        return [total, whole] if after == "both" else [total]

    return sketch.done(body)


def _bordered(add: Add, whole: SSAValue, other: SSAValue, at: int, form: str, shift: int) -> SSAValue:
    """A value with something before or behind it along an axis."""
    if form == "roll":
        parts = [
            sliced(add, whole, at, AxisSlice(shift, None)),
            sliced(add, whole, at, AxisSlice(None, shift)),
        ]
    elif form == "zeros":
        shape, sizes = list(shape_of(whole.type)), extents(add, whole)
        shape[at], sizes[at] = abs(shift), add(build.constant(abs(shift), "i64"))
        zeros = add(build.broadcast(number(add, 0, whole), shape, sizes))
        parts = [zeros, whole, zeros] if shift > 0 else [whole, zeros]
    elif form == "ends":
        ends = [sliced(add, whole, at, AxisSlice(None, 2)), sliced(add, whole, at, AxisSlice(-2, None))]
        parts = [ends[1], whole, ends[0]] if shift > 0 else [*ends, whole]
    else:
        joined = form == "other" and shape_of(other.type)[:at] == shape_of(whole.type)[:at]
        parts = (
            [whole, other]
            if joined and shape_of(other.type)[at + 1 :] == shape_of(whole.type)[at + 1 :]
            else []
        )
    return add(build.concat(parts, at)) if parts else whole
