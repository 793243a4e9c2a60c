"""Reductions along the last axis whose operands are each repeated along one of the two axes before it, such
as the distances between all pairs of rows.

Pairs are reduced side by side, a lane of a vector each, so that no vector has to be added up. What varies
from lane to lane is turned in a small memory first, once for all rows of a tile.
"""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.dialects import memref, vector
from xdsl.dialects.builtin import FixedBitwidthType, VectorType, i1
from xdsl.ir import SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.kinds import compute_dtype
from flowc.dialects.array.types import dtype_of, shape_of
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index, Range
from flowc.passes.array_to_loops.elements import Lowering, aligned
from flowc.passes.array_to_loops.folds import Fold, axes_of, element_of, lower_folds, position_of, reducer_of
from flowc.passes.array_to_loops.reductions import Carried, absorb, combine, identity, start
from flowc.passes.array_walks import origins

TILE_ROWS, TILE_COLUMNS = 64, 128
"""Pairs of a tile: of so many rows of one operand with so many of the other."""
VECTORS = 2
"""Vectors of lanes that are reduced at once, for each of `ROWS` rows."""
ROWS = 4
FEW = 6
"""Rows of either operand of which fewer go pair by pair."""
DEPTH = 256
"""Elements of a row that are turned at once."""
CHAIN = 16
"""Elements that are added one after the other; the sums of chains are added as those of blocks."""


def goes_side_by_side(s: Lowering, op: ops.ReduceOp) -> bool:
    """Whether pairs can be reduced side by side: nothing varies along both axes before the last."""
    rank = len(shape_of(op.source.type))
    if s.ordered or rank < 3 or axes_of(op) != [rank - 1] or reducer_of(op).held == i1:
        return False
    axes = [_varies(s, value, op.source) for value in _operands(s, op)]
    return all(own is not None and not {rank - 3, rank - 2} <= own for own in axes)


def _operands(s: Lowering, op: ops.ReduceOp) -> list[SSAValue]:
    """What an element is computed from, by operators on single elements."""

    def further(value: SSAValue) -> Sequence[SSAValue]:
        owner = value.owner
        if isinstance(owner, ops.ElementwiseOp | ops.CastOp) and not s.stored(value):
            return owner.operands
        return ()

    return [value for value in origins([op.source], further) if not further(value)]


def _varies(s: Lowering, value: SSAValue, whole: SSAValue) -> set[int] | None:
    """The axes of `whole` along which something that is broadcast to it varies, if that is known."""
    offset = len(shape_of(whole.type)) - len(shape_of(value.type))
    axes = set()
    for axis, extent in enumerate(shape_of(value.type), offset):
        if extent == 1:
            continue
        if s.extents.extent(value, axis - offset) != s.extents.extent(whole, axis):
            return None
        axes.add(axis)
    return axes


def goes_beside(s: Lowering, folds: Sequence[Fold], ranges: Sequence[Range]) -> bool:
    """Whether reductions go over tiles of pairs."""
    if len(ranges) < 3:
        return False
    rows, outer = ranges[-3], ranges[:-3]
    tiled = rows.bound is not None and not rows.single and all(here.single for here in outer)
    return tiled and all(goes_side_by_side(s, fold.op) for fold in folds)


@frozen
class Beside:
    """Reductions of a tile of pairs: its ranges, the lanes, the rows that there is room for, for each
    reduction its totals of all rows, and for each operand that is turned its memory."""

    folds: Sequence[Fold]
    ranges: Sequence[Range]
    lanes: int
    room: Index
    totals: list[list[SSAValue]]
    panels: dict[SSAValue, SSAValue]

    @property
    def rows(self) -> Range:
        """The rows of the operand that is not turned."""
        return self.ranges[-3]

    @property
    def columns(self) -> Range:
        """The rows of the operand that is."""
        return self.ranges[-2]

    def at(self, row: Index, column: Index, k: Index) -> tuple[Index, ...]:
        """The position of an element."""
        return (*(here.low for here in self.ranges[:-3]), row, column, k)


def lower_beside(s: Lowering, folds: Sequence[Fold], ranges: Sequence[Range]) -> None:
    """Reductions of the same pairs, over a tile of them; of few rows with others, pair by pair."""
    b = s.b
    rows, columns = (b.index(b.sub(here.high, here.low)) for here in ranges[-3:-1])
    few = b.compare("slt", b.index(b.min(rows, columns)), b.index(FEW))
    tile = _tile(s, folds, ranges)
    b.either(few, lambda: lower_folds(s, folds, ranges), lambda: _lower(s, tile))


def _tile(s: Lowering, folds: Sequence[Fold], ranges: Sequence[Range]) -> Beside:
    """A tile with its memory."""
    room = s.top.mul(s.top.ceiling(ranges[-3].room, ROWS), ROWS)
    across = len(ranges) - 2
    reducers = [reducer_of(fold.op) for fold in folds]
    lanes = VECTORS * s.vector_bits // max(_bits(reducer.held) for reducer in reducers)
    totals = [[s.allocate(held, [room, lanes]) for held in reducer.carried] for reducer in reducers]
    panels = {}
    for fold in folds:
        for value in _operands(s, fold.op):
            if across in (_varies(s, value, fold.op.source) or ()):
                held = scalars.stored_type(compute_dtype(dtype_of(value.type)))
                panels[value] = s.allocate(held, [DEPTH, lanes])
    return Beside(folds, ranges, lanes, room, totals, panels)


