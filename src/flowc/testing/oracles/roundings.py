"""Kernels with their roundings moved, and whether results agree with the reference as far as these allow.

Where a moved rounding makes a number infinite or NaN, or a sum might overflow on the way, nothing is asked
of the result.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, TypeGuard

import numpy as np
from attrs import frozen
from xdsl.ir import Block, Operation, SSAValue

from flowc.dialects.array import irregular, ops, products
from flowc.dialects.array.faults import KernelFault, UnsaidExtent
from flowc.dialects.array.kernel import KernelOp
from flowc.dialects.array.kinds import compute_dtype
from flowc.dialects.array.reference import evaluate, evaluate_kernel, numpy_dtypes
from flowc.dialects.array.types import dtype_of, is_float
from flowc.testing.oracles.tolerance import ULP, addend_ulp, ulp_of
from flowc.testing.oracles.vanishing import products_in_any_order, rounded_up

Array = np.ndarray[Any, np.dtype[Any]]


class Way(Enum):
    """How roundings are moved: all up, all down, each number at random, or the numbers of an array together,
    at random up or down: what all of them lose in the same way, as by a divisor, others do not make good.
    """

    UP = "up"
    DOWN = "down"
    EACH = "each"
    TOGETHER = "together"


_WAYS = (Way.UP, Way.DOWN, Way.EACH, Way.TOGETHER)
_MORE = (Way.EACH, Way.TOGETHER) * 2
"""What does not agree yet is tried with these as well."""
_ROUNDS = 10
"""How often."""
_NEXT_TO_NOTHING = float(np.finfo(np.float32).tiny)
"""Weights of attention that are 0 in the f32 in which code computes them."""
_EVEN: Mapping[str, Any] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.true_divide, "sqrt": np.sqrt,
}  # fmt: skip


def disagreement(
    kernel: KernelOp, arguments: Sequence[Any], got: Sequence[Any], wanted: Sequence[Any]
) -> str:
    """What is wrong with results beside those of the reference, as far as the kernel's roundings allow; empty
    where nothing is."""
    found = _disagreement(kernel, arguments, got, wanted)
    if not found or not any(map(_may_round_each_row, kernel.walk())):
        return found
    with np.errstate(all="ignore"):
        other = evaluate_kernel(kernel, [np.array(each) for each in arguments], _rounding_each_row)
    return _disagreement(kernel, arguments, got, other, each_row=True) and found


def _disagreement(
    kernel: KernelOp,
    arguments: Sequence[Any],
    got: Sequence[Any],
    wanted: Sequence[Any],
    *,
    each_row: bool = False,
) -> str:
    found = _shapes(got, wanted)
    if found or all(map(_same, got, wanted)):
        return found
    runs: list[Sequence[Array] | None] = []
    for ways in (_WAYS, *(_MORE,) * _ROUNDS):
        for way in ways:
            moving = Moving(way, np.random.default_rng(len(runs)), each_row)
            runs.append(_moved_run(kernel, arguments, moving))
        if None in runs:
            return ""
        found = _compared(kernel, got, wanted, [run for run in runs if run is not None])
        if not found:
            break
    return found


def assert_agrees(kernel: KernelOp, arguments: Sequence[Any], got: Sequence[Any]) -> None:
    """Results of a kernel agree with the reference, as far as the kernel's roundings allow."""
    found = disagreement(kernel, arguments, got, evaluate_kernel(kernel, arguments))
    assert not found, found


def _shapes(got: Sequence[Any], wanted: Sequence[Any]) -> str:
    if len(got) != len(wanted):
        return f"{len(got)} results instead of {len(wanted)}"
    for place, (mine, theirs) in enumerate(zip(got, wanted, strict=True)):
        have, want = (f"{each.dtype}{list(each.shape)}" for each in map(np.asarray, (mine, theirs)))
        if have != want:
            return f"result {place} is {have} instead of {want}"
    return ""


