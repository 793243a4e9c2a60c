"""Attention without tensor cores: of f32 and f64, and of heads that these do not take.

A block of 16 by 16 threads has a tile of scores, each thread a few rows and columns of it. Queries and keys
come into shared memory by slices of features, values by slices of keys; the softmax is taken as on tensor
cores. Of results wider than a block's registers, each block has some features, and computes the scores anew.
"""

from collections.abc import Callable, Sequence

from attrs import evolve
from xdsl.dialects import arith, math, memref
from xdsl.dialects.builtin import i32
from xdsl.ir import SSAValue

from flowc.dialects import device
from flowc.passes.array_to_gpu.attention.fragments import each
from flowc.passes.array_to_gpu.attention.hidden import Sights, in_order_of_sight, least_across, sights_of
from flowc.passes.array_to_gpu.attention.parts import Parts, combine, leave, part_of, parts_of, store_feature
from flowc.passes.array_to_gpu.attention.plain_products import (
    EACH,
    KEYS,
    SIDE,
    VALUES,
    Grid,
    Memory,
    Run,
    multiply_keys,
    multiply_values,
)
from flowc.passes.array_to_gpu.attention.roles import (
    Attention,
    Tile,
    base_of,
    changed,
    is_cut,
    row_of,
    scale_of,
    share_of,
    tile_of,
    within,
)
from flowc.passes.array_to_gpu.either import either
from flowc.passes.array_to_gpu.launch import Threads, barrier, launch, only_if, unravelled
from flowc.passes.array_to_gpu.limits import BLOCK
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import CONTRACT, Index
from flowc.passes.array_to_loops.reductions import Carried, identity
from flowc.passes.array_to_loops.reductions import combine as combined

WIDEST = 2
"""Vectors of the result in a thread's registers, of each of its rows."""
FEW_ROWS = 16
WANTED = 264
"""Blocks that fill a device: two on each of 132 multiprocessors."""


def lower_plain(s: DeviceLowering, a: Attention) -> None:
    """Stores the weighted values of all heads."""
    rows = a.rows(s.b)
    few = rows <= FEW_ROWS if isinstance(rows, int) else s.b.compare("sle", rows, s.b.index(FEW_ROWS))

    def many() -> None:
        sights = sights_of(s, a)
        _launch(s, a if sights is None else evolve(a, packed=False), _grid_of(a, few=False), sights)

    either(s, few, lambda: _launch(s, a, _grid_of(a, few=True), None), many)


