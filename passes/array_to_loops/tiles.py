"""Lowering a group of stages: one parallel loop over chunks of positions, in it a loop over tiles, in that
the stages in order.

What one stage gives the next is kept for one tile only, in registers where that is a number. Values that are
used beyond the group are stored as they come; partial results of reductions along the loop are kept for each
chunk and combined in order afterwards.
"""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.ir import SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.kinds import compute_dtype
from flowc.dialects.array.types import dtype_of, shape_of
from flowc.passes.array_to_loops import partials, ranking, scalars
from flowc.passes.array_to_loops.builder import Index, LoopBuilder, Range, whole
from flowc.passes.array_to_loops.contract import Prepared, prepare
from flowc.passes.array_to_loops.elements import Lowering, Place
from flowc.passes.array_to_loops.groups import Group, group_stages
from flowc.passes.array_to_loops.lifetimes import end_lifetimes
from flowc.passes.array_to_loops.partials import Partial
from flowc.passes.array_to_loops.prefetch import prefetch_rows, prefetched
from flowc.passes.array_to_loops.stages import FLAT, Stage, reads
from flowc.passes.array_to_loops.streams import Stream, fence, scratch_of, streams_of, tile_of, write_out
from flowc.passes.array_to_loops.sweeps import Places, nests
from flowc.passes.array_to_loops.tiling import (
    SMALL_PICOSECONDS,
    Tiling,
    extent_of,
    grain_of,
    local_sizes,
    picoseconds,
    product_of,
    ranges_of,
    tilings_of,
    track_sizes,
)

FILLING = 4096
"""Elements seen for each of the best, by when few newcomers are among them."""
FEWEST_CHUNKS = 16


@frozen
class Work:
    """A group about to be lowered: where the values go that outlive it, its partial results, its product."""

    group: Group
    tiling: Tiling
    places: Places
    partials: dict[SSAValue, Partial]
    product: Stage | None
    prepared: Prepared | None
    streams: list[Stream]
    prefetched: list[SSAValue]

    @property
    def stages(self) -> list[Stage]:
        """The stages that are swept: all but the product."""
        return [stage for stage in self.group.stages if stage is not self.product]


@frozen
class Chunk:
    """One chunk of a group's positions: its number, and its memory for one tile of each value, with the axes
    of the value that the memory has; `scratch` is that of streams which go out tile by tile."""

    work: Work
    number: Index
    memory: dict[SSAValue, tuple[SSAValue | None, list[int]]]
    product: SSAValue | None
    scratch: list[tuple[Stream, SSAValue]]


def lower_group(s: Lowering, group: Group, places: Places) -> None:
    """Computes the stages of a group; `places` has the whole of each value that is used beyond it."""
    tilings = tilings_of(s, group)
    if not tilings:
        for stage in group.stages:
            nests(s, [stage], places, lambda stage: _all_of(s, stage), set(places))
    elif len(tilings) == 1 and not _missing(group, tilings[0]):
        _lower_tiled(s, group, tilings[0], places)
    else:
        tall = len(tilings) == 1 or _is_tall(s, *(track_sizes(s, tiling)[0] for tiling in tilings))
        lower_either(s, group, places, tall, *(_side(s, group, tiling, places) for tiling in tilings))
        return
    _settle(s, group, places)


def _is_tall(s: Lowering, rows: Index, columns: Index) -> SSAValue | bool:
    if isinstance(rows, int) and isinstance(columns, int):
        return rows >= columns
    return s.b.compare("sge", s.b.index(rows), s.b.index(columns))


def _side(s: Lowering, group: Group, tiling: Tiling, places: Places) -> Callable[[], None]:
    return lambda: _lower_apart(s, group, tiling, places)


def _settle(s: Lowering, group: Group, places: Places) -> None:
    for stage in group.stages:
        for value in stage.op.results:
            if value in places:
                s.settle(value, places[value])


def lower_either(
    s: Lowering,
    group: Group,
    places: Places,
    condition: SSAValue | bool,
    *ways: Callable[[], None],
) -> None:
    """Computes the stages of a group in the first way if the condition holds, else in the second. Each owns
    the memory that it allocates, and what it settles is known in it only."""
    numbers = [value for stage in group.stages for value in stage.op.results if not shape_of(value.type)]

    def side(way: Callable[[], None]) -> Sequence[SSAValue]:
        with s.forgetting():
            with_memory(s, way)
            return [s.registers[value] for value in numbers]

    if isinstance(condition, bool):
        found = side(ways[0] if condition else ways[1])
    else:
        found = s.b.branch(condition, lambda: side(ways[0]), lambda: side(ways[1]))
    s.registers |= dict(zip(numbers, found, strict=True))
    _settle(s, group, places)