def _same(got: Any, wanted: Any) -> bool:
    """Equal numbers, NaN equal to NaN."""
    mine, theirs = np.asarray(got), np.asarray(wanted)
    same = mine == theirs
    if mine.dtype.kind not in "iub":
        same |= (mine != mine) & (theirs != theirs)
    return bool(np.all(same))


def _compared(
    kernel: KernelOp, got: Sequence[Any], wanted: Sequence[Any], runs: Sequence[Sequence[Array]]
) -> str:
    for place, value in enumerate(kernel.returned):
        mine, theirs = (np.asarray(each[place]).astype(np.longdouble) for each in (got, wanted))
        moved = [run[place].astype(np.longdouble) for run in runs]
        with np.errstate(all="ignore"):
            sure = np.logical_and.reduce([_alike(each, theirs) for each in moved])
            reach = np.max(
                [np.where(_equal(each, theirs), 0, np.abs(each - theirs)) for each in moved], axis=0
            )
            room = reach
            if is_float(dtype := dtype_of(value.type)):
                room = np.where(reach > 0, reach + ulp_of(theirs, dtype), 0)
            wrong = sure & ~_equal(mine, theirs) & ~(np.abs(mine - theirs) <= room)
        if np.any(wrong):
            at = tuple(int(each[0]) for each in np.nonzero(np.atleast_1d(wrong)))
            pair = np.atleast_1d(mine)[at], np.atleast_1d(theirs)[at], np.atleast_1d(room)[at]
            text = "result {} at {}: {} instead of {} (within {})".format(place, list(at), *pair)
            return f"{text}; {int(np.sum(wrong))} of {wrong.size} are wrong"
    return ""


def _equal(a: Array, b: Array) -> Array:
    return np.asarray((a == b) | (np.isnan(a) & np.isnan(b)))


def _alike(a: Array, b: Array) -> Array:
    """Both finite, or the same."""
    return np.asarray((np.isfinite(a) & np.isfinite(b)) | _equal(a, b))


def _moved_run(kernel: KernelOp, arguments: Sequence[Any], moving: "Moving") -> Sequence[Array] | None:
    """The results with the roundings moved; None where the kernel then fails."""
    try:
        with np.errstate(all="ignore"):
            return evaluate_kernel(kernel, [np.array(each) for each in arguments], moving.evaluate)
    except (KernelFault, ValueError):
        return None


@frozen
class Moving:
    """Evaluates operators with their roundings moved; `each_row` where scatters of halves round each time."""

    way: Way
    chance: np.random.Generator
    each_row: bool = False

    def evaluate(self, op: Operation, inputs: Sequence[Array]) -> Sequence[Array]:
        """The results of an operator."""
        name = _name_of(op)
        result_dtype = dtype_of(op.results[0].type)
        if name not in ULP or not is_float(result_dtype):
            return stretching(op, inputs)
        given, fits = self._with_moved_addends(op, inputs)
        if self.each_row and _may_round_each_row(op):
            (result,) = _rounding_each_row(op, inputs)
        else:
            (result,) = stretching(op, given)
        if isinstance(op, products.AttentionOp) and self.way is Way.DOWN:
            result = _without_unseen(op, given, result)
        if name == "prod" and self.way in (Way.UP, Way.DOWN):
            least, most = products_in_any_order(op, given, result)
            result = most if self.way is Way.UP else least
        unknown = np.nan if self.way is Way.UP else 1  # neither is asked for; 0 may come to no number as well
        if not fits and self.way in (Way.UP, Way.DOWN):
            return (np.full_like(result, unknown),)
        if _addends(op):  # the sign of a sum that comes to 0 depends on its order
            result = np.where(result == 0, -0.0 if self.way is Way.DOWN else 0.0, result).astype(result.dtype)
        if _is_even(name, given, result, result_dtype):
            return (result,)
        if isinstance(op, ops.SoftmaxOp) and not _is_given(op.source):
            result = np.where(_decided_by_rounding(op, given[0]), unknown, result)
        if self.way is not Way.UP and all(np.isfinite(each).all() for each in given):
            greatest = np.finfo(numpy_dtypes[compute_dtype(result_dtype)]).max
            result = np.clip(
                result, -greatest, greatest
            )  # another order, or a longer product, may not overflow
        base = np.maximum(np.abs(result), 1) if name == "normal" else result
        room = ULP[name][result_dtype] * ulp_of(base, result_dtype)
        if isinstance(op, ops.SoftmaxOp | products.AttentionOp):  # their divisor is a sum
            room += addend_ulp(_summed(op, inputs)) * ulp_of(base, compute_dtype(result_dtype))
        moved = self._moved(result, room)
        return (rounded_up(op, name, given, moved) if self.way is Way.UP else moved,)

    def _with_moved_addends(self, op: Operation, inputs: Sequence[Array]) -> tuple[list[Array], bool]:
        """What the operator is given, and whether its sums are sure to stay finite."""
        given = list(inputs)
        places = _addends(op)
        if not places:
            return given, True
        count = _summed(op, inputs)
        for place in places:
            if place < len(given):
                held = given[place].astype(numpy_dtypes[_summed_in(op)])
                given[place] = self._moved(held, _lost(op, place, held, count))
        return given, _stays_finite(op, given, count)

    def _moved(self, values: Array, units: Array) -> Array:
        """The numbers moved by so much; 0 stays 0."""
        match self.way:
            case Way.EACH:
                signs: Any = self.chance.uniform(-1, 1, values.shape)
            case Way.TOGETHER:
                signs = self.chance.choice((-1.0, 1.0))
            case Way.UP:
                signs = 1.0
            case Way.DOWN:
                signs = -1.0
        wide = values.astype(np.longdouble)
        return np.asarray(np.where(wide == 0, wide, wide + signs * units)).astype(values.dtype)


