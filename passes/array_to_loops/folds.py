"""array.reduce as loops: reductions of one source along the same axes share a sweep, and what they read may
be stored on the way.

A reduction that leaves the last axis adds whole rows to a row of partial results; any other keeps its partial
results in registers.
"""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.dialects import arith
from xdsl.dialects.builtin import f32, f64, i64
from xdsl.ir import SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.kinds import reduction_dtype
from flowc.dialects.array.types import bits, dtype_of, is_float, shape_of
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index, Range
from flowc.passes.array_to_loops.elements import Lowering, Place
from flowc.passes.array_to_loops.long_vectors import accumulate_long, arrays_along
from flowc.passes.array_to_loops.reductions import (
    Carried,
    Reducer,
    accumulate_all,
    close,
    combine,
    identity,
)
from flowc.passes.array_to_loops.short_extremes import accumulate_extremes, are_short_extremes
from flowc.passes.array_to_loops.short_loops import MASKS

FEW_VECTORS = 4
"""Vectors of columns, in rows of fewer of which the last one has a mask."""
ROWS_AT_ONCE = 8
"""Rows of the source added to one another before their sum is added to the partial row."""
CHEAP = 12
"""Operators in an element that may be written out for each of these rows."""

Sink = Callable[[Sequence[Index], Carried], None]
"""Takes what was carried at a position of the result."""


@frozen
class Fold:
    """A reduction and where its partial results go; `rows` where they already stand in memory."""

    op: ops.ReduceOp
    sink: Sink
    rows: Place | None = None


def reducer_of(op: ops.ReduceOp) -> Reducer:
    """What the op carries; a mean is a sum until it is finished, that of narrow integers one of integers,
    which rounds nothing."""
    kind, dtype = op.kind.data, dtype_of(op.source.type)
    if kind != "mean" or is_float(dtype) or dtype == "i64":
        return Reducer("sum" if kind == "mean" else kind, reduction_dtype(kind, dtype))
    return Reducer("sum", reduction_dtype("sum", dtype))


def axes_of(op: ops.ReduceOp) -> list[int]:
    """The axes that are reduced."""
    return [int(axis) for axis in op.axes.get_values()]


def by_rows(op: ops.ReduceOp, ranges: Sequence[Range]) -> bool:
    """Whether whole rows are added: the last of several positions along an axis is kept, others are not."""
    many = [axis for axis, here in enumerate(ranges) if not here.single]
    return bool(many) and many[-1] not in axes_of(op) and any(axis in axes_of(op) for axis in many)


def finished(s: Lowering, op: ops.ReduceOp, carried: Carried) -> SSAValue:
    """The held result of a reduction."""
    value = close(s.b, carried)
    held = scalars.held_type(reduction_dtype(op.kind.data, dtype_of(op.source.type)))
    if op.kind.data == "mean":
        if value.type == i64:
            value = s.b.convert(arith.SIToFPOp, value, held)
        number = s.b.product(s.sizes(op.source)[axis] for axis in axes_of(op))
        count = s.b.convert(arith.SIToFPOp, s.b.to_integer(number), value.type)
        value = s.b.insert(arith.DivfOp(value, count))
    return value if value.type == held else s.b.insert(arith.TruncFOp(value, held))


def storing(s: Lowering, op: ops.ReduceOp, place: Place) -> Sink:
    """Finishes each result and stores it."""
    return lambda at, carried: s.store(finished(s, op, carried), place, at)


def in_register(s: Lowering, op: ops.ReduceOp) -> Sink:
    """Finishes the only result and keeps it as a scalar."""

    def keep(_: Sequence[Index], carried: Carried) -> None:
        s.registers[op.result] = finished(s, op, carried)

    return keep


