"""What operators cost an element: one table for the decision to recompute or to store, and for how much work
a loop is.

The unit is a cheap arithmetic operation on f32 in a vector loop, about 25 picoseconds of one core; one on f64
takes two. A byte costs what it takes from the second-level cache: whether a loop is worth a second thread is
a question of loops whose arrays fit there.
"""

from xdsl.ir import Operation, SSAValue

from flowc.dialects.array import irregular, ops
from flowc.dialects.array.types import bits, dtype_of, is_float

OPERATION_PICOSECONDS = 25
BYTE_PICOSECONDS = 8
SCALAR_OPERATOR = 100
"""Of an operator that this table does not know: sorting, scattering."""

_kinds = dict.fromkeys(("div", "sqrt", "rsqrt", "hypot"), 3)
_kinds |= dict.fromkeys(("exp", "exp2", "sigmoid"), 5) | dict.fromkeys(("expm1", "sin", "cos", "tanh"), 8)
_kinds |= dict.fromkeys(("log", "log2", "log10", "log1p", "atan", "sinh", "cosh", "cbrt", "asin", "acos"), 10)
_kinds |= dict.fromkeys(("erf", "tan", "asinh", "acosh", "atanh", "atan2"), 16)
_kinds |= {"pow": 50, "floordiv": 10, "mod": 10}


def operations(op: Operation) -> int:
    """Cheap operations that one element of an operator takes."""
    match op:
        case ops.ElementwiseOp():
            return _kinds.get(op.kind.data, 1)
        case ops.CastOp():
            return 1 if is_float(dtype_of(op.result.type)) else 3
        case ops.SoftmaxOp():
            return 8
        case ops.ReduceOp():
            return 1
        case ops.ArgReduceOp():
            return 2
        case ops.GatherOp() | ops.ConcatOp() | irregular.TakeAlongOp() | irregular.LinspaceOp():
            return 3
        case irregular.RandomOp():
            return 80 if op.kind.data == "normal" else 40
        case irregular.SearchSortedOp():
            return 80
        case _ if ops.is_view(op) or isinstance(op, ops.ConstantOp | ops.DimOp):
            return 0
    return SCALAR_OPERATOR


def picoseconds(op: Operation) -> int:
    """About how long one element of an operator takes."""
    wide = any(bits(dtype_of(value.type)) == 64 for value in op.results[:1])
    return operations(op) * OPERATION_PICOSECONDS * (2 if wide else 1)


def bytes_of(value: SSAValue) -> int:
    """Bytes of an element."""
    return max(bits(dtype_of(value.type)) // 8, 1)
