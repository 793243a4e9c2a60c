"""Products of a tile without tensor cores: scores, and values by their weights, through shared memory."""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.dialects import arith, vector
from xdsl.dialects.builtin import VectorType
from xdsl.ir import Attribute, SSAValue

from flowc.passes.array_to_gpu.attention.fragments import each
from flowc.passes.array_to_gpu.attention.roles import (
    Attention,
    Tile,
    key_stack,
    member_and_query,
    query_stack,
)
from flowc.passes.array_to_gpu.launch import barrier
from flowc.passes.array_to_gpu.limits import BLOCK
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops.builder import CONTRACT, Index
from flowc.passes.array_to_loops.reductions import Carried

SIDE = 16
"""Threads along the rows of a tile, and along its columns."""
KEYS = 64
"""Keys of a tile; a thread has every sixteenth."""
EACH = KEYS // SIDE
VALUES = 16
"""Keys of a slice of values."""


@frozen
class Grid:
    """How a block's threads share a tile: `rows` of each thread, `SIDE` apart; `vectors` of the result of
    each thread, of `lanes` neighbours; `depth` features of a slice of queries and keys."""

    rows: int
    vectors: int
    lanes: int
    depth: int
    held: Attribute

    @property
    def tile_rows(self) -> int:
        """Rows of a tile."""
        return self.rows * SIDE

    @property
    def features(self) -> int:
        """Features of the result that a block computes."""
        return self.vectors * self.lanes * SIDE


@frozen
class Memory:
    """Shared memory of a block, and registers of a thread."""

    queries: SSAValue
    keys: SSAValue
    weights: SSAValue
    values: SSAValue
    scores: SSAValue
    sums: SSAValue
    top: SSAValue
    total: SSAValue


@frozen
class Run:
    """One thread's run through a tile; its results begin at `feature`."""

    a: Attention
    grid: Grid
    tile: Tile
    memory: Memory
    scale: SSAValue
    thread: SSAValue
    row: Index
    column: Index
    feature: Index


