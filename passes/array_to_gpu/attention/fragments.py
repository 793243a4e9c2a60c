"""Fragments of tensor cores: scores of some rows against some keys, and the values so weighted.

Each warp has rows by sixteens and keys by eights, in registers; `device.matrices` says which thread holds
what. Of every 16 rows a thread has parts of two, eight apart: its row and its later row.
"""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.dialects import arith, memref, vector
from xdsl.dialects.builtin import MemRefType, VectorType, f32, i32
from xdsl.ir import SSAValue

from flowc.dialects import device
from flowc.passes.array_to_gpu.attention.staging import Panel, chunk_position, packed
from flowc.passes.array_to_gpu.launch import Threads
from flowc.passes.array_to_gpu.limits import WARP
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops.builder import CONTRACT, Index
from flowc.passes.array_to_loops.reductions import Carried

DEPTH = 16
"""What one product of tensor cores adds up."""
WIDTH = 8
"""Its columns."""


@frozen
class Shape:
    """How a block shares a tile: each of `row_warps` warps has `tiles` times 16 rows, or each of `key_warps`
    warps has all rows, and a share of the `keys` of a tile."""

    tiles: int
    row_warps: int
    key_warps: int
    keys: int

    @property
    def rows(self) -> int:
        """Rows of a block."""
        return DEPTH * self.tiles * self.row_warps

    @property
    def own_keys(self) -> int:
        """Keys of a warp."""
        return self.keys // self.key_warps

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return WARP * self.row_warps * self.key_warps


@frozen
class Warp:
    """What a thread knows of its place: `thread` in the block, `lane` in the warp; the first row and first
    key of its warp in the tile, and the warp's number among those with the same rows; `group` and `pair`, the
    row and the pair of columns that are its own in a fragment."""

    thread: SSAValue
    lane: Index
    row: Index
    key: Index
    number: Index
    group: Index
    pair: Index


def warp_of(s: DeviceLowering, shape: Shape, threads: Threads) -> Warp:
    """The place of the thread for which code is built."""
    b, thread = s.b, threads.thread[0]
    lane, warp = b.remainder(thread, WARP), b.quotient(thread, WARP)
    by_rows: Index = 0 if shape.row_warps == 1 else warp
    by_keys: Index = 0 if shape.key_warps == 1 else warp
    assert 1 in (shape.row_warps, shape.key_warps)
    return Warp(
        thread,
        lane,
        b.mul(by_rows, DEPTH * shape.tiles),
        b.mul(by_keys, shape.own_keys),
        by_keys,
        b.quotient(lane, 4),
        b.remainder(lane, 4),
    )


@frozen
class Registers:
    """What a thread holds: scores, weights and weighted values by fragments, and of each of its rows the
    largest score, the sum of its own weights and by what it is scaled down; `queries` where they stay here.

    The two columns of a row in a fragment of scores are a word of weights as a left operand."""

    scores: SSAValue
    weights: SSAValue
    sums: SSAValue
    top: SSAValue
    total: SSAValue
    shrink: SSAValue
    queries: SSAValue | None


