"""array.argreduce as loops: the extreme of a block first, and its position only where that beats all before.

Both are vector loops, a block stays in cache between them, and few blocks beat all before. Along an axis
before the last, whole rows are compared with a row of the best so far.
"""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.dialects import arith
from xdsl.dialects.builtin import i64
from xdsl.ir import SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.types import dtype_of, is_float
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index, Range
from flowc.passes.array_to_loops.elements import Lowering, Place
from flowc.passes.array_to_loops.reductions import Carried, Reducer, accumulate_all, close, identity

BLOCK = 2048
NOWHERE = (1 << 63) - 1

Best = tuple[SSAValue, SSAValue]
"""A value and its position along the axis, as i64."""
Sink = Callable[[Sequence[Index], Best], None]


@frozen
class BestRows:
    """The best values so far and their positions, in memory."""

    values: Place
    positions: Place


def kind_of(op: ops.ArgReduceOp) -> str:
    """min or max."""
    return op.kind.data.removeprefix("arg")


def beats(s: Lowering, op: ops.ArgReduceOp, value: SSAValue, best: SSAValue) -> SSAValue:
    """Whether a later value takes the place of the best before it: the first NaN beats all."""
    dtype = dtype_of(op.source.type)
    better = scalars.apply(s.b, "lt" if kind_of(op) == "min" else "gt", dtype, [value, best])
    if not is_float(dtype):
        return better
    strange = s.b.insert(arith.CmpfOp(value, value, "uno"))
    usual = s.b.insert(arith.CmpfOp(best, best, "ord"))
    return s.b.insert(arith.OrIOp(better, s.b.insert(arith.AndIOp(strange, usual))))


def better(s: Lowering, op: ops.ArgReduceOp, best: Best, other: Best) -> Best:
    """The better of two, the first where they are equal."""
    wins = beats(s, op, other[0], best[0])
    return s.b.select(wins, other[0], best[0]), s.b.select(wins, other[1], best[1])


def nothing(s: Lowering, op: ops.ArgReduceOp, low: Index) -> Best:
    """What any value beats, or equals: then the first position is right."""
    return identity(s.b, kind_of(op), dtype_of(op.source.type)), s.b.to_integer(low)


def by_rows(op: ops.ArgReduceOp, ranges: Sequence[Range]) -> bool:
    """Whether whole rows are compared."""
    axis = op.axis.value.data
    return not ranges[axis].single and any(not here.single for here in ranges[axis + 1 :])


def position_of(op: ops.ArgReduceOp, kept: Sequence[Index]) -> list[Index]:
    """The position in the result."""
    axis = op.axis.value.data
    return [*kept[:axis], 0, *kept[axis:]] if op.keepdims is not None else list(kept)


def lower_argreduce(
    s: Lowering, op: ops.ArgReduceOp, ranges: Sequence[Range], sink: Sink, rows: BestRows | None = None
) -> None:
    """Finds the extremes in a part of the source; `rows` are the best so far where those stand in memory."""
    axis = op.axis.value.data
    outer = [here for k, here in enumerate(ranges) if k != axis]
    if by_rows(op, ranges):
        own = rows or _fresh_rows(s, op, ranges)
        if rows is None:
            clear_rows(s, op, own, ranges)
        _compare_rows(s, op, own, ranges)
        if rows is None:
            s.b.sweep(outer, lambda at: sink(position_of(op, at), load_best(s, op, own, at)))
        return

    def line(at: tuple[Index, ...]) -> None:
        def element(i: Index) -> SSAValue:
            return s.element(op.source, [*at[:axis], i, *at[axis:]])

        here = ranges[axis]
        if here.single:
            sink(position_of(op, at), (element(here.low), s.b.to_integer(here.low)))
        else:
            sink(position_of(op, at), _best_of_line(s, op, here, element))

    s.b.sweep(outer, line)


def _best_of_line(
    s: Lowering, op: ops.ArgReduceOp, here: Range, element: Callable[[Index], SSAValue]
) -> Best:
    dtype = dtype_of(op.source.type)

    def block(low: SSAValue, carried: Carried) -> Sequence[SSAValue]:
        high = s.b.min(s.b.add(low, BLOCK), here.high)
        part = [Range(low, high)]
        extreme = close(
            s.b, accumulate_all(s.b, [Reducer(kind_of(op), dtype)], part, lambda at: (element(at[0]),))[0]
        )

        def found(at: tuple[Index, ...]) -> Sequence[SSAValue]:
            value = element(at[0])
            here = scalars.apply(s.b, "eq", dtype, [value, extreme])
            if is_float(dtype):
                here = s.b.insert(arith.OrIOp(here, s.b.insert(arith.CmpfOp(value, value, "uno"))))
            return (s.b.select(here, s.b.to_integer(at[0]), s.b.constant(NOWHERE, i64)),)

        def replace() -> Sequence[SSAValue]:
            return extreme, accumulate_all(s.b, [Reducer("min", "i64")], part, found)[0][0]

        return s.b.branch(beats(s, op, extreme, carried[0]), replace, lambda: carried)

    value, position = s.b.loop(here.low, here.high, nothing(s, op, here.low), block, step=BLOCK)
    return value, position


def _fresh_rows(s: Lowering, op: ops.ArgReduceOp, ranges: Sequence[Range]) -> BestRows:
    outer = [here for k, here in enumerate(ranges) if k != op.axis.value.data]

    def position(at: Sequence[Index]) -> Sequence[Index]:
        return [s.b.sub(i, here.low) for i, here in zip(at, outer, strict=True)]

    sizes = [here.room for here in outer]
    held = scalars.held_type(dtype_of(op.source.type))
    return BestRows(Place(s.allocate(held, sizes), position), Place(s.allocate(i64, sizes), position))


def clear_rows(s: Lowering, op: ops.ArgReduceOp, rows: BestRows, ranges: Sequence[Range]) -> None:
    """Sets the rows of the best to what any value beats."""
    axis = op.axis.value.data
    value, position = nothing(s, op, ranges[axis].low)

    def clear(at: tuple[Index, ...]) -> None:
        store_best(s, rows, at, (value, position))

    s.b.sweep([here for k, here in enumerate(ranges) if k != axis], clear)


def store_best(s: Lowering, rows: BestRows, at: Sequence[Index], best: Best) -> None:
    """Stores the best at a position of the axes that are kept."""
    s.store(best[0], rows.values, at)
    s.store(best[1], rows.positions, at)


def load_best(s: Lowering, op: ops.ArgReduceOp, rows: BestRows, at: Sequence[Index]) -> Best:
    """The best so far at a position of the axes that are kept."""
    dtype = dtype_of(op.source.type)
    value = scalars.load(s.b, rows.values.buffer, rows.values.position(at), dtype)
    return value, s.b.load(rows.positions.buffer, rows.positions.position(at))


def _compare_rows(s: Lowering, op: ops.ArgReduceOp, rows: BestRows, ranges: Sequence[Range]) -> None:
    axis = op.axis.value.data

    def compare(at: tuple[Index, ...]) -> None:
        kept = [i for k, i in enumerate(at) if k != axis]
        new = s.element(op.source, at), s.b.to_integer(at[axis])
        store_best(s, rows, kept, better(s, op, load_best(s, op, rows, kept), new))

    s.b.sweep(ranges, compare)