def stretching(op: Operation, inputs: Sequence[Array]) -> Sequence[Array]:
    """The results of an operator that stretches what is 1 long, also where no type says the extent."""
    try:
        return evaluate(op, inputs, wide=True)
    except UnsaidExtent:
        return evaluate(op, np.broadcast_arrays(*inputs), wide=True)


def _may_round_each_row(op: Operation) -> TypeGuard[irregular.ScatterOp]:
    """Whether it changes memory of halves row after row: of very many numbers added to one place the last are
    lost there, as in NumPy. A device adds them up first.
    """
    if not isinstance(op, irregular.ScatterOp):
        return False
    return op.kind.data in ("sum", "prod") and dtype_of(op.result.type) in ("f16", "bf16")


def _rounding_each_row(op: Operation, inputs: Sequence[Array]) -> Sequence[Array]:
    if _may_round_each_row(op):
        base, indices, values = inputs
        combined = np.add if op.kind.data == "sum" else np.multiply
        result = base.astype(numpy_dtypes[dtype_of(op.result.type)])
        rows = np.broadcast_to(values, indices.shape + base.shape[1:])
        for number in np.ndindex(indices.shape):
            place = int(indices[number])
            result[place] = combined(result[place].astype(np.float32), rows[number])
        return (result.astype(np.float32),)
    return stretching(op, inputs)


def _name_of(op: Operation) -> str:
    """What stands in `ULP` for an operator: its kind, where there are several."""
    if isinstance(op, ops.ElementwiseOp | ops.ReduceOp | irregular.ScanOp | irregular.SegmentOp):
        return op.kind.data
    if isinstance(op, irregular.ScatterOp | irregular.RandomOp):
        return op.kind.data
    return op.name


def _addends(op: Operation) -> tuple[int, ...]:
    """The operands whose numbers are summed, or subtracted from one, so that what is lost by it is theirs."""
    match op:
        case ops.ReduceOp() | irregular.ScanOp() | ops.ContractOp() | products.ConvolveOp() | ops.SoftmaxOp():
            return (0,)
        case irregular.SegmentOp() | irregular.HistogramOp():
            return (2,)
        case irregular.ScatterOp():
            return (0, 2)
        case products.AttentionOp():
            return (0, 1, 2)  # what the scores of one query lose differs from key to key
    return ()


def _summed_in(op: Operation) -> str:
    """The dtype in which an operator adds up: halves are summed in f32."""
    return compute_dtype(dtype_of(op.results[0].type))


