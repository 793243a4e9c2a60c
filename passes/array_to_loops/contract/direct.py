"""Products that read the right operand where it lies, row after row: a register tile of sums is kept over all
of the contraction, and nothing is packed.

This is for few rows, for little work, for a small right operand, and for a deep contraction with a small
result. The last is cut into parts, whose sums are added in their order; extents alone decide on the parts.
"""

from collections.abc import Callable, Sequence

from attrs import evolve, frozen
from xdsl.dialects import memref, vector
from xdsl.dialects.builtin import VectorType, i1
from xdsl.ir import SSAValue

from flowc.dialects.array.types import bits
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index, LoopBuilder
from flowc.passes.array_to_loops.contract.microkernel import (
    ROWS,
    VECTORS,
    Ahead,
    RegisterTile,
    multiply,
    tile_of,
)
from flowc.passes.array_to_loops.contract.product import DEPTH, LINE, SIDE, Operand, Product
from flowc.passes.array_to_loops.contract.stacks import Finish, for_each_matrix, grain_of
from flowc.passes.array_to_loops.elements import Lowering
from flowc.passes.array_to_loops.reductions import combine, identity

DEEP = 4096
"""Steps of a part of the contraction."""

SMALL = 1024
"""Elements of a result that is kept once for each part of the contraction."""

AHEAD = 4096
"""How many bytes in advance narrow rows are asked for: reads under a mask do not teach the processor to."""

CHUNK = 1 << 17
"""Multiplications that are worth a thread."""

ALONE = 4
"""Times as many columns has a tile of one row: it reads more of each row of the right operand at once."""

ROWS_AHEAD = 8
"""How many rows of the right operand in advance such a tile asks for."""

MANY_ROWS = 2 * ROWS
"""Rows of a tile of one vector: sums enough that none waits for the one before it."""

TILES = 8
"""Tiles of rows that are not parted: fewer of them share the columns, so that each is read once."""

Store = Callable[[SSAValue, Index, Index], None]
"""Takes an element with its row and its column."""

Done = Callable[[Callable[[Store], None]], None]
"""Takes what hands each element of a tile to a store, and says to which."""


@frozen
class Tile:
    """The rows and columns of a register tile; one that is not `whole` may reach beyond the last column."""

    rows: int
    shape: RegisterTile
    whole: bool


def reads_rows(p: Product) -> bool:
    """Whether both operands lie in memory, and the right one's rows are vectors there."""
    return p.left.place is not None and p.right.place is not None and p.right.contiguous == SIDE


def direct(s: Lowering, p: Product, finish: Finish) -> None:
    """Computes a product for which `reads_rows` holds, or whose right operand is small: it is turned first
    where its columns lie in memory one after another."""
    for_each_matrix(s, p, _work(s, p), lambda stack: _matrix(s, p, stack, finish))


