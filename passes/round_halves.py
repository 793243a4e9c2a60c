"""round-halves: in a kernel that asks for the written order, what an operator gives in f16 or bf16 is rounded
to it at once.

Elsewhere such values are held in f32 between load and store, so that a fused expression rounds once.
"""

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from flowc.dialects.array import build, ops
from flowc.dialects.array.irregular import TakeAlongOp
from flowc.dialects.array.kernel import PRECISE, KernelOp, ReturnOp
from flowc.dialects.array.memory import EmptyOp, ReadOp, VariableOp
from flowc.dialects.array.reshape import ReshapeOp
from flowc.dialects.array.types import dtype_of

_MOVES = ops.ConstantOp | ops.CastOp | ops.GatherOp | ops.ConcatOp | ops.BroadcastOp | TakeAlongOp
"""What only moves numbers, or has rounded them."""
_MEMORY = EmptyOp | ReadOp | VariableOp | ReshapeOp


def round_halves(module: ModuleOp) -> int:
    """Adds the roundings to every kernel of the module that asks for them; gives how many."""
    kernels = [op for op in module.walk() if isinstance(op, KernelOp) and PRECISE in op.attributes]
    found = [
        value
        for kernel in kernels
        for op in kernel.walk()
        if _computes(op)
        for value in op.results
        if _half(value)
    ]
    for value in found:
        _round(value)
    return len(found)


def _computes(op: Operation) -> bool:
    return op.dialect_name() == "array" and not isinstance(op, _MOVES | _MEMORY) and not ops.is_view(op)


def _half(value: SSAValue) -> bool:
    """Whether it is of a half format and used before it is stored."""
    stored = all(isinstance(use.operation, ReturnOp) for use in value.uses)
    return dtype_of(value.type) in ("f16", "bf16") and not stored


def _round(value: SSAValue) -> None:
    op = value.owner
    assert isinstance(op, Operation)
    rounded = build.cast(value, dtype_of(value.type))
    rounded.location = op.location
    Rewriter.insert_op(rounded, InsertPoint.after(op))
    value.replace_uses_with_if(rounded.result, lambda use: use.operation is not rounded)


class RoundHalvesPass(ModulePass):
    """Rounds values of half formats where they are computed."""

    name = "round-halves"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Runs `round_halves`."""
        round_halves(op)
