"""Sweeps that read a matrix across its rows: block by block, each block of such a matrix turned in a small
memory first.

Its lines are then read whole, and the sweep itself finds all operands along rows. Read in place, the lines of
a block would push each other out of the cache wherever rows are a power of two long.
"""

from collections.abc import Callable, Sequence

from xdsl.ir import SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.kinds import compute_dtype
from flowc.dialects.array.types import dtype_of, shape_of
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index, Range
from flowc.passes.array_to_loops.elements import Lowering, Place
from flowc.passes.array_walks import computed_from, origins

COLUMNS, PADDING = 64, 16
"""Columns of a block, and elements between its rows that keep them in different sets of the cache."""


def sweep_in_blocks(
    s: Lowering,
    values: Sequence[SSAValue],
    ranges: Sequence[Range],
    sweep: Callable[[Sequence[Range]], None],
) -> None:
    """A sweep that computes `values`; several rows of a matrix at once go a block of columns at a time."""
    if len(ranges) != 2 or ranges[0].single or not isinstance(ranges[0].bound, int) or ranges[1].few:
        sweep(ranges)
        return
    room = ranges[0].bound
    rows, columns = ranges
    turned = _transposes(s, values)
    held = [scalars.stored_type(compute_dtype(dtype_of(value.type))) for value in turned]
    memory = [s.allocate(element, [room, COLUMNS + PADDING]) for element in held]

    def block(low: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        part = Range(low, s.b.min(s.b.add(low, COLUMNS), columns.high))
        for value, buffer in zip(turned, memory, strict=True):
            place = Place(buffer, lambda at: [s.b.sub(at[0], rows.low), s.b.sub(at[1], low)])
            _turn(s, value, place, rows, part)
            s.tiles[value] = place
        sweep([rows, part])
        for value in turned:
            del s.tiles[value]
        return ()

    s.b.loop(columns.low, columns.high, (), block, step=COLUMNS)


def _turn(s: Lowering, value: SSAValue, place: Place, rows: Range, columns: Range) -> None:
    """Copies a block, its columns one after the other: they are rows of what is transposed."""

    def one(at: tuple[Index, ...]) -> None:
        s.store(s.element(value, (at[1], at[0])), place, (at[1], at[0]))

    s.b.sweep([columns, rows], one)


def _transposes(s: Lowering, values: Sequence[SSAValue]) -> list[SSAValue]:
    """The transposed matrices that elements of `values` are computed from, position for position, and in no
    other way: a slice of one, or of what is computed from it, asks for positions outside of the block.
    """

    def operands(value: SSAValue) -> Sequence[SSAValue]:
        computed = value in values or not s.stored(value)
        return value.owner.operands if computed and isinstance(value.owner, ops.ArrayOperation) else ()

    def in_place(value: SSAValue) -> Sequence[SSAValue]:
        if not isinstance(value.owner, ops.ElementwiseOp | ops.CastOp):
            return ()
        return [each for each in operands(value) if s.extents.shape(each) == s.extents.shape(value)]

    found = list(origins(values, in_place))
    elsewhere = {
        read
        for value in found
        for other in set(operands(value)).difference(in_place(value))
        for read in computed_from(other, s.stored)
    }
    return [
        value
        for value in found
        if isinstance(value.owner, ops.TransposeOp)
        and not s.stored(value)
        and len(shape_of(value.type)) == 2
        and value not in elsewhere
    ]
