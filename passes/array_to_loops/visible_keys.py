"""Which keys a mask written out can show to a query, from comparisons of positions in it.

Of `i >= j`, of `i - j < 256` or of `j < length` and such, joined by `and`, follows that keys on one side of a
line are hidden, whatever else the mask says. Only numbers of i64 are followed, and only where positions count
up by one along the queries or the keys; of any other condition nothing follows.
"""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.dialects import arith
from xdsl.ir import SSAValue

from flowc.dialects.array import ops, products
from flowc.dialects.array.types import dtype_of, shape_of
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.elements import Lowering, aligned
from flowc.passes.extent_algebra import Expression

FAR = 1 << 61
"""A number of positions that is beyond any extent, and whose double is an i64."""

_NEGATED = {"ge": "lt", "lt": "ge", "le": "gt", "gt": "le"}


@frozen
class Line:
    """`larger - smaller >= least` holds for what is seen; the difference changes by `query` from one query to
    the next and by `key`, 1 or -1, from one key to the next."""

    larger: SSAValue
    smaller: SSAValue
    least: int
    query: int
    key: int


@frozen
class Sight:
    """What a mask shows lies on the upper sides of all `lines`; a score elsewhere is `hidden`, or has that
    added where the mask is a number."""

    lines: tuple[Line, ...]
    hidden: float
    added: bool


def sight_of(s: Lowering, op: products.AttentionOp) -> Sight | None:
    """What can be told of a mask by positions alone; None if nothing."""
    changes = op.changes()
    kind, mask = changes[-1] if changes else ("", None)
    if mask is None:
        return None
    whole = (s.extents.shape(op.query)[-2], s.extents.shape(op.key)[-2])
    condition, negated, hidden = mask, False, float("-inf")
    added = kind == "add" and len(changes) == 1
    if added:
        found = _chosen(mask)
        if found is None or dtype_of(mask.type) != dtype_of(op.result.type):
            return None
        condition, negated, hidden = found
    elif kind != "where":
        return None
    elif op.hidden is not None:
        hidden = op.hidden.value.data
    lines = _lines(s, condition, negated, whole)
    return Sight(lines, hidden, added) if lines else None


def _chosen(mask: SSAValue) -> tuple[SSAValue, bool, float] | None:
    """The condition under which a mask adds something else than one number, whether it is that it does not
    hold, and the number."""
    inputs = _inputs(mask, "where")
    if not inputs:
        return None
    condition, one, other = inputs
    numbers = [(_number(other), False), (_number(one), True)]
    hidden = [(number, negated) for number, negated in numbers if number is not None and number < 0]
    return (condition, hidden[0][1], hidden[0][0]) if hidden else None


def _lines(
    s: Lowering, condition: SSAValue, negated: bool, whole: tuple[Expression, Expression]
) -> tuple[Line, ...]:
    """Lines that follow from a condition, or from its contrary."""
    op = condition.owner
    if not isinstance(op, ops.ElementwiseOp):
        return ()
    kind, inputs = op.kind.data, tuple(op.inputs)
    if kind == "not":
        return _lines(s, inputs[0], not negated, whole)
    if kind == ("or" if negated else "and"):
        return tuple(line for each in inputs for line in _lines(s, each, negated, whole))
    if kind == "where":
        return _lines_of_choice(s, inputs, negated, whole)
    kind = _NEGATED.get(kind, "") if negated else kind
    if kind not in _NEGATED:
        return ()
    larger, smaller = inputs if kind in ("ge", "gt") else inputs[::-1]
    rises, falls = _slope(s, larger, whole), _slope(s, smaller, whole)
    if rises is None or falls is None or abs(rises[1] - falls[1]) != 1:
        return ()
    return (Line(larger, smaller, int(kind in ("gt", "lt")), rises[0] - falls[0], rises[1] - falls[1]),)


def _lines_of_choice(
    s: Lowering, inputs: Sequence[SSAValue], negated: bool, whole: tuple[Expression, Expression]
) -> tuple[Line, ...]:
    """Lines that follow from `where(condition, one, other)`, or its contrary, if one of both is known to be
    what was not chosen."""
    condition, one, other = inputs
    numbers = [_number(one), _number(other)]
    left_out = [number is not None and bool(number) == negated for number in numbers]
    if left_out[1]:
        return _lines(s, condition, False, whole) + _lines(s, one, negated, whole)
    if left_out[0]:
        return _lines(s, condition, True, whole) + _lines(s, other, negated, whole)
    return ()


