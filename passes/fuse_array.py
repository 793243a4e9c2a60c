"""fuse-array: marks producers that are recomputed where they are used, so that no temporary is stored for
them.

An operator is marked `inline` where all its uses together evaluate it about once an element, or where it
costs less than storing and loading again. A product reads its left operand many times and its right one about
once.
"""

from collections.abc import Mapping

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, UnitAttr
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass

from flowc.dialects.array import ops
from flowc.dialects.array.kernel import KernelOp, ReturnOp
from flowc.dialects.array.types import dtype_of, is_float, shape_of

STORE_AND_LOAD = 4
"""What a temporary costs an element, in cheap operations."""
LARGEST = 128
"""Operations in one fused expression; more would outgrow the registers and the compiler's time."""
MANY = 1000

_costs = dict.fromkeys(("div", "sqrt", "rsqrt"), 3) | dict.fromkeys(
    ("exp", "exp2", "expm1", "log", "log2", "log1p", "tanh", "erf", "sigmoid"), 15
)
_costs |= dict.fromkeys(("sin", "cos", "pow", "floordiv", "mod"), 40)


def fuse_array(module: ModuleOp) -> int:
    """Marks what to recompute in every kernel of the module; gives how many operators were marked."""
    return sum(_fuse(op) for op in module.walk() if isinstance(op, KernelOp))


def _fuse(kernel: KernelOp) -> int:
    costs: dict[SSAValue, int] = {}
    returned = set(kernel.returned)
    fused = 0
    for op in kernel.body.block.ops:
        for result in op.results:
            costs[result] = 1
        if isinstance(op, ops.DimOp | ops.ConstantOp) or not op.results:
            continue
        result = op.results[0]
        if ops.is_view(op):
            costs[result] = costs.get(op.operands[0], 1)
            continue
        if not isinstance(op, ops.ElementwiseOp | ops.CastOp | ops.GatherOp | ops.ConcatOp) or not shape_of(
            result.type
        ):
            continue
        cost = _own_cost(op) + sum(_operand_cost(costs, operand, result) for operand in set(op.operands))
        times = _evaluations(result)
        extra = max(times - 1, 0) * cost
        if result not in returned and cost <= LARGEST and extra <= STORE_AND_LOAD:
            op.properties["inline"] = UnitAttr()
            costs[result] = cost
            fused += 1
    return fused


def _own_cost(op: Operation) -> int:
    if isinstance(op, ops.ElementwiseOp):
        return _costs.get(op.kind.data, 1)
    if isinstance(op, ops.CastOp):
        return 1 if is_float(dtype_of(op.result.type)) else 3
    return 3


def _operand_cost(costs: Mapping[SSAValue, int], operand: SSAValue, result: SSAValue) -> int:
    """What an operand adds to each element; one constant along the last axis is computed once a row."""
    shape, whole = shape_of(operand.type), shape_of(result.type)
    if not shape or (shape[-1] == 1 and whole[-1] != 1):
        return 1
    return costs.get(operand, 1)


def _evaluations(value: SSAValue) -> int:
    """How often the uses of a value evaluate each of its elements; twice in one operator counts once."""
    users = {(use.operation, isinstance(use.operation, ops.ContractOp) and use.index) for use in value.uses}
    return sum(_times(value, user, position) for user, position in users)


def _times(value: SSAValue, user: Operation, position: int) -> int:
    fixed: Mapping[type[Operation], int] = {
        ops.ArgReduceOp: 2,
        ops.SoftmaxOp: 2,
        ReturnOp: MANY,
        ops.DimOp: 0,
    }
    if type(user) in fixed:
        return fixed[type(user)]
    if isinstance(user, ops.ContractOp):
        return 1 if position else MANY
    if isinstance(user, ops.GatherOp | ops.IndexOp):
        return MANY if isinstance(user, ops.GatherOp) else 1
    if isinstance(user, ops.BroadcastOp):
        return MANY
    if ops.is_view(user):
        return max(_evaluations(user.results[0]), 1)
    if isinstance(user, ops.ElementwiseOp):
        return MANY if _stretches(value, user) else 1
    return 1


def _stretches(value: SSAValue, user: ops.ElementwiseOp) -> bool:
    """Whether the user repeats the value along an axis before its last."""
    shape, result = shape_of(value.type), shape_of(user.result.type)
    if len(shape) < len(result) and any(extent != 1 for extent in result[: len(result) - len(shape)]):
        return True
    pairs = zip(reversed(shape), reversed(result), strict=False)
    return any(own == 1 and whole != 1 for axis, (own, whole) in enumerate(pairs) if axis > 0)


class FuseArrayPass(ModulePass):
    """Marks array operators to be recomputed where they are used."""

    name = "fuse-array"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Runs `fuse_array`."""
        fuse_array(op)
