"""recognise-attention: `softmax(scale * (q @ k.T)) @ v`, however written, becomes array.attention.

The scores are then never stored. A softmax may be the operator or exp(s - max(s)) / sum(exp(s - max(s))), the
division may come after the second product, and the scores may be masked: by adding, or by where(mask, scores,
number). Kernels that ask for the written order are left, and those that write to memory.
"""

from collections.abc import Callable

from attrs import evolve, frozen
from xdsl.context import Context
from xdsl.dialects.builtin import FloatAttr, ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from flowc.dialects.array import build, ops, products_build
from flowc.dialects.array.kernel import KernelOp
from flowc.dialects.array.types import dtype_of, is_float, shape_of
from flowc.passes.array_extents import ExtentAnalysis
from flowc.passes.hoist_scales import free_kernels
from flowc.passes.unused import erase_unused

Fits = Callable[[SSAValue, SSAValue], bool]
"""Whether a mask has, axis by axis from the last, extent 1 or that of the scores."""


@frozen
class Scores:
    """`q @ k.T`, multiplied or divided by a number if there is one, then masked if there is a mask; `hidden`
    is the score where a boolean mask is false."""

    query: SSAValue
    key: SSAValue
    kind: str = ""
    factor: SSAValue | None = None
    mask: SSAValue | None = None
    hidden: float = float("-inf")


def recognise_attention(module: ModuleOp) -> int:
    """Replaces attention that is written out; gives how often."""
    found = 0
    for kernel in free_kernels(module):
        for op in [op for op in kernel.walk() if isinstance(op, ops.ContractOp)]:
            found += _replace(op, _fitting(kernel))
    return found


def _fitting(kernel: KernelOp) -> Fits:
    def fits(mask: SSAValue, scores: SSAValue) -> bool:
        extents = ExtentAnalysis(kernel)
        own, whole = extents.shape(mask), extents.shape(scores)
        pairs = zip(reversed(own), reversed(whole), strict=False)
        declared = reversed(shape_of(mask.type))
        return len(own) <= len(whole) and all(
            said == 1 or one == other for said, (one, other) in zip(declared, pairs, strict=True)
        )

    return fits


def _replace(op: ops.ContractOp, fits: Fits) -> bool:
    found = _softmax_of(op)
    if found is None:
        return False
    softened, last = found
    scores = _masked(softened, fits)
    dtype = dtype_of(softened.type)
    if scores is None or dtype_of(last.results[0].type) != dtype or not _fit(scores, op.right):
        return False
    made: list[Operation] = []

    def add(new: Operation) -> SSAValue:
        made.append(new)
        return new.results[0]

    def wide(value: SSAValue) -> SSAValue:
        return value if dtype_of(value.type) == dtype else add(build.cast(value, dtype))

    query, key, values = map(wide, (scores.query, scores.key, op.right))
    scale = add(build.constant(1.0, dtype))
    if scores.factor is not None:
        scale = add(build.elementwise(scores.kind, [scale, wide(scores.factor)]))
    attention = products_build.attention(query, key, values, scale, scores.mask, hidden=scores.hidden)
    for each in (*made, attention):
        each.location = op.location
    Rewriter.insert_op(made, InsertPoint.before(last))
    unused = list(last.operands)
    Rewriter.replace_op(last, attention)
    erase_unused(unused)
    return True


def _softmax_of(op: ops.ContractOp) -> tuple[SSAValue, Operation] | None:
    """What a product takes the softmax of along the last axis, and the operator that gives the result: the
    product, or the division after it."""
    weights = op.left
    if len(list(weights.uses)) == 1:
        softened = _written_softmax(weights)
        return None if softened is None else (softened, op)
    users = [use.operation for use in op.result.uses]
    source = _below_top(weights)
    if source is None or len(users) != 1 or len(shape_of(op.right.type)) != len(shape_of(weights.type)):
        return None
    last = users[0]
    quotient = _inputs(last.results[0], "div") if last.results else ()
    if not quotient or quotient[0] is not op.result:
        return None
    total = _reduced(quotient[1], "sum", len(shape_of(weights.type)) - 1)
    return (source, last) if total is weights else None


def _written_softmax(value: SSAValue) -> SSAValue | None:
    """What a value is the softmax of along its last axis."""
    op = value.owner
    last = len(shape_of(value.type)) - 1
    if isinstance(op, ops.SoftmaxOp):
        return op.source if op.axis.value.data == last else None
    quotient = _inputs(value, "div")
    if not quotient or _reduced(quotient[1], "sum", last) is not quotient[0]:
        return None
    return _below_top(quotient[0])


