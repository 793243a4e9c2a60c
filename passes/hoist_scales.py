"""hoist-scales: a factor or divisor that is the same all along a contraction is applied to the product.

`(q / norm(q)) @ (r / norm(r)).T` becomes `q @ r.T / norm(q) / norm(r).T`: the operands are read where they
lie, and the division is done once for an element of the product. Kernels that ask for the written order are
left.
"""

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from flowc.dialects.array import build, ops
from flowc.dialects.array.kernel import PRECISE, KernelOp
from flowc.dialects.array.memory import WriteOp
from flowc.dialects.array.types import dtype_of, is_float, shape_of
from flowc.passes.unused import erase_unused


def hoist_scales(module: ModuleOp) -> int:
    """Moves scales of matrices behind their products; gives how many were moved."""
    return sum(_hoist(kernel) for kernel in free_kernels(module))


def free_kernels(module: ModuleOp) -> list[KernelOp]:
    """The kernels whose operators may be put in another order: none that asks for the written one, or that
    writes to memory which an operator, were it moved, might read too late."""
    return [
        op
        for op in module.walk()
        if isinstance(op, KernelOp)
        and PRECISE not in op.attributes
        and not any(isinstance(inner, WriteOp) for inner in op.walk())
    ]


def _hoist(kernel: KernelOp) -> int:
    moved = 0
    for op in list(kernel.body.block.ops):
        if isinstance(op, ops.ContractOp) and _is_matrix(op.left) and _is_matrix(op.right):
            moved += _hoist_from(op)
    return moved


def _hoist_from(op: ops.ContractOp) -> int:
    """Takes scales off both operands of a product, the left one's first."""
    scales: list[tuple[str, SSAValue]] = []
    operands: list[SSAValue] = []
    for position, operand in enumerate(op.operands):
        found = _scaled(operand, op, 1 - position)
        if found is None:
            operands.append(operand)
            continue
        source, kind, scale, turned = found
        if turned:
            views = [build.transpose(source), build.transpose(scale)]
            Rewriter.insert_op(views, InsertPoint.before(op))
            source, scale = (view.result for view in views)
        operands.append(source)
        scales.append((kind, scale))
    if not scales:
        return 0
    product = build.contract(*operands)
    made: list[ops.ContractOp | ops.ElementwiseOp] = [product]
    for kind, scale in scales:
        made.append(build.elementwise(kind, [made[-1].result, scale]))
    for each in made:
        each.location = op.location
    left, right = op.operands
    Rewriter.replace_op(op, made)
    erase_unused((left, right))
    return len(scales)


def _scaled(
    operand: SSAValue, user: ops.ContractOp, depth: int
) -> tuple[SSAValue, str, SSAValue, bool] | None:
    """What is scaled, how, by what, and whether both are to be transposed, if the operand is a scaled matrix
    that nothing else uses; `depth` is its axis along the contraction."""
    op, turned = operand.owner, False
    if isinstance(op, ops.TransposeOp) and _used_once(operand):
        operand, turned, depth = op.source, True, 1 - depth
        op = operand.owner
    if not isinstance(op, ops.ElementwiseOp) or not _used_once(operand) or op.kind.data not in ("div", "mul"):
        return None
    pairs = [(op.inputs[0], op.inputs[1])]
    if op.kind.data == "mul":
        pairs.append((op.inputs[1], op.inputs[0]))
    for source, scale in pairs:
        if _is_matrix(source) and _is_scale(scale, depth) and _alike(source, scale, operand, user):
            return source, op.kind.data, scale, turned
    return None


def _alike(source: SSAValue, scale: SSAValue, operand: SSAValue, user: ops.ContractOp) -> bool:
    """Whether no conversion and no stretching takes place."""
    dtypes = {dtype_of(value.type) for value in (source, scale, operand, user.left, user.right)}
    return len(dtypes) == 1 and shape_of(source.type) == shape_of(operand.type)


def _is_scale(value: SSAValue, depth: int) -> bool:
    shape = shape_of(value.type)
    return len(shape) == 2 and shape[depth] == 1


def _is_matrix(value: SSAValue) -> bool:
    return len(shape_of(value.type)) == 2 and is_float(dtype_of(value.type))


def _used_once(value: SSAValue) -> bool:
    return len(list(value.uses)) == 1


class HoistScalesPass(ModulePass):
    """Applies scales of matrices to their products."""

    name = "hoist-scales"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Runs `hoist_scales`."""
        hoist_scales(op)
