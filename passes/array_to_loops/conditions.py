"""The conditions of an operator that its types do not settle, checked before it runs: extents that must
agree, positions that must lie inside, counts that must fit.
"""

from collections.abc import Iterable, Sequence

from xdsl.dialects import arith
from xdsl.dialects.builtin import i64
from xdsl.ir import Operation, SSAValue

from flowc.dialects.array import irregular, memory, ops, products
from flowc.dialects.array.require import RequireOp
from flowc.dialects.array.types import shape_of
from flowc.passes.array_extents import Expression, combine, says_extent
from flowc.passes.array_positions import are_inside
from flowc.passes.array_to_loops.checks import (
    ASSERTION,
    DECOMPOSITION,
    EXTENTS_DIFFER,
    INDEX_RANGE,
    NEGATIVE_EXTENT,
    NEGATIVE_POWER,
    NO_MEMORY,
    NOTHING_TO_REDUCE,
    SHARE_RANGE,
    TOO_MANY,
    Checks,
)
from flowc.passes.array_to_loops.elements import Lowering
from flowc.passes.array_to_loops.irregular.vector_sort import POSITION_BITS, sorts_by_vectors

MAY_BE_EMPTY = "array.may_be_empty"
"""Marks an extreme whose result nothing reads where there was nothing to reduce."""
_REASONS = {
    "decomposition": DECOMPOSITION,
    "assertion": ASSERTION,
    "extents": EXTENTS_DIFFER,
    "position": INDEX_RANGE,
    "extent": NEGATIVE_EXTENT,
    "share": SHARE_RANGE,
    "nothing": NOTHING_TO_REDUCE,
    "power": NEGATIVE_POWER,
}


def check(s: Lowering, checks: Checks, op: Operation) -> None:
    """The conditions of an operator that its types do not settle."""
    match op:
        case ops.ElementwiseOp():
            _check_elementwise(s, checks, op)
        case ops.ContractOp():
            right = len(shape_of(op.right.type))
            inner = s.extents.extent(op.left, len(shape_of(op.left.type)) - 1)
            require_equal(s, checks, inner, s.extents.extent(op.right, max(right - 2, 0)), op)
            _check_broadcast(s, checks, op, op.operands, skip=2)
        case products.AttentionOp():
            _check_attention(s, checks, op)
        case products.ConvolveOp():
            require_equal(s, checks, s.extents.extent(op.source, 3), s.extents.extent(op.filter, 2), op)
        case ops.ConcatOp():
            for part in op.inputs[1:]:
                for axis in range(len(shape_of(part.type))):
                    if axis != op.axis.value.data:
                        first = s.extents.extent(op.inputs[0], axis)
                        require_equal(s, checks, first, s.extents.extent(part, axis), op)
        case ops.BroadcastOp():
            _check_not_negative(s, checks, op.extents, op)
            _check_stretch(s, checks, op)
        case memory.EmptyOp() | irregular.RandomOp():
            _check_not_negative(s, checks, op.extents, op)
        case irregular.LinspaceOp():
            _check_not_negative(s, checks, [op.count], op)
        case ops.IndexOp():
            _check_index(s, checks, op)
        case ops.GatherOp():
            _check_positions(s, checks, op.indices, s.extents.extent(op.source, 0), op)
        case irregular.ArgsortOp() if sorts_by_vectors(s, op):
            _check_countable(s, checks, op)
        case irregular.OrderStatisticsOp():
            _check_alike(s, checks, op.source, op.first, op)
        case irregular.TakeAlongOp():
            _check_take_along(s, checks, op)
        case irregular.PickOp():
            _check_alike(s, checks, op.source, op.mask, op)
        case irregular.ScatterOp():
            _check_positions(s, checks, op.indices, s.extents.extent(op.base, 0), op)
            _check_values(s, checks, op)
        case irregular.SegmentOp():
            _check_not_negative(s, checks, [op.count], op)
            if op.values is not None:
                _check_alike(s, checks, op.keys, op.values, op)
        case irregular.HistogramOp() if op.weights is not None:
            _check_alike(s, checks, op.source, op.weights, op)
        case ops.TopKOp():
            _check_count(s, checks, op)
        case ops.ReduceOp() if op.kind.data in ("min", "max"):
            _check_reduced(s, checks, op, [int(axis) for axis in op.axes.get_values()])
        case ops.ArgReduceOp():
            _check_reduced(s, checks, op, [op.axis.value.data])
        case RequireOp():
            checks.require(s.element(op.condition, ()), _REASONS[op.reason.data], op)
    _check_claims(s, checks, op)


def _check_countable(s: Lowering, checks: Checks, op: irregular.ArgsortOp) -> None:
    """The positions of a line have the bits that a sort leaves them; the memory for more would be 64 GiB."""
    extent = s.size(s.extents.extent(op.source, op.axis.value.data))
    if not isinstance(extent, int) or extent > 1 << POSITION_BITS:
        fits = s.b.compare("sle", s.b.index(extent), s.b.index(1 << POSITION_BITS))
        checks.require(fits, NO_MEMORY, op)


