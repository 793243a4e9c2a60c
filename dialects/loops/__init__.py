"""The loops dialect: ranges that run on several threads, and stores and loads that mind the caches."""

from xdsl.ir import Dialect

from flowc.dialects.loops.ops import (
    LANES,
    MASKED,
    PLAIN,
    ROLLED,
    UNPREDICTABLE,
    DotOp,
    EndOp,
    FenceOp,
    OpaqueOp,
    PairDotOp,
    ParallelOp,
    PrefetchOp,
    QuadDotOp,
    RequireOp,
    StepOp,
    StreamOp,
)
from flowc.dialects.loops.vectors import PackOp, SortOp

Loops = Dialect(
    "loops",
    [
        DotOp,
        EndOp,
        FenceOp,
        OpaqueOp,
        PackOp,
        PairDotOp,
        ParallelOp,
        PrefetchOp,
        QuadDotOp,
        RequireOp,
        SortOp,
        StepOp,
        StreamOp,
    ],
    [],
)

__all__ = [
    "LANES",
    "MASKED",
    "PLAIN",
    "ROLLED",
    "UNPREDICTABLE",
    "DotOp",
    "EndOp",
    "FenceOp",
    "Loops",
    "OpaqueOp",
    "PackOp",
    "PairDotOp",
    "ParallelOp",
    "PrefetchOp",
    "QuadDotOp",
    "RequireOp",
    "SortOp",
    "StepOp",
    "StreamOp",
]