def lower_folds(
    s: Lowering,
    folds: Sequence[Fold],
    ranges: Sequence[Range],
    stores: Sequence[tuple[SSAValue, Place]] = (),
) -> None:
    """Reductions along the same axes, over a part of their sources; `stores` are kept on the way."""
    first = folds[0].op
    axes = axes_of(first)
    if by_rows(first, ranges):
        _add_rows(s, folds, ranges)
        return
    kept = [axis for axis in range(len(ranges)) if axis not in axes]

    def whole(at: Sequence[Index]) -> None:
        def elements(inner: tuple[Index, ...]) -> Sequence[SSAValue]:
            place = dict(zip(kept, at, strict=True)) | dict(zip(axes, inner, strict=True))
            position = [place[axis] for axis in range(len(ranges))]
            for value, target in stores:
                s.store(s.element(value, position), target, position)
            return [element_of(s, fold.op, position) for fold in folds]

        reducers = [reducer_of(fold.op) for fold in folds]
        along = [ranges[axis] for axis in axes]
        long = not kept and not stores and _is_long(s, folds, along)
        arrays = arrays_along(s, [fold.op.source for fold in folds]) if long else []
        if arrays:
            carried = accumulate_long(s, reducers, along, elements, arrays)
        elif not stores and are_short_extremes(reducers, along):
            carried = accumulate_extremes(s.b, reducers, along, elements)
        else:
            carried = accumulate_all(s.b, reducers, along, elements)
        for fold, result in zip(folds, carried, strict=True):
            fold.sink(position_of(fold.op, dict(zip(kept, at, strict=True))), result)

    s.b.sweep([ranges[axis] for axis in kept], whole)


def _is_long(s: Lowering, folds: Sequence[Fold], along: Sequence[Range]) -> bool:
    """Whether a vector of any length is reduced by a few operators: by no more, so that reading it is what
    takes the time, and in no certain order."""
    if s.ordered or not along or not all(here.single and here.low == 0 for here in along[:-1]):
        return False
    last = along[-1]
    if last.single or last.bound is not None or isinstance(last.high, int):
        return False
    return sum(_size(s, fold.op.source) for fold in folds) <= CHEAP


def position_of(op: ops.ReduceOp, kept: dict[int, Index]) -> list[Index]:
    """The position in the result, given that along each axis that is kept."""
    rank = len(shape_of(op.source.type))
    if op.keepdims is not None:
        return [kept.get(axis, 0) for axis in range(rank)]
    return [kept[axis] for axis in sorted(kept)]


def element_of(s: Lowering, op: ops.ReduceOp, at: Sequence[Index]) -> SSAValue:
    """An element of what is reduced, held as the reduction holds it."""
    reducer = reducer_of(op)
    value, source = s.element(op.source, at), dtype_of(op.source.type)
    if reducer.kind in ("any", "all"):
        return scalars.truth(s.b, value, source)
    same = scalars.held_type(source) == reducer.held
    return value if same else scalars.convert(s.b, value, source, reducer.dtype)


def wide_dtype(op: ops.ReduceOp) -> str:
    """The dtype of a row of partial results: f64 for sums of narrower floats."""
    reducer = reducer_of(op)
    return "f64" if reducer.sums_floats else reducer.dtype


def clear_rows(s: Lowering, fold: Fold, ranges: Sequence[Range]) -> None:
    """Sets the partial rows of a reduction to what changes nothing."""
    op, rows = fold.op, fold.rows
    assert rows is not None
    kept = [axis for axis in range(len(ranges)) if axis not in axes_of(op)]
    value = identity(s.b, reducer_of(op).kind, wide_dtype(op))

    def clear(at: tuple[Index, ...]) -> None:
        s.store(value, rows, position_of(op, dict(zip(kept, at, strict=True))))

    s.b.sweep([ranges[axis] for axis in kept], clear)


def _add_rows(s: Lowering, folds: Sequence[Fold], ranges: Sequence[Range]) -> None:
    """Adds to the rows of each, and gives them to its sink if they are its own."""
    for fold in folds:
        own = fold if fold.rows is not None else _with_rows(s, fold, ranges)
        if fold.rows is None:
            clear_rows(s, own, ranges)
        _sweep_rows(s, own, ranges)
        if fold.rows is None:
            _close_rows(s, own, ranges)


def _with_rows(s: Lowering, fold: Fold, ranges: Sequence[Range]) -> Fold:
    """With memory for a partial result of each position that is kept."""
    kept = [axis for axis in range(len(ranges)) if axis not in axes_of(fold.op)]
    lows = [ranges[axis].low for axis in kept]
    buffer = s.allocate(scalars.held_type(wide_dtype(fold.op)), [ranges[axis].room for axis in kept])
    rank = len(ranges)

    def position(at: Sequence[Index]) -> Sequence[Index]:
        own = [at[axis] for axis in kept] if len(at) == rank else at
        return [s.b.sub(i, low) for i, low in zip(own, lows, strict=True)]

    return Fold(fold.op, fold.sink, Place(buffer, position))


