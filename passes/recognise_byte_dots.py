"""recognise-byte-dots: `sum(a * b)` along rows of signed bytes, widened before they are multiplied, becomes a
product of a matrix and a vector.

Of that, the lowering knows that the operands are bytes, for whose products processors have instructions. The
sum is of 64 bits; where it is made one of 32 bits at once, so is the product, which wraps around alike.
"""

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from flowc.dialects.array import build, ops
from flowc.dialects.array.types import bits, dtype_of, is_float, shape_of
from flowc.passes.array_memory import may_wait
from flowc.passes.unused import erase_unused

PRODUCT_BITS = 16
"""Bits that hold every product of two signed bytes."""


def recognise_byte_dots(module: ModuleOp) -> int:
    """Replaces sums of products of bytes; gives how many."""
    return sum(_replace(op) for op in module.walk() if isinstance(op, ops.ReduceOp))


def _replace(op: ops.ReduceOp) -> bool:
    operands = _factors(op)
    if operands is None:
        return False
    narrowed = _narrowed(op.result)
    last = op if narrowed is None else narrowed
    wide = [build.cast(operand, dtype_of(last.result.type)) for operand in operands]
    product = build.contract(wide[0].result, wide[1].result)
    for each in (*wide, product):
        each.location = op.location
    source, total = op.source, op.result
    Rewriter.insert_op([*wide, product], InsertPoint.before(op))
    Rewriter.replace_op(last, [], [product.result])
    erase_unused([total] if narrowed is not None else [source])
    return True


def _factors(op: ops.ReduceOp) -> tuple[SSAValue, SSAValue] | None:
    """A matrix and a vector of bytes, if the op adds their products along rows."""
    axes = [int(axis) for axis in op.axes.get_values()]
    rank = len(shape_of(op.source.type))
    terms = op.source.owner
    if op.kind.data != "sum" or op.keepdims is not None or axes != [rank - 1] or rank < 2:
        return None
    if not isinstance(terms, ops.ElementwiseOp) or terms.kind.data != "mul" or len(list(op.source.uses)) != 1:
        return None
    if bits(dtype_of(op.source.type)) < PRODUCT_BITS or is_float(dtype_of(op.source.type)):
        return None
    if len(terms.inputs) != 2 or not may_wait(op.source):
        return None
    matrix, vector = sorted(terms.inputs, key=lambda value: -len(shape_of(value.type)))
    if len(shape_of(matrix.type)) != rank or len(shape_of(vector.type)) != 1:
        return None
    one, other = _bytes(matrix), _bytes(vector)
    if one is None or other is None or shape_of(one.type)[-1] != shape_of(other.type)[0]:
        return None
    return None if shape_of(one.type)[-1] == "" else (one, other)


def _bytes(value: SSAValue) -> SSAValue | None:
    """The signed bytes that were widened to a value."""
    op = value.owner
    if isinstance(op, ops.CastOp) and dtype_of(op.source.type) == "i8":
        return op.source
    return None


def _narrowed(total: SSAValue) -> ops.CastOp | None:
    """The conversion to 32 bits that is the only use of a sum."""
    uses = list(total.uses)
    if len(uses) != 1 or not isinstance(uses[0].operation, ops.CastOp):
        return None
    cast = uses[0].operation
    return cast if dtype_of(cast.result.type) == "i32" and cast.parent is total.owner.parent else None


class RecogniseByteDotsPass(ModulePass):
    """Makes products of sums of products of bytes."""

    name = "recognise-byte-dots"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Runs `recognise_byte_dots`."""
        recognise_byte_dots(op)
