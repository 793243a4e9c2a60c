"""Convolution as products without a copy of the windows.

For one row of a filter, the windows of an image lie in memory as the rows of a matrix, each beginning a
stride after the one before, since channels come last.
"""

from collections.abc import Sequence

from attrs import frozen
from xdsl.dialects import arith, memref
from xdsl.ir import SSAValue

from flowc.dialects.array import products
from flowc.dialects.array.types import dtype_of
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.contract.microkernel import ROWS, RegisterTile, register_tile
from flowc.passes.array_to_loops.contract.packing import BLOCK, pack_right
from flowc.passes.array_to_loops.contract.product import SIDE, Operand, Product, Stack
from flowc.passes.array_to_loops.contract.stacks import for_each_matrix
from flowc.passes.array_to_loops.contract.tiles import padded_columns, sweep
from flowc.passes.array_to_loops.elements import Lowering

TILE = 8 * ROWS
"""Windows that are treated together."""


@frozen
class Convolution:
    """One convolution: the product of its windows with one row of all filters, and its extents."""

    op: products.ConvolveOp
    dtype: str
    product: Product
    image: tuple[Index, Index, Index]
    """Rows, columns and channels of an image with its padding."""
    filter_rows: Index
    width: Index
    """Columns of the result."""
    shape: RegisterTile
    panels: SSAValue
    padded: Index
    destination: SSAValue


def lower_convolution(s: Lowering, op: products.ConvolveOp, destination: SSAValue) -> None:
    """Packs the filters, then treats image after image, or images side by side."""
    b, dtype = s.b, dtype_of(op.result.type)
    above, below, left, right = op.padding.get_values()
    number, height, width, channels = s.sizes(op.source)
    filter_rows, filter_columns, _, filters = s.sizes(op.filter)
    _, rows, columns, _ = s.sizes(op.result)
    nothing = Operand(lambda at, i, k: b.constant(0, scalars.held_type(dtype)), None, SIDE)
    depth = b.mul(filter_columns, channels)
    product = Product(dtype, (number,), b.mul(rows, columns), filters, depth, nothing, nothing)
    shape = register_tile(dtype, s.vector_bits, filters)
    padded = padded_columns(s, product, shape)
    panels = b.allocate(shape.element, [b.mul(b.mul(filter_rows, depth), padded)])

    def pack(row: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        own = Product(dtype, (), 1, filters, depth, nothing, _filter_row(s, op, dtype, row))
        pack_right(s, own, shape, (), panels, padded, b.mul(row, b.mul(depth, padded)))
        return ()

    b.loop(0, filter_rows, (), pack)
    image = (b.add(height, above + below), b.add(width, left + right), channels)
    c = Convolution(op, dtype, product, image, filter_rows, columns, shape, panels, padded, destination)
    work = b.floordiv(b.mul(b.mul(b.mul(product.rows, filters), depth), filter_rows), 32)
    for_each_matrix(s, product, work, lambda stack: _image(s, c, stack[0], work))
    b.append(memref.DeallocOp.get(panels))


def _filter_row(s: Lowering, op: products.ConvolveOp, dtype: str, row: Index) -> Operand:
    """One row of all filters as a matrix: columns and channels of a filter along the contraction."""

    def element(at: Stack, j: Index, k: Index) -> SSAValue:
        channels = s.b.index(s.sizes(op.filter)[2])
        column = s.b.insert(arith.DivUIOp(s.b.index(k), channels))
        channel = s.b.insert(arith.RemUIOp(s.b.index(k), channels))
        return s.as_dtype(op.filter, (row, column, channel, j), dtype)

    return Operand(element, None, SIDE)


def _image(s: Lowering, c: Convolution, number: Index, work: Index) -> None:
    b = s.b
    _, columns, channels = c.image
    copy = _padded(s, c, number)

    def some(low: SSAValue, high: SSAValue) -> None:
        tile = b.allocate(c.shape.element, [TILE, c.padded])
        zero = b.constant(0, c.shape.element)
        b.nest([TILE, c.padded], lambda at: b.store(zero, tile, at))

        def filter_row(a: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            base = b.mul(a, b.mul(c.product.depth, c.padded))
            first = b.mul(a, b.mul(columns, channels))

            def block(start: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
                deep = b.min(BLOCK, b.sub(c.product.depth, start))
                panel = b.add(base, b.mul(start, c.padded))
                begin = b.add(first, start)
                sweep(
                    s,
                    c.shape,
                    (b.sub(high, low), c.padded, deep),
                    lambda at, k: b.load(copy, [b.add(b.add(begin, at), k)]),
                    lambda j: (c.panels, b.add(panel, b.mul(j, deep))),
                    tile,
                    first=False,
                    row_at=lambda row: _window(s, c, b.add(low, row)),
                )
                return ()

            b.loop(0, c.product.depth, (), block, step=BLOCK)
            return ()

        b.loop(0, c.filter_rows, (), filter_row)

        def finish(at: tuple[SSAValue, ...]) -> None:
            # Rows of the result follow one another, so that a window's number serves as its column.
            place = (number, 0, b.add(low, at[0]), at[1])
            scalars.store(b, b.load(tile, at), c.destination, place)

        b.nest([b.sub(high, low), c.product.columns], finish)
        b.append(memref.DeallocOp.get(tile))

    b.parallel(c.product.rows, TILE, work, some)
    b.append(memref.DeallocOp.get(copy))


def _window(s: Lowering, c: Convolution, number: Index) -> Index:
    """Where in an image a window begins."""
    b = s.b
    _, columns, channels = c.image
    down, right = c.op.stride.get_values()
    width = b.index(c.width)
    row = b.insert(arith.DivUIOp(b.index(number), width))
    column = b.insert(arith.RemUIOp(b.index(number), width))
    start = b.add(b.mul(b.mul(row, down), columns), b.mul(column, right))
    return b.mul(start, channels)


def _padded(s: Lowering, c: Convolution, number: Index) -> SSAValue:
    """An image with its padding, as values are held."""
    b = s.b
    rows, columns, channels = c.image
    above, _, left, _ = c.op.padding.get_values()
    _, height, width, _ = s.sizes(c.op.source)
    copy = b.allocate(c.shape.element, [b.mul(b.mul(rows, columns), channels)])
    zero = b.constant(0, c.shape.element)
    if any(c.op.padding.get_values()):
        b.nest([b.mul(b.mul(rows, columns), channels)], lambda at: b.store(zero, copy, at))

    def some(low: SSAValue, high: SSAValue) -> None:
        def row(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            base = b.mul(b.add(b.mul(b.add(i, above), columns), left), channels)

            def element(at: tuple[SSAValue, ...]) -> None:
                value = s.as_dtype(c.op.source, (number, i, *at), c.dtype)
                b.store(value, copy, [b.add(base, b.add(b.mul(at[0], channels), at[1]))])

            b.nest([width, channels], element)
            return ()

        b.loop(low, high, (), row)

    b.parallel(height, 16, b.floordiv(b.mul(b.mul(height, width), channels), 4), some)
    return copy