def _grid_of(a: Attention, *, few: bool) -> Grid:
    lanes = 2 if a.dtype == "f64" else 4
    wide = -(-a.features // (SIDE * lanes)) if isinstance(a.features, int) else WIDEST
    return Grid(
        rows=1 if few else lanes,
        vectors=max(min(wide, WIDEST), 1),
        lanes=lanes,
        depth=8 * lanes,
        held=scalars.held_type(a.dtype),
    )


def _launch(s: DeviceLowering, a: Attention, grid: Grid, sights: Sights | None) -> None:
    b = s.b
    units, rows = a.units(b), a.rows(b)
    tiles, pieces = b.ceiling(rows, grid.tile_rows), b.ceiling(a.features, grid.features)
    blocks = b.product([units, pieces, tiles])
    parts = parts_of(s, a, blocks, WANTED)

    def body(threads: Threads) -> None:
        sizes = [units, parts.number, pieces, tiles]
        unit, part, piece, number = unravelled(s, threads.block[0], sizes)
        low = s.b.mul(s.b.sub(s.b.sub(tiles, 1), number), grid.tile_rows)
        tile = tile_of(s, a, unravelled(s, unit, a.stack), low, grid.tile_rows, KEYS)
        run = _run_of(s, a, grid, tile, threads.thread[0], s.b.mul(piece, grid.features))
        first, end = part_of(s, parts, part, tile, KEYS)
        if sights is None:
            _walk(s, run, first, end)
        else:
            in_order_of_sight(
                s,
                a,
                sights,
                tile,
                (first, end),
                KEYS,
                lambda: _least_top(s, run),
                lambda low, high: _walk(s, run, low, high),
            )
        _finish(s, run, parts, unit, part)

    launch(s, "attention", [b.mul(blocks, parts.number)], [BLOCK], body)
    combine(s, a, parts, power)


def power(s: DeviceLowering, value: SSAValue) -> SSAValue:
    """e to the power of a number."""
    return s.b.insert(math.ExpOp(value))


def _run_of(s: DeviceLowering, a: Attention, grid: Grid, tile: Tile, thread: SSAValue, feature: Index) -> Run:
    """A run at its start: nothing is collected."""
    b = s.b

    def shared(rows: int, columns: int) -> SSAValue:
        return b.insert(device.SharedOp(grid.held, [rows, columns]))

    def own(*shape: int) -> SSAValue:
        return b.insert(memref.AllocaOp.get(grid.held, shape=list(shape)))

    memory = Memory(
        shared(grid.tile_rows, grid.depth + grid.lanes),
        shared(KEYS, grid.depth + grid.lanes),
        shared(grid.tile_rows, KEYS + grid.lanes),
        shared(VALUES, grid.features),
        own(grid.rows, EACH),
        own(grid.rows, grid.vectors * grid.lanes),
        own(grid.rows),
        own(grid.rows),
    )
    zero, lowest = b.constant(0, grid.held), identity(b, "max", a.dtype)

    def clear(i: SSAValue) -> None:
        b.store(lowest, memory.top, [i])
        b.store(zero, memory.total, [i])
        each(s, grid.vectors * grid.lanes, lambda c: b.store(zero, memory.sums, [i, c]))

    each(s, grid.rows, clear)
    row, column = b.quotient(thread, SIDE), b.remainder(thread, SIDE)
    return Run(a, grid, tile, memory, scale_of(s, a), thread, row, column, feature)


def _walk(s: DeviceLowering, run: Run, first: Index, end: Index) -> None:
    """Goes through keys by tiles."""

    def step(start: SSAValue, _: Carried) -> Sequence[SSAValue]:
        barrier(s)
        multiply_keys(s, run, start)
        _change(s, run, start)
        each(s, run.grid.rows, lambda i: _weigh(s, run, i))
        multiply_values(s, run, start)
        return ()

    s.b.loop(first, end, (), step, step=KEYS, plain=True)


def _change(s: DeviceLowering, run: Run, start: Index) -> None:
    """Scores after the steps of the operator, and without those that positions hide."""
    b, a, memory = s.b, run.a, run.memory

    def for_scores(change: Callable[[Index, Index, SSAValue], SSAValue]) -> None:
        def some(i: SSAValue) -> None:
            row = b.add(b.add(run.tile.low, run.row), b.mul(i, SIDE))

            def one(j: SSAValue) -> None:
                key = b.add(b.add(start, run.column), b.mul(j, SIDE))
                b.store(change(row, key, b.load(memory.scores, [i, j])), memory.scores, [i, j])

            each(s, EACH, one)

        each(s, run.grid.rows, some)

    if a.op.changes():
        for_scores(lambda row, key, score: changed(s, a, row_of(s, a, run.tile.unit, row), key, score))
    cut = is_cut(s, a, run.tile, start, KEYS)

    def hide() -> None:
        for_scores(lambda row, key, score: within(s, row_of(s, a, run.tile.unit, row), key, score, a.dtype))

    only_if(s, cut, hide)


def _across_row(
    s: DeviceLowering, value: SSAValue, merge: Callable[[SSAValue, SSAValue], SSAValue]
) -> SSAValue:
    """What the threads that share a row find together, in each of them."""
    distance = SIDE // 2
    while distance:
        value = merge(value, s.b.insert(device.ShuffleOp("xor", value, s.b.constant(distance, i32))))
        distance //= 2
    return value


def _weigh(s: DeviceLowering, run: Run, i: SSAValue) -> None:
    """Turns the scores of a row into weights that all threads see, and scales down what it has collected."""
    b, memory, grid = s.b, run.memory, run.grid
    before = b.load(memory.top, [i])
    top = before
    scores = [b.load(memory.scores, [i, j]) for j in range(EACH)]
    for score in scores:
        top = combined(b, "max", top, score)
    top = _across_row(s, top, lambda x, y: combined(b, "max", x, y))
    base = base_of(s, run.a, top)
    shrink = power(s, b.insert(arith.SubfOp(before, base)))
    total = b.insert(arith.MulfOp(b.load(memory.total, [i]), shrink, CONTRACT))
    row = b.add(run.row, b.mul(i, SIDE))
    for j, score in enumerate(scores):
        weight = power(s, b.insert(arith.SubfOp(score, base)))
        b.store(weight, memory.weights, [row, b.add(run.column, SIDE * j)])
        total = b.insert(arith.AddfOp(total, weight, CONTRACT))
    b.store(top, memory.top, [i])
    b.store(total, memory.total, [i])

    def scale(c: SSAValue) -> None:
        b.store(b.insert(arith.MulfOp(b.load(memory.sums, [i, c]), shrink)), memory.sums, [i, c])

    each(s, grid.vectors * grid.lanes, scale)


def _least_top(s: DeviceLowering, run: Run) -> SSAValue:
    """The least, over the rows of the tile, of their largest scores; in every thread."""
    b, infinite = s.b, s.b.constant(float("inf"), run.grid.held)
    least = infinite
    for i in range(run.grid.rows):
        row = b.add(b.add(run.tile.low, run.row), SIDE * i)
        inside = b.compare("slt", b.index(row), b.index(run.tile.high))
        least = combined(b, "min", least, b.select(inside, b.load(run.memory.top, [i]), infinite))
    return least_across(s, least, run.thread, BLOCK)


def _finish(s: DeviceLowering, run: Run, parts: Parts, unit: Index, part: Index) -> None:
    """Stores what the threads of a block hold."""
    b, memory = s.b, run.memory

    def some(i: SSAValue) -> None:
        row = b.add(b.add(run.tile.low, run.row), b.mul(i, SIDE))
        total = _across_row(s, b.load(memory.total, [i]), lambda x, y: combined(b, "sum", x, y))
        inside = b.compare("slt", b.index(row), b.index(run.tile.high))
        only_if(s, inside, lambda: parts_or_result(i, row, total))

    def parts_or_result(i: SSAValue, row: Index, total: SSAValue) -> None:
        def to_parts() -> None:
            first = b.compare("eq", b.index(b.add(run.column, run.feature)), b.index(0))
            only_if(s, first, lambda: leave(s, parts, part, unit, row, b.load(memory.top, [i]), total))
            features(i, lambda feature, value: b.store(value, parts.sums, [part, unit, row, feature]))

        def to_result() -> None:
            share = share_of(s, run.a, total)

            def store(feature: Index, value: SSAValue) -> None:
                finished = b.insert(arith.MulfOp(value, share))
                store_feature(s, run.a, run.tile.unit, row, feature, finished)

            features(i, store)

        parts.ended(s, to_parts, to_result)

    def features(i: SSAValue, store: Callable[[Index, SSAValue], None]) -> None:
        for c in range(run.grid.vectors):
            for lane in range(run.grid.lanes):
                own = b.add(b.mul(b.add(run.column, SIDE * c), run.grid.lanes), lane)
                feature = b.index(b.add(run.feature, own))
                value = b.load(memory.sums, [i, c * run.grid.lanes + lane])
                inside = b.compare("slt", feature, b.index(run.a.features))
                only_if(s, inside, lambda feature=feature, value=value: store(feature, value))  # type: ignore[misc]

    each(s, run.grid.rows, some)
