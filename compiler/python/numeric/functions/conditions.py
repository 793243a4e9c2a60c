"""Conditions of a call that functions state: a kernel ends where one does not hold."""

from flowc.compiler.python.numeric.arithmetic import apply, truth_value
from flowc.compiler.python.numeric.context import Context
from flowc.compiler.python.numeric.functions.registry import implements
from flowc.compiler.python.numeric.library import conditions
from flowc.compiler.python.numeric.values import Number
from flowc.dialects.array import ops
from flowc.dialects.array import require as dialect


@implements(conditions.require)
def require(c: Context, holds: object, reason: str) -> None:
    """Ends the kernel where a condition does not hold."""
    if holds is not True:
        c.append(dialect.require(truth_value(c, holds), reason))


def require_extents(c: Context, *numbers: object) -> None:
    """Ends the kernel where a number that becomes an extent is negative."""
    for number in numbers:
        if not (isinstance(number, Number) and isinstance(number.value.owner, ops.DimOp)):
            require(c, apply(c, "ge", number, 0), "extent")
