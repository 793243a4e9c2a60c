"""How a group goes through its positions: along which axes, how many at a time, in which chunks.

Chunks depend on extents and nothing else, so that results do not depend on the number of threads.
"""

from collections.abc import Sequence
from math import prod

from attrs import frozen
from xdsl.ir import SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.irregular import ScanOp
from flowc.dialects.array.types import Extent, shape_of
from flowc.passes import array_costs
from flowc.passes.array_costs import BYTE_PICOSECONDS, bytes_of
from flowc.passes.array_to_loops.beside import TILE_COLUMNS, TILE_ROWS, goes_side_by_side
from flowc.passes.array_to_loops.builder import FEW, Index, Range, whole
from flowc.passes.array_to_loops.elements import Lowering
from flowc.passes.array_to_loops.folds import ROWS_AT_ONCE
from flowc.passes.array_to_loops.groups import Group, Track, apart
from flowc.passes.array_to_loops.stages import FLAT, Stage, reads
from flowc.passes.array_walks import evaluated, lazy_owner

WHOLE_LINES = 64
"""Chunks of vectors have a multiple of so many elements: lines of the cache, also of bytes."""
TILE = 512
"""Elements of a tile where stages go along vectors: some of them fit in the first-level cache, and what is
streamed out of one tile leaves while the next is computed."""
BLOCK_ROWS = 16
"""Rows of a tile where something is read column by column: as many as elements of it share a cache line."""
PRODUCT_TILE = 48
"""Rows, or columns, of a product that are computed at once: a multiple of those of its register tile."""
MOST_TOGETHER = 1024
"""Operations that share one loop: LLVM's time for a loop grows with the square of what uses one constant."""
PAIRS = 1 << 18
"""Pairs of a tile of rows with all others, unless those of one row are more."""
COLUMNS = 512
"""Columns of a tile where columns are reduced that are more than the rows."""
EIGHTS = 8
"""A loop has a multiple of eight chunks, so that a few threads get equally many, and 64 at most."""
CHUNK_PICOSECONDS = 5_000_000
"""What a chunk is worth at least: a thread gets its chunks one by one."""
PARTIAL_BYTES = 4 << 20
"""Room for the partial results of all chunks."""
MULTIPLICATION_PICOSECONDS = 15
SMALL_PICOSECONDS = 20_000_000
"""Work that is never worth a second thread."""


@frozen
class Tiling:
    """The tracks along which a group goes, `tile` positions at a time; None for a whole chunk at a time.

    With `sides` it goes block by block: so many positions of each track at a time, one block in a tile.
    """

    tracks: tuple[Track, ...]
    tile: Index | None
    sides: tuple[int, ...] = ()

    @property
    def single(self) -> bool:
        """Whether it goes position by position."""
        return self.tile == 1 and not self.sides


def tilings_of(s: Lowering, group: Group) -> list[Tiling]:
    """How to go through a group, the first of two for matrices with more rows than columns; none where its
    stages have nothing in common to go along."""
    product = product_of(group)
    if product is None:
        chosen = _without_product(s, group)
        columns = [Tiling((track,), COLUMNS) for track in group.tracks if _down_columns(group, track)]
        return [chosen, *columns[:1]] if chosen else []
    return [
        Tiling((track,), PRODUCT_TILE)
        for axis in (0, 1)
        for track in group.tracks
        if track.axes[product] == axis
    ]


def _down_columns(group: Group, track: Track) -> bool:
    """Whether a group does nothing but reduce the columns of matrices, and the track goes from one to the
    next: where columns are many, their partial results would be as large as the matrix."""
    alone = all(stage.combines and stage.rank == 2 and stage.along == {0} for stage in group.stages)
    return alone and not any(isinstance(stage.op, ops.TopKOp) for stage in group.stages) and not track.partial


def product_of(group: Group) -> Stage | None:
    """The product of matrices in a group."""
    found = [stage for stage in group.stages if isinstance(stage.op, ops.ContractOp)]
    return found[0] if found else None


