"""Erasing what nothing uses any more, from a value backwards."""

from collections.abc import Iterable

from xdsl.ir import SSAValue
from xdsl.rewriter import Rewriter

from flowc.dialects.array.ops import ArrayOperation


def erase_unused(values: Iterable[SSAValue]) -> None:
    """Erases the array operators that compute the values, then those of their operands, while unused."""
    pending = list(values)
    while pending:
        op = pending.pop().owner
        if not isinstance(op, ArrayOperation) or op.parent is None:
            continue
        if any(list(result.uses) for result in op.results):
            continue
        pending += op.operands
        Rewriter.erase_op(op)