def _sweep_rows(s: Lowering, fold: Fold, ranges: Sequence[Range]) -> None:
    """Adds all rows. How many columns they have the run may find out: where they are few, what is left over
    of whole vectors would take most of the time."""
    here = [along for along in ranges if not along.single][-1]
    columns = s.b.sub(here.high, here.low)
    if isinstance(columns, int) or s.vector_bits < MASKS:
        _sweep_columns(s, fold, ranges, masked=False)
        return
    few = s.b.compare("slt", s.b.index(columns), s.b.index(FEW_VECTORS * s.vector_bits // 32))
    s.b.either(
        few,
        lambda: _sweep_columns(s, fold, ranges, masked=True),
        lambda: _sweep_columns(s, fold, ranges, masked=False),
    )


def _sweep_columns(s: Lowering, fold: Fold, ranges: Sequence[Range], masked: bool) -> None:
    op, rows = fold.op, fold.rows
    assert rows is not None
    reducer, wide = reducer_of(op), wide_dtype(op)
    axes = axes_of(op)
    blocked = max(axis for axis in axes if not ranges[axis].single)
    count = ROWS_AT_ONCE if _size(s, op.source) <= CHEAP else 1
    here = ranges[blocked]
    last = max(axis for axis, along in enumerate(ranges) if not along.single)
    # What is read is narrower than the sums: whole vectors of it, each for two of sums.
    lanes = s.vector_bits // 32 if wide == "f64" and reducer.held == f32 else 0
    if masked and not lanes:
        lanes = s.vector_bits // max(bits(reducer.dtype), 32)

    def add(at: Sequence[Index], rows_at_once: int) -> None:
        values = [
            element_of(s, op, [*at[:blocked], s.b.add(at[blocked], k), *at[blocked + 1 :]])
            for k in range(rows_at_once)
        ]
        while len(values) > 1:
            values = [
                combine(s.b, reducer.kind, a, c, reducer.dtype)
                for a, c in zip(values[::2], values[1::2], strict=True)
            ]
        value = values[0]
        if wide == "f64" and value.type == f32:
            value = s.b.insert(arith.ExtFOp(value, f64))
        place = rows.position(position_of(op, {k: i for k, i in enumerate(at) if k not in axes}))
        before = scalars.load(s.b, rows.buffer, place, wide)
        scalars.store(s.b, combine(s.b, reducer.kind, before, value, reducer.dtype), rows.buffer, place)

    def sweep(low: Index, high: Index, step: int) -> None:
        def level(at: tuple[Index, ...]) -> None:
            axis = len(at)
            if axis == len(ranges):
                add(at, step)
            elif ranges[axis].single:
                level((*at, ranges[axis].low))
            else:
                along = Range(low, high) if axis == blocked else ranges[axis]
                stride = step if axis == blocked else 1

                def inside(i: SSAValue, _: Carried) -> Sequence[SSAValue]:
                    level((*at, i))
                    return ()

                if axis == last:
                    s.b.loop(along.low, along.high, (), inside, lanes=lanes, masked=masked)
                else:
                    s.b.loop(along.low, along.high, (), inside, stride)

        level(())

    if count == 1:
        sweep(here.low, here.high, 1)
        return
    length = s.b.sub(here.high, here.low)
    even = s.b.add(here.low, s.b.mul(s.b.floordiv(length, count), count))
    sweep(here.low, even, count)
    sweep(even, here.high, 1)


def _close_rows(s: Lowering, fold: Fold, ranges: Sequence[Range]) -> None:
    op, rows = fold.op, fold.rows
    assert rows is not None
    kept = [axis for axis in range(len(ranges)) if axis not in axes_of(op)]

    def take(at: tuple[Index, ...]) -> None:
        place = position_of(op, dict(zip(kept, at, strict=True)))
        fold.sink(place, (scalars.load(s.b, rows.buffer, rows.position(place), wide_dtype(op)),))

    s.b.sweep([ranges[axis] for axis in kept], take)


def _size(s: Lowering, value: SSAValue) -> int:
    """Operators that an element takes, at most a few more than matter."""
    if value in s.buffers or value in s.registers or value in s.tiles:
        return 1
    owner = value.owner
    if not isinstance(owner, ops.ArrayOperation):
        return 1
    total = 1
    for operand in owner.operands:
        total += _size(s, operand)
        if total > CHEAP:
            break
    return total
