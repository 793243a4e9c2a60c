"""Building irregular operators; each function infers the result type and raises `ShapeError` where operands
do not fit."""

from collections.abc import Sequence

from xdsl.dialects.builtin import IntegerAttr, StringAttr, UnitAttr, i64
from xdsl.ir import SSAValue

from flowc.dialects.array import irregular
from flowc.dialects.array import irregular_inference as inference
from flowc.dialects.array.inference import normalise_axis
from flowc.dialects.array.ops import ConstantOp
from flowc.dialects.array.types import Extent, array_type, shape_of


def sort(source: SSAValue, axis: int = -1) -> irregular.SortOp:
    """The elements in rising order along an axis."""
    return irregular.SortOp.create(
        operands=[source],
        properties={"axis": _axis(source, axis)},
        result_types=[inference.sort_type(source.type, axis)],
    )


def argsort(source: SSAValue, axis: int = -1) -> irregular.ArgsortOp:
    """The positions that sort an axis; stable."""
    return irregular.ArgsortOp.create(
        operands=[source],
        properties={"axis": _axis(source, axis)},
        result_types=[inference.argsort_type(source.type, axis)],
    )


def order_statistics(source: SSAValue, first: SSAValue, count: int) -> irregular.OrderStatisticsOp:
    """`count` elements of each line along the last axis, from position `first` in rising order on."""
    return irregular.OrderStatisticsOp.create(
        operands=[source, first],
        properties={"count": IntegerAttr(count, i64)},
        result_types=[inference.order_statistics_type(source.type, first.type, count)],
    )


def true_positions(source: SSAValue) -> irregular.TruePositionsOp:
    """Where a vector of bools is true, in rising order, and anything behind."""
    return irregular.TruePositionsOp.create(
        operands=[source], result_types=[inference.true_positions_type(source.type)]
    )


def pick(source: SSAValue, mask: SSAValue) -> irregular.PickOp:
    """The elements of a vector where as many bools are true, in order, and anything behind."""
    return irregular.PickOp.create(
        operands=[source, mask], result_types=[inference.pick_type(source.type, mask.type)]
    )


def scan(kind: str, source: SSAValue, axis: int = -1) -> irregular.ScanOp:
    """Running sums, products, minima or maxima along an axis."""
    return irregular.ScanOp.create(
        operands=[source],
        properties={"kind": StringAttr(kind), "axis": _axis(source, axis)},
        result_types=[inference.scan_type(kind, source.type, axis)],
    )


def searchsorted(ordered: SSAValue, values: SSAValue, side: str = "left") -> irregular.SearchSortedOp:
    """Where values would be inserted in a sorted vector."""
    return irregular.SearchSortedOp.create(
        operands=[ordered, values],
        properties={"side": StringAttr(side)},
        result_types=[inference.searchsorted_type(side, ordered.type, values.type)],
    )


def take_along(source: SSAValue, indices: SSAValue, axis: int = -1) -> irregular.TakeAlongOp:
    """Elements at positions along one axis, as `numpy.take_along_axis`."""
    return irregular.TakeAlongOp.create(
        operands=[source, indices],
        properties={"axis": _axis(source, axis)},
        result_types=[inference.take_along_type(source.type, indices.type, axis)],
    )


def scatter(kind: str, base: SSAValue, indices: SSAValue, values: SSAValue) -> irregular.ScatterOp:
    """`base` with rows set to `values`, or combined with them."""
    return irregular.ScatterOp.create(
        operands=[base, indices, values],
        properties={"kind": StringAttr(kind)},
        result_types=[inference.scatter_type(kind, base.type, indices.type, values.type)],
    )


def segment(
    kind: str, keys: SSAValue, count: SSAValue, values: SSAValue | None = None, extent: Extent = ""
) -> irregular.SegmentOp:
    """One result for each of the i64 `count` groups; `extent` is that number, or its name, where known."""
    owner = count.owner
    if extent == "" and isinstance(owner, ConstantOp) and isinstance(owner.value, IntegerAttr):
        extent = owner.value.value.data
    type_ = inference.segment_type(kind, keys.type, extent, values.type if values is not None else None)
    return irregular.SegmentOp.create(
        operands=[keys, count, *([] if values is None else [values])],
        properties={"kind": StringAttr(kind)},
        result_types=[type_],
    )


def histogram(
    source: SSAValue, edges: SSAValue, weights: SSAValue | None = None, uniform: bool = False
) -> irregular.HistogramOp:
    """Counts, or sums of weights, between edges."""
    type_ = inference.histogram_type(source.type, edges.type, weights.type if weights is not None else None)
    return irregular.HistogramOp.create(
        operands=[source, edges, *([] if weights is None else [weights])],
        properties={"uniform": UnitAttr()} if uniform else {},
        result_types=[type_],
    )


def linspace(low: SSAValue, high: SSAValue, count: SSAValue, size: Extent = "") -> irregular.LinspaceOp:
    """`count` evenly spaced numbers from one f64 to another; `size` is that number, or its name."""
    return irregular.LinspaceOp.create(operands=[low, high, count], result_types=[array_type("f64", (size,))])


def random(
    kind: str, seed: SSAValue, shape: Sequence[Extent], extents: Sequence[SSAValue], dtype: str = "f32"
) -> irregular.RandomOp:
    """Random numbers of `shape`; `extents` are the same as i64 values. "bits" are i64 whatever `dtype`."""
    type_ = array_type("i64" if kind == "bits" else dtype, tuple(shape))
    return irregular.RandomOp.create(
        operands=[seed, *extents],
        properties={"kind": StringAttr(kind)},
        result_types=[inference.random_type(kind, type_, len(extents))],
    )


def _axis(source: SSAValue, axis: int) -> IntegerAttr:
    return IntegerAttr(normalise_axis(axis, len(shape_of(source.type))), i64)
