"""recognise-attention: `softmax(scale * (q @ k.T)) @ v`, however written, becomes array.attention.

The scores are then never stored. A softmax may be the operator or exp(s - max(s)) / sum(exp(s - max(s))), the
division may come after the second product, and the scores may be changed one by one: scaled, masked by adding
or by where(mask, scores, number), bounded by tanh. Kernels that ask for the written order are left, and those
that write to memory.
"""

from collections.abc import Callable, Sequence

from attrs import evolve, frozen
from xdsl.context import Context
from xdsl.dialects.builtin import FloatAttr, ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from flowc.dialects.array import build, ops, products_build
from flowc.dialects.array.kernel import KernelOp
from flowc.dialects.array.products_inference import STEPS
from flowc.dialects.array.types import dtype_of, shape_of
from flowc.passes.array_extents import ExtentAnalysis
from flowc.passes.hoist_scales import free_kernels
from flowc.passes.unused import erase_unused

Fits = Callable[[SSAValue, SSAValue], bool]
"""Whether a mask has, axis by axis from the last, extent 1 or that of the scores."""


@frozen
class Scores:
    """`q @ k.T`, multiplied and divided by numbers, then changed by steps; `hidden` is the score where the
    condition of one of them is false."""

    product: ops.ContractOp
    query: SSAValue
    key: SSAValue
    factors: tuple[tuple[str, SSAValue], ...] = ()
    steps: tuple[tuple[str, SSAValue | None], ...] = ()
    hidden: float | None = None
    inverted: frozenset[int] = frozenset()
    """The steps whose condition says what is not seen."""


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
    scores = _scores(softened, fits)
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
    for kind, factor in scores.factors:
        scale = add(build.elementwise(kind, [scale, wide(factor)]))
    steps = [
        (kind, add(build.elementwise("not", [other])) if place in scores.inverted and other else other)
        for place, (kind, other) in enumerate(scores.steps)
    ]
    hidden = float("-inf") if scores.hidden is None else scores.hidden
    attention = products_build.attention(query, key, values, scale, hidden=hidden, steps=steps)
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


def _scores(value: SSAValue, fits: Fits) -> Scores | None:
    """What leads from a product of queries and keys to a value, by operators on single scores."""
    op = value.owner
    if isinstance(op, ops.ContractOp):
        return _product(op)
    if isinstance(op, ops.CastOp):
        widens = dtype_of(op.source.type) == "f32" and dtype_of(value.type) == "f64"
        return _scores(op.source, fits) if widens and len(list(op.source.uses)) == 1 else None
    if not isinstance(op, ops.ElementwiseOp) or op.kind.data not in STEPS:
        return None
    kind, inputs = op.kind.data, tuple(op.inputs)
    for place, source in enumerate(inputs):
        if (place == 0 and kind == "where") or (place == 1 and kind in ("sub", "div")):
            continue
        # What else needs the scores would need them stored.
        alone = len(list(source.uses)) == 1 and shape_of(source.type) == shape_of(value.type)
        scores = _scores(source, fits) if alone else None
        if scores is not None:
            others = [*inputs[:place], *inputs[place + 1 :]]
            return _changed(scores, kind, others, place, fits)
    return None


def _changed(scores: Scores, kind: str, others: Sequence[SSAValue], place: int, fits: Fits) -> Scores | None:
    """Scores after one more operator, which takes them at a place among its operands."""
    if any(not fits(other, scores.product.result) for other in others):
        return None
    if kind == "where":
        hidden = _number(others[1])
        if hidden is None or scores.hidden not in (None, hidden):
            return None
        inverted = scores.inverted | {len(scores.steps)} if place == 2 else scores.inverted
        steps = (*scores.steps, (kind, others[0]))
        return evolve(scores, steps=steps, hidden=hidden, inverted=inverted)
    if any(dtype_of(other.type) not in ("f32", "f64") for other in others):
        return None
    if kind in ("mul", "div") and not scores.steps and not shape_of(others[0].type):
        return evolve(scores, factors=(*scores.factors, (kind, others[0])))
    return evolve(scores, steps=(*scores.steps, (kind, others[0] if others else None)))


def _product(op: ops.ContractOp) -> Scores | None:
    """The scores that a product is, if it is one of queries and keys."""
    turned = op.right.owner
    if not isinstance(turned, ops.TransposeOp):
        return None
    order = [int(axis) for axis in turned.permutation.get_values()]
    rank = len(order)
    swapped = [*range(rank - 2), rank - 1, rank - 2]
    return Scores(op, op.left, turned.source) if order == swapped else None


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


def _inputs(value: SSAValue, kind: str) -> tuple[SSAValue, ...]:
    """The operands of the elementwise operator of a kind that computes a value; none if another does."""
    op = value.owner
    return tuple(op.inputs) if isinstance(op, ops.ElementwiseOp) and op.kind.data == kind else ()


def _fit(scores: Scores, value: SSAValue) -> bool:
    """Whether queries, keys and values are floats of at most the width of the scores, in stacks that need no
    stretching. A factor of f64, such as NumPy's square root of an integer, makes scores of f64."""
    shapes = [shape_of(each.type) for each in (scores.query, scores.key, value)]
    dtypes = {dtype_of(each.type) for each in (scores.query, scores.key, value)}
    others = [*scores.factors, *scores.steps]
    dtypes |= {dtype_of(each.type) for _, each in others if each is not None} - {"bool"}
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
