"""The array dialect: tensor operators with shape rules, NumPy's dtypes and a reference semantics.

`build` makes the operators, `inference` holds their type rules, `reference` evaluates them by NumPy.
"""

from xdsl.ir import Dialect

from flowc.dialects.array.kernel import KernelOp, LaunchOp, ReturnOp
from flowc.dialects.array.ops import (
    ArgReduceOp,
    BroadcastOp,
    CastOp,
    ConcatOp,
    ConstantOp,
    ContractOp,
    CumulativeSumOp,
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
from flowc.dialects.array.types import DimsAttr, ShapeError

Array = Dialect(
    "array",
    [
        ArgReduceOp,
        BroadcastOp,
        CastOp,
        ConcatOp,
        ConstantOp,
        ContractOp,
        CumulativeSumOp,
        DimOp,
        ElementwiseOp,
        ExpandOp,
        GatherOp,
        IndexOp,
        IotaOp,
        KernelOp,
        LaunchOp,
        ReduceOp,
        ReturnOp,
        SliceOp,
        SoftmaxOp,
        TopKOp,
        TransposeOp,
    ],
    [DimsAttr],
)

__all__ = ["Array", "DimsAttr", "KernelOp", "LaunchOp", "ReturnOp", "ShapeError"]
