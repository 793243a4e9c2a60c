"""A product computed some rows at a time, so that what uses them finds them in the cache.

The right operand is copied once into panels as wide as a register tile; the left one is read where it lies if
its rows are contiguous, else copied tile by tile. This is the blocking of Goto and van de Geijn, "Anatomy of
high-performance matrix multiplication" (ACM TOMS 2008), with the panels in the second-level cache.
"""

from collections.abc import Callable, Sequence

from attrs import evolve, frozen
from xdsl.dialects import arith, memref, vector
from xdsl.ir import SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.types import bits
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.contract.microkernel import (
    ROWS,
    Ahead,
    RegisterTile,
    multiply,
)
from flowc.passes.array_to_loops.contract.packing import (
    left_scratch,
    pack_left,
    pack_right,
    reads_in_place,
    steps_of,
)
from flowc.passes.array_to_loops.contract.pairs import Kept, fit_columns, fit_rows, in_words, tile_for
from flowc.passes.array_to_loops.contract.product import DEPTH, LINE, Product, product_of
from flowc.passes.array_to_loops.elements import Lowering

UNFIT_ROWS = 2
"""Rows of a register tile of what does not fit the processor's instruction: it is rare, and its code long."""

AHEAD = 2 * ROWS
"""How many rows before its use a row is asked for."""