def _work(s: Lowering, p: Product) -> Index:
    """About how many nanoseconds one matrix takes."""
    number = s.b.mul(s.b.mul(p.rows, p.columns), p.depth)
    return s.b.floordiv(s.b.mul(number, max(bits(p.dtype) // 8, 1)), 64)


def _matrix(s: Lowering, p: Product, stack: tuple[Index, ...], finish: Finish) -> None:
    if p.right.contiguous == DEPTH:
        turned = s.b.allocate(scalars.held_type(p.dtype), [p.depth, p.columns])
        s.b.nest(
            [p.columns, p.depth], lambda at: s.b.store(p.right.element(stack, *at), turned, [at[1], at[0]])
        )
        right = Operand(lambda _, j, k: s.b.load(turned, [k, j]), lambda _, j, k: (turned, [k, j]), SIDE)
        _matrix(s, evolve(p, right=right), stack, finish)
        s.b.append(memref.DeallocOp.get(turned))
        return

    def finished(value: SSAValue, i: Index, j: Index) -> None:
        finish(value, (*stack, i, j))

    if p.stack or s.b.precise or (isinstance(p.depth, int) and p.depth <= DEEP):
        _tiles(s, p, stack, lambda each: each(finished))
    else:
        _by_parts(s, p, stack, finished)


def _by_parts(s: Lowering, p: Product, stack: tuple[Index, ...], finish: Store) -> None:
    """Keeps the sums of each part of the contraction if there are several, and adds them in their order."""
    b = s.b
    small = b.compare("sle", b.index(b.mul(p.rows, p.columns)), b.index(SMALL))
    length = b.select(small, b.index(DEEP), b.index(b.max(p.depth, 1)))
    parts = b.max(b.ceiling(p.depth, length), 1)
    split = b.compare("sgt", b.index(parts), b.index(1))
    zero = identity(b, "sum", p.dtype)
    sums = b.allocate(zero.type, [b.select(split, b.index(parts), b.index(0)), p.rows, p.columns])

    def some(low: SSAValue, high: SSAValue) -> None:
        def one(part: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            start = b.mul(part, length)
            own = p.of_depth(b, start, b.min(length, b.sub(p.depth, start)))

            def keep(value: SSAValue, i: Index, j: Index) -> None:
                b.store(value, sums, [part, i, j])

            _tiles(s, own, stack, lambda each: b.either(split, lambda: each(keep), lambda: each(finish)))
            return ()

        b.loop(low, high, (), one)

    b.parallel(parts, 1, _work(s, p), some)

    def total(at: tuple[SSAValue, ...]) -> None:
        def add(part: SSAValue, before: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            return (combine(b, "sum", before[0], b.load(sums, [part, *at])),)

        finish(b.loop(0, parts, (zero,), add, plain=True)[0], *at)

    b.either(split, lambda: b.nest([p.rows, p.columns], total), lambda: None)
    b.append(memref.DeallocOp.get(sums))


def _tiles(s: Lowering, p: Product, stack: tuple[Index, ...], done: Done) -> None:
    """Wide tiles where there are columns enough for one, else narrow ones."""
    b = s.b
    most = max(p.rows, 1) if isinstance(p.rows, int) else MANY_ROWS
    rows, vectors = min(most, ROWS), VECTORS[s.vector_bits >= 512]
    tiles = [Tile(rows, tile_of(p.dtype, s.vector_bits, vectors), True)]
    if rows == 1:
        tiles.insert(0, Tile(1, tile_of(p.dtype, s.vector_bits, ALONE * vectors), True))
    narrow = Tile(min(most, MANY_ROWS), tile_of(p.dtype, s.vector_bits, 1), False)
    each = b.mul(b.mul(p.depth, p.columns), rows)

    def widest(tiles: Sequence[Tile], bounds: tuple[SSAValue, SSAValue]) -> None:
        if not tiles:
            _sweep(s, p, stack, narrow, bounds, done)
            return
        b.either(
            b.compare("sge", b.index(p.columns), b.index(tiles[0].shape.width)),
            lambda: _sweep(s, p, stack, tiles[0], bounds, done),
            lambda: widest(tiles[1:], bounds),
        )

    def some(low: SSAValue, high: SSAValue) -> None:
        widest(tiles, (low, high))

    if p.stack:
        some(b.index(0), b.index(p.rows))
    else:
        grain = b.mul(b.max(grain_of(s, each, CHUNK), TILES), rows)
        b.parallel(p.rows, grain, _work(s, p), some)


def _sweep(
    s: Lowering, p: Product, stack: tuple[Index, ...], tile: Tile, rows: tuple[SSAValue, SSAValue], done: Done
) -> None:
    """All tiles of some rows."""
    b, width = s.b, tile.shape.width
    low, high = rows

    def some(first: SSAValue, end: SSAValue) -> None:
        def row(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            def column(j: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
                _tile(s, p, stack, tile, (i, high), b.mul(j, width), done)
                return ()

            b.loop(first, end, (), column)
            return ()

        b.loop(low, high, (), row, step=tile.rows)

    number = b.ceiling(p.columns, width)
    if p.stack or not tile.whole:
        some(b.index(0), b.index(number))
        return
    count = b.mul(b.sub(high, low), p.depth)
    b.parallel(
        number,
        b.max(grain_of(s, b.mul(count, width), CHUNK), 1),
        _work(s, evolve(p, rows=b.sub(high, low))),
        some,
    )


def _tile(
    s: Lowering,
    p: Product,
    stack: tuple[Index, ...],
    tile: Tile,
    rows: tuple[SSAValue, SSAValue],
    first: Index,
    done: Done,
) -> None:
    """One register tile. A whole one that would reach beyond the last column begins earlier and computes some
    columns again; only those from `first` on are stored."""
    b, width = s.b, tile.shape.width
    i, end = rows
    start = b.min(first, b.sub(p.columns, width)) if tile.whole else first
    kept = s.b.insert(memref.AllocaOp.get(tile.shape.element, shape=[tile.rows, width]))
    own = [b.min(b.add(i, number), b.sub(end, 1)) if number else i for number in range(tile.rows)]
    zero = b.insert(vector.BroadcastOp(b.constant(0, tile.shape.element), tile.shape.vector))
    left, right = p.left.place, p.right.place
    assert left is not None
    assert right is not None
    distance = grain_of(s, p.columns, AHEAD // max(bits(p.dtype) // 8, 1))
    mask = None if tile.whole else _mask(s, b.sub(p.columns, start), width)

    def loaded(k: SSAValue) -> SSAValue:
        buffer, at = right(stack, start, k)
        place = [b.index(position) for position in at]
        if tile.rows == 1 and tile.whole:
            for column in range(0, width, LINE * 8 // bits(p.dtype)):
                p.right.ask(s, stack, b.add(start, column), b.add(k, ROWS_AHEAD))
        if mask is None:
            return b.insert(vector.LoadOp(buffer, place, tile.shape.vector))
        if not p.stack:
            p.right.ask(s, stack, start, b.add(k, distance))
        return b.insert(vector.MaskedLoadOp(buffer, place, mask, zero))

    def ask(k: SSAValue) -> None:
        for number in range(tile.rows):
            p.left.ask(s, stack, b.add(i, tile.rows + number), k)

    lies = p.left.contiguous == DEPTH and not tile.whole
    sums = multiply(
        s,
        tile.shape,
        lambda number, k: b.load(*left(stack, own[number], k)),
        loaded,
        p.depth,
        [zero] * tile.rows,
        Ahead(LINE * 8 // bits(p.dtype), ask) if lies else None,
    )
    for number, value in enumerate(sums):
        b.append(vector.StoreOp(value, kept, [b.index(number), b.index(0)]))

    count = 1 if tile.rows == 1 else b.min(tile.rows, b.sub(end, i))
    columns = b.min(width, b.sub(p.columns, first))
    done(lambda store: _hand_on(b, kept, (count, columns), (i, first), b.sub(first, start), store))


def _hand_on(
    b: LoopBuilder,
    kept: SSAValue,
    extents: tuple[Index, Index],
    origin: tuple[SSAValue, Index],
    skipped: Index,
    store: Store,
) -> None:
    """Gives the sums of a tile, but for some columns, to `store`; `origin` is the place of the first."""

    def element(at: tuple[SSAValue, ...]) -> None:
        i, j = (b.add(first, place) for first, place in zip(origin, at, strict=True))
        store(b.load(kept, [at[0], b.add(skipped, at[1])]), i, j)

    b.nest(extents, element)


def _mask(s: Lowering, count: Index, width: int) -> SSAValue:
    """The first `count` lanes of a vector."""
    return s.b.insert(vector.CreateMaskOp([s.b.index(count)], VectorType(i1, [width])))
