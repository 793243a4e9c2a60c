"""What a mask picks: its true positions, and the elements there. Their number is known only when the code
runs."""

from xdsl.ir import SSAValue

from flowc.compiler.python.numeric.context import Context
from flowc.compiler.python.numeric.equivalence import equivalent
from flowc.compiler.python.numeric.errors import PICKED
from flowc.compiler.python.numeric.lengths import most
from flowc.compiler.python.numeric.values import Masked, Number
from flowc.dialects.array import build, irregular_build
from flowc.dialects.array.reshape import reshape
from flowc.dialects.array.slices import AxisSlice, SliceSpec
from flowc.dialects.array.types import bits, dtype_of, is_float, shape_of

FIRST = SliceSpec((AxisSlice(None, "$0", 1),))
"""The first elements of a vector, as many as a number says."""
PACKED = (32, 64)
"""Elements of so many bits are packed by an instruction. Others are sooner gathered."""


def picked(c: Context, masked: Masked) -> SSAValue:
    """The elements that a mask picks, one after the other."""
    values, positions = in_a_row(c, masked.values), true_positions(c, masked.mask)
    name = str(shape_of(positions.type)[0])
    if not name or bits(dtype_of(values.type)) not in PACKED:
        return c.emit(build.gather(values, positions))
    _, total = c.wholes[positions]
    return _first(c, c.emit(irregular_build.pick(values, in_a_row(c, masked.mask))), total, name)


def number_picked(c: Context, masked: Masked) -> Number:
    """How many elements a mask picks."""
    return Number(c.emit(build.reduce("sum", in_a_row(c, masked.mask), [0], False)), weak=True)


def true_positions(c: Context, mask: SSAValue) -> SSAValue:
    """Where a mask is true, as positions in the flat array."""
    for block, known, positions in c.picks:
        if block is c.block and equivalent(known, mask):
            return positions
    row = in_a_row(c, mask)
    total = c.emit(build.reduce("sum", row, [0], False))
    name = ""
    if c.block is c.entry:
        name = name_picked(c, total, most(c, row, 0))
    positions = _first(c, c.emit(irregular_build.true_positions(row)), total, name)
    c.picks.append((c.block, mask, positions))
    return positions


def _first(c: Context, whole: SSAValue, count: SSAValue, name: str) -> SSAValue:
    """The first elements of a vector, with a name for their number: a sum with nothing has it."""
    dtype = dtype_of(whole.type)
    nothing = c.emit(build.broadcast(c.constant(-0.0 if is_float(dtype) else 0, dtype), (name,), [count]))
    found = c.emit(build.elementwise("add", [nothing, c.emit(build.slices(whole, FIRST, [count]))]))
    c.wholes[found] = whole, count
    return found


def name_picked(c: Context, count: SSAValue, most: SSAValue) -> str:
    """Gives a name to an extent that only the run knows, and the greatest that it can be."""
    name = f"{PICKED}{len(c.picked)}"
    c.picked[name] = most
    c.names[count] = name
    c.extents[name] = Number(count, weak=True)
    return name


def in_a_row(c: Context, value: SSAValue) -> SSAValue:
    """All elements of an array as a vector."""
    shape = shape_of(value.type)
    if len(shape) == 1:
        return value
    count = c.constant(1, "i64")
    for axis in range(len(shape)):
        count = c.emit(build.elementwise("mul", [count, c.emit(build.dim(value, axis))]))
    known = all(isinstance(extent, int) for extent in shape)
    total = 1
    for extent in shape:
        total *= extent if isinstance(extent, int) else 1
    return c.emit(reshape(value, [count], (total if known else "",)))


def positions_by_axis(c: Context, mask: SSAValue) -> list[SSAValue]:
    """Where a mask is true, as one vector of positions for each axis: `np.nonzero`."""
    flat = true_positions(c, mask)
    rank = len(shape_of(mask.type))
    found: list[SSAValue] = []
    for axis in reversed(range(rank)):
        if axis == 0:
            return [flat, *found]
        extent = c.emit(build.dim(mask, axis))
        found.insert(0, c.emit(build.elementwise("mod", [flat, extent])))
        flat = c.emit(build.elementwise("floordiv", [flat, extent]))
    return found
