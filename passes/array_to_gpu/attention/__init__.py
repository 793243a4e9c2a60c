"""Attention on a device, in tiles: never more scores than those of a tile, and in registers only."""

from xdsl.ir import SSAValue

from flowc.dialects.array import products
from flowc.passes.array_to_gpu.attention.plain import lower_plain
from flowc.passes.array_to_gpu.attention.roles import attention_of
from flowc.passes.array_to_gpu.attention.tensor_cores import (
    FEW_ROWS,
    fits_tensor_cores,
    lower_few,
    lower_many,
)
from flowc.passes.array_to_gpu.either import either
from flowc.passes.array_to_gpu.lowering import DeviceLowering

__all__ = ["lower_attention"]


def lower_attention(s: DeviceLowering, op: products.AttentionOp, destination: SSAValue) -> None:
    """Stores the weighted values of all heads.

    Tensor cores take weights that are rounded; a kernel that asks for what is written gets none of these.
    """
    a = attention_of(s, op, destination)
    if s.b.precise or not fits_tensor_cores(a):
        lower_plain(s, a)
        return
    rows = a.rows(s.b)
    few = rows <= FEW_ROWS if isinstance(rows, int) else s.b.compare("sle", rows, s.b.index(FEW_ROWS))
    either(s, few, lambda: lower_few(s, a), lambda: lower_many(s, a))
