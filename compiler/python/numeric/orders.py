"""In which order of its axes NumPy lays out what a function returns.

A transposed array lies in columns, and elementwise operators keep the order of what they read: `x.T * 2` lies
as `x` does. What is laid out otherwise than in rows is computed as it lies, and shown through a transpose.
"""

from collections.abc import Collection, Mapping

from xdsl.ir import Block, Operation, SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.types import shape_of

Order = tuple[int, ...]
"""The axes of an array by how they lie in memory, the outermost first."""


def orders_of(block: Block, rows: Collection[SSAValue]) -> Mapping[SSAValue, Order]:
    """The orders of the values of a block that do not lie in rows; those of `rows` do."""
    found: dict[SSAValue, Order] = {}
    for op in block.ops:
        order = _order(op, found)
        if order is not None and list(order) != sorted(order) and op.results[0] not in rows:
            found[op.results[0]] = order
    return found


def _order(op: Operation, found: Mapping[SSAValue, Order]) -> Order | None:
    match op:
        case ops.TransposeOp():
            axes = [int(axis) for axis in op.permutation.get_values()]
            return tuple(axes.index(axis) for axis in found.get(op.source, range(len(axes))))
        case ops.SliceOp():
            return found.get(op.source)
        case ops.ElementwiseOp() | ops.CastOp():
            shape = shape_of(op.results[0].type)
            orders = {found.get(value) for value in op.operands if shape_of(value.type) == shape}
            return orders.pop() if len(orders) == 1 else None
    return None
