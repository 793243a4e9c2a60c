"""unroll-rows: a reduction of rows of two to eight elements becomes operators on their columns.

`(p * p).sum(axis=-1)` of a million points is a million short loops; as a sum of three columns it is one loop
over the points, with vectors of several of them. The columns are added by halves, as the lanes of a reduction
are in kernels that ask for an order of operations (`order.py`).
"""

from collections.abc import Callable, Sequence

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from flowc.dialects.array import build, ops
from flowc.dialects.array.kernel import KernelOp
from flowc.dialects.array.types import dtype_of, is_float, shape_of
from flowc.passes.array_to_loops.builder import FEW

HALVES = ("f16", "bf16")
"""Sums of these are kept in a wider dtype."""
_between = {
    "sum": "add", "mean": "add", "prod": "mul", "max": "maximum", "min": "minimum", "any": "or", "all": "and",
}  # fmt: skip

Add = Callable[[Operation], SSAValue]


def unroll_rows(module: ModuleOp) -> int:
    """Rewrites reductions of short rows; gives how many."""
    found = [
        op
        for kernel in module.walk()
        if isinstance(kernel, KernelOp)
        for op in kernel.walk()
        if isinstance(op, ops.ReduceOp | ops.ArgReduceOp) and _has_short_rows(op)
    ]
    for op in found:
        _unroll(op)
    return len(found)


def _has_short_rows(op: ops.ReduceOp | ops.ArgReduceOp) -> bool:
    shape = shape_of(op.source.type)
    axes = op.axes.get_values() if isinstance(op, ops.ReduceOp) else [op.axis.value.data]
    if len(shape) < 2 or tuple(axes) != (len(shape) - 1,) or dtype_of(op.source.type) in HALVES:
        return False
    return isinstance(shape[-1], int) and 2 <= shape[-1] <= FEW


def _unroll(op: ops.ReduceOp | ops.ArgReduceOp) -> None:
    point, axis = InsertPoint.before(op), len(shape_of(op.source.type)) - 1
    count = shape_of(op.source.type)[-1]
    assert isinstance(count, int)

    def add(new: Operation) -> SSAValue:
        new.location = op.location
        Rewriter.insert_op(new, point)
        return new.results[0]

    columns = [add(build.index(op.source, add(build.constant(k, "i64")), axis)) for k in range(count)]
    if isinstance(op, ops.ArgReduceOp):
        total = _position(op.kind.data, columns, add)
    else:
        total = _reduced(op, columns, add)
    if op.keepdims is not None:
        total = add(build.expand(total, axis))
    op.result.replace_all_uses_with(total)
    Rewriter.erase_op(op)


def _reduced(op: ops.ReduceOp, columns: Sequence[SSAValue], add: Add) -> SSAValue:
    dtype = dtype_of(op.result.type)
    own = [column if dtype_of(column.type) == dtype else add(build.cast(column, dtype)) for column in columns]
    half = (1 << (len(own) - 1).bit_length()) // 2
    while half:
        pairs = zip(own, own[half:], strict=False)
        both = [add(build.elementwise(_between[op.kind.data], pair)) for pair in pairs]
        own, half = both + own[len(both) : half], half // 2
    total = own[0]
    if op.kind.data in ("sum", "mean") and is_float(dtype):
        zero = add(build.constant(0.0, dtype))  # with which a loop begins: -0.0 alone gives 0.0
        total = add(build.elementwise("add", [total, zero]))
    if op.kind.data == "mean":
        total = add(build.elementwise("div", [total, add(build.constant(float(len(columns)), dtype))]))
    return total


def _position(kind: str, columns: Sequence[SSAValue], add: Add) -> SSAValue:
    """The number of the column with the first of the largest or smallest, or with the first NaN."""
    unbeaten = "le" if kind == "argmax" else "ge"
    best, position = columns[0], add(build.constant(0, "i64"))
    for number, column in enumerate(columns[1:], start=1):
        better = add(build.elementwise("not", [add(build.elementwise(unbeaten, [column, best]))]))
        if is_float(dtype_of(best.type)):
            is_number = add(build.elementwise("eq", [best, best]))
            better = add(build.elementwise("and", [better, is_number]))
        here = add(build.constant(number, "i64"))
        best = add(build.elementwise("where", [better, column, best]))
        position = add(build.elementwise("where", [better, here, position]))
    return position


class UnrollRowsPass(ModulePass):
    """Turns reductions of short rows into operators on columns."""

    name = "unroll-rows"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Runs `unroll_rows`."""
        unroll_rows(op)
