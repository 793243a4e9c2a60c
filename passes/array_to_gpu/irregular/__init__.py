"""Operators whose memory accesses depend on values, as launches: scans, compaction, grouping and scattering.

No result depends on which thread came first: floats are added in an order that extents alone fix, or as
integers, of which every order gives the same.
"""

from xdsl.ir import Operation, SSAValue

from flowc.dialects.array import irregular
from flowc.passes.array_to_gpu.irregular.compaction import lower_pick, lower_true_positions
from flowc.passes.array_to_gpu.irregular.histogram import lower_histogram
from flowc.passes.array_to_gpu.irregular.scan import lower_scan
from flowc.passes.array_to_gpu.irregular.scatter import lower_scatter
from flowc.passes.array_to_gpu.irregular.segment import lower_segments
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops.checks import Checks

STAGES = (
    irregular.ScanOp
    | irregular.TruePositionsOp
    | irregular.PickOp
    | irregular.SegmentOp
    | irregular.HistogramOp
    | irregular.ScatterOp
)
"""What `lower_irregular` lowers."""


def lower_irregular(s: DeviceLowering, checks: Checks, op: Operation, destination: SSAValue) -> None:
    """Computes an irregular operator into memory of its result's shape."""
    match op:
        case irregular.ScanOp():
            lower_scan(s, op, destination)
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
