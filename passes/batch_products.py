"""batch-products: products in the rounds of a loop, each with a row of a matrix, become rows of one product.

`for i in range(n): out[i] = x[i] @ w` reads `w` once a round, as fast as memory gives it. A product of some
rows of `x` at a time reads it once for all of them. Where the loop walks along the columns of `w` too, as in
`x[:, i] @ x[:, i:]`, these rounds begin where the first of them does. Kernels that ask for an order of
operations are left.
"""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.context import Context
from xdsl.dialects import scf
from xdsl.dialects.builtin import ModuleOp, i64
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from flowc.dialects.array import build, memory, ops
from flowc.dialects.array.kernel import PRECISE, REPRODUCIBLE, KernelOp
from flowc.dialects.array.slices import AxisSlice, SliceSpec
from flowc.dialects.array.types import dtype_of, is_float, shape_of
from flowc.passes.array_extents import ExtentAnalysis, combine
from flowc.passes.array_memory import writes
from flowc.passes.unused import erase_unused

ROUNDS = 128
"""Rounds whose products are computed together."""
ELEMENTS = 1 << 19
"""Elements that their products have at most, unless those of one round are more."""

_LIFTED = (ops.SliceOp, ops.TransposeOp, ops.IndexOp, ops.ExpandOp, ops.DimOp, ops.ConstantOp)


@frozen
class _Walk:
    """The matrix begins at `bound` in each round, which is so much `ahead` of the counter."""

    bound: SSAValue
    ahead: int


@frozen
class _Rounds:
    """A product of each round of a loop: with the row, or column, of `rows` along `axis` that the counter
    says; `other` is the matrix on the other side, and `walk` is how it goes on if it does."""

    product: ops.ContractOp
    rows: SSAValue
    axis: int
    other: SSAValue
    walk: _Walk | None


def batch_products(module: ModuleOp) -> int:
    """Computes products of the rounds of loops together; gives how many."""
    found = 0
    for kernel in [op for op in module.walk() if isinstance(op, KernelOp)]:
        if PRECISE in kernel.attributes or REPRODUCIBLE in kernel.attributes:
            continue
        for loop in [op for op in kernel.walk() if isinstance(op, scf.ForOp)]:
            extents = ExtentAnalysis(kernel)
            products = [op for op in loop.body.block.ops if isinstance(op, ops.ContractOp)]
            rounds = [each for op in products if (each := _rounds_of(extents, loop, op)) is not None]
            if rounds:
                _batch(loop, rounds)
            found += len(rounds)
    return found


def _rounds_of(extents: ExtentAnalysis, loop: scf.ForOp, product: ops.ContractOp) -> _Rounds | None:
    """How the products of a loop belong together, if they do."""
    ranks = [len(shape_of(operand.type)) for operand in product.operands]
    if sorted(ranks) != [1, 2] or not is_float(dtype_of(product.result.type)) or loop.iter_args:
        return None
    vector, other = product.operands if ranks[0] == 1 else reversed(product.operands)
    row, counter = vector.owner, loop.body.block.args[0]
    if not isinstance(row, ops.IndexOp) or row.operands[1] is not counter:
        return None
    axis, side = row.axis.value.data, 1 if ranks[0] == 1 else 0
    last = extents.extent(row.source, axis)
    inside = extents.is_below(0, extents.scalar(loop.lb)) and extents.is_below(extents.scalar(loop.ub), last)
    if not inside or extents.scalar(loop.step) != 1 or not _stays(loop, row.source):
        return None
    if shape_of(vector.type)[0] in ("", 1) or shape_of(vector.type)[0] != shape_of(other.type)[1 - side]:
        return None
    walk = _walk_of(extents, loop, other, side)
    return _Rounds(product, row.source, axis, other, walk) if walk or _stays(loop, other) else None


def _walk_of(extents: ExtentAnalysis, loop: scf.ForOp, value: SSAValue, axis: int) -> _Walk | None:
    """How a slice goes on with the counter along an axis: its beginning there is never negative, and all
    else stays."""
    op, counter = value.owner, loop.body.block.args[0]
    if not isinstance(op, ops.SliceOp) or axis >= len(op.slices.axes):
        return None
    start = op.slices.axes[axis].start
    named = [bound for each in op.slices.axes for bound in (each.start, each.stop)]
    if not isinstance(start, str) or named.count(start) > 1 or op.slices.axes[axis].step != 1:
        return None
    bound = op.bounds[int(start[1:])]
    ahead = combine("sub", extents.scalar(bound), ("value", counter))
    if not isinstance(ahead, int) or not extents.is_below(0, extents.scalar(bound)):
        return None
    others = [op.source, *(each for number, each in enumerate(op.bounds) if number != int(start[1:]))]
    return _Walk(bound, ahead) if all(_stays(loop, each) for each in others) else None


def _stays(loop: scf.ForOp, value: SSAValue) -> bool:
    """Whether a value is the same in each round and may be computed before the first."""
    if not _is_inside(loop, value):
        return True
    op = value.owner
    if isinstance(op, memory.ReadOp):
        return not writes(loop, {op.ref}) and not _is_inside(loop, op.ref)
    number = isinstance(op, ops.ElementwiseOp) and value.type == i64
    if not number and not isinstance(op, _LIFTED):
        return False
    assert isinstance(op, Operation)
    return all(_stays(loop, operand) for operand in op.operands)


