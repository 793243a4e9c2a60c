"""The loops dialect: ranges that run on several threads, and stores and loads that mind the caches."""

from xdsl.ir import Dialect

from flowc.dialects.loops.ops import PLAIN, DotOp, EndOp, FenceOp, ParallelOp, PrefetchOp, RequireOp, StreamOp

Loops = Dialect("loops", [DotOp, EndOp, FenceOp, ParallelOp, PrefetchOp, RequireOp, StreamOp], [])

__all__ = ["PLAIN", "DotOp", "EndOp", "FenceOp", "Loops", "ParallelOp", "PrefetchOp", "RequireOp", "StreamOp"]