def registers_of(s: DeviceLowering, shape: Shape, depth: int, features: int, keep_queries: bool) -> Registers:
    """Registers of a thread, with nothing collected."""
    b = s.b

    def array(*shape: int) -> SSAValue:
        return b.insert(memref.AllocaOp.get(f32, shape=list(shape)))

    def words(*shape: int) -> SSAValue:
        return b.insert(memref.AllocaOp.get(i32, shape=list(shape)))

    queries = words(depth // DEPTH, shape.tiles, 4) if keep_queries else None
    found = Registers(
        array(shape.tiles, shape.own_keys // WIDTH, 4),
        words(shape.tiles, shape.own_keys // DEPTH, 2, 2),
        array(shape.tiles, features // WIDTH, 4),
        array(shape.tiles, 2),
        array(shape.tiles, 2),
        array(shape.tiles, 2),
        queries,
    )
    zeros = _zeros(s)
    each(s, shape.tiles, lambda m: each(s, features // WIDTH, lambda n: store4(s, zeros, found.sums, m, n)))

    def row(m: SSAValue) -> None:
        for half in range(2):
            b.store(b.constant(float("-inf"), f32), found.top, [m, half])
            b.store(b.constant(0, f32), found.total, [m, half])

    each(s, shape.tiles, row)
    return found


def each(s: DeviceLowering, count: int, body: Callable[[SSAValue], None]) -> None:
    """Runs `body` for the positions below a number known now; the device's compiler writes that out, so that
    what they index stays in registers."""

    def one(i: SSAValue, _: Carried) -> Sequence[SSAValue]:
        body(i)
        return ()

    s.b.loop(0, count, (), one)


def _zeros(s: DeviceLowering) -> SSAValue:
    return s.b.insert(vector.BroadcastOp(s.b.constant(0, f32), VectorType(f32, [4])))


def load4(s: DeviceLowering, memory: SSAValue, *at: Index) -> SSAValue:
    """A fragment of four numbers."""
    type_ = memory.type
    assert isinstance(type_, MemRefType)
    indices = [s.b.index(i) for i in (*at, 0)]
    return s.b.insert(vector.LoadOp(memory, indices, VectorType(type_.get_element_type(), [4])))


def store4(s: DeviceLowering, value: SSAValue, memory: SSAValue, *at: Index) -> None:
    """Keeps a fragment of four numbers."""
    s.b.append(vector.StoreOp(value, memory, [s.b.index(i) for i in (*at, 0)]))


def word(s: DeviceLowering, fragment: SSAValue, number: int) -> SSAValue:
    """One of the numbers of a fragment."""
    assert isinstance(fragment.type, VectorType)
    return s.b.insert(vector.ExtractOp(fragment, (number,), fragment.type.get_element_type()))


def load_queries(s: DeviceLowering, warp: Warp, panel: Panel, m: Index, k: Index) -> SSAValue:
    """The left operand for 16 rows of the warp and 16 features."""
    b = s.b
    row = b.add(b.add(warp.row, b.mul(m, DEPTH)), b.remainder(warp.lane, 16))
    chunk = b.add(b.mul(k, 2), b.quotient(warp.lane, 16))
    return b.insert(device.LoadMatrixOp(panel.memory, chunk_position(s, panel, row, chunk), 4))


def multiply_keys(
    s: DeviceLowering, dtype: str, shape: Shape, warp: Warp, held: Registers, panels: tuple[Panel, Panel]
) -> None:
    """The scores of the warp: products of its queries with its keys."""
    b, (queries, keys) = s.b, panels
    zeros = _zeros(s)

    def row_of_lane(n: Index) -> Index:
        eight = b.mul(b.quotient(warp.lane, 16), WIDTH)
        return b.add(b.add(warp.key, b.mul(n, DEPTH)), b.add(eight, b.remainder(warp.lane, WIDTH)))

    def step(k: SSAValue, first: bool) -> None:
        if held.queries is not None:
            stored = held.queries
            left = [load4(s, stored, k, m) for m in range(shape.tiles)]
        else:
            left = [load_queries(s, warp, queries, m, k) for m in range(shape.tiles)]
        chunk = b.add(b.mul(k, 2), b.remainder(b.quotient(warp.lane, WIDTH), 2))

        def pair(n: SSAValue) -> None:
            position = chunk_position(s, keys, row_of_lane(n), chunk)
            right = b.insert(device.LoadMatrixOp(keys.memory, position, 4))
            for side in range(2):
                own = b.add(b.mul(n, 2), side)
                half = packed(s, [word(s, right, 2 * side), word(s, right, 2 * side + 1)])
                for m, fragment in enumerate(left):
                    before = zeros if first else load4(s, held.scores, m, own)
                    after = b.insert(device.MatrixMultiplyOp(dtype, fragment, half, before))
                    store4(s, after, held.scores, m, own)

        each(s, shape.own_keys // DEPTH, pair)

    step(b.index(0), True)

    def rest(k: SSAValue, _: Carried) -> Sequence[SSAValue]:
        step(k, False)
        return ()

    b.loop(1, queries.columns // DEPTH, (), rest)


def multiply_values(
    s: DeviceLowering, dtype: str, shape: Shape, warp: Warp, held: Registers, values: Panel
) -> None:
    """Adds the values of the warp's keys by their weights."""
    b = s.b

    def step(k: SSAValue) -> None:
        left = [load4(s, held.weights, m, k, 0) for m in range(shape.tiles)]
        row = b.add(b.add(warp.key, b.mul(k, DEPTH)), b.remainder(warp.lane, 16))

        def pair(n: SSAValue) -> None:
            chunk = b.add(b.mul(n, 2), b.quotient(warp.lane, 16))
            position = chunk_position(s, values, row, chunk)
            right = b.insert(device.LoadMatrixOp(values.memory, position, 4, transpose=True))
            for side in range(2):
                own = b.add(b.mul(n, 2), side)
                half = packed(s, [word(s, right, 2 * side), word(s, right, 2 * side + 1)])
                for m, fragment in enumerate(left):
                    before = load4(s, held.sums, m, own)
                    after = b.insert(device.MatrixMultiplyOp(dtype, fragment, half, before))
                    store4(s, after, held.sums, m, own)

        each(s, values.columns // DEPTH, pair)

    each(s, shape.own_keys // DEPTH, step)


def across_four(
    s: DeviceLowering, value: SSAValue, merge: Callable[[SSAValue, SSAValue], SSAValue]
) -> SSAValue:
    """What the four threads that share a row find together, in each of them."""
    for distance in (1, 2):
        other = s.b.insert(device.ShuffleOp("xor", value, s.b.constant(distance, i32)))
        value = merge(value, other)
    return value


def lower_by(s: DeviceLowering, value: SSAValue, factor: SSAValue, less: SSAValue) -> SSAValue:
    """value * factor - less, as one operation."""
    product = s.b.insert(arith.MulfOp(value, factor, CONTRACT))
    return s.b.insert(arith.SubfOp(product, less, CONTRACT))