def _without_product(s: Lowering, group: Group) -> Tiling | None:
    flat = [track for track in group.tracks if FLAT in track.axes.values()]
    lines = all(stage.rank == 1 for stage in group.stages)
    outer = [track for track in group.tracks if track not in flat and track.outer]
    free = apart(track for track in outer if not track.partial)
    alone = _nothing_kept(s, group)
    elementwise = all(stage.elementwise for stage in group.stages)
    if flat or lines:
        chosen = (flat or group.tracks)[:1]
        at_once = alone or (elementwise and sum(map(stage_operations, group.stages)) <= MOST_TOGETHER)
        return Tiling(tuple(chosen), None if at_once else TILE) if chosen else None
    if free and elementwise and _are_few_columns(s, group, len(free)):
        return Tiling(tuple(free), 1, (*(1,) * (len(free) - 1), TILE))
    if free and elementwise and any(_reads_across(s, stage, group) for stage in group.stages):
        return Tiling((free[-1],), BLOCK_ROWS)
    if free:
        return _of_pairs(s, group) or Tiling(tuple(free), 1)
    if outer:
        ranked = any(isinstance(stage.op, ops.TopKOp) for stage in group.stages)
        few = 1 if ranked else ROWS_AT_ONCE
        return Tiling((outer[0],), None if alone and not _both_ways(group, outer[0]) else few)
    return Tiling((group.tracks[0],), s.choice("strip")) if group.tracks else None


def _are_few_columns(s: Lowering, group: Group, rank: int) -> bool:
    """Whether all that a group stores are short rows and numbers that belong to them, as their means."""
    rows = [stage for stage in group.stages if _has_few_columns(s, stage)]
    return bool(rows) and all(stage in rows or stage.rank == rank for stage in group.stages)


def _has_few_columns(s: Lowering, stage: Stage) -> bool:
    """Whether the last axis of a stage's sweep is so short that its positions are written one by one."""
    assert stage.space is not None
    last = s.sizes(stage.space)[-1]
    return isinstance(last, int) and 1 < last <= FEW


def _of_pairs(s: Lowering, group: Group) -> Tiling | None:
    """Blocks of pairs, for a group that reduces pairs side by side; some rows with all others, where it goes
    on with what each of these rows has found."""
    first = next((stage for stage in group.stages if isinstance(stage.op, ops.ReduceOp)), None)
    if first is None or first.rank < 3:
        return None
    assert first.space is not None
    alone = True
    for stage in group.stages:
        assert stage.space is not None
        whole = s.extents.shape(stage.space) == s.extents.shape(first.space)
        if whole and not (isinstance(stage.op, ops.ReduceOp) and goes_side_by_side(s, stage.op)):
            return None
        alone = alone and (whole or stage.elementwise)
    sides = {first.rank - 3: TILE_ROWS, first.rank - 2: TILE_COLUMNS}
    tracks = {track.axes[first]: track for track in apart(t for t in group.tracks if not t.partial)}
    axes = sorted(tracks)
    if alone and axes == list(range(first.rank - 1)):
        return Tiling(tuple(tracks[axis] for axis in axes), 1, tuple(sides.get(axis, 1) for axis in axes))
    if first.rank > 3 or axes != [0]:
        return None
    columns = s.top.max(s.sizes(first.space)[1], 1)
    rows = s.top.max(s.top.min(s.top.quotient(PAIRS, columns), BLOCK_ROWS), 1)
    return Tiling((tracks[0],), rows)


def _both_ways(group: Group, track: Track) -> bool:
    """Whether rows are reduced as well as added to one another: of a few both find them in the cache."""
    return track.partial and any(stage.result in track.values for stage in group.stages)


def _reads_across(s: Lowering, stage: Stage, group: Group) -> bool:
    """Whether neighbours in a stage's sweep are far apart in something it reads."""
    last = stage.rank - 1
    for value, axis in reads(s, stage, last, group.results):
        if axis is not None and not _are_close(shape_of(value.type)[axis + 1 :]):
            return True
    return False


def _are_close(inner: Sequence[Extent]) -> bool:
    """Whether neighbours along an axis with these inside of it share lines of the cache."""
    extents = [extent for extent in inner if isinstance(extent, int)]
    return len(extents) == len(inner) and prod(extents) <= FEW


def _nothing_kept(s: Lowering, group: Group) -> bool:
    """Whether a group has nothing but reductions none of which reads the value of another."""
    own = group.results
    return all(
        stage.combines and not any(value in own for value, _ in reads(s, stage, None, own))
        for stage in group.stages
    )


def extent_of(s: Lowering, tiling: Tiling) -> Index:
    """The number of positions along all tracks together."""
    return s.top.product(track_sizes(s, tiling))


def track_sizes(s: Lowering, tiling: Tiling) -> list[Index]:
    """The number of positions along each track, or of blocks."""
    sizes = [_track_size(s, track) for track in tiling.tracks]
    if not tiling.sides:
        return sizes
    return [s.top.ceiling(size, side) for size, side in zip(sizes, tiling.sides, strict=True)]


def _track_size(s: Lowering, track: Track) -> Index:
    stage, axis = next(iter(track.axes.items()))
    assert stage.space is not None
    sizes = s.sizes(stage.space)
    if axis != FLAT:
        return sizes[axis]
    return s.top.product(sizes)


