"""unroll-rows: a reduction of rows of two to four elements becomes operators on their columns.

`(p * p).sum(axis=-1)` of a million points is a million short loops; as a sum of three columns it is one loop
over the points, with vectors of several of them. Kernels that ask for an order of operations are left.
"""

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from flowc.dialects.array import build, ops
from flowc.dialects.array.kernel import PRECISE, REPRODUCIBLE, KernelOp
from flowc.dialects.array.types import dtype_of, shape_of
from flowc.passes.array_to_loops.builder import FEW

DTYPES = ("f32", "f64")
"""Sums of other dtypes are kept in wider ones."""
_between = {"sum": "add", "mean": "add", "max": "maximum", "min": "minimum"}


def unroll_rows(module: ModuleOp) -> int:
    """Rewrites reductions of short rows; gives how many."""
    found = [
        op
        for kernel in module.walk()
        if isinstance(kernel, KernelOp) and not {PRECISE, REPRODUCIBLE} & set(kernel.attributes)
        for op in kernel.walk()
        if isinstance(op, ops.ReduceOp) and _has_short_rows(op)
    ]
    for op in found:
        _unroll(op)
    return len(found)


def _has_short_rows(op: ops.ReduceOp) -> bool:
    shape, axes = shape_of(op.source.type), [int(axis) for axis in op.axes.get_values()]
    if len(shape) < 2 or axes != [len(shape) - 1] or op.kind.data not in _between:
        return False
    return isinstance(shape[-1], int) and 2 <= shape[-1] <= FEW and _dtype(op) in DTYPES


def _dtype(op: ops.ReduceOp) -> str:
    own = dtype_of(op.source.type)
    return own if own == dtype_of(op.result.type) else ""


def _unroll(op: ops.ReduceOp) -> None:
    point, axis = InsertPoint.before(op), len(shape_of(op.source.type)) - 1
    count = shape_of(op.source.type)[-1]
    assert isinstance(count, int)

    def add(new: Operation) -> SSAValue:
        new.location = op.location
        Rewriter.insert_op(new, point)
        return new.results[0]

    columns = [add(build.index(op.source, add(build.constant(k, "i64")), axis)) for k in range(count)]
    total = columns[0]
    for column in columns[1:]:
        total = add(build.elementwise(_between[op.kind.data], [total, column]))
    if op.kind.data == "mean":
        total = add(build.elementwise("div", [total, add(build.constant(float(count), _dtype(op)))]))
    if op.keepdims is not None:
        total = add(build.expand(total, axis))
    op.result.replace_all_uses_with(total)
    Rewriter.erase_op(op)


class UnrollRowsPass(ModulePass):
    """Turns reductions of short rows into operators on columns."""

    name = "unroll-rows"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Runs `unroll_rows`."""
        unroll_rows(op)