def require_equal(s: Lowering, checks: Checks, a: Expression, b: Expression, op: Operation) -> None:
    """Goes on only where two extents agree."""
    if a == b:
        return
    left, right = s.size(a), s.size(b)
    checks.require(s.b.compare("eq", s.b.index(left), s.b.index(right)), EXTENTS_DIFFER, op)


def _check_alike(s: Lowering, checks: Checks, one: SSAValue, other: SSAValue, op: Operation) -> None:
    """Goes on only where the first axes of two arrays, as far as both have them, are equally long."""
    for a, b in zip(s.extents.shape(one), s.extents.shape(other), strict=False):
        require_equal(s, checks, a, b, op)


def _check_attention(s: Lowering, checks: Checks, op: products.AttentionOp) -> None:
    """Each key has a value and the features of a query, and queries share heads of keys evenly."""
    query, key, value = map(s.extents.shape, (op.query, op.key, op.value))
    pairs = [(query[-1], key[-1]), *zip(key[:-1], value[:-1], strict=True)]
    for a, b in (*pairs, *zip(query[:-3], key[:-3], strict=True)):
        require_equal(s, checks, a, b, op)
    whole = (*query[:-1], key[-2])
    for other in op.others:
        for axis, extent in enumerate(reversed(shape_of(other.type))):
            if extent != 1:
                own = s.extents.extent(other, len(shape_of(other.type)) - 1 - axis)
                require_equal(s, checks, whole[-1 - axis], own, op)
    if len(query) > 2 and query[-3] != key[-3]:
        heads, shared = s.b.index(s.size(query[-3])), s.size(key[-3])
        rest = s.b.insert(arith.RemUIOp(heads, s.b.index(s.b.max(shared, 1))))
        some = s.b.compare("ne", s.b.index(shared), s.b.index(0))
        even = s.b.insert(arith.AndIOp(s.b.compare("eq", rest, s.b.index(0)), some))
        checks.require(even, EXTENTS_DIFFER, op)


def _check_broadcast(
    s: Lowering, checks: Checks, op: Operation, operands: Sequence[SSAValue], skip: int
) -> None:
    rank = max(len(shape_of(operand.type)) for operand in operands)
    for axis in range(rank - skip):
        known: Expression | None = None
        for operand in operands:
            own = axis - rank + len(shape_of(operand.type))
            if own < 0 or shape_of(operand.type)[own] == 1:
                continue
            extent = s.extents.extent(operand, own)
            if known is not None:
                require_equal(s, checks, known, extent, op)
            known = extent if known is None else known


def _check_elementwise(s: Lowering, checks: Checks, op: ops.ElementwiseOp) -> None:
    """Each axis of an operand is as long as the result's, or 1; so is one whose extent the run finds out,
    if another operand says the extent. Between operands of which none says it, only an extent that is proved
    to be 1 stretches.
    """
    rank = len(shape_of(op.result.type))
    for axis in range(rank):
        whole = s.extents.derived(op.result, axis)
        places = [(operand, axis - rank + len(shape_of(operand.type))) for operand in op.inputs]
        said = says_extent(op, axis)
        for operand, own in places:
            if own < 0 or shape_of(operand.type)[own] == 1:
                continue
            extent = s.extents.extent(operand, own)
            if said and shape_of(operand.type)[own] == "":
                _require_equal_or_one(s, checks, whole, extent, op)
            elif extent != 1:
                require_equal(s, checks, whole, extent, op)


def _require_equal_or_one(
    s: Lowering, checks: Checks, whole: Expression, own: Expression, op: Operation
) -> None:
    if own in (whole, 1):
        return
    extent = s.b.index(s.size(own))
    equal = s.b.compare("eq", s.b.index(s.size(whole)), extent)
    one = s.b.compare("eq", extent, s.b.index(1))
    checks.require(s.b.insert(arith.OrIOp(equal, one)), EXTENTS_DIFFER, op)


def _check_stretch(s: Lowering, checks: Checks, op: ops.BroadcastOp) -> None:
    """Each axis is as long as the result's, or 1; the types leave this open only where the run says it."""
    said = shape_of(op.source.type)
    offset = len(op.extents) - len(said)
    for axis, extent in enumerate(s.extents.shape(op.source)):
        whole = s.extents.extent(op.result, axis + offset)
        if said[axis] == "":
            _require_equal_or_one(s, checks, whole, extent, op)
        elif extent != 1:
            require_equal(s, checks, whole, extent, op)


def _check_not_negative(s: Lowering, checks: Checks, numbers: Iterable[SSAValue], op: Operation) -> None:
    """Extents that a program gives are 0 or more."""
    for number in numbers:
        extent = s.extents.scalar(number)
        if not s.extents.is_below(0, extent):
            enough = s.b.compare("sge", s.b.index(s.size(extent)), s.b.index(0))
            checks.require(enough, NEGATIVE_EXTENT, op)