def picoseconds(s: Lowering, group: Group, tiling: Tiling) -> Index:
    """About how long one position takes."""
    total: Index = 0
    for stage in group.stages:
        one: Index = stage_picoseconds(s, stage)
        if isinstance(stage.op, ops.ContractOp):
            one = s.top.mul(s.sizes(stage.op.left)[-1], MULTIPLICATION_PICOSECONDS)
        total = s.top.add(total, s.top.mul(one, _beside(s, stage, tiling)))
    return s.top.mul(total, prod(tiling.sides))


def stage_operations(stage: Stage) -> int:
    """The cheap operations that an element of a stage's sweep takes."""
    owners = [owner for owner in map(lazy_owner, evaluated(stage.op)) if owner is not None]
    return sum(map(array_costs.operations, [stage.op, *owners]))


def stage_picoseconds(s: Lowering, stage: Stage) -> int:
    """About how long one element of a stage's sweep takes."""
    total = array_costs.picoseconds(stage.op) + bytes_of(stage.result) * BYTE_PICOSECONDS
    for value in evaluated(stage.op):
        owner = lazy_owner(value)
        if owner is not None:
            total += array_costs.picoseconds(owner)
        elif shape_of(value.type):
            total += bytes_of(value) * BYTE_PICOSECONDS
    return total


def _beside(s: Lowering, stage: Stage, tiling: Tiling) -> Index:
    """The elements of a stage's sweep at one position of the tracks."""
    if stage.space is None:
        return 1
    axes = {track.axes[stage] for track in tiling.tracks}
    sizes = enumerate(s.sizes(stage.space))
    return s.top.product(size for axis, size in sizes if axis not in axes and FLAT not in axes)


def grain_of(
    s: Lowering, tiling: Tiling, extent: Index, each: Index, partial: Index, least: Index = 0
) -> Index:
    """Positions in a chunk, at least so many: worth a thread, with `partial` bytes of results of each."""
    b = s.top
    eights = b.min(b.quotient(b.mul(extent, each), 8 * CHUNK_PICOSECONDS), EIGHTS)
    grain = b.ceiling(extent, b.max(b.mul(eights, 8), 1))
    if least != 0:
        grain = b.max(grain, least)
    if partial != 0:
        grain = b.max(grain, b.ceiling(b.mul(extent, partial), PARTIAL_BYTES))
    tile = tiling.tile or WHOLE_LINES
    return b.max(b.mul(b.ceiling(grain, tile), tile), 1)


def ranges_of(s: Lowering, stage: Stage, tiling: Tiling, low: Sequence[Index], high: Index) -> list[Range]:
    """The part of a stage's sweep that belongs to a tile: from `low` along each track; with more than one
    position in a tile, below `high` along the only one."""
    assert stage.space is not None
    ranges = [whole(size) for size in s.sizes(stage.space)]
    for track, first, side in zip(tiling.tracks, low, tiling.sides or (1,) * len(low), strict=True):
        axis = track.axes[stage]
        if side > 1:
            ranges[axis] = Range(first, s.b.min(s.b.add(first, side), ranges[axis].high), bound=side)
            continue
        if axis == FLAT:
            return [Range(0, 1, True)] * (stage.rank - 1) + [Range(first, high, bound=tiling.tile)]
        alone = tiling.single or bool(tiling.sides)
        ranges[axis] = Range(first, high, alone, tiling.tile)
    return ranges


def local_sizes(s: Lowering, value: SSAValue, tiling: Tiling) -> tuple[list[Index], list[int]]:
    """The extents of one tile of a value, and the axes that they are of; single axes are left out."""
    axes = [track.values[value] for track in tiling.tracks]
    sides = dict(zip(axes, tiling.sides, strict=False))
    if FLAT in axes:
        assert tiling.tile is not None
        return [tiling.tile], [FLAT]
    sizes: list[Index] = []
    kept = []
    by_lines = isinstance(value.owner, ops.TopKOp | ops.SoftmaxOp | ScanOp)  # never held in a register
    for axis, size in enumerate(s.sizes(value)):
        if axis in axes:  # there is a loop, even of one round, behind which no register is seen
            side = sides.get(axis, tiling.tile)
            single, extent = side == 1, size if size == 1 else side or size
            if sizes and side and not tiling.sides:  # rows of a narrow matrix lie as close as they do in it
                extent = s.top.min(extent, size)
        else:
            single, extent = size == 1 and not by_lines, size
        if not single:
            sizes.append(extent)
            kept.append(axis)
    return sizes, kept
