"""decompose-array: products with a vector become sums of elementwise products.

Such a product reads each element of the matrix once, as a reduction does, and as a reduction it shares its
sweep with others over the same matrix: `r @ q` and the norms of the rows of `r` take one pass. A matrix in
memory that nothing else reads has no other sweep; its product with a vector stays one, in tiles of registers.
"""

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
    """Rewrites products of floats with a vector; gives how many."""
    found = [op for op in module.walk() if isinstance(op, ops.ContractOp) and _with_vector(op)]
    for op in found:
        _decompose(op)
    return len(found)


def _with_vector(op: ops.ContractOp) -> bool:
    left, right = shape_of(op.left.type), shape_of(op.right.type)
    inner = right[0] if len(right) == 1 else right[-2]
    if 1 not in (len(left), len(right)) or not left[-1] == inner != "":
        return False
    if len(left) > len(right):
        alone = _is_read_once(op.left, op) or _reads_rows(op.left, op)
    else:
        alone = _reads_rows(op.right, op)
    return is_float(dtype_of(op.result.type)) and not alone


def _reads_rows(matrix: SSAValue, product: ops.ContractOp) -> bool:
    """Whether a product reads the rows of a matrix with many columns, as it lies or transposed, alone."""
    dtype, shape = dtype_of(product.result.type), shape_of(matrix.type)
    own = dtype_of(matrix.type) == dtype in ("f32", "f64")
    if not own or len(shape) != 2 or any(isinstance(extent, int) for extent in shape):
        return False
    view = matrix.owner
    if isinstance(view, ops.TransposeOp):
        return {use.operation for use in matrix.uses} == {product} and _is_read_once(view.source, view)
    return _is_read_once(matrix, product)


def _is_read_once(matrix: SSAValue, reader: Operation) -> bool:
    """Whether a matrix, without views, is an argument of the kernel that only one operator reads, and the
    order of operations is left open."""
    kernel = matrix.owner.parent_op() if isinstance(matrix.owner, Block) else None
    if not isinstance(kernel, KernelOp) or PRECISE in kernel.attributes or REPRODUCIBLE in kernel.attributes:
        return False
    readers = {use.operation for use in matrix.uses if not isinstance(use.operation, ops.DimOp)}
    return readers == {reader}


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

    rank, view = len(shape_of(matrix.type)), matrix.owner
    if isinstance(view, ops.TransposeOp) and rank == 2:
        matrix, along = view.source, 1 - along
    if rank > 1 and along == rank - 2:
        vector = add(build.expand(vector, 1))
    total = add(build.reduce("sum", add(build.elementwise("mul", [matrix, vector])), [along]))
    op.result.replace_all_uses_with(total)
    Rewriter.erase_op(op)
    erase_unused((left, right))


class DecomposeArrayPass(ModulePass):
    """Turns products with a vector into sums."""

    name = "decompose-array"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Runs `decompose_array`."""
        decompose_array(op)
