"""The device dialect: what kernels of a GPU do beyond arith, scf and memref."""

from xdsl.ir import Dialect

from flowc.dialects.device.matrices import (
    DEPTH,
    SUMS,
    DotBytesOp,
    LoadMatrixOp,
    MatrixMultiplyOp,
    PackHalvesOp,
)
from flowc.dialects.device.memory import (
    COPY_BYTES,
    SHARED,
    CommitCopiesOp,
    CompareExchangeOp,
    CopyAsyncOp,
    SharedAtOp,
    SharedOp,
    WaitCopiesOp,
    is_shared,
    shared_type,
)
from flowc.dialects.device.product import RESULTS, ProductOp
from flowc.dialects.device.warps import (
    SHUFFLES,
    WARP,
    BallotOp,
    FenceOp,
    ShuffleOp,
    SyncWarpOp,
)

NARROW = "device.narrow"
"""Marks a `gpu.func` whose indices all fit 32 bits, those that a loop counts up to and offsets included."""
OVERLAP = "device.overlap"
"""Marks a `gpu.func` of whose memrefs two may lie in the same memory; those of others do not."""
NAME = "device.name"
"""What a launch computes, in a word: it ends the name of its kernel."""

Device = Dialect(
    "device",
    [
        BallotOp,
        CommitCopiesOp,
        CompareExchangeOp,
        CopyAsyncOp,
        DotBytesOp,
        FenceOp,
        LoadMatrixOp,
        MatrixMultiplyOp,
        PackHalvesOp,
        ProductOp,
        SharedAtOp,
        SharedOp,
        ShuffleOp,
        SyncWarpOp,
        WaitCopiesOp,
    ],
    [],
)

__all__ = [
    "COPY_BYTES",
    "DEPTH",
    "NAME",
    "NARROW",
    "OVERLAP",
    "RESULTS",
    "SHARED",
    "SHUFFLES",
    "SUMS",
    "WARP",
    "BallotOp",
    "CommitCopiesOp",
    "CompareExchangeOp",
    "CopyAsyncOp",
    "Device",
    "DotBytesOp",
    "FenceOp",
    "LoadMatrixOp",
    "MatrixMultiplyOp",
    "PackHalvesOp",
    "ProductOp",
    "SharedAtOp",
    "SharedOp",
    "ShuffleOp",
    "SyncWarpOp",
    "WaitCopiesOp",
    "is_shared",
    "shared_type",
]
