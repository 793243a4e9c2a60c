"""fuse-array: marks producers that are recomputed where they are used, so that no temporary is stored for
them.

An operator is marked `inline` where all its uses together evaluate it about once an element, or where that
costs less than storing and loading again: `recompute` of the kernel's choices says how much that is.
"""

from collections.abc import Mapping

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, UnitAttr
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass

from flowc.dialects.array import irregular, ops
from flowc.dialects.array.kernel import KernelOp, ReturnOp
from flowc.dialects.array.memory import WriteOp
from flowc.dialects.array.types import dtype_of, shape_of
from flowc.passes.array_costs import operations
from flowc.passes.array_extents import ExtentAnalysis
from flowc.passes.array_memory import blocks_of, may_wait
from flowc.passes.array_positions import are_inside, range_of
from flowc.passes.batch_products import batch_products
from flowc.passes.decompose_array import decompose_array
from flowc.passes.hoist_scales import hoist_scales
from flowc.passes.hoist_transposes import hoist_transposes
from flowc.passes.kernel_choices import choices_of
from flowc.passes.long_extents import is_long
from flowc.passes.recognise_attention import recognise_attention
from flowc.passes.recognise_byte_dots import recognise_byte_dots
from flowc.passes.unroll_rows import unroll_rows

LARGEST = 128
"""Operations in one fused expression; more would outgrow the registers and the compiler's time."""
MANY = 1000
RECOMPUTABLE = ops.ElementwiseOp | ops.CastOp | ops.GatherOp | ops.ConcatOp | irregular.ELEMENTWISE


def fuse_array(module: ModuleOp) -> int:
    """Marks what to recompute in every kernel of the module; gives how many operators were marked."""
    prepare_to_fuse(module)
    return fuse_kernels(module)


def fuse_kernels(module: ModuleOp) -> int:
    """Marks what to recompute in kernels that are ready for it; gives how many operators were marked."""
    return sum(fuse_kernel(op) for op in module.walk() if isinstance(op, KernelOp))


def prepare_to_fuse(module: ModuleOp) -> None:
    """Brings every kernel of the module into the form in which operators are fused."""
    recognise_attention(module)
    recognise_byte_dots(module)
    batch_products(module)
    hoist_transposes(module)
    decompose_array(module)
    unroll_rows(module)
    hoist_scales(module)


def fuse_kernel(kernel: KernelOp) -> int:
    """Marks what to recompute in a kernel; gives how many operators were marked."""
    price = choices_of(kernel).recompute
    costs: dict[SSAValue, int] = {}
    nested: dict[SSAValue, int] = {}
    extents = ExtentAnalysis(kernel)
    returned = set(kernel.returned)
    fused = 0
    for op in (op for block in blocks_of(kernel) for op in block.ops):
        for result in op.results:
            costs[result] = 1
        if isinstance(op, ops.DimOp | ops.ConstantOp) or not op.results:
            continue
        result = op.results[0]
        if ops.is_view(op):
            costs[result] = costs.get(op.operands[0], 1)
            nested[result] = nested.get(op.operands[0], 0)
            continue
        if not isinstance(op, RECOMPUTABLE) or not shape_of(result.type):
            continue
        cost = operations(op) + sum(_operand_cost(costs, operand, result) for operand in set(op.operands))
        times = evaluations(result)
        extra = max(times - 1, 0) * cost
        depth = max((nested.get(operand, 0) for operand in op.operands), default=0)
        seams = depth < max(len(shape_of(result.type)), 2) and _has_seams_only(extents, op, costs)
        cheap = cost <= LARGEST and (extra <= price or seams or _is_counted(extents, op))
        if result not in returned and cheap and may_wait(result):
            op.properties["inline"] = UnitAttr()
            costs[result] = 1 if seams else cost
            nested[result] = depth + seams  # near the ends each doubles the code: one for each axis
            fused += 1
    return fused


def _is_counted(extents: ExtentAnalysis, op: Operation) -> bool:
    """Whether an operator adds counters, or picks from an axis by such sums: as good as a view."""
    match op:
        case ops.GatherOp():
            return are_inside(extents, op.indices, extents.extent(op.source, 0))
        case ops.ElementwiseOp():
            return dtype_of(op.result.type) == "i64" and range_of(extents, op.result) is not None
    return False


def _has_seams_only(extents: ExtentAnalysis, op: Operation, costs: Mapping[SSAValue, int]) -> bool:
    """Whether a value is a long one with short ones before or behind it, all of them at hand, that only
    sweeps read: these go through its parts piece by piece."""
    if not isinstance(op, ops.ConcatOp) or any(costs.get(part, 1) > 1 for part in op.inputs):
        return False
    axis = op.axis.value.data
    long = [is_long(extents, extents.extent(part, axis)) for part in op.inputs]
    return None not in long and sum(map(bool, long)) == 1 and _is_swept(op.result)


def _is_swept(value: SSAValue) -> bool:
    """Whether whatever is computed from a value is computed element by element."""
    swept = ops.ElementwiseOp | ops.CastOp | ops.ConcatOp
    pending, seen = [value], set[SSAValue]()
    while pending:
        here = pending.pop()
        for user in {use.operation for use in here.uses}:
            if isinstance(user, swept) or ops.is_view(user):
                pending += [result for result in user.results if result not in seen]
                seen.update(user.results)
            elif not isinstance(user, ReturnOp | WriteOp | ops.DimOp):
                return False
    return True


def _operand_cost(costs: Mapping[SSAValue, int], operand: SSAValue, result: SSAValue) -> int:
    """What an operand adds to each element; one constant along the last axis is computed once a row."""
    shape, whole = shape_of(operand.type), shape_of(result.type)
    if not shape or (shape[-1] == 1 and whole[-1] != 1):
        return 1
    return costs.get(operand, 1)


def evaluations(value: SSAValue) -> int:
    """How often the uses of a value evaluate each of its elements; twice in one operator counts once."""
    users = {(use.operation, isinstance(use.operation, ops.ContractOp) and use.index) for use in value.uses}
    columns = [user.operands[1].owner.value for user, _ in users if _is_column(user)]
    once = len(columns) // max(len(set(columns)), 1) - len(columns)  # each has elements of its own
    return sum(_times(value, user, position) for user, position in users) + once


def _is_column(user: Operation) -> bool:
    """Whether a position that is known is picked along the last axis."""
    if not isinstance(user, ops.IndexOp) or not isinstance(user.index.owner, ops.ConstantOp):
        return False
    return user.axis.value.data == len(shape_of(user.source.type)) - 1


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
        # A vector is read again for each row of a matrix; a matrix on the left for each block of columns.
        spread = (
            len(shape_of(value.type)) == 1 < max(len(shape_of(operand.type)) for operand in user.operands)
        )
        # Narrow integers stay narrow up to the product, for which machines have instructions.
        widened = isinstance(value.owner, ops.CastOp) and dtype_of(value.owner.source.type) in (
            "i8",
            "u8",
            "i16",
        )
        return MANY if spread and not widened else 1 if position else 2
    if isinstance(user, irregular.TakeAlongOp | irregular.SearchSortedOp) and not position:
        return MANY
    if isinstance(user, irregular.HistogramOp) and position == 1:
        return MANY
    if isinstance(user, irregular.TWICE):
        return 2
    if isinstance(user, ops.GatherOp | ops.IndexOp):
        return MANY if isinstance(user, ops.GatherOp) else 1
    if isinstance(user, ops.BroadcastOp):
        return MANY
    if ops.is_view(user):
        return max(evaluations(user.results[0]), 1)
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
