"""Attention on tensor cores: halves are multiplied, sums and the softmax are f32.

Each block keeps a tile of queries and goes through the keys by tiles. Those of keys and values come into
shared memory in turn, each while the other is worked with. What a row has collected is scaled down when a
larger score arrives. Dao, "FlashAttention-2: faster attention with better parallelism and work partitioning"
(2023); Milakov and Gimelshein, "Online normalizer calculation for softmax" (2018).
"""

from collections.abc import Callable, Sequence

from attrs import evolve
from xdsl.ir import SSAValue

from flowc.passes.array_to_gpu.attention.finishing import Ending, ending_of, finish, joining_bytes
from flowc.passes.array_to_gpu.attention.fragments import (
    DEPTH,
    Shape,
    registers_of,
    warp_of,
)
from flowc.passes.array_to_gpu.attention.hidden import Sights, in_order_of_sight, sights_of
from flowc.passes.array_to_gpu.attention.parts import combine, part_of, parts_of
from flowc.passes.array_to_gpu.attention.roles import (
    Attention,
    Tile,
    key_stack,
    member_and_query,
    query_stack,
    scale_of,
    tile_of,
)
from flowc.passes.array_to_gpu.attention.staging import (
    Source,
    as_halves,
    copyable,
    panel_at,
    panel_bytes,
)
from flowc.passes.array_to_gpu.attention.tensor_walk import Panels, Run, least_top, power, walk, with_queries
from flowc.passes.array_to_gpu.launch import Threads, launch, unravelled
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.elements import Indices

MOST_FEATURES = 256
FEW_ROWS = 32
"""Rows of a unit up to which memory is what limits: warps share the keys of a tile, not the rows."""
BLOCKS_OF_MANY, BLOCKS_OF_FEW = 264, 528
"""Blocks that fill a device of 132 multiprocessors: two on each of a tile of many rows, else four."""


def fits_tensor_cores(a: Attention) -> bool:
    """Whether attention is of halves, with heads that tensor cores take whole."""
    sizes = a.depth, a.features
    known = all(isinstance(n, int) and n % DEPTH == 0 and 0 < n <= MOST_FEATURES for n in sizes)
    return a.dtype in ("f16", "bf16") and known


def shape_of_many(widest: int) -> Shape:
    """A tile of many rows: as many as registers allow."""
    return Shape(2, 4, 1, 64) if widest <= 128 else Shape(1, 4, 1, 32)


def shape_of_few(widest: int) -> Shape:
    """A tile of few rows."""
    return Shape(1, 1, 4, 64) if widest <= 128 else Shape(1, 1, 2, 32)


def lower_many(s: DeviceLowering, a: Attention) -> None:
    """Many rows in each unit."""
    assert isinstance(a.depth, int)
    assert isinstance(a.features, int)
    shape = shape_of_many(max(a.depth, a.features))
    with s.forgetting():
        for value in (a.op.query, a.op.key, a.op.value):
            as_halves(s, value, a.dtype)
        sights = sights_of(s, a)
        if sights is not None:
            # What a block finds together about hidden keys takes some of the shared memory, too.
            a, shape = evolve(a, packed=False), evolve(shape, keys=shape.keys - DEPTH)
        _launch(s, a, shape, sights, BLOCKS_OF_MANY)


def lower_few(s: DeviceLowering, a: Attention) -> None:
    """Few rows in each unit, as in decoding: keys and values are read once, where they lie."""
    assert isinstance(a.depth, int)
    assert isinstance(a.features, int)
    _launch(s, a, shape_of_few(max(a.depth, a.features)), None, BLOCKS_OF_FEW)


