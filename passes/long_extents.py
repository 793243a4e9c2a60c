"""Which extents are long: a guess, made by computing what they are of arrays with axes of a million where
only the run knows them."""

from xdsl.ir import OpResult

from flowc.dialects.array import ops
from flowc.passes.array_extents import ExtentAnalysis
from flowc.passes.extent_algebra import FOLDS, Expression, expression_of, is_small

LONG = 64
"""What is less is short."""
_AXIS = 1 << 20


def is_long(extents: ExtentAnalysis, expression: Expression) -> bool | None:
    """Whether an extent, or a position, grows with those of the arguments; None where nobody can tell."""
    number = _estimate(extents, expression) if is_small(expression) else None
    return None if number is None else number >= LONG


def _estimate(extents: ExtentAnalysis, expression: Expression) -> int | None:
    match expression:
        case int(number):
            return number
        case ("dim", _, _):
            return _AXIS
        case ("value", OpResult(owner=ops.ElementwiseOp() as op)) if op.kind.data == "mod":
            left, right = (_estimate(extents, extents.scalar(operand)) for operand in op.inputs)
            return left % right if left is not None and right else None
        case (str(operator), left, right) if operator in FOLDS:
            one, other = (_estimate(extents, expression_of(part)) for part in (left, right))
            if one is None or other is None or (operator == "floordiv" and other == 0):
                return None
            return FOLDS[operator](one, other)
    return None
