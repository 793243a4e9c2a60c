"""Lowering of the operators whose memory accesses depend on values.

Sorting, scans of vectors, grouping, histograms and scattering are stages of their own, with buffers. Binary
search and random numbers are recipes for one element, in `search` and `random` next door.
"""

from xdsl.ir import Operation, SSAValue

from flowc.dialects.array import irregular
from flowc.dialects.array.types import shape_of
from flowc.passes.array_to_loops.checks import Checks
from flowc.passes.array_to_loops.elements import Lowering
from flowc.passes.array_to_loops.irregular.histogram import lower_histogram
from flowc.passes.array_to_loops.irregular.order_statistics import lower_order_statistics
from flowc.passes.array_to_loops.irregular.scan import lower_prefix
from flowc.passes.array_to_loops.irregular.scatter import lower_scatter
from flowc.passes.array_to_loops.irregular.segments import lower_segments
from flowc.passes.array_to_loops.irregular.sorting import lower_argsort, lower_sort
from flowc.passes.array_to_loops.irregular.true_positions import lower_pick, lower_true_positions

_STAGES = (
    irregular.SortOp
    | irregular.ArgsortOp
    | irregular.OrderStatisticsOp
    | irregular.TruePositionsOp
    | irregular.PickOp
    | irregular.SegmentOp
    | irregular.HistogramOp
    | irregular.ScatterOp
)


def is_irregular(op: Operation) -> bool:
    """Whether `lower_irregular` lowers the operator; of scans, only those of vectors."""
    return isinstance(op, _STAGES) or (
        isinstance(op, irregular.ScanOp) and len(shape_of(op.source.type)) == 1
    )


def lower_irregular(s: Lowering, checks: Checks, op: Operation, destination: SSAValue) -> None:
    """Computes an irregular operator into a buffer of its result's shape."""
    match op:
        case irregular.ScanOp():
            lower_prefix(s, op, destination)
        case irregular.SortOp():
            lower_sort(s, op, destination)
        case irregular.ArgsortOp():
            lower_argsort(s, op, destination)
        case irregular.OrderStatisticsOp():
            lower_order_statistics(s, op, destination)
        case irregular.TruePositionsOp():
            lower_true_positions(s, op, destination)
        case irregular.PickOp():
            lower_pick(s, op, destination)
        case irregular.SegmentOp():
            lower_segments(s, checks, op, destination)
        case irregular.HistogramOp():
            lower_histogram(s, checks, op, destination)
        case irregular.ScatterOp():
            lower_scatter(s, op, destination)
        case _:
            raise ValueError(f"{op.name} is not irregular")
