"""decompose-array: products with a vector become sums of elementwise products, and reductions of a transposed
matrix reductions of the matrix itself.

Such a product reads each element of the matrix once, as a reduction does, and as a reduction it shares its
sweep with others over the same matrix: `r @ q` and the norms of the rows of `r` take one pass.
"""

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from flowc.dialects.array import build, ops
from flowc.dialects.array.types import dtype_of, is_float, shape_of


def decompose_array(module: ModuleOp) -> int:
    """Rewrites products of floats with a vector and reductions of transposed matrices; gives how many."""
    found = [op for op in module.walk() if isinstance(op, ops.ContractOp) and _with_vector(op)]
    for op in found:
        _decompose(op)
    turned = [op for op in module.walk() if isinstance(op, ops.ReduceOp) and _of_transposed(op)]
    for reduction in turned:
        _turn(reduction)
    return len(found) + len(turned)


def _of_transposed(op: ops.ReduceOp) -> bool:
    """Whether the order of the axes that are left cannot change."""
    left = len(shape_of(op.source.type)) - len(op.axes.get_values())
    return isinstance(op.source.owner, ops.TransposeOp) and left <= 1 and op.keepdims is None


def _turn(op: ops.ReduceOp) -> None:
    view = op.source.owner
    assert isinstance(view, ops.TransposeOp)
    order = [int(axis) for axis in view.permutation.get_values()]
    new = build.reduce(op.kind.data, view.source, [order[int(axis)] for axis in op.axes.get_values()])
    new.location = op.location
    Rewriter.replace_op(op, new)


def _with_vector(op: ops.ContractOp) -> bool:
    left, right = shape_of(op.left.type), shape_of(op.right.type)
    inner = right[0] if len(right) == 1 else right[-2]
    return 1 in (len(left), len(right)) and left[-1] == inner != "" and is_float(dtype_of(op.result.type))


def _decompose(op: ops.ContractOp) -> None:
    """The sum runs along the last axis of the matrix as it lies in memory, or along the one before."""
    left, right = op.left, op.right
    if len(shape_of(right.type)) == 1:
        matrix, vector, along = left, right, len(shape_of(left.type)) - 1
    else:
        matrix, vector, along = right, left, len(shape_of(right.type)) - 2
    point = InsertPoint.before(op)

    def add(new: Operation) -> SSAValue:
        new.location = op.location
        Rewriter.insert_op(new, point)
        return new.results[0]

    rank = len(shape_of(matrix.type))
    if rank == 2 and isinstance(matrix.owner, ops.TransposeOp):
        matrix, along = matrix.owner.source, 1 - along
    if rank > 1 and along == rank - 2:
        vector = add(build.expand(vector, 1))
    total = add(build.reduce("sum", add(build.elementwise("mul", [matrix, vector])), [along]))
    op.result.replace_all_uses_with(total)
    Rewriter.erase_op(op)


class DecomposeArrayPass(ModulePass):
    """Turns products with a vector into sums, and reductions the way their source lies."""

    name = "decompose-array"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Runs `decompose_array`."""
        decompose_array(op)
