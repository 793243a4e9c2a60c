"""Partial results of reductions along a parallel loop: a row of them for each chunk, combined in order.

One more row than there are chunks takes the combination, so that an empty loop gives what an empty reduction
gives.
"""

from collections.abc import Mapping, Sequence

from attrs import frozen
from xdsl.ir import SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.kinds import compute_dtype
from flowc.dialects.array.types import bits, dtype_of, shape_of
from flowc.passes.array_to_loops import folds, positions, ranking, reductions, scalars
from flowc.passes.array_to_loops.builder import Index, Range
from flowc.passes.array_to_loops.elements import Lowering, Place
from flowc.passes.array_to_loops.folds import Fold
from flowc.passes.array_to_loops.positions import Best, BestRows
from flowc.passes.array_to_loops.ranking import Ranking
from flowc.passes.array_to_loops.reductions import Carried
from flowc.passes.array_to_loops.stages import Stage


@frozen
class Partial:
    """Memory for what a reduction carries: a buffer for each part, with a row for each chunk."""

    parts: tuple[SSAValue, ...]
    dtypes: tuple[str, ...]
    rows: bool


def _kept(stage: Stage, ranges: Sequence[Range]) -> list[Range]:
    return [here for axis, here in enumerate(ranges) if axis not in stage.along]


def _dtypes(stage: Stage, ranges: Sequence[Range]) -> tuple[str, ...]:
    if isinstance(stage.op, ops.ArgReduceOp):
        return dtype_of(stage.op.source.type), "i64"
    if isinstance(stage.op, ops.TopKOp):
        return dtype_of(stage.op.source.type), "i64", dtype_of(stage.op.source.type)
    assert isinstance(stage.op, ops.ReduceOp)
    if folds.by_rows(stage.op, ranges):
        return (folds.wide_dtype(stage.op),)
    reducer = folds.reducer_of(stage.op)
    return ("f64",) * len(reducer.carried) if reducer.sums_floats else (reducer.dtype,)


