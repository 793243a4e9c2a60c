"""decompose-array: products with a vector become sums of elementwise products, and reductions of a transposed
matrix reductions of the matrix itself.

Such a product reads each element of the matrix once, as a reduction does, and as a reduction it shares its
sweep with others over the same matrix: `r @ q` and the norms of the rows of `r` take one pass. A matrix in
memory that nothing else reads has no other sweep; its product with a vector stays one, in tiles of registers.
"""

from collections.abc import Callable

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from flowc.dialects.array import build, ops
from flowc.dialects.array.kernel import PRECISE, REPRODUCIBLE, KernelOp
from flowc.dialects.array.types import dtype_of, is_float, shape_of
from flowc.passes.unused import erase_unused


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
    if 1 not in (len(left), len(right)) or not left[-1] == inner != "":
        return False
    return is_float(dtype_of(op.result.type)) and not (len(left) > len(right) and _is_read_once(op.left, op))


def _is_read_once(matrix: SSAValue, product: Operation) -> bool:
    """Whether a matrix, without views, is an argument of the kernel that only a product reads, whose order of
    operations is left open."""
    kernel = matrix.owner.parent_op() if isinstance(matrix.owner, Block) else None
    if not isinstance(kernel, KernelOp) or PRECISE in kernel.attributes or REPRODUCIBLE in kernel.attributes:
        return False
    readers = {use.operation for use in matrix.uses if not isinstance(use.operation, ops.DimOp)}
    return readers == {product}


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
    if _is_turned(matrix):
        matrix, along = _turned_back(matrix, add), 1 - along
    if rank > 1 and along == rank - 2:
        vector = add(build.expand(vector, 1))
    total = add(build.reduce("sum", add(build.elementwise("mul", [matrix, vector])), [along]))
    op.result.replace_all_uses_with(total)
    Rewriter.erase_op(op)
    erase_unused((left, right))


def _is_turned(matrix: SSAValue) -> bool:
    """Whether a value is a transposed matrix, or computed from such and from numbers element by element."""
    op = matrix.owner
    if isinstance(op, ops.ElementwiseOp):
        arrays = [operand for operand in op.operands if shape_of(operand.type)]
        return bool(arrays) and matrix.has_one_use() and all(_is_turned(operand) for operand in arrays)
    return isinstance(op, ops.TransposeOp) and len(shape_of(matrix.type)) == 2


def _turned_back(matrix: SSAValue, add: Callable[[Operation], SSAValue]) -> SSAValue:
    """The transpose of a value for which `_is_turned` holds, without a transpose; a number as it is."""
    op = matrix.owner
    if isinstance(op, ops.TransposeOp):
        return op.source
    if not isinstance(op, ops.ElementwiseOp) or not shape_of(matrix.type):
        return matrix
    return add(build.elementwise(op.kind.data, [_turned_back(operand, add) for operand in op.operands]))


class DecomposeArrayPass(ModulePass):
    """Turns products with a vector into sums, and reductions the way their source lies."""

    name = "decompose-array"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Runs `decompose_array`."""
        decompose_array(op)