def _below_top(value: SSAValue) -> SSAValue | None:
    """What `value` is `exp(s - max(s))` of, the maximum along the last axis."""
    power = _inputs(value, "exp")
    difference = _inputs(power[0], "sub") if power else ()
    last = len(shape_of(value.type)) - 1
    if not difference or _reduced(difference[1], "max", last) is not difference[0]:
        return None
    return difference[0]


def _masked(value: SSAValue, fits: Fits) -> Scores | None:
    """Scores under a mask, or without."""
    added, chosen = _inputs(value, "add"), _inputs(value, "where")
    if added:
        for inner, mask in (added, added[::-1]):
            scores = _scores(inner)
            if scores is not None and is_float(dtype_of(mask.type)) and _alike(value, inner, mask, fits):
                return evolve(scores, mask=mask)
        return None
    if chosen:
        mask, inner, other = chosen
        hidden, scores = _number(other), _scores(inner)
        if scores is None or hidden is None or not _alike(value, inner, mask, fits):
            return None
        return evolve(scores, mask=mask, hidden=hidden)
    return _scores(value)


def _alike(value: SSAValue, scores: SSAValue, mask: SSAValue, fits: Fits) -> bool:
    """Whether masking leaves the type of the scores."""
    same = shape_of(value.type) == shape_of(scores.type) and dtype_of(value.type) == dtype_of(scores.type)
    return same and fits(mask, scores)


def _number(value: SSAValue) -> float | None:
    """The number that a value is known to be."""
    op = value.owner
    if isinstance(op, ops.CastOp):
        op = op.source.owner
    if isinstance(op, ops.ConstantOp) and isinstance(op.value, FloatAttr) and not shape_of(value.type):
        return float(op.value.value.data)
    return None


def _reduced(value: SSAValue, kind: str, axis: int) -> SSAValue | None:
    """What a value is a reduction of along one axis, which it keeps."""
    op = value.owner
    if isinstance(op, ops.ExpandOp) and op.axis.value.data == axis:
        op, kept = op.source.owner, True
    else:
        kept = isinstance(op, ops.ReduceOp) and op.keepdims is not None
    if not isinstance(op, ops.ReduceOp) or op.kind.data != kind or not kept:
        return None
    return op.source if [int(each) for each in op.axes.get_values()] == [axis] else None


def _scores(value: SSAValue) -> Scores | None:
    op = value.owner
    if isinstance(op, ops.ContractOp):
        turned = op.right.owner
        if not isinstance(turned, ops.TransposeOp):
            return None
        order = [int(axis) for axis in turned.permutation.get_values()]
        rank = len(order)
        swapped = [*range(rank - 2), rank - 1, rank - 2]
        return Scores(op.left, turned.source) if order == swapped else None
    factors, quotient = _inputs(value, "mul"), _inputs(value, "div")
    pairs = [("mul", factors), ("mul", factors[::-1])] if factors else [("div", quotient)] if quotient else []
    for kind, (product, factor) in pairs:
        found = _scores(product) if isinstance(product.owner, ops.ContractOp) else None
        if found is not None and not shape_of(factor.type):
            return Scores(found.query, found.key, kind, factor)
    return None


def _inputs(value: SSAValue, kind: str) -> tuple[SSAValue, ...]:
    """The operands of the elementwise operator of a kind that computes a value; none if another does."""
    op = value.owner
    return tuple(op.inputs) if isinstance(op, ops.ElementwiseOp) and op.kind.data == kind else ()


def _fit(scores: Scores, value: SSAValue) -> bool:
    """Whether queries, keys and values are floats of at most the width of the scores, in stacks that need no
    stretching. A factor of f64, such as NumPy's square root of an integer, makes scores of f64."""
    shapes = [shape_of(each.type) for each in (scores.query, scores.key, value)]
    dtypes = {dtype_of(each.type) for each in (scores.query, scores.key, value)}
    if scores.factor is not None:
        dtypes.add(dtype_of(scores.factor.type))
    stacks = {shape[:-2] for shape in shapes}
    alike = len({len(shape) for shape in shapes}) == len(stacks) == 1 and len(shapes[0]) >= 2
    known = all("" not in shape for shape in shapes)
    return alike and known and dtypes <= {"f32", "f64"} and shapes[1][-2] == shapes[2][-2]


class RecogniseAttentionPass(ModulePass):
    """Replaces attention that is written out."""

    name = "recognise-attention"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Runs `recognise_attention`."""
        recognise_attention(op)
