"""Operators whose memory accesses depend on values: sorting, scans, grouping, scattering and random numbers.

| NumPy or flowc | operator | builder |
|---|---|---|
| `np.sort(x, axis)`, `np.argsort(x, axis, kind="stable")` | SortOp, ArgsortOp | `sort`, `argsort` |
| `np.sort(x)[..., k : k + n]`, for `np.median` | OrderStatisticsOp | `order_statistics(x, k, n)` |
| `np.flatnonzero(mask)`, for masks and `np.nonzero` | TruePositionsOp | `true_positions` |
| `x[mask]` | PickOp | `pick(x, mask)` |
| `np.cumsum`, `np.cumprod`, `np.maximum.accumulate` ... | ScanOp | `scan(kind, x, axis)` |
| `np.linspace(low, high, count)` | LinspaceOp | `linspace` |
| `np.searchsorted(a, v, side)` | SearchSortedOp | `searchsorted` |
| `np.take_along_axis(x, indices, axis)` | TakeAlongOp | `take_along` |
| `a[indices] = v`, `np.add.at(a, indices, v)` ... | ScatterOp | `scatter(kind, a, indices, v)` |
| `np.bincount(keys, weights, minlength)`, sums by group | SegmentOp | `segment(kind, keys, count, values)` |
| `np.histogram(x, bins, range, weights=w)` | HistogramOp | `composites.histogram`, `histogram` |
| `flowc.random_uniform(seed, shape)`, `random_normal` | RandomOp | `random` |
| `flowc.dropout(x, p, seed)`, `flowc.categorical(logits, seed)` | composed | `composites` |

The builders stand in `irregular_build`, what is composed of several operators in `composites`, the reference
semantics in `irregular_reference`.
"""

from typing import ClassVar

from xdsl.dialects.builtin import IntegerAttr, IntegerType, StringAttr, UnitAttr, f64, i64
from xdsl.ir import Attribute
from xdsl.irdl import (
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    var_operand_def,
)

from flowc.dialects.array import irregular_inference as inference
from flowc.dialects.array.ops import FORMAT, ArrayOperation
from flowc.dialects.array.types import ShapeError, array_type, shape_of


@irdl_op_definition
class SortOp(ArrayOperation):
    """The elements in rising order along an axis; NaN last, -0.0 ahead of 0.0."""

    name = "array.sort"
    axis = prop_def(IntegerAttr[IntegerType])
    source = operand_def()
    result = result_def()
    assembly_format = FORMAT

    def infer(self) -> tuple[Attribute, ...]:
        return (inference.sort_type(self.source.type, self.axis.value.data),)


@irdl_op_definition
class ArgsortOp(ArrayOperation):
    """The positions that sort an axis, equal elements in the order in which they stand; NaN last."""

    name = "array.argsort"
    axis = prop_def(IntegerAttr[IntegerType])
    source = operand_def()
    result = result_def()
    assembly_format = FORMAT

    def infer(self) -> tuple[Attribute, ...]:
        return (inference.argsort_type(self.source.type, self.axis.value.data),)


@irdl_op_definition
class OrderStatisticsOp(ArrayOperation):
    """Of the elements along the last axis in rising order, those from position `first` of each line on.

    Positions outside a line are moved to its ends; a line without elements gives zeros.
    """

    name = "array.order_statistics"
    count = prop_def(IntegerAttr[IntegerType])
    source = operand_def()
    first = operand_def()
    result = result_def()
    assembly_format = FORMAT

    def infer(self) -> tuple[Attribute, ...]:
        return (inference.order_statistics_type(self.source.type, self.first.type, self.count.value.data),)


@irdl_op_definition
class TruePositionsOp(ArrayOperation):
    """Where a vector of bools is true, in rising order; what stands behind these positions is anything."""

    name = "array.true_positions"
    source = operand_def()
    result = result_def()
    assembly_format = FORMAT

    def infer(self) -> tuple[Attribute, ...]:
        return (inference.true_positions_type(self.source.type),)


@irdl_op_definition
class PickOp(ArrayOperation):
    """The elements of a vector where a mask of its length is true, in order; behind them stands anything."""

    name = "array.pick"
    source = operand_def()
    mask = operand_def()
    result = result_def()
    assembly_format = FORMAT

    def infer(self) -> tuple[Attribute, ...]:
        return (inference.pick_type(self.source.type, self.mask.type),)


@irdl_op_definition
class ScanOp(ArrayOperation):
    """The sum, prod, min or max of all elements up to each along an axis; a NaN stays to the end."""

    name = "array.scan"
    kind = prop_def(StringAttr)
    axis = prop_def(IntegerAttr[IntegerType])
    source = operand_def()
    result = result_def()
    assembly_format = f"$kind {FORMAT}"

    def infer(self) -> tuple[Attribute, ...]:
        return (inference.scan_type(self.kind.data, self.source.type, self.axis.value.data),)


