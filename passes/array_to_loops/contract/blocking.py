"""A product on its own: column blocks whose panels fit the cache, tiles of rows in parallel, each finished
while it is in the cache."""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.dialects import memref
from xdsl.dialects.builtin import DYNAMIC_INDEX, MemRefType, StridedLayoutAttr, i8
from xdsl.ir import SSAValue

from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.contract.microkernel import ROWS, RegisterTile
from flowc.passes.array_to_loops.contract.packing import pack_right, steps_of
from flowc.passes.array_to_loops.contract.pairs import Kept, fit_columns, in_words, tile_for
from flowc.passes.array_to_loops.contract.product import Product
from flowc.passes.array_to_loops.contract.stacks import Finish, for_each_matrix
from flowc.passes.array_to_loops.contract.tiles import Prepared, padded_columns
from flowc.passes.array_to_loops.elements import Lowering

COLUMNS = 512
"""Columns of which the panels are packed at once."""

TILE = 8 * ROWS
"""Rows of a tile."""

DEEP = 2048
"""Steps of the contraction of which the panels are packed at once."""

KEPT_ROWS = 16 * TILE
"""Rows of which the sums are kept where the contraction is deeper."""


@frozen
class Columns:
    """A block of columns of a product: memory for its panels, and how a finished tile is stored, given its
    first row and the number of its rows. `fit` is that of `Prepared`."""

    product: Product
    shape: RegisterTile
    stack: tuple[Index, ...]
    panels: SSAValue
    padded: Index
    steps: Index
    store: Callable[[SSAValue, SSAValue, Index], None]
    fit: SSAValue | None


@frozen
class Part:
    """Part of a deep contraction: the first of the rows that are treated together, the first step, whether
    there are several parts, and the sums that are kept if so. `fits` is memory for what `Kept` has of each
    tile of the rows."""

    start: Index
    deep: Index
    split: SSAValue
    sums: SSAValue
    fits: SSAValue | None


def blocked(s: Lowering, p: Product, finish: Finish, sideways: bool = False) -> None:
    """Computes a stack of products; `finish` stores each element, column by column if `sideways`."""
    for_each_matrix(s, p, _work(s, p), lambda stack: _matrix(s, p, stack, finish, sideways))


def _work(s: Lowering, p: Product) -> Index:
    """About how many nanoseconds one matrix takes."""
    b = s.b
    return b.floordiv(b.mul(b.mul(p.rows, p.columns), p.depth), 64)


