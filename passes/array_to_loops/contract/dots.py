"""Products of operands that both lie along the contraction: register tiles of dot products.

A tile has a vector of sums for each pair of its rows and columns, which all grow at once, so that what is
read serves several of them. What is left at the end of the contraction is read under a mask.
"""

from collections.abc import Callable, Sequence

from attrs import evolve, frozen
from xdsl.dialects import arith, memref, vector
from xdsl.dialects.builtin import VectorType, f32, f64, i1
from xdsl.ir import SSAValue

from flowc.dialects.array.types import bits
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.contract.microkernel import RegisterTile, tile_of
from flowc.passes.array_to_loops.contract.product import DEPTH, Operand, Product
from flowc.passes.array_to_loops.contract.stacks import Finish, for_each_matrix, grain_of
from flowc.passes.array_to_loops.elements import Lowering

ALONE = 8
"""Rows of a tile where there is one column."""

ROWS, COLUMNS = 4, (2, 4)
"""Rows of a tile, and its columns for vectors of at most 256 bits and of 512: they fill the registers."""

NARROW = range(2, 5)
"""Columns of a narrow right operand: so many dot products take less than vectors of so few columns."""

BLOCK = 4096
"""Steps of the contraction whose sums are kept in the product's own dtype; they are added in f64."""

SHORT, AHEAD = 1024, 4096
"""Rows of fewer bytes are asked for so many bytes in advance: reads under a mask alone would not teach the
processor to."""

CACHED = 2 << 20
"""Bytes that the second-level cache may hold."""

NEARBY = 1 << 18
"""Bytes of rows that meet all columns before the next ones are read."""

CHUNK = 1 << 17
"""Multiplications that are worth a thread."""


@frozen
class Dots:
    """A register tile: how many rows and columns, and one vector of sums."""

    rows: int
    columns: int
    shape: RegisterTile


def reads_depth(p: Product) -> bool:
    """Whether both operands are floats that lie in memory one after another along the contraction."""
    return p.dtype in ("f32", "f64") and all(
        operand.place is not None and operand.contiguous == DEPTH for operand in (p.left, p.right)
    )


def is_narrow(s: Lowering, p: Product) -> bool:
    """Whether rows of floats in memory meet so few columns, known now, that a tile or two hold them."""
    long = not isinstance(p.depth, int) or p.depth >= tile_of(p.dtype, s.vector_bits, 1).width
    lies = p.left.place is not None and p.left.contiguous == DEPTH and p.right.place is not None
    return p.dtype in ("f32", "f64") and lies and long and p.columns in NARROW


def dots(s: Lowering, p: Product, finish: Finish) -> None:
    """Computes a product for which `reads_depth` holds, or `is_narrow`: then the right operand is turned
    first where its rows lie in memory one after another."""
    most = COLUMNS[s.vector_bits >= 512]
    columns = min(max(p.columns, 1), most) if isinstance(p.columns, int) else most
    rows = ALONE if columns == 1 else ROWS
    tile = Dots(rows, columns, tile_of(p.dtype, s.vector_bits, 1))
    for_each_matrix(s, p, _work(s, p), lambda stack: _turned(s, p, stack, tile, finish))


def _turned(s: Lowering, p: Product, stack: tuple[Index, ...], tile: Dots, finish: Finish) -> None:
    if p.right.contiguous == DEPTH:
        _matrix(s, p, stack, tile, finish)
        return
    turned = s.b.allocate(tile.shape.element, [p.columns, p.depth])
    s.b.nest([p.columns, p.depth], lambda at: s.b.store(p.right.element(stack, *at), turned, at))
    right = Operand(lambda _, j, k: s.b.load(turned, [j, k]), lambda _, j, k: (turned, [j, k]), DEPTH)
    _matrix(s, evolve(p, right=right), stack, tile, finish)
    s.b.append(memref.DeallocOp.get(turned))


