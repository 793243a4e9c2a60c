"""What is read across: tiles go through shared memory, so that neighbouring threads both read and write
neighbours.

Read in place, the elements that a warp wants at once would lie in as many lines of memory as it has threads.
"""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.dialects import arith
from xdsl.ir import Attribute, SSAValue

from flowc.dialects import device
from flowc.dialects.array import ops
from flowc.dialects.array.kinds import compute_dtype
from flowc.dialects.array.types import dtype_of
from flowc.passes.array_to_gpu.launch import Threads, barrier, launch, only_if, unravelled
from flowc.passes.array_to_gpu.limits import BLOCK, MOST_BLOCKS, WARP, WARPS
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.elements import Place
from flowc.passes.array_to_loops.stages import Stage
from flowc.passes.array_walks import origins

LEAST = 8
"""Rows and columns of a matrix that is worth being cut into tiles."""

Words = tuple[SSAValue, ...]


@frozen(eq=False)
class Matrices:
    """`count` matrices that are read along columns and written along rows.

    `read` gives what is to be known of a position, `write` uses it; both get the number of the matrix, the
    row and the column. Neighbouring threads read neighbouring columns and write neighbouring rows.
    """

    count: Index
    rows: Index
    columns: Index
    words: Sequence[Attribute]
    read: Callable[[Index, Index, Index], Words]
    write: Callable[[Index, Index, Index, Words], None]


def turn(s: DeviceLowering, name: str, matrices: Matrices) -> None:
    """Launches what reads and writes all positions of some matrices."""
    down, along = (s.top.ceiling(size, WARP) for size in (matrices.rows, matrices.columns))
    total = s.top.product([matrices.count, down, along])

    def body(threads: Threads) -> None:
        shared = [s.b.insert(device.SharedOp(word, [WARP, WARP + 1])) for word in matrices.words]

        def tile(number: SSAValue, _: Words) -> Sequence[SSAValue]:
            matrix, row, column = unravelled(s, number, [matrices.count, down, along])
            _turn_tile(s, matrices, shared, threads, (matrix, s.b.mul(row, WARP), s.b.mul(column, WARP)))
            return ()

        s.b.loop(threads.block[0], total, (), tile, step=threads.blocks[0])

    launch(s, name, [s.top.min(total, MOST_BLOCKS)], [WARP, WARPS], body)


def _turn_tile(
    s: DeviceLowering,
    matrices: Matrices,
    shared: Sequence[SSAValue],
    threads: Threads,
    at: tuple[Index, Index, Index],
) -> None:
    matrix, first_row, first_column = at
    lane, warp = threads.thread[0], threads.thread[1]

    def inside(row: Index, column: Index) -> SSAValue:
        above = s.b.compare("slt", s.b.index(row), s.b.index(matrices.rows))
        before = s.b.compare("slt", s.b.index(column), s.b.index(matrices.columns))
        return s.b.insert(arith.AndIOp(above, before))

    def read(e: SSAValue, _: Words) -> Sequence[SSAValue]:
        here = s.b.add(warp, s.b.mul(e, WARPS))
        row, column = s.b.index(s.b.add(first_row, here)), s.b.index(s.b.add(first_column, lane))

        def keep() -> None:
            for word, memory in zip(matrices.read(matrix, row, column), shared, strict=True):
                s.b.store(word, memory, [here, lane])

        only_if(s, inside(row, column), keep)
        return ()

    def write(e: SSAValue, _: Words) -> Sequence[SSAValue]:
        there = s.b.add(warp, s.b.mul(e, WARPS))
        row, column = s.b.index(s.b.add(first_row, lane)), s.b.index(s.b.add(first_column, there))

        def use() -> None:
            words = tuple(s.b.load(memory, [lane, there]) for memory in shared)
            matrices.write(matrix, row, column, words)

        only_if(s, inside(row, column), use)
        return ()

    s.b.loop(0, WARP * WARP // BLOCK, (), read)
    barrier(s)
    s.b.loop(0, WARP * WARP // BLOCK, (), write)
    barrier(s)


@frozen
class Across:
    """Values that a sweep reads across: neighbours in memory are those along `axis`, not along the last."""

    values: Sequence[SSAValue]
    axis: int


def read_across(s: DeviceLowering, stages: Sequence[Stage]) -> Across | None:
    """The transposed values from which stages of the same positions are computed, position for position: such
    as lie dense along the axis along which the first of them does. None where there are none."""
    results = [stage.result for stage in stages]
    space = s.extents.shape(results[0])

    def further(value: SSAValue) -> Sequence[SSAValue]:
        op = value.owner
        if isinstance(op, ops.ElementwiseOp | ops.CastOp) and (value in results or not s.stored(value)):
            return [each for each in op.operands if s.extents.shape(each) == space]
        return ()

    axis: int | None = None
    found = []
    for value in origins(results, further):
        dense = _dense_axis(s, value)
        if dense is not None and dense != len(space) - 1 and axis in (None, dense):
            axis = dense
            found.append(value)
    return None if axis is None else Across(found, axis)


def _dense_axis(s: DeviceLowering, value: SSAValue) -> int | None:
    """The axis along which neighbours of a transposed value are read from neighbouring places."""
    op = value.owner
    if not isinstance(op, ops.TransposeOp) or s.stored(value):
        return None
    origins_of_axes = [int(origin) for origin in op.permutation.get_values()]
    inner = _dense_axis(s, op.source)
    return origins_of_axes.index(len(origins_of_axes) - 1 if inner is None else inner)


def worth_turning(s: DeviceLowering, across: Across, sizes: Sequence[Index]) -> SSAValue | bool:
    """Whether tiles would be filled well enough."""
    both = [sizes[across.axis], sizes[-1]]
    if any(isinstance(size, int) and size < LEAST for size in both):
        return False
    pays: SSAValue | bool = True
    for size in both:
        if isinstance(size, SSAValue):
            enough = s.b.compare("sge", size, s.b.index(LEAST))
            pays = enough if isinstance(pays, bool) else s.b.insert(arith.AndIOp(pays, enough))
    return pays


def lower_across(
    s: DeviceLowering,
    across: Across,
    stores: Sequence[tuple[SSAValue, Place]],
    sizes: Sequence[Index],
    name: str,
) -> None:
    """Stores values that are computed from what is read across."""
    outer = [axis for axis in range(len(sizes) - 1) if axis != across.axis]
    outer_sizes = [sizes[axis] for axis in outer]

    def position(matrix: Index, row: Index, column: Index) -> tuple[Index, ...]:
        found = dict(zip(outer, unravelled(s, matrix, outer_sizes), strict=True))
        found |= {across.axis: column, len(sizes) - 1: row}
        return tuple(found[axis] for axis in range(len(sizes)))

    held = [scalars.stored_type(compute_dtype(dtype_of(value.type))) for value in across.values]

    def read(matrix: Index, row: Index, column: Index) -> Words:
        at = position(matrix, row, column)
        return tuple(
            scalars.stored(s.b, s.element(value, at), element)
            for value, element in zip(across.values, held, strict=True)
        )

    def write(matrix: Index, row: Index, column: Index, words: Words) -> None:
        at = position(matrix, row, column)
        for value, word in zip(across.values, words, strict=True):
            s.assume(value, at, scalars.held(s.b, word, compute_dtype(dtype_of(value.type))))
        found = [s.element(value, at) for value, _ in stores]
        for value, (_, place) in zip(found, stores, strict=True):
            s.store(value, place, at)

    count = s.top.product(outer_sizes)
    turn(s, name, Matrices(count, sizes[-1], sizes[across.axis], held, read, write))