def _launch(s: DeviceLowering, a: Attention, shape: Shape, sights: Sights | None, wanted: int) -> None:
    assert isinstance(a.depth, int)
    assert isinstance(a.features, int)
    b = s.b
    units, rows = a.units(b), a.rows(b)
    tiles = b.ceiling(rows, shape.rows)
    blocks = b.mul(units, tiles)
    parts = parts_of(s, a, blocks, wanted)
    copies = [copyable(s, value, a.dtype) for value in (a.op.query, a.op.key, a.op.value)]
    ending = ending_of(s, a, parts)

    def body(threads: Threads) -> None:
        unit, part, number = unravelled(s, threads.block[0], [units, parts.number, tiles])
        # With a causal mask the last tiles see most keys: they go first.
        low = s.b.mul(s.b.sub(s.b.sub(tiles, 1), number), shape.rows)
        tile = tile_of(s, a, unravelled(s, unit, a.stack), low, shape.rows, shape.keys)
        _tile(s, a, shape, tile, sights, evolve(ending, unit=unit, part=part), copies, threads)

    total = b.mul(blocks, parts.number)
    launch(s, "attention", [total], [shape.threads], body, shared_bytes(shape, a.depth, a.features))
    combine(s, a, parts, power)


def _panel_sizes(shape: Shape, depth: int, features: int) -> list[tuple[int, int]]:
    """Rows and columns of the panels of queries, keys and values."""
    return [(shape.rows, depth), (shape.keys, depth), (shape.keys, features)]


def shared_bytes(shape: Shape, depth: int, features: int) -> int:
    """The shared memory that a launch asks for: at most the 64 KiB that every device has for a block."""
    staged = sum(panel_bytes(*size) for size in _panel_sizes(shape, depth, features))
    return max(staged, joining_bytes(shape, features))


def _tile(
    s: DeviceLowering,
    a: Attention,
    shape: Shape,
    tile: Tile,
    sights: Sights | None,
    ending: Ending,
    copies: Sequence[SSAValue | bool],
    threads: Threads,
) -> None:
    """One block: its queries against the keys of its part."""
    assert isinstance(a.depth, int)
    assert isinstance(a.features, int)
    warp = warp_of(s, shape, threads)
    panels = _panels(s, a, shape, tile, copies)
    keeps = _keeps_queries(a.depth, shape)
    held = registers_of(s, shape, a.depth, a.features, keeps)
    run = with_queries(s, Run(a, shape, tile, warp, held, panels, scale_of(s, a), None))
    first, end = part_of(s, ending.parts, ending.part, tile, shape.keys)
    if sights is None:
        walk(s, run, first, end)
    else:
        in_order_of_sight(
            s,
            a,
            sights,
            tile,
            (first, end),
            shape.keys,
            lambda: least_top(s, run),
            lambda low, high: walk(s, run, low, high),
        )
    finish(s, a, shape, tile, warp, held, run.factor, ending, power)


def _keeps_queries(depth: int, shape: Shape) -> bool:
    """Whether the queries of a warp fit its registers beside all else."""
    return depth * shape.tiles <= 128


def _panels(
    s: DeviceLowering, a: Attention, shape: Shape, tile: Tile, copies: Sequence[SSAValue | bool]
) -> Panels:
    assert isinstance(a.depth, int)
    assert isinstance(a.features, int)
    sizes = _panel_sizes(shape, a.depth, a.features)
    offsets = [sum(panel_bytes(*size) for size in sizes[:number]) for number in range(3)]
    queries, keys, values = (
        panel_at(s, offset, *size, a.dtype) for offset, size in zip(offsets, sizes, strict=True)
    )

    def query(row: Index) -> tuple[Indices, SSAValue]:
        place = s.b.add(tile.low, row)
        member, number = member_and_query(s, a, place)
        inside = s.b.compare("slt", s.b.index(place), s.b.index(tile.high))
        return (*query_stack(s, a, tile.unit, member), number), inside

    def along(start: Index) -> Callable[[Index], tuple[Indices, SSAValue]]:
        def at(row: Index) -> tuple[Indices, SSAValue]:
            key = s.b.add(start, row)
            inside = s.b.compare("slt", s.b.index(key), s.b.index(a.keys))
            return (*key_stack(s, a, tile.unit), key), inside

        return at

    return Panels(
        queries,
        keys,
        values,
        Source(a.op.query, query, copies[0]),
        lambda start: Source(a.op.key, along(start), copies[1]),
        lambda start: Source(a.op.value, along(start), copies[2]),
    )
