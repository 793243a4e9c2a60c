"""Products of a few rows with a large matrix, which is read once and in the order in which it lies.

The contraction is cut into eight parts, or eight for each 8,192 steps of a deep one, which threads share, and
each part into blocks of some rows of the matrix. While every tile of registers goes through a block, the sums
of the part wait in memory. Extents alone decide on the parts, whose sums are added in their order.
"""

from collections.abc import Sequence

from attrs import frozen
from xdsl.dialects import memref, vector
from xdsl.ir import SSAValue

from flowc.dialects import loops
from flowc.dialects.array.types import bits
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.contract.microkernel import ROWS, VECTORS, RegisterTile, multiply, tile_of
from flowc.passes.array_to_loops.contract.product import LINE, Product
from flowc.passes.array_to_loops.contract.stacks import Finish
from flowc.passes.array_to_loops.elements import Lowering
from flowc.passes.array_to_loops.reductions import combine

BLOCK = 32
"""Rows of the matrix in a block: with a few thousand columns they stay in the second-level cache."""

PARTS, LONG = 8, 8192
"""So many parts for each so many steps of the contraction."""


@frozen
class Streamed:
    """A product, the shape of its register tiles, how many of these share a row, and the sums of all parts by
    part, tile, row and column in the tile."""

    product: Product
    shape: RegisterTile
    tiles: Index
    sums: SSAValue

    def first(self, s: Lowering, tile: Index) -> Index:
        """The first column of a tile: the last one may begin within the one before it."""
        width = self.shape.width
        return s.b.min(s.b.mul(tile, width), s.b.sub(self.product.columns, width))


def streamed(s: Lowering, p: Product, finish: Finish) -> None:
    """Computes a product without a stack for which `reads_rows` holds, columns enough for a wide tile."""
    b = s.b
    shape = tile_of(p.dtype, s.vector_bits, VECTORS[s.vector_bits >= 512])
    parts = b.mul(b.max(b.ceiling(p.depth, LONG), 1), PARTS)
    length = b.ceiling(p.depth, parts)
    tiles = b.ceiling(p.columns, shape.width)
    rows = b.mul(b.ceiling(p.rows, ROWS), ROWS)
    sums = b.allocate(shape.element, [parts, tiles, rows, shape.width])
    whole = Streamed(p, shape, tiles, sums)

    def some(low: SSAValue, high: SSAValue) -> None:
        def one(part: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            start = b.mul(part, length)
            count = b.max(b.min(length, b.sub(p.depth, start)), 0)
            _part(s, whole, part, p.of_depth(b, start, count))
            return ()

        b.loop(low, high, (), one)

    b.parallel(parts, 1, _work(s, p), some)
    b.nest([tiles, p.rows], lambda at: _finish(s, whole, parts, at, finish))
    b.append(memref.DeallocOp.get(sums))


def _work(s: Lowering, p: Product) -> Index:
    """About how many nanoseconds it takes to read the matrix."""
    return s.b.floordiv(s.b.mul(s.b.mul(p.depth, p.columns), max(bits(p.dtype) // 8, 1)), 32)


def _part(s: Lowering, whole: Streamed, part: SSAValue, own: Product) -> None:
    """The sums of a part of the contraction."""
    b = s.b

    def block(k: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        steps = own.of_depth(b, k, b.min(BLOCK, b.sub(own.depth, k)))
        begins = b.compare("eq", k, b.index(0))

        def row(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            def column(tile: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
                _tile(s, whole, steps, (part, tile, i), begins)
                return ()

            b.loop(0, whole.tiles, (), column)
            return ()

        b.loop(0, own.rows, (), row, step=ROWS)
        return ()

    b.loop(0, b.max(own.depth, 1), (), block, step=BLOCK)


def _tile(
    s: Lowering, whole: Streamed, p: Product, at: tuple[SSAValue, SSAValue, SSAValue], begins: SSAValue
) -> None:
    """Adds a block to the sums of a tile, or sets them if it is the first. While rows of the block are read,
    those of the next are asked for."""
    b, shape = s.b, whole.shape
    part, tile, i = at
    first = whole.first(s, tile)
    own = [b.min(b.add(i, number), b.sub(p.rows, 1)) for number in range(ROWS)]
    places = [[part, tile, b.index(b.add(i, number)), b.index(0)] for number in range(ROWS)]
    zero = b.insert(vector.BroadcastOp(b.constant(0, shape.element), shape.vector))
    left, right = p.left.place, p.right.place
    assert left is not None
    assert right is not None

    def loaded(k: SSAValue) -> SSAValue:
        for column in range(0, shape.width, LINE * 8 // bits(p.dtype)):
            ahead, where = right((), b.add(first, column), b.add(k, BLOCK))
            b.append(loops.PrefetchOp(ahead, [b.index(position) for position in where]))
        buffer, place = right((), first, k)
        return b.insert(vector.LoadOp(buffer, [b.index(position) for position in place], shape.vector))

    before = [b.insert(vector.LoadOp(whole.sums, place, shape.vector)) for place in places]
    start = [b.select(begins, zero, sums) for sums in before]
    added = multiply(s, shape, lambda number, k: b.load(*left((), own[number], k)), loaded, p.depth, start)
    for place, value in zip(places, added, strict=True):
        b.append(vector.StoreOp(value, whole.sums, place))


def _finish(s: Lowering, whole: Streamed, parts: Index, at: tuple[SSAValue, ...], finish: Finish) -> None:
    """Adds the sums of all parts to those of the first, and hands on those of a tile's row."""
    b, sums, width = s.b, whole.sums, whole.shape.width
    tile, i = at

    def add(step: tuple[SSAValue, ...]) -> None:
        place = [b.index(0), tile, i, step[1]]
        other = b.load(sums, [b.add(step[0], 1), *place[1:]])
        b.store(combine(b, "sum", b.load(sums, place), other), sums, place)

    b.nest([b.sub(parts, 1), width], add)
    low = b.mul(tile, width)
    skipped = b.sub(low, whole.first(s, tile))

    def element(j: tuple[SSAValue, ...]) -> None:
        finish(b.load(sums, [b.index(0), tile, i, b.add(skipped, j[0])]), (i, b.add(low, j[0])))

    b.nest([b.min(width, b.sub(whole.product.columns, low))], element)