def _missing(group: Group, tiling: Tiling) -> list[Stage]:
    """The stages that cannot go through a group the way it is tiled."""
    return [stage for stage in group.stages if any(stage not in track.axes for track in tiling.tracks)]


def _lower_apart(s: Lowering, group: Group, tiling: Tiling, places: Places) -> None:
    """Computes first what is missing on the tracks, then the rest together."""
    before = _missing(group, tiling)
    for part in group_stages(s, before):
        values = [value for stage in part.stages for value in stage.op.results]
        lower_group(s, part, {value: places.get(value) or s.temporary(value) for value in values})
    rest = [stage for stage in group.stages if stage not in before]
    _lower_tiled(s, Group(rest, list(tiling.tracks)), tiling, places)


def _all_of(s: Lowering, stage: Stage) -> list[Range]:
    assert stage.space is not None
    return [whole(size) for size in s.sizes(stage.space)]


def with_memory(s: Lowering, body: Callable[[], None]) -> None:
    """Builds code whose memory is its own: allocated at its beginning, freed where its use ends."""
    scope, allocated = s.scope, s.allocated
    s.scope, s.allocated = LoopBuilder(s.b.block, s.b.location), []
    body()
    end_lifetimes(s.allocated, [s.b.block])
    s.scope, s.allocated = scope, allocated


def _lower_tiled(s: Lowering, group: Group, tiling: Tiling, places: Places) -> None:
    extent, each = extent_of(s, tiling), picoseconds(s, group, tiling)
    ended = [stage for stage in group.stages if any(stage.result not in t.values for t in tiling.tracks)]
    shapes = {stage: ranges_of(s, stage, tiling, [0] * len(tiling.tracks), extent) for stage in ended}
    room: Index = 0
    for stage in ended:
        room = s.top.add(room, partials.bytes_of(s, stage, shapes[stage]))
    grain = grain_of(s, tiling, extent, each, room, _least(s, group, extent))
    chunks = s.top.ceiling(extent, grain)
    memory = {stage: partials.allocate(s, stage, shapes[stage], chunks) for stage in ended}
    kept: dict[SSAValue, Partial] = {value: memory[stage] for stage in ended for value in stage.op.results}
    product = product_of(group)
    prepared = None if product is None else _prepare(s, product, tiling)
    streams = streams_of(s, group, tiling, places)
    work = Work(group, tiling, places, kept, product, prepared, streams, prefetched(s, group, tiling))

    def chunk(low: SSAValue, high: SSAValue) -> None:
        number = s.b.quotient(low, grain) if kept else 0
        with_memory(s, lambda: _chunk(s, work, low, high, number))

    total = s.top.mul(extent, each)
    if isinstance(total, int) and total < SMALL_PICOSECONDS:
        with_memory(s, lambda: _chunk(s, work, 0, extent, 0))
    else:
        s.b.parallel(extent, grain, s.top.quotient(total, 1000), chunk)
    for stage in ended:
        partials.finish(s, stage, memory[stage], shapes[stage], chunks, places)


def _least(s: Lowering, group: Group, extent: Index) -> Index:
    """Positions that a chunk has at least: the first ones of each fill the lists of a topk, which is slow."""
    counts = [ranking.count_of(stage.op) or 0 for stage in group.stages if isinstance(stage.op, ops.TopKOp)]
    return s.top.min(max(counts, default=0) * FILLING, s.top.ceiling(extent, FEWEST_CHUNKS))


def _prepare(s: Lowering, product: Stage, tiling: Tiling) -> Prepared:
    assert isinstance(product.op, ops.ContractOp)
    return prepare(s, product.op, "columns" if tiling.tracks[0].axes[product] else "rows")