def multiply_keys(s: DeviceLowering, run: Run, start: Index) -> None:
    """The scores of the thread."""
    b, a, grid, memory = s.b, run.a, run.grid, run.memory
    zero = b.constant(0, grid.held)
    each(s, grid.rows, lambda i: each(s, EACH, lambda j: b.store(zero, memory.scores, [i, j])))
    stack = key_stack(s, a, run.tile.unit)

    def some(slice_: SSAValue, _: Carried) -> Sequence[SSAValue]:
        def query(row: Index, column: Index) -> tuple[SSAValue, Callable[[], SSAValue]]:
            place, feature = b.add(run.tile.low, row), b.add(slice_, column)

            def value() -> SSAValue:
                member, number = member_and_query(s, a, place)
                at = (*query_stack(s, a, run.tile.unit, member), number, feature)
                return b.insert(arith.MulfOp(s.as_dtype(a.op.query, at, a.dtype), run.scale))

            return _both(s, place, run.tile.high, feature, a.depth), value

        def key(row: Index, column: Index) -> tuple[SSAValue, Callable[[], SSAValue]]:
            place, feature = b.add(start, row), b.add(slice_, column)
            inside = _both(s, place, a.keys, feature, a.depth)
            return inside, lambda: s.as_dtype(a.op.key, (*stack, place, feature), a.dtype)

        _bring(s, run, memory.queries, (grid.tile_rows, grid.depth), query)
        _bring(s, run, memory.keys, (KEYS, grid.depth), key)
        barrier(s)
        each(s, grid.depth // grid.lanes, lambda k: _multiply_slice(s, run, k))
        barrier(s)
        return ()

    b.loop(0, a.depth, (), some, step=grid.depth, plain=True)


def _multiply_slice(s: DeviceLowering, run: Run, k: SSAValue) -> None:
    """Adds the products of a few neighbouring features."""
    b, grid, memory = s.b, run.grid, run.memory
    first = b.mul(k, grid.lanes)
    keys = [_vector(s, run, memory.keys, b.add(run.column, SIDE * j), first) for j in range(EACH)]
    for i in range(grid.rows):
        queries = _vector(s, run, memory.queries, b.add(run.row, SIDE * i), first)
        for j in range(EACH):
            for query, key in zip(queries, keys[j], strict=True):
                _add_product(s, memory.scores, [i, j], query, key)


def multiply_values(s: DeviceLowering, run: Run, start: Index) -> None:
    """Adds the values by their weights."""
    b, a, grid, memory = s.b, run.a, run.grid, run.memory
    stack = key_stack(s, a, run.tile.unit)

    def some(slice_: SSAValue, _: Carried) -> Sequence[SSAValue]:
        def value(row: Index, column: Index) -> tuple[SSAValue, Callable[[], SSAValue]]:
            place, feature = b.add(b.add(start, slice_), row), b.add(run.feature, column)
            inside = _both(s, place, a.keys, feature, a.features)
            return inside, lambda: s.as_dtype(a.op.value, (*stack, place, feature), a.dtype)

        _bring(s, run, memory.values, (VALUES, grid.features), value)
        barrier(s)
        each(s, VALUES // grid.lanes, lambda k: _add_values(s, run, slice_, k))
        barrier(s)
        return ()

    b.loop(0, KEYS, (), some, step=VALUES, plain=True)


def _add_values(s: DeviceLowering, run: Run, slice_: SSAValue, k: SSAValue) -> None:
    """Adds a few neighbouring keys of a slice."""
    b, grid, memory = s.b, run.grid, run.memory
    first = b.mul(k, grid.lanes)
    weights = [
        _vector(s, run, memory.weights, b.add(run.row, SIDE * i), b.add(slice_, first))
        for i in range(grid.rows)
    ]
    for lane in range(grid.lanes):
        for c in range(grid.vectors):
            column = b.mul(b.add(run.column, SIDE * c), grid.lanes)
            values = _vector(s, run, memory.values, b.add(first, lane), column)
            for i in range(grid.rows):
                for number, value in enumerate(values):
                    _add_product(s, memory.sums, [i, c * grid.lanes + number], weights[i][lane], value)


def _bring(
    s: DeviceLowering,
    run: Run,
    memory: SSAValue,
    extents: tuple[int, int],
    element: Callable[[Index, Index], tuple[SSAValue, Callable[[], SSAValue]]],
) -> None:
    """All threads of a block bring elements, neighbours the neighbours along the last axis; `element` says
    whether there is one, and computes it."""
    b, zero = s.b, s.b.constant(0, run.grid.held)

    def one(number: SSAValue, _: Carried) -> Sequence[SSAValue]:
        place = b.add(b.mul(number, BLOCK), run.thread)
        row, column = b.quotient(place, extents[1]), b.remainder(place, extents[1])
        inside, value = element(row, column)
        (found,) = b.branch(inside, lambda: (value(),), lambda: (zero,))
        b.store(found, memory, [row, column])
        return ()

    b.loop(0, extents[0] * extents[1] // BLOCK, (), one)


def _both(s: DeviceLowering, a: Index, low: Index, c: Index, high: Index) -> SSAValue:
    """a < low and c < high."""
    b = s.b
    one, other = b.compare("slt", b.index(a), b.index(low)), b.compare("slt", b.index(c), b.index(high))
    return b.insert(arith.AndIOp(one, other))


def _vector(s: DeviceLowering, run: Run, memory: SSAValue, row: Index, column: Index) -> list[SSAValue]:
    """Neighbours in shared memory."""
    b, held, lanes = s.b, run.grid.held, run.grid.lanes
    loaded = b.insert(vector.LoadOp(memory, [b.index(row), b.index(column)], VectorType(held, [lanes])))
    return [b.insert(vector.ExtractOp(loaded, (lane,), held)) for lane in range(lanes)]


def _add_product(s: DeviceLowering, memory: SSAValue, at: Sequence[Index], x: SSAValue, y: SSAValue) -> None:
    """memory[at] += x * y."""
    b = s.b
    product = b.insert(arith.MulfOp(x, y, CONTRACT))
    b.store(b.insert(arith.AddfOp(b.load(memory, at), product, CONTRACT)), memory, at)
