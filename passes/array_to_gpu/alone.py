"""Operators with a form of their own on a device."""

from collections.abc import Sequence

from xdsl.ir import Operation, SSAValue

from flowc.dialects.array import irregular as irregular_ops
from flowc.dialects.array import ops, products
from flowc.passes.array_to_gpu import contract, irregular, sorting
from flowc.passes.array_to_gpu.attention import lower_attention
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_gpu.unsupported import Unsupported
from flowc.passes.array_to_loops.checks import Checks
from flowc.passes.array_to_loops.elements import Place


def lower_alone(s: DeviceLowering, checks: Checks, op: Operation, places: Sequence[SSAValue | None]) -> None:
    """Computes the whole of an operator's results into the memory given for each; a number has none.

    Raises Unsupported.
    """
    first = places[0]
    match op:
        case _ if isinstance(op, irregular.STAGES) and first is not None:
            irregular.lower_irregular(s, checks, op, first)
        case irregular_ops.SortOp() | irregular_ops.ArgsortOp() if first is not None:
            sorting.lower_sort(s, checks, op, first)
        case irregular_ops.OrderStatisticsOp() if first is not None:
            sorting.lower_order_statistics(s, checks, op, first)
        case ops.TopKOp() if first is not None and places[1] is not None:
            sorting.lower_topk(s, checks, op, first, places[1])
        case ops.ContractOp():
            contract.lower_contract(s, op, first)
        case products.ConvolveOp() if first is not None:
            contract.lower_convolution(s, op, first)
        case products.AttentionOp() if first is not None:
            lower_attention(s, op, first)
        case _:
            raise Unsupported(op, f"{op.name} has no device code")


def lower_finished_product(s: DeviceLowering, product: ops.ContractOp, op: Operation, place: Place) -> None:
    """A product whose elements an operator finishes."""
    contract.lower_finished_product(s, product, op, place)