def _work(s: Lowering, p: Product) -> Index:
    """About how many nanoseconds one matrix takes."""
    number = s.b.mul(s.b.mul(p.rows, p.columns), p.depth)
    return s.b.floordiv(s.b.mul(number, max(bits(p.dtype) // 8, 1)), 64)


def _matrix(s: Lowering, p: Product, stack: tuple[Index, ...], tile: Dots, finish: Finish) -> None:
    """All tiles: those of as many rows as a cache holds are together, in them those of a column."""
    b = s.b
    down, across = b.ceiling(p.rows, tile.rows), b.ceiling(p.columns, tile.columns)
    count = b.mul(down, across)
    height = b.max(grain_of(s, b.mul(p.depth, tile.rows), NEARBY // (bits(p.dtype) // 8)), 1)

    def place_of(number: SSAValue) -> tuple[Index, Index]:
        if across == 1:
            return number, 0
        first = b.mul(b.quotient(number, b.mul(height, across)), height)
        within, tall = b.sub(number, b.mul(first, across)), b.min(height, b.sub(down, first))
        return b.add(first, b.remainder(within, tall)), b.quotient(within, tall)

    size = bits(p.dtype) // 8
    large = b.compare("sgt", b.index(b.mul(p.rows, p.depth)), b.index(CACHED // size))
    short = b.compare("slt", b.index(p.depth), b.index(SHORT // size))
    streams = b.insert(arith.AndIOp(large, short))
    distance = grain_of(s, p.depth, AHEAD // size)

    def ahead(i: Index) -> None:
        for row in range(tile.rows):
            p.left.prefetch(s, stack, b.add(b.add(i, distance), row), 0, p.depth, size)

    def some(low: SSAValue, high: SSAValue) -> None:
        def one(number: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            i, j = place_of(number)
            first = streams
            if across != 1:
                first = b.insert(arith.AndIOp(streams, b.compare("eq", b.index(j), b.index(0))))
            b.either(first, lambda: ahead(b.mul(i, tile.rows)), lambda: None)
            _tile(s, p, stack, tile, (b.mul(i, tile.rows), b.mul(j, tile.columns)), finish)
            return ()

        b.loop(low, high, (), one)

    if p.stack:
        some(b.index(0), b.index(count))
    else:
        each = b.mul(p.depth, tile.rows * tile.columns)
        b.parallel(count, b.max(grain_of(s, each, CHUNK), 1), _work(s, p), some)


def _tile(
    s: Lowering, p: Product, stack: tuple[Index, ...], tile: Dots, origin: tuple[Index, Index], finish: Finish
) -> None:
    """One tile; rows and columns beyond the last are those again, and not stored."""
    b, number = s.b, tile.rows * tile.columns
    kept = b.insert(memref.AllocaOp.get(f64, shape=[tile.rows, tile.columns]))
    rows = [b.min(b.add(origin[0], row), b.sub(p.rows, 1)) for row in range(tile.rows)]
    columns = (
        [0]
        if p.columns == 1
        else [b.min(b.add(origin[1], column), b.sub(p.columns, 1)) for column in range(tile.columns)]
    )

    def block(low: SSAValue, before: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        high = b.min(b.add(low, BLOCK), p.depth)
        sums = _sums(s, p, stack, tile.shape, (rows, columns), (low, high))
        return [_added(s, one, total) for one, total in zip(before, sums, strict=True)]

    zero = b.constant(0.0, f64)
    totals = b.loop(0, p.depth, (zero,) * number, block, step=BLOCK, plain=True)
    for place, total in enumerate(totals):
        b.store(total, kept, [place // tile.columns, place % tile.columns])

    def element(at: tuple[SSAValue, ...]) -> None:
        value = b.load(kept, at)
        value = value if tile.shape.element == f64 else b.insert(arith.TruncFOp(value, f32))
        finish(value, (*stack, *(b.add(low, step) for low, step in zip(origin, at, strict=True))))

    bounds = zip((tile.rows, tile.columns), (p.rows, p.columns), origin, strict=True)
    b.nest([b.min(most, b.sub(extent, low)) for most, extent, low in bounds], element, plain=True)


def _added(s: Lowering, before: SSAValue, sums: SSAValue) -> SSAValue:
    """A number of f64 plus all of a vector."""
    b = s.b
    assert isinstance(sums.type, VectorType)
    total = b.total(sums)
    total = total if total.type == f64 else b.insert(arith.ExtFOp(total, f64))
    return b.insert(arith.AddfOp(before, total))


def _sums(
    s: Lowering,
    p: Product,
    stack: tuple[Index, ...],
    shape: RegisterTile,
    lines: tuple[Sequence[Index], Sequence[Index]],
    bounds: tuple[Index, Index],
) -> Sequence[SSAValue]:
    """A vector of sums for each pair of rows and columns: whole vectors, then what is left."""
    b, width = s.b, shape.width
    low, high = bounds
    end = b.add(low, b.mul(b.floordiv(b.sub(high, low), width), width))
    zero = b.insert(vector.BroadcastOp(b.constant(0, shape.element), shape.vector))
    mask = b.insert(vector.CreateMaskOp([b.index(b.sub(high, end))], VectorType(i1, [width])))

    def whole(operand: Operand, line: Index, k: Index) -> SSAValue:
        buffer, place = _placed(s, operand, stack, line, k)
        return b.insert(vector.LoadOp(buffer, place, shape.vector))

    def masked(operand: Operand, line: Index, k: Index) -> SSAValue:
        buffer, place = _placed(s, operand, stack, line, k)
        return b.insert(vector.MaskedLoadOp(buffer, place, mask, zero))

    def step(
        k: Index, before: Sequence[SSAValue], load: Callable[[Operand, Index, Index], SSAValue]
    ) -> list[SSAValue]:
        left = [load(p.left, line, k) for line in lines[0]]
        right = [load(p.right, line, k) for line in lines[1]]
        pairs = [(one, other) for one in left for other in right]
        return [b.insert(vector.FMAOp(*pair, sums)) for pair, sums in zip(pairs, before, strict=True)]

    start = [zero] * (len(lines[0]) * len(lines[1]))
    sums = b.loop(low, end, start, lambda k, before: step(k, before, whole), step=width, plain=True)
    return b.branch(
        b.compare("slt", b.index(end), b.index(high)), lambda: step(end, sums, masked), lambda: sums
    )


def _placed(
    s: Lowering, operand: Operand, stack: tuple[Index, ...], line: Index, k: Index
) -> tuple[SSAValue, list[SSAValue]]:
    assert operand.place is not None
    buffer, place = operand.place(stack, line, k)
    return buffer, [s.b.index(position) for position in place]
