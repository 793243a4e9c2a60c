"""Sums of rows that are each multiplied by a number, such as the windows of an image with a filter whose last
axis is kept: a row of sums stays in vector registers over all that is reduced.

Elements are added in the dtype of the source, about `BLOCK` of them; the sums of blocks are added in f64.
"""

from collections.abc import Sequence

from attrs import frozen
from xdsl.dialects import arith, memref, vector
from xdsl.dialects.builtin import VectorType, f64, i1
from xdsl.ir import SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.types import dtype_of, shape_of
from flowc.passes.array_to_loops.builder import Index, Range
from flowc.passes.array_to_loops.contract.microkernel import RegisterTile, tile_of
from flowc.passes.array_to_loops.elements import Lowering
from flowc.passes.array_to_loops.folds import Fold, axes_of, by_rows, position_of
from flowc.passes.array_to_loops.stored import contiguous_axis, located, stored_as_held

BLOCK = 1024
"""Elements whose sum is taken in f32."""
TILES = 4
"""Tiles to a short row: longer ones would be read piece by piece."""
FEW = 16
"""Rows that lie one after the other; more are added to each other, and their sums to a row in memory."""


Position = dict[int, Index]
"""The place along each axis."""


@frozen
class WeightedRows:
    """A sum of products: `factor` is the same along the last axis, along which `rows` lie in memory."""

    fold: Fold
    product: ops.ElementwiseOp
    factor: SSAValue
    rows: SSAValue
    ranges: Sequence[Range]
    tile: RegisterTile

    @property
    def reduced(self) -> list[int]:
        """The axes that are reduced."""
        return axes_of(self.fold.op)

    @property
    def deep(self) -> int:
        """The last of them along which there are several positions."""
        return max(axis for axis in self.reduced if not self.ranges[axis].single)


def weighted_rows(s: Lowering, folds: Sequence[Fold], ranges: Sequence[Range]) -> WeightedRows | None:
    """The sum of products that a reduction is, if it is one and the order of its additions is free."""
    (fold, *others) = folds
    product, dtype = fold.op.source.owner, dtype_of(fold.op.source.type)
    if s.ordered or others or fold.rows is not None or fold.op.kind.data not in ("sum", "mean"):
        return None
    if not by_rows(fold.op, ranges) or ranges[-1].single or dtype not in ("f32", "f64"):
        return None
    if not isinstance(product, ops.ElementwiseOp) or product.kind.data != "mul" or s.stored(product.result):
        return None
    last = s.extents.shape(product.result)[-1]
    for factor, rows in (product.inputs, reversed(product.inputs)):
        shape, own = s.extents.shape(factor), s.extents.shape(rows)
        if not shape or shape[-1] != 1 or dtype_of(factor.type) != dtype or own[-1:] != (last,):
            continue
        if stored_as_held(s, rows, dtype) and contiguous_axis(s, rows) == len(shape_of(rows.type)) - 1:
            tile = tile_of(dtype, s.vector_bits, 2)
            return WeightedRows(fold, product, factor, rows, ranges, tile)
    return None


def are_short(s: Lowering, w: WeightedRows) -> SSAValue | bool:
    """Whether rows are short, and few of them lie one after the other: else they are added as a whole."""
    found: SSAValue | bool = True
    for axis, limit in ((len(w.ranges) - 1, TILES * w.tile.width), (w.deep, FEW)):
        length = s.b.sub(w.ranges[axis].high, w.ranges[axis].low)
        if isinstance(length, int):
            found = found if length <= limit else False
        elif found is not False:
            fits = s.b.compare("sle", length, s.b.index(limit))
            found = fits if found is True else s.b.insert(arith.AndIOp(found, fits))
    return found


def add_weighted_rows(s: Lowering, w: WeightedRows) -> None:
    """Computes the sums, a tile of columns at a time, and gives them to the sink."""
    b, columns = s.b, w.ranges[-1]
    kept = [axis for axis in range(len(w.ranges) - 1) if axis not in w.reduced]
    scratch = b.insert(memref.AllocaOp.get(f64, shape=[w.tile.width]))

    def row(at: tuple[Index, ...]) -> None:
        def some(low: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            outer = dict(zip(kept, at, strict=True))
            b.append(vector.StoreOp(_sums(s, w, outer, low), scratch, [b.index(0)]))

            def one(lane: tuple[SSAValue, ...]) -> None:
                place = position_of(w.fold.op, outer | {len(w.ranges) - 1: b.add(low, lane[0])})
                w.fold.sink(place, (b.load(scratch, lane),))

            b.nest([b.min(w.tile.width, b.sub(columns.high, low))], one)
            return ()

        b.loop(columns.low, columns.high, (), some, step=w.tile.width)

    b.sweep([w.ranges[axis] for axis in kept], row)


def _sums(s: Lowering, w: WeightedRows, outer: Position, low: SSAValue) -> SSAValue:
    """The sums of the columns from `low` on, a vector of f64; those beyond the last are zero."""
    b = s.b
    mask = b.insert(
        vector.CreateMaskOp([b.index(b.sub(w.ranges[-1].high, low))], VectorType(i1, [w.tile.width]))
    )
    wide = VectorType(f64, [w.tile.width])
    zero = b.insert(vector.BroadcastOp(b.constant(0.0, w.tile.element), w.tile.vector))
    nothing = b.insert(vector.BroadcastOp(b.constant(0.0, f64), wide))

    def grown(total: SSAValue, sums: SSAValue) -> SSAValue:
        part = sums if w.tile.element == f64 else b.insert(arith.ExtFOp(sums, wide))
        return b.insert(arith.AddfOp(total, part))

    def step(at: Position, sums: SSAValue) -> SSAValue:
        position = tuple(at[axis] for axis in range(len(w.ranges)))
        number = s.element(w.factor, s.stretched(w.product, w.factor, position))
        buffer, place = located(s, w.rows, s.stretched(w.product, w.rows, position))
        values = b.insert(vector.MaskedLoadOp(buffer, [b.index(i) for i in place], mask, zero))
        return b.insert(vector.FMAOp(b.insert(vector.BroadcastOp(number, w.tile.vector)), values, sums))

    def line(at: Position, before: Sequence[SSAValue]) -> Sequence[SSAValue]:
        total, sums, number = before
        first, end = w.ranges[w.deep].low, w.ranges[w.deep].high
        more = b.index(b.add(number, b.sub(end, first)))
        total, sums, number = b.branch(
            b.compare("sgt", more, b.index(BLOCK)),
            lambda: (grown(total, sums), zero, b.index(b.sub(end, first))),
            lambda: (total, sums, more),
        )
        (sums,) = b.loop(first, end, (sums,), lambda k, old: (step(at | {w.deep: k}, old[0]),), plain=True)
        return total, sums, number

    def level(axes: Sequence[int], at: Position, before: Sequence[SSAValue]) -> Sequence[SSAValue]:
        if not axes:
            return line(at, before)
        here, rest = w.ranges[axes[0]], axes[1:]

        def inside(i: SSAValue, carried: Sequence[SSAValue]) -> Sequence[SSAValue]:
            return level(rest, at | {axes[0]: i}, carried)

        return b.loop(here.low, here.high, before, inside, plain=True)

    around = [axis for axis in w.reduced if axis != w.deep and not w.ranges[axis].single]
    start = outer | {axis: w.ranges[axis].low for axis in w.reduced} | {len(w.ranges) - 1: low}
    total, sums, _ = level(around, start, (nothing, zero, b.index(0)))
    return grown(total, sums)