@irdl_op_definition
class SearchSortedOp(ArrayOperation):
    """Where each value would be inserted in a sorted array: before equal elements, or behind them with
    side "right". NaN counts as the largest."""

    name = "array.searchsorted"
    side = prop_def(StringAttr)
    sorted = operand_def()
    values = operand_def()
    result = result_def()
    inline = opt_prop_def(UnitAttr)
    assembly_format = f"$side {FORMAT}"

    def infer(self) -> tuple[Attribute, ...]:
        return (inference.searchsorted_type(self.side.data, self.sorted.type, self.values.type),)


@irdl_op_definition
class TakeAlongOp(ArrayOperation):
    """`result[.., i, ..] = source[.., indices[.., i, ..], ..]` along an axis; negative ones count from the
    end."""

    name = "array.take_along"
    axis = prop_def(IntegerAttr[IntegerType])
    source = operand_def()
    indices = operand_def()
    result = result_def()
    inline = opt_prop_def(UnitAttr)
    assembly_format = FORMAT

    def infer(self) -> tuple[Attribute, ...]:
        return (inference.take_along_type(self.source.type, self.indices.type, self.axis.value.data),)


@irdl_op_definition
class ScatterOp(ArrayOperation):
    """`base` with the rows at `indices` replaced ("set"; of equal positions the last wins), or combined with
    `values` by sum, prod, min or max; negative positions count from the end. Sums and products of halves may
    be rounded after each row, or once."""

    name = "array.scatter"
    kind = prop_def(StringAttr)
    base = operand_def()
    indices = operand_def()
    values = operand_def()
    result = result_def()
    assembly_format = f"$kind {FORMAT}"

    def infer(self) -> tuple[Attribute, ...]:
        types = (self.base.type, self.indices.type, self.values.type)
        return (inference.scatter_type(self.kind.data, *types),)


@irdl_op_definition
class SegmentOp(ArrayOperation):
    """The sum, prod, min or max of the rows of `values` that have each key below `count`, or with kind
    "count" how many keys there are.

    A group without members has what changes nothing: 0, 1, and for min and max the far end of the dtype. A
    key outside 0..count-1 is a run-time error. Sums of f32 are taken in f32 within blocks and in f64 across
    them, in an order that depends on the length alone.
    """

    name = "array.segment"
    INTEGER_OPERANDS: ClassVar[tuple[int, ...]] = (1,)
    kind = prop_def(StringAttr)
    keys = operand_def()
    count = operand_def()
    values = opt_operand_def()
    result = result_def()
    assembly_format = f"$kind {FORMAT}"

    def infer(self) -> tuple[Attribute, ...]:
        shape = shape_of(self.result.type)
        values = self.values.type if self.values is not None else None
        return (inference.segment_type(self.kind.data, self.keys.type, shape[0] if shape else "", values),)


@irdl_op_definition
class HistogramOp(ArrayOperation):
    """How many elements, or how much weight, lie between neighbouring `edges`, the last bin closed above.

    With `uniform` the edges are evenly spaced to within rounding. An element belongs to bin i if
    `edges[i] <= x < edges[i + 1]`, as in NumPy; NaN and what lies outside belong to none. No edges, or a
    first above the last, are a run-time error.
    """

    name = "array.histogram"
    source = operand_def()
    edges = operand_def()
    weights = opt_operand_def()
    result = result_def()
    uniform = opt_prop_def(UnitAttr)
    assembly_format = FORMAT

    def infer(self) -> tuple[Attribute, ...]:
        weights = self.weights.type if self.weights is not None else None
        return (inference.histogram_type(self.source.type, self.edges.type, weights),)


@irdl_op_definition
class LinspaceOp(ArrayOperation):
    """`count` evenly spaced f64 numbers from `low` to `high`, both included, rounded as by
    `numpy.linspace`."""

    name = "array.linspace"
    INTEGER_OPERANDS: ClassVar[tuple[int, ...]] = (2,)
    low = operand_def(f64)
    high = operand_def(f64)
    count = operand_def()
    result = result_def()
    inline = opt_prop_def(UnitAttr)
    assembly_format = FORMAT

    def infer(self) -> tuple[Attribute, ...]:
        shape = shape_of(self.result.type)
        if len(shape) != 1:
            raise ShapeError("evenly spaced numbers have one axis")
        return (array_type("f64", (shape[0],)),)


@irdl_op_definition
class RandomOp(ArrayOperation):
    """Random numbers that depend on the seed and the position of the element alone.

    Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", 2011) with the
    row-major position as counter. "bits" gives i64, "uniform" [0, 1) and "normal" f32 or f64.
    """

    name = "array.random"
    INTEGER_OPERANDS: ClassVar[tuple[int, ...]] = (0,)
    kind = prop_def(StringAttr)
    seed = operand_def()
    extents = var_operand_def(i64)
    result = result_def()
    inline = opt_prop_def(UnitAttr)
    assembly_format = f"$kind {FORMAT}"

    def infer(self) -> tuple[Attribute, ...]:
        return (inference.random_type(self.kind.data, self.result.type, len(self.extents)),)


ELEMENTWISE = TakeAlongOp | SearchSortedOp | LinspaceOp | RandomOp
"""Those whose elements are computed one at a time, wherever they are asked for."""

TWICE = ScanOp | SegmentOp | HistogramOp | ScatterOp | TruePositionsOp | PickOp
"""Those that may evaluate an element of an operand twice."""