def bytes_of(s: Lowering, stage: Stage, ranges: Sequence[Range]) -> Index:
    """The bytes that one chunk keeps; 0 for a few numbers."""
    size: Index = sum(max(bits(dtype) // 8, 1) for dtype in _dtypes(stage, ranges))
    kept = [here for here in _kept(stage, ranges) if not here.single]
    for here in kept:
        size = s.top.mul(size, here.room)
    if isinstance(stage.op, ops.TopKOp):
        size = s.top.mul(size, ranking.count_of(stage.op) or 1)
    return size if kept else 0


def allocate(s: Lowering, stage: Stage, ranges: Sequence[Range], chunks: Index) -> Partial:
    """Memory for every chunk."""
    sizes = [s.top.add(chunks, 1), *(here.room for here in _kept(stage, ranges))]
    dtypes = _dtypes(stage, ranges)
    if isinstance(stage.op, ops.TopKOp):
        count = ranking.count_of(stage.op) or 1
        lists = [[*sizes, count], [*sizes, count], sizes]
        held = [scalars.stored_type(compute_dtype(dtype)) for dtype in dtypes]
        return Partial(tuple(map(s.allocate, held, lists)), dtypes, False)
    parts = tuple(s.allocate(scalars.stored_type(compute_dtype(dtype)), sizes) for dtype in dtypes)
    rows = isinstance(stage.op, ops.ReduceOp) and folds.by_rows(stage.op, ranges)
    return Partial(parts, dtypes, rows)


def _load(s: Lowering, partial: Partial, at: Sequence[Index]) -> Carried:
    return tuple(
        scalars.load(s.b, part, at, dtype) for part, dtype in zip(partial.parts, partial.dtypes, strict=True)
    )


def _store(s: Lowering, partial: Partial, at: Sequence[Index], values: Sequence[SSAValue]) -> None:
    for part, value in zip(partial.parts, values, strict=True):
        scalars.store(s.b, value, part, at)


def _start(s: Lowering, stage: Stage, partial: Partial, low: Index) -> Carried:
    if isinstance(stage.op, ops.ArgReduceOp):
        return positions.nothing(s, stage.op, low)
    assert isinstance(stage.op, ops.ReduceOp)
    reducer = folds.reducer_of(stage.op)
    if partial.rows:
        return (reductions.identity(s.b, reducer.kind, partial.dtypes[0]),)
    return reductions.start(s.b, reducer)


def clear(s: Lowering, stage: Stage, partial: Partial, ranges: Sequence[Range], number: Index) -> None:
    """Sets the row of a chunk to what changes nothing."""
    if isinstance(stage.op, ops.TopKOp):
        ranking.clear(s, stage.op, ranking_of(partial, number), _kept(stage, ranges))
        return
    low = ranges[min(stage.along)].low if isinstance(stage.op, ops.ArgReduceOp) else 0
    values = _start(s, stage, partial, low)
    s.b.sweep(_kept(stage, ranges), lambda at: _store(s, partial, [number, *at], values))


def _merged(s: Lowering, stage: Stage, partial: Partial, before: Carried, new: Carried) -> Carried:
    if isinstance(stage.op, ops.ArgReduceOp):
        return positions.better(s, stage.op, (before[0], before[1]), (new[0], new[1]))
    assert isinstance(stage.op, ops.ReduceOp)
    reducer = folds.reducer_of(stage.op)
    if partial.rows:
        return (reductions.combine(s.b, reducer.kind, before[0], new[0], reducer.dtype),)
    return reductions.merge(s.b, reducer, before, new)


def fold_of(s: Lowering, op: ops.ReduceOp, partial: Partial, number: Index) -> Fold:
    """The reduction of one tile, added to the row of its chunk."""
    rank = len(folds.axes_of(op)) + len(_result_axes(op))

    def row(at: Sequence[Index]) -> list[Index]:
        return [number, *(_without(op, at) if len(at) == rank and op.keepdims is not None else at)]

    def add(at: Sequence[Index], carried: Carried) -> None:
        reducer = folds.reducer_of(op)
        before = _load(s, partial, row(at))
        _store(s, partial, row(at), reductions.merge(s.b, reducer, before, carried))

    return Fold(op, add, Place(partial.parts[0], row) if partial.rows else None)


def _result_axes(op: ops.ReduceOp) -> list[int]:
    return [axis for axis in range(len(shape_of(op.source.type))) if axis not in folds.axes_of(op)]


def _without(op: ops.ReduceOp, at: Sequence[Index]) -> list[Index]:
    return [i for axis, i in enumerate(at) if axis not in folds.axes_of(op)]


def best_of(
    s: Lowering, op: ops.ArgReduceOp, partial: Partial, number: Index
) -> tuple[positions.Sink, BestRows]:
    """Where the best of one tile go: to the row of its chunk."""
    axis = op.axis.value.data

    def own(at: Sequence[Index]) -> list[Index]:
        return [number, *(i for k, i in enumerate(at) if op.keepdims is None or k != axis)]

    def add(at: Sequence[Index], best: Best) -> None:
        before = _load(s, partial, own(at))
        _store(s, partial, own(at), positions.better(s, op, (before[0], before[1]), best))

    rows = [Place(part, lambda at: [number, *at]) for part in partial.parts]
    return add, BestRows(rows[0], rows[1])


def ranking_of(partial: Partial, number: Index) -> Ranking:
    """The lists of a chunk."""
    values, found, beaten = (Place(part, lambda at: [number, *at]) for part in partial.parts)
    return Ranking(values, found, beaten)


def finish(
    s: Lowering,
    stage: Stage,
    partial: Partial,
    ranges: Sequence[Range],
    chunks: Index,
    places: Mapping[SSAValue, Place],
) -> None:
    """Combines the rows of all chunks in order, and stores the results."""
    kept = [Range(0, here.room) for here in _kept(stage, ranges)]
    clear(s, stage, partial, [Range(0, here.room) for here in ranges], chunks)

    def one(number: SSAValue, _: Carried) -> Sequence[SSAValue]:
        if isinstance(stage.op, ops.TopKOp):
            into, other = ranking_of(partial, chunks), ranking_of(partial, number)
            ranking.merge(s, stage.op, into, other, kept)
            return ()

        def add(at: tuple[Index, ...]) -> None:
            before, new = _load(s, partial, [chunks, *at]), _load(s, partial, [number, *at])
            _store(s, partial, [chunks, *at], _merged(s, stage, partial, before, new))

        s.b.sweep(kept, add)
        return ()

    s.b.loop(0, chunks, (), one)
    if isinstance(stage.op, ops.TopKOp):
        ranking.emit(s, stage.op, ranking_of(partial, chunks), kept, places)
        return
    place = places.get(stage.result)

    def close(at: tuple[Index, ...]) -> None:
        carried = _load(s, partial, [chunks, *at])
        if isinstance(stage.op, ops.ArgReduceOp):
            result, where = carried[1], positions.position_of(stage.op, at)
        else:
            assert isinstance(stage.op, ops.ReduceOp)
            result = folds.finished(s, stage.op, carried)
            left = sorted(set(range(stage.rank)) - stage.along)
            where = folds.position_of(stage.op, dict(zip(left, at, strict=True)))
        if place is None:
            s.registers[stage.result] = result
        else:
            s.store(result, place, where)

    s.b.sweep(kept, close)