def _chunk(s: Lowering, work: Work, low: Index, high: Index, number: Index) -> None:
    tiling = work.tiling
    for stage in work.stages:
        if stage.result in work.partials:
            ranges = ranges_of(s, stage, tiling, [low] * len(tiling.tracks), high)
            partials.clear(s, stage, work.partials[stage.result], ranges, number)
    memory: dict[SSAValue, tuple[SSAValue | None, list[int]]] = {
        value: _memory(s, value, tiling)
        for stage in work.stages
        for value in stage.op.results
        if tiling.tile is not None and value not in work.places and value not in work.partials
    }
    product = None
    if work.prepared is not None:
        assert isinstance(tiling.tile, int)
        product = work.prepared.buffer(s, tiling.tile)
        s.allocated.append(product)
    scratch = [(stream, scratch_of(s, stream)) for stream in work.streams if not stream.by_lines]
    chunk = Chunk(work, number, memory, product, scratch)

    def step(at: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        end = high if tiling.single else s.b.min(s.b.add(at, tiling.tile or 1), high)
        _tile(s, chunk, _unravelled(s, tiling, at), end)
        return ()

    if tiling.tile is None:
        _tile(s, chunk, [low], high)
    else:
        s.b.loop(low, high, (), step, step=tiling.tile)
    fence(s, work.streams)


def _unravelled(s: Lowering, tiling: Tiling, at: Index) -> list[Index]:
    """The position along each track of a position along all of them, the last track fastest."""
    sizes = track_sizes(s, tiling)
    found: list[Index] = []
    for size in reversed(sizes[1:]):
        found.append(s.b.remainder(at, size))
        at = s.b.quotient(at, size)
    numbers = [at, *reversed(found)]
    return [
        s.b.mul(number, side)
        for number, side in zip(numbers, tiling.sides or (1,) * len(numbers), strict=True)
    ]


def _memory(s: Lowering, value: SSAValue, tiling: Tiling) -> tuple[SSAValue | None, list[int]]:
    """Memory for one tile of a value, and the axes it has; none for a number."""
    sizes, axes = local_sizes(s, value, tiling)
    if not sizes:
        return None, []
    return s.allocate(scalars.stored_type(compute_dtype(dtype_of(value.type))), sizes), axes


def _tile(s: Lowering, chunk: Chunk, low: Sequence[Index], high: Index) -> None:
    """The stages at the positions from `low` along each track; in tiles of many, below `high`."""
    work, tiling = chunk.work, chunk.work.tiling
    prefetch_rows(s, work.prefetched, low[0], tiling.tile if isinstance(tiling.tile, int) else 1)
    places = dict(work.places)
    for value, (buffer, axes) in chunk.memory.items():
        if buffer is not None:
            places[value] = Place(buffer, _window(s, value, tiling, low, axes))
    streamed = [tile_of(s, stream, scratch, low, high) for stream, scratch in chunk.scratch]
    by_lines = [stream for stream in work.streams if stream.by_lines]
    places |= {tile.stream.value: tile.place for tile in streamed}
    done: list[SSAValue] = []

    def settle(stage: Stage) -> None:
        for value in stage.op.results:
            if value in places and value not in work.partials:
                s.tiles[value] = places[value]
                done.append(value)

    def ranges(stage: Stage) -> list[Range]:
        return ranges_of(s, stage, tiling, low, high)

    kept = {value: place for value, place in places.items() if value not in work.partials}
    ended = {value: (partial, chunk.number) for value, partial in work.partials.items()}
    stages = work.group.stages
    first = stages if work.product is None else _before(s, work.group, work.product)
    rest = [stage for stage in stages if stage is not work.product and stage not in first]
    for part in (first, rest):
        needed = set(work.places) | (set(kept) if part is not stages and part is first else set())
        nests(s, part, kept, ranges, needed, ended, settle, by_lines)
        if work.product is not None and part is first:
            done.append(_product_tile(s, chunk, low[0], high))
    for tile in streamed:
        write_out(s, tile)
    for value in done:
        del s.tiles[value]
    for value in chunk.memory:
        s.registers.pop(value, None)


def _before(s: Lowering, group: Group, product: Stage) -> list[Stage]:
    """The stages that the product reads. All others come after it: while it computes, it asks for the rows of
    its left operand that come next, so that others which read them find them in the cache."""
    needed = {value for value, _ in reads(s, product, None, group.results)}
    found: list[Stage] = []
    for stage in reversed(group.stages):
        if stage is not product and any(value in needed for value in stage.op.results):
            found.insert(0, stage)
            needed |= {value for value, _ in reads(s, stage, None, group.results)}
    return found


def _product_tile(s: Lowering, chunk: Chunk, low: Index, high: Index) -> SSAValue:
    """Computes the tile of the product that the other stages read."""
    work, buffer = chunk.work, chunk.product
    assert work.product is not None
    assert work.prepared is not None
    assert buffer is not None
    work.prepared.tile(s, low, high, buffer)
    value = work.product.result
    across = work.tiling.tracks[0].axes[work.product] == 1
    s.tiles[value] = Place(
        buffer, lambda at: [s.b.sub(at[1], low), at[0]] if across else [s.b.sub(at[0], low), at[1]]
    )
    if value in work.places:
        ranges = ranges_of(s, work.product, work.tiling, [low], high)
        s.b.sweep(ranges, lambda at: s.store(s.element(value, at), work.places[value], at))
    return value


def _window(
    s: Lowering, value: SSAValue, tiling: Tiling, low: Sequence[Index], axes: Sequence[int]
) -> Callable[[Sequence[Index]], Sequence[Index]]:
    """Positions in the memory of one tile."""
    starts: dict[int, Index] = {
        track.values[value]: first for track, first in zip(tiling.tracks, low, strict=True)
    }
    if FLAT in starts:
        return lambda at: [s.b.sub(at[-1], starts[FLAT])]
    return lambda at: [s.b.sub(at[axis], starts.get(axis, 0)) for axis in axes]
