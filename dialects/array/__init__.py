"""The array dialect: tensor operators with shape rules, NumPy's dtypes and a reference semantics.

`build` makes the operators, `inference` holds their type rules, `reference` evaluates them by NumPy.
"""

from xdsl.ir import Dialect

from flowc.dialects.array.irregular import (
    ArgsortOp,
    HistogramOp,
    LinspaceOp,
    OrderStatisticsOp,
    PickOp,
    RandomOp,
    ScanOp,
    ScatterOp,
    SearchSortedOp,
    SegmentOp,
    SortOp,
    TakeAlongOp,
    TruePositionsOp,
)
from flowc.dialects.array.kernel import KernelOp, LaunchOp, ReturnOp
from flowc.dialects.array.memory import EmptyOp, ReadOp, VariableOp, WriteOp
from flowc.dialects.array.ops import (
    ArgReduceOp,
    BroadcastOp,
    CastOp,
    ConcatOp,
    ConstantOp,
    ContractOp,
    DimOp,
    ElementwiseOp,
    ExpandOp,
    GatherOp,
    IndexOp,
    IotaOp,
    ReduceOp,
    SliceOp,
    SoftmaxOp,
    TopKOp,
    TransposeOp,
)
from flowc.dialects.array.products import AttentionOp, ConvolveOp
from flowc.dialects.array.require import RequireOp
from flowc.dialects.array.reshape import ReshapeOp
from flowc.dialects.array.types import DimsAttr, RefType, ShapeError

Array = Dialect(
    "array",
    [
        ArgReduceOp,
        ArgsortOp,
        AttentionOp,
        BroadcastOp,
        CastOp,
        ConcatOp,
        ConstantOp,
        ContractOp,
        ConvolveOp,
        DimOp,
        ElementwiseOp,
        EmptyOp,
        ExpandOp,
        GatherOp,
        HistogramOp,
        IndexOp,
        IotaOp,
        KernelOp,
        LinspaceOp,
        LaunchOp,
        OrderStatisticsOp,
        PickOp,
        RandomOp,
        ReadOp,
        ReduceOp,
        RequireOp,
        ReshapeOp,
        ReturnOp,
        ScanOp,
        ScatterOp,
        SearchSortedOp,
        SegmentOp,
        SliceOp,
        SoftmaxOp,
        SortOp,
        TakeAlongOp,
        TopKOp,
        TransposeOp,
        TruePositionsOp,
        VariableOp,
        WriteOp,
    ],
    [DimsAttr, RefType],
)

__all__ = ["Array", "DimsAttr", "KernelOp", "LaunchOp", "RefType", "ReturnOp", "ShapeError"]