@frozen
class Prepared:
    """A product, or one matrix of a stack of products, whose right operand is packed in `panels`.

    `padded` is the number of columns rounded up to whole register tiles: the length of a row of a tile;
    `steps` are those of a block of the panels; `fit` says of words of two bf16 whether those of the panels
    fit the processor's instruction.
    """

    product: Product
    shape: RegisterTile
    panels: SSAValue
    padded: Index
    stack: tuple[Index, ...]
    steps: Index
    fit: SSAValue | None = None

    def buffer(self, s: Lowering, rows: int) -> SSAValue:
        """Memory for a tile of at most `rows` rows, which the caller frees."""
        return s.b.allocate(self.shape.element, [-(-rows // ROWS) * ROWS, self.padded])

    def tile(
        self,
        s: Lowering,
        low: Index,
        high: Index,
        into: SSAValue,
        begins: SSAValue | None = None,
        kept: Kept | None = None,
    ) -> None:
        """Computes the rows from `low` to `high` into the first rows of `into`, as long as those of `buffer`.

        If there is `begins` and it does not hold, adds to what stands there; `kept` is that of `fit_rows`.
        Anything may be written to columns beyond the product's, and to rows up to a multiple of `ROWS`.
        """
        p, b = self.product, s.b
        count = b.sub(high, low)
        scratch = None if reads_in_place(p) else left_scratch(s, p, self.shape, count)
        fit = None if self.fit is None else fit_rows(s, p, self.stack, (low, count), self.fit, kept)

        def block(start: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            deep = b.min(self.steps, b.sub(p.depth, start))
            if scratch is None:
                load = _in_place(s, p, self.stack, low, start)
            else:
                load = pack_left(s, p, self.stack, scratch, (low, start), (count, deep))
            distance = AHEAD if scratch is None else count

            def ahead(i: SSAValue) -> Ahead:
                return _rows_ahead(s, p, self.stack, b.add(low, b.add(i, distance)), start)

            lies = scratch is None or (p.single is not None and p.single.left.contiguous == DEPTH)
            self._sweep(s, load, (count, start, deep), into, begins, fit, ahead if lies else None)
            return ()

        b.loop(0, b.max(p.depth, 1), (), block, step=self.steps)
        if scratch is not None:
            b.append(memref.DeallocOp.get(scratch))

    def _sweep(
        self,
        s: Lowering,
        load: Callable[[Index, Index], SSAValue],
        extents: tuple[Index, Index, Index],
        into: SSAValue,
        begins: SSAValue | None,
        fit: SSAValue | None,
        ahead: Callable[[SSAValue], Ahead] | None,
    ) -> None:
        """Adds one block of the contraction to the tile, or sets it if the block is the first."""
        count, start, deep = extents
        base = s.b.mul(start, self.padded)
        depth, steps = self.product.depth, self.steps
        at_once = isinstance(depth, int) and isinstance(steps, int) and depth <= steps
        first: bool | SSAValue = True
        if not at_once or begins is not None:
            first = s.b.compare("eq", s.b.index(start), s.b.index(0))
            first = first if begins is None else s.b.insert(arith.AndIOp(first, begins))

        def run(shape: RegisterTile, together: int) -> None:
            sweep(
                s,
                shape,
                (count, self.padded, deep),
                load,
                lambda j: (self.panels, s.b.add(base, s.b.mul(j, deep))),
                into,
                first=first,
                ahead=ahead,
                together=together,
            )

        if fit is None:
            run(self.shape, ROWS)
        else:
            flushing = evolve(self.shape, flushes=True)
            s.b.either(fit, lambda: run(flushing, ROWS), lambda: run(self.shape, UNFIT_ROWS))


def sweep(
    s: Lowering,
    shape: RegisterTile,
    extents: tuple[Index, Index, Index],
    load: Callable[[Index, Index], SSAValue],
    panel: Callable[[SSAValue], tuple[SSAValue, Index]],
    into: SSAValue,
    first: bool | SSAValue,
    row_at: Callable[[Index], Index] = lambda row: row,
    ahead: Callable[[SSAValue], Ahead] | None = None,
    together: int = ROWS,
) -> None:
    """Adds to `into`, or sets it if `first`, the products of some rows with packed panels.

    `extents` are the rows, columns and steps of the contraction; `load(i, k)` is a factor, `panel(j)` where
    the panel of column j begins. Columns are taken by whole register tiles, rows so many `together`. `row_at`
    turns a row's number into what `load` takes for it; `ahead(i)` is asked for while the rows from i on are
    multiplied.
    """
    b, width = s.b, shape.width
    count, columns, deep = extents
    zero = b.insert(vector.BroadcastOp(b.constant(0, shape.element), shape.vector))
    last = b.sub(count, 1)

    def before(out: SSAValue, j: SSAValue) -> SSAValue:
        if first is True:
            return zero
        found = b.insert(vector.LoadOp(into, [out, j], shape.vector))
        return b.select(first, zero, found) if isinstance(first, SSAValue) else found

    def row(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        own = [row_at(b.min(b.add(i, number), last)) for number in range(together)]
        outs = [b.index(b.add(i, number)) for number in range(together)]

        def column(j: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            buffer, base = panel(j)

            def loaded(k: SSAValue) -> SSAValue:
                place = b.index(b.add(base, b.mul(k, width)))
                return b.insert(vector.LoadOp(buffer, [place], shape.factors))

            sums = multiply(
                s,
                shape,
                lambda number, k: load(own[number], k),
                loaded,
                deep,
                [before(out, j) for out in outs],
                None if ahead is None else ahead(i),
            )
            for out, value in zip(outs, sums, strict=True):
                b.append(vector.StoreOp(value, into, [out, j]))
            return ()

        b.loop(0, columns, (), column, step=width)
        return ()

    b.loop(0, count, (), row, step=together)


def _rows_ahead(s: Lowering, p: Product, stack: Sequence[Index], row: Index, start: Index) -> Ahead:
    """Asks for some rows of the left operand, which need not exist, line by line."""
    b = s.b

    def ask(k: SSAValue) -> None:
        step = b.add(start, k)
        for number in range(ROWS):
            if p.single is None:
                p.left.ask(s, stack, b.add(row, number), step)
            else:
                p.single.left.ask(s, stack, b.add(row, number), b.mul(p.together, b.add(p.skipped, step)))

    return Ahead(max(LINE * 8 // bits(p.dtype), 1), ask)


def _in_place(
    s: Lowering, p: Product, stack: Sequence[Index], low: Index, start: Index
) -> Callable[[Index, Index], SSAValue]:
    """Reads the left operand where it lies."""
    place = p.left.place
    assert place is not None

    def load(i: Index, k: Index) -> SSAValue:
        return s.b.load(*place(stack, s.b.add(low, i), s.b.add(start, k)))

    return load


def prepare(s: Lowering, op: ops.ContractOp, axis: str) -> Prepared:
    """Packs, in the code that runs before a loop over tiles, the operand that is not tiled.

    `axis` is "rows", or "columns": the tiles of the latter hold columns of the result as their rows. The
    memory of the panels lasts as long as that of other temporaries.
    """
    product = product_of(s, op)
    product = in_words(s, product if axis == "rows" else product.transposed())
    shape = tile_for(s, product)
    padded = padded_columns(s, product, shape)
    panels = s.allocate(shape.factor, [s.b.mul(product.depth, padded)])
    steps = steps_of(s, product, shape, padded)
    pack_right(s, product, shape, (), panels, padded, steps=steps)
    return Prepared(product, shape, panels, padded, (), steps, fit_columns(s, product, ()))


def padded_columns(s: Lowering, p: Product, shape: RegisterTile) -> Index:
    """The number of columns rounded up to whole register tiles."""
    return s.b.mul(s.b.floordiv(s.b.add(p.columns, shape.width - 1), shape.width), shape.width)