def _lost(op: Operation, place: int, held: Array, count: int) -> Array:
    """By how much each number of an operand is moved."""
    unit = ulp_of(held, _summed_in(op))
    if isinstance(op, ops.SoftmaxOp):
        return 2 * unit  # the greatest is subtracted, perhaps after a factor that makes powers those of 2
    if isinstance(op, products.AttentionOp) and place == 1:
        return 2 * addend_ulp(count) * unit  # scores are of queries that the scale was multiplied into
    if isinstance(op, products.AttentionOp) and place == 2:
        weights = dtype_of(op.operands[place].type)  # tensor cores take them as halves
        return addend_ulp(count) * unit + ulp_of(held, weights)
    return addend_ulp(count) * unit


def _is_given(value: SSAValue) -> bool:
    """Whether numbers are an argument's, which nothing has rounded."""
    while isinstance(value.owner, Operation) and ops.is_view(value.owner) and value.owner.operands:
        value = value.owner.operands[0]
    return isinstance(value.owner, Block) and isinstance(value.owner.parent_op(), KernelOp)


def _decided_by_rounding(op: ops.SoftmaxOp, source: Array) -> Array:
    """The lines of a softmax in which neighbouring numbers are 1 apart or more: which way they were rounded,
    which may be open, makes a weight nothing or all.
    """
    if not is_float(dtype_of(op.source.type)):
        return np.zeros(1, bool)
    finite = np.where(np.isfinite(source), np.abs(source), 0)
    greatest = np.max(finite, axis=op.axis.value.data, keepdims=True, initial=0)
    return np.asarray(ulp_of(greatest, dtype_of(op.source.type)) >= 1)


def _summed(op: Operation, given: Sequence[Array]) -> int:
    """How many numbers a sum of the operator may have, at most."""
    if isinstance(op, ops.ReduceOp | products.ConvolveOp):
        return max(int(np.size(each)) for each in given)
    return max((extent for each in given for extent in np.shape(each)), default=1)


def _without_unseen(op: products.AttentionOp, given: Sequence[Array], result: Array) -> Array:
    """The result of attention in which infinite and NaN values of keys that a query does not see are not
    multiplied with 0: whether they are is left open."""
    query, key, value, *rest = given
    if np.isfinite(value).all():
        return result
    ones = np.broadcast_to(np.eye(key.shape[-2], dtype=value.dtype), (*key.shape[:-1], key.shape[-2]))
    (weights,) = evaluate(op, [query, key, ones, *rest], wide=True)
    if value.ndim > 2:
        value = np.repeat(value, query.shape[-3] // key.shape[-3], axis=-3)
    parts = weights[..., None] * value[..., None, :, :]
    return np.asarray(
        np.where(weights[..., None] <= _NEXT_TO_NOTHING, 0, parts).sum(axis=-2).astype(result.dtype)
    )


def _stays_finite(op: Operation, given: Sequence[Array], count: int) -> bool:
    """Whether no order of summation overflows."""
    dtype = compute_dtype(dtype_of(op.results[0].type))
    sizes = [float(np.max(np.abs(each[np.isfinite(each)]), initial=1.0)) for each in given if np.size(each)]
    powers = np.log2(sizes) if sizes else np.zeros(1)
    largest = max(powers) * count if _name_of(op) == "prod" else sum(powers) + np.log2(max(count, 1))
    return bool(largest < np.log2(np.finfo(numpy_dtypes[dtype]).max))


def _is_even(name: str, given: Sequence[Array], result: Array, dtype: str) -> bool:
    """Whether nothing was rounded: wider arithmetic gives the same, and the dtype holds it."""
    if name not in _EVEN:
        return False
    wide = np.float64 if dtype != "f64" and all(each.dtype.itemsize <= 4 for each in given) else np.longdouble
    exact = _EVEN[name](*(each.astype(wide) for each in given))
    return _same(exact, result.astype(wide)) and _same(result.astype(numpy_dtypes[dtype]).astype(wide), exact)