def _is_inside(loop: scf.ForOp, value: SSAValue) -> bool:
    owner: Operation | Block | None = value.owner
    while owner is not None:
        if owner is loop:
            return True
        owner = owner.parent_op() if isinstance(owner, Block) else owner.parent
    return False


def _batch(loop: scf.ForOp, rounds: Sequence[_Rounds]) -> None:
    """Makes two loops of one: over some rounds at a time, and over these."""
    block = Block(arg_types=[i64])
    first, counter = block.args[0], loop.body.block.args[0]
    number = _number(loop, rounds)
    outer = scf.ForOp(loop.lb, loop.ub, number, [], Region(block))
    outer.location = loop.location
    Rewriter.insert_op(outer, InsertPoint.before(loop))
    place = loop.parent
    assert place is not None
    block.add_ops([place.detach_op(loop), scf.YieldOp()])
    add = _before(loop)
    end = add(build.elementwise("minimum", [add(build.elementwise("add", [first, number])), loop.ub]))
    loop.operands[0], loop.operands[1] = first, end
    for each in rounds:
        product = _together(loop, each, (first, end))
        inside = _before(each.product)
        row = inside(build.elementwise("sub", [counter, first]))
        value = inside(build.index(product, row))
        if each.walk is not None:
            value = inside(build.slices(value, SliceSpec((AxisSlice("$0"),)), [row]))
        operands = list(each.product.operands)
        each.product.result.replace_all_uses_with(value)
        Rewriter.erase_op(each.product)
        erase_unused(operands)


def _number(loop: scf.ForOp, rounds: Sequence[_Rounds]) -> SSAValue:
    """How many rounds go together: `ROUNDS`, or as few as have no more than `ELEMENTS` in their products."""
    add, widths = _before(loop), []
    for each in rounds:
        side = 0 if each.other is each.product.left else 1
        whole = _whole(loop, each.other, side)
        widths += [add(build.dim(_lifted(loop, value, {}), axis)) for value, axis in whole]
    one = add(build.constant(1, "i64"))
    number = add(build.constant(ROUNDS, "i64"))
    for width in widths:
        wide = add(build.elementwise("maximum", [width, one]))
        fitting = add(build.elementwise("floordiv", [add(build.constant(ELEMENTS, "i64")), wide]))
        number = add(build.elementwise("minimum", [number, fitting]))
    return add(build.elementwise("maximum", [number, one]))


def _whole(loop: scf.ForOp, value: SSAValue, axis: int) -> list[tuple[SSAValue, int]]:
    """Where the axis of a matrix comes from that is known before the loop; none of one that a view adds.

    The views themselves are computed with the rounds: a position beyond an end is no error of no rounds.
    """
    if not _is_inside(loop, value):
        return [(value, axis)]
    match value.owner:
        case ops.SliceOp() as op:
            return _whole(loop, op.source, axis)
        case ops.IndexOp() as op:
            return _whole(loop, op.source, axis + (axis >= op.axis.value.data))
        case ops.TransposeOp() as op:
            return _whole(loop, op.source, int(op.permutation.get_values()[axis]))
        case ops.ExpandOp() as op:
            gone = op.axis.value.data
            return [] if axis == gone else _whole(loop, op.source, axis - (axis > gone))
    return [(value, axis)]


def _together(loop: scf.ForOp, rounds: _Rounds, bounds: tuple[SSAValue, SSAValue]) -> SSAValue:
    """The product of some rows, before the loop over them."""
    add = _before(loop)
    copies: dict[SSAValue, SSAValue] = {}
    if rounds.walk is not None:
        ahead = add(build.constant(rounds.walk.ahead, "i64"))
        copies[rounds.walk.bound] = add(build.elementwise("add", [bounds[0], ahead]))
    some = AxisSlice("$0", "$1")
    spec = SliceSpec((some,) if rounds.axis == 0 else (AxisSlice(), some))
    rows = add(build.slices(_lifted(loop, rounds.rows, copies), spec, bounds))
    rows = rows if rounds.axis == 0 else add(build.transpose(rows))
    other = _lifted(loop, rounds.other, copies)
    return add(
        build.contract(rows, add(build.transpose(other)) if rounds.other is rounds.product.left else other)
    )


def _lifted(loop: scf.ForOp, value: SSAValue, copies: dict[SSAValue, SSAValue]) -> SSAValue:
    """A value that stays the same, computed before the loop; `copies` has what is there already."""
    if value in copies or not _is_inside(loop, value):
        return copies.get(value, value)
    assert isinstance(value.owner, Operation)
    copy = value.owner.clone()
    copy.operands = [_lifted(loop, operand, copies) for operand in value.owner.operands]
    copies[value] = _before(loop)(copy)
    return copies[value]


def _before(place: Operation) -> Callable[[Operation], SSAValue]:
    """What puts operators before another one and gives their first result."""

    def add(op: Operation) -> SSAValue:
        op.location = place.location
        Rewriter.insert_op(op, InsertPoint.before(place))
        return op.results[0]

    return add


class BatchProductsPass(ModulePass):
    """Computes products of the rounds of loops together."""

    name = "batch-products"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Runs `batch_products`."""
        batch_products(op)
