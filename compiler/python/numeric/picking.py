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
from flowc.dialects.array.types import shape_of


def picked(c: Context, masked: Masked) -> SSAValue:
    """The elements that a mask picks, one after the other."""
    return c.emit(build.gather(in_a_row(c, masked.values), true_positions(c, masked.mask)))


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
    first = SliceSpec((AxisSlice(None, "$0", 1),))
    used = c.emit(build.slices(c.emit(irregular_build.true_positions(row)), first, [total]))
    # A sum with nothing has the name of the extent.
    nothing = c.emit(build.broadcast(c.constant(0, "i64"), (name,), [total]))
    positions = c.emit(build.elementwise("add", [nothing, used]))
    c.picks.append((c.block, mask, positions))
    return positions


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