def _check_index(s: Lowering, checks: Checks, op: ops.IndexOp) -> None:
    whole = s.extents.extent(op.source, op.axis.value.data)
    wanted = s.extents.scalar(op.index)
    if isinstance(whole, int) and isinstance(wanted, int) and -whole <= wanted < whole:
        s.positions[op.result] = wanted % whole
        return
    if s.extents.is_below(0, wanted) and s.extents.is_below(combine("add", wanted, 1), whole):
        s.positions[op.result] = s.size(wanted)
        return
    extent = s.size(whole)
    place = s.b.index(s.b.wrap(s.size(wanted), extent))
    inside = s.b.compare("ult", place, s.b.index(extent))
    checks.require(inside, INDEX_RANGE, op)
    s.positions[op.result] = place


def _check_positions(
    s: Lowering, checks: Checks, indices: SSAValue, whole: Expression, op: Operation
) -> None:
    """Every index lies in an axis that is `whole` long."""
    if are_inside(s.extents, indices, whole):
        s.inside.add(op)
        return
    extent = s.size(whole)

    def inside(at: tuple[SSAValue, ...]) -> SSAValue:
        # As i64, before it becomes an index: that of a device may have 32 bits.
        place, end = s.as_dtype(indices, at, "i64"), s.b.to_integer(extent)
        below = s.b.compare("slt", place, s.b.constant(0, i64))
        wrapped = s.b.select(below, s.b.insert(arith.AddiOp(place, end)), place)
        return s.b.compare("ult", wrapped, end)

    checks.require_room(extent, s.sizes(indices), INDEX_RANGE, op)
    checks.require_everywhere(s.sizes(indices), inside, INDEX_RANGE, op)


def _check_take_along(s: Lowering, checks: Checks, op: irregular.TakeAlongOp) -> None:
    axis = op.axis.value.data
    for other in range(len(shape_of(op.source.type))):
        if other != axis:
            own = s.extents.extent(op.indices, other)
            require_equal(s, checks, s.extents.extent(op.source, other), own, op)
    _check_positions(s, checks, op.indices, s.extents.extent(op.source, axis), op)


def _check_values(s: Lowering, checks: Checks, op: irregular.ScatterOp) -> None:
    """The values' extents are those of the rows they go to, or written as 1."""
    rows = [s.extents.extent(op.indices, axis) for axis in range(len(shape_of(op.indices.type)))]
    rows += [s.extents.extent(op.base, axis) for axis in range(1, len(shape_of(op.base.type)))]
    given = shape_of(op.values.type)
    for axis, whole in enumerate(rows[len(rows) - len(given) :]):
        if given[axis] != 1:
            require_equal(s, checks, whole, s.extents.extent(op.values, axis), op)


def _check_count(s: Lowering, checks: Checks, op: ops.TopKOp) -> None:
    extent = s.extents.extent(op.source, len(shape_of(op.source.type)) - 1)
    count = s.extents.scalar(op.count)
    if isinstance(extent, int) and isinstance(count, int) and 0 <= count <= extent:
        return
    # Unsigned: a negative count is larger than any extent.
    fits = s.b.compare("ule", s.b.index(s.size(count)), s.b.index(s.size(extent)))
    checks.require(fits, TOO_MANY, op)


def _check_reduced(
    s: Lowering, checks: Checks, op: ops.ReduceOp | ops.ArgReduceOp, axes: Sequence[int]
) -> None:
    """Something to reduce, or no result to give."""
    if MAY_BE_EMPTY in op.attributes:
        return
    shape = s.extents.shape(op.source)
    if all(isinstance(shape[axis], int) and shape[axis] != 0 for axis in axes):
        return
    kept, reduced = s.b.index(1), s.b.index(1)
    for axis, expression in enumerate(shape):
        size = s.size(expression)
        if axis in axes:
            reduced = s.b.index(s.b.mul(reduced, size))
        else:
            kept = s.b.index(s.b.mul(kept, size))
    zero = s.b.index(0)
    some = s.b.insert(arith.OrIOp(s.b.compare("ne", reduced, zero), s.b.compare("eq", kept, zero)))
    checks.require(some, NOTHING_TO_REDUCE, op)


def _check_claims(s: Lowering, checks: Checks, op: Operation) -> None:
    """Extents that a result type declares beyond what the operator's rule knows."""
    if not isinstance(op, ops.ArrayOperation):
        return
    for result, inferred in zip(op.results, op.infer(), strict=True):
        for axis, (have, know) in enumerate(zip(shape_of(result.type), shape_of(inferred), strict=True)):
            if know == "" and have != "":
                require_equal(s, checks, s.extents.extent(result, axis), s.extents.derived(result, axis), op)