def _lower(s: Lowering, tile: Beside) -> None:
    b, depth = s.b, tile.ranges[-1]

    def block(low: SSAValue, _: Carried) -> Sequence[SSAValue]:
        count = b.min(tile.lanes, b.sub(tile.columns.high, low))
        _clear(s, tile)

        def deep(first: SSAValue, _: Carried) -> Sequence[SSAValue]:
            steps = b.min(DEPTH, b.sub(depth.high, first))
            _turn(s, tile, low, (first, steps))
            b.loop(
                tile.rows.low,
                tile.rows.high,
                (),
                lambda i, _: _rows(s, tile, i, low, (first, steps)),
                step=ROWS,
            )
            return ()

        b.loop(depth.low, depth.high, (), deep, step=DEPTH)
        _finish(s, tile, low, count)
        return ()

    b.loop(tile.columns.low, tile.columns.high, (), block, step=tile.lanes)


def _bits(type_: object) -> int:
    assert isinstance(type_, FixedBitwidthType)
    return type_.bitwidth


def _clear(s: Lowering, tile: Beside) -> None:
    first = [start(s.b, reducer_of(fold.op)) for fold in tile.folds]

    def clear(at: tuple[Index, ...]) -> None:
        for buffers, values in zip(tile.totals, first, strict=True):
            for buffer, value in zip(buffers, values, strict=True):
                s.b.store(value, buffer, at)

    s.b.nest([tile.room, tile.lanes], clear, plain=True)


def _turn(s: Lowering, tile: Beside, low: Index, depth: tuple[Index, Index]) -> None:
    """Copies what varies from lane to lane; lanes beyond the last have its elements again."""
    b = s.b
    last = b.sub(tile.columns.high, 1)

    def one(at: tuple[Index, ...]) -> None:
        lane, step = at
        position = tile.at(tile.rows.low, b.min(b.add(low, lane), last), b.add(depth[0], step))
        for value, panel in tile.panels.items():
            scalars.store(b, s.element(value, aligned(value, position)), panel, [step, lane])

    b.nest([tile.lanes, depth[1]], one, plain=True)


def _rows(
    s: Lowering, tile: Beside, first: SSAValue, low: Index, depth: tuple[Index, Index]
) -> Sequence[SSAValue]:
    """Some rows with all lanes; rows beyond the last are that one again."""
    b = s.b
    own = [b.min(b.add(first, row), b.sub(tile.rows.high, 1)) for row in range(ROWS)]
    places = [b.add(b.sub(first, tile.rows.low), row) for row in range(ROWS)]
    reducers = [reducer_of(fold.op) for fold in tile.folds]
    sums = [
        [b.insert(memref.AllocaOp.get(reducer.held, 64, shape=[tile.lanes])) for reducer in reducers]
        for _ in own
    ]

    def clear() -> None:
        for reducer, buffers in zip(reducers, zip(*sums, strict=True), strict=True):
            neutral = identity(b, reducer.kind, reducer.dtype)
            neutrals = b.insert(vector.BroadcastOp(neutral, VectorType(reducer.held, [tile.lanes])))
            for buffer in buffers:
                b.append(vector.StoreOp(neutrals, buffer, [b.index(0)]))

    def chain(begin: SSAValue, _: Carried) -> Sequence[SSAValue]:
        clear()
        b.loop(begin, b.min(b.add(begin, CHAIN), depth[1]), (), step)
        _lanes(s, tile, add)
        return ()

    def step(k: SSAValue, _: Carried) -> Sequence[SSAValue]:
        _lanes(s, tile, lambda lane: one(lane, k))
        return ()

    def one(lane: Index, k: SSAValue) -> None:
        j, deep = b.add(low, lane), b.add(depth[0], k)
        turned = [
            (value, scalars.load(b, panel, [k, lane], compute_dtype(dtype_of(value.type))))
            for value, panel in tile.panels.items()
        ]
        for i, mine in zip(own, sums, strict=True):
            at = tile.at(i, j, deep)
            for value, held in turned:
                s.assume(value, aligned(value, at), held)
            for fold, reducer, buffer in zip(tile.folds, reducers, mine, strict=True):
                after = combine(
                    b, reducer.kind, b.load(buffer, [lane]), element_of(s, fold.op, at), reducer.dtype
                )
                b.store(after, buffer, [lane])

    def add(lane: Index) -> None:
        for row, mine in zip(places, sums, strict=True):
            before = [tuple(b.load(buffer, [row, lane]) for buffer in buffers) for buffers in tile.totals]
            values = [b.load(buffer, [lane]) for buffer in mine]
            for buffers, after in zip(tile.totals, absorb(b, reducers, before, values), strict=True):
                for buffer, value in zip(buffers, after, strict=True):
                    b.store(value, buffer, [row, lane])

    b.loop(0, depth[1], (), chain, step=CHAIN)
    return ()


def _lanes(s: Lowering, tile: Beside, body: Callable[[Index], None]) -> None:
    """A loop over lanes, of which each vector is written out."""
    width = tile.lanes // VECTORS

    def whole(low: SSAValue, _: Carried) -> Sequence[SSAValue]:
        def one(lane: SSAValue, _: Carried) -> Sequence[SSAValue]:
            body(s.b.add(low, lane))
            return ()

        s.b.loop(0, width, (), one, rolled=True)
        return ()

    s.b.loop(0, tile.lanes, (), whole, step=width)


def _finish(s: Lowering, tile: Beside, low: Index, count: Index) -> None:
    """Gives the totals to the sinks."""
    b = s.b

    def one(at: tuple[Index, ...]) -> None:
        row, lane = at
        place = dict(enumerate(tile.at(b.add(tile.rows.low, row), b.add(low, lane), 0)[:-1]))
        for fold, buffers in zip(tile.folds, tile.totals, strict=True):
            fold.sink(position_of(fold.op, place), tuple(b.load(buffer, [row, lane]) for buffer in buffers))

    b.nest([b.sub(tile.rows.high, tile.rows.low), count], one)