def _slope(s: Lowering, value: SSAValue, whole: tuple[Expression, Expression]) -> tuple[int, int] | None:
    """By how much a value changes from query to query and from key to key; None if not by a known number.

    An axis that a run may stretch, as it is not known to be as long as `whole`, has no slope.
    """
    found = _own_slope(s, value, whole)
    if found is None:
        return None
    extents = (1, 1, *s.extents.shape(value))[-2:]
    known = all(not step or own == other for step, own, other in zip(found, extents, whole, strict=True))
    return found if known else None


def _own_slope(s: Lowering, value: SSAValue, whole: tuple[Expression, Expression]) -> tuple[int, int] | None:
    if dtype_of(value.type) != "i64":
        return None
    shape = shape_of(value.type)
    if all(extent == 1 for extent in shape[-2:]):
        return 0, 0
    if s.stored(value):  # of no keys there is no first one to look at
        return None
    match value.owner:
        case ops.IotaOp():
            return 0, 1
        case ops.ExpandOp() as op:
            from_end = len(shape) - op.axis.value.data
            inner = _own_slope(s, op.source, whole)
            if inner is None or from_end > 2:
                return inner
            return None if inner[0] else (inner[1], 0) if from_end == 1 else (0, inner[1])
        case ops.BroadcastOp() as op:
            return _slope(s, op.source, whole)
        case ops.ElementwiseOp() as op if op.kind.data in ("add", "sub"):
            sign = 1 if op.kind.data == "add" else -1
            one, other = (_slope(s, each, whole) for each in op.inputs)
            if one is None or other is None:
                return None
            return one[0] + sign * other[0], one[1] + sign * other[1]
    return None


def _inputs(value: SSAValue, kind: str) -> Sequence[SSAValue]:
    op = value.owner
    return tuple(op.inputs) if isinstance(op, ops.ElementwiseOp) and op.kind.data == kind else ()


def _number(value: SSAValue) -> float | None:
    """The number that all elements of a value are known to be."""
    op = value.owner
    if isinstance(op, ops.BroadcastOp | ops.CastOp):
        return _number(op.source)
    if not isinstance(op, ops.ConstantOp):
        return None
    return float(op.value.value.data)


def visible_keys(
    s: Lowering,
    sight: Sight,
    stack: Sequence[Index],
    low: Index,
    high: Index,
    end: Index,
    room_of: Callable[[Line], SSAValue] | None = None,
) -> tuple[Index, Index]:
    """The first key and the one behind the last that some query from `low` to `high` may see. `room_of` says
    how far a line's difference is above its least for the first query and key, where positions have fewer
    bits than those of a mask."""
    b = s.b
    first: Index = 0
    for line in sight.lines:
        room = _difference(s, line, stack) if room_of is None else room_of(line)
        best = {1: b.add(room, b.sub(high, 1)), 0: room, -1: b.sub(room, low)}.get(line.query)
        if best is None:
            continue
        if line.key < 0:
            end = b.min(end, b.add(best, 1))
        else:
            first = b.max(first, b.sub(0, best))
    return first, end


def _difference(s: Lowering, line: Line, stack: Sequence[Index]) -> SSAValue:
    """How far above its least the difference is for the first query and key; `FAR` where its operands are so
    large that positions might wrap around."""
    b = s.b
    at = (*stack, 0, 0)
    larger = b.to_index(s.element(line.larger, aligned(line.larger, at)))
    smaller = b.to_index(s.element(line.smaller, aligned(line.smaller, at)))

    def near(value: SSAValue) -> SSAValue:
        return b.compare("ult", b.index(b.add(value, FAR)), b.index(2 * FAR))

    sane = b.insert(arith.AndIOp(near(larger), near(smaller)))
    room = b.sub(b.sub(larger, smaller), line.least)
    return b.select(sane, b.index(room), b.index(FAR))