def _matrix(s: Lowering, p: Product, stack: tuple[Index, ...], finish: Finish, sideways: bool) -> None:
    b = s.b
    if isinstance(p.columns, int) and p.columns <= COLUMNS:
        _columns(s, p, stack, 0, finish, sideways)
        return

    def part(first: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        own = p.of_columns(b, first, b.min(COLUMNS, b.sub(p.columns, first)))
        _columns(s, own, stack, first, finish, sideways)
        return ()

    b.loop(0, p.columns, (), part, step=COLUMNS)


def _columns(
    s: Lowering, p: Product, stack: tuple[Index, ...], first: Index, finish: Finish, sideways: bool
) -> None:
    """Computes a block of columns, of which `first` is the first."""
    b = s.b
    p = in_words(s, p)
    shape = tile_for(s, p)
    padded = padded_columns(s, p, shape)
    panels = b.allocate(shape.factor, [b.mul(b.min(DEEP, p.depth), padded)])

    def store(tile: SSAValue, low: SSAValue, count: Index) -> None:
        def one(i: SSAValue, j: SSAValue) -> None:
            finish(b.load(tile, [i, j]), (*stack, b.add(low, i), b.add(first, j)))

        if sideways:
            b.nest([p.columns, count], lambda at: one(at[1], at[0]))
        else:
            b.nest([count, p.columns], lambda at: one(at[0], at[1]))

    block = Columns(
        p, shape, stack, panels, padded, steps_of(s, p, shape, padded), store, fit_columns(s, p, stack)
    )
    if isinstance(p.depth, int) and p.depth <= DEEP:
        _at_once(s, block)
    else:
        _by_depth(s, block)
    b.append(memref.DeallocOp.get(panels))


def _at_once(s: Lowering, block: Columns) -> None:
    """All of the contraction for one tile after the other."""
    p, b = block.product, s.b
    pack_right(s, p, block.shape, block.stack, block.panels, block.padded, steps=block.steps)
    prepared = Prepared(p, block.shape, block.panels, block.padded, block.stack, block.steps, block.fit)

    def some(low: SSAValue, high: SSAValue) -> None:
        tile = prepared.buffer(s, TILE)
        prepared.tile(s, low, high, tile)
        block.store(tile, low, b.sub(high, low))
        b.append(memref.DeallocOp.get(tile))

    b.parallel(p.rows, TILE, _work(s, p), some)


def _by_depth(s: Lowering, block: Columns) -> None:
    """A deep contraction part by part, so that its panels stay small: the sums of some rows are kept in
    between. One that turns out to have a single part keeps those of a tile, as above."""
    p, b = block.product, s.b
    split = b.compare("sgt", b.index(p.depth), b.index(DEEP))
    together = b.select(split, b.index(KEPT_ROWS), b.index(b.max(p.rows, 1)))
    room = b.select(split, b.index(b.min(KEPT_ROWS, b.add(p.rows, ROWS))), b.index(1))
    sums = b.allocate(block.shape.element, [room, block.padded])
    fits = None if block.fit is None else b.allocate(i8, [b.ceiling(together, TILE)])

    def rows(number: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        start = b.mul(number, together)
        count = b.min(together, b.sub(p.rows, start))

        def depth(deep: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            own = p.of_depth(b, deep, b.min(DEEP, b.sub(p.depth, deep)))
            pack_right(s, own, block.shape, block.stack, block.panels, block.padded, steps=block.steps)
            part = Part(start, deep, split, sums, fits)
            b.parallel(count, TILE, _work(s, own), lambda low, high: _part(s, block, own, part, low, high))
            return ()

        b.loop(0, b.max(p.depth, 1), (), depth, step=DEEP)
        return ()

    b.loop(0, b.ceiling(p.rows, together), (), rows)
    if fits is not None:
        b.append(memref.DeallocOp.get(fits))
    b.append(memref.DeallocOp.get(sums))


def _part(s: Lowering, block: Columns, own: Product, part: Part, low: SSAValue, high: SSAValue) -> None:
    """Adds a part of the contraction to some rows, and finishes them if it is the last."""
    b = s.b
    prepared = Prepared(own, block.shape, block.panels, block.padded, block.stack, block.steps, block.fit)
    fresh = prepared.buffer(s, TILE)
    tile = b.select(
        part.split, _rows_from(s, part.sums, low, block.padded), _rows_from(s, fresh, 0, block.padded)
    )
    begins = b.compare("eq", b.index(part.deep), b.index(0))
    first, end = b.add(part.start, low), b.add(part.start, high)
    kept = None if part.fits is None else Kept(part.fits, b.floordiv(low, TILE), begins)
    prepared.tile(s, first, end, tile, begins, kept)
    last = b.compare("sge", b.index(b.add(part.deep, DEEP)), b.index(block.product.depth))

    def store() -> Sequence[SSAValue]:
        block.store(tile, b.index(first), b.sub(high, low))
        return ()

    b.branch(last, store, lambda: ())
    b.append(memref.DeallocOp.get(fresh))


def _rows_from(s: Lowering, buffer: SSAValue, row: Index, padded: Index) -> SSAValue:
    """The rows of a buffer from one on."""
    element = scalars.element_type(buffer)
    type_ = MemRefType(element, [TILE, DYNAMIC_INDEX], StridedLayoutAttr([None, 1], None))
    offset, columns = s.b.index(s.b.mul(row, padded)), s.b.index(padded)
    return s.b.insert(
        memref.ReinterpretCastOp.from_dynamic(buffer, [offset], [TILE, columns], [columns, 1], type_)
    )
