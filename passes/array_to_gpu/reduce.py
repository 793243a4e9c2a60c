"""Reductions on a device that are not rows of neighbours: of whole arrays, and along axes before the last.

Blocks of threads leave partial results in memory, which a second launch combines in order.
"""

from collections.abc import Callable, Mapping, Sequence

from attrs import frozen
from xdsl.ir import SSAValue

from flowc.dialects.array import ops
from flowc.passes.array_to_gpu import folding
from flowc.passes.array_to_gpu.either import by_vectors, either, is_below
from flowc.passes.array_to_gpu.elementwise import lanes_of, reads_flat
from flowc.passes.array_to_gpu.folding import Fold
from flowc.passes.array_to_gpu.launch import (
    Threads,
    blocks_for,
    launch,
    neighbours,
    only_if,
    sweep,
    unravelled,
)
from flowc.passes.array_to_gpu.limits import BLOCK
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_gpu.partials import MOST_PARTIALS, leave, load, met_in_block, partials_for
from flowc.passes.array_to_gpu.row_groups import name_of
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.elements import Place
from flowc.passes.array_to_loops.reductions import Carried
from flowc.passes.array_to_loops.stages import Stage

EACH = 16
"""Vectors, or elements, that a thread takes at least before there is another block."""
ENOUGH = 1 << 17
"""Threads that a device has use for: fewer columns are cut into parts."""
SHORT_COLUMN = 64
"""Elements of a column that a thread takes at least before there are more parts, and parts of a column that
one thread combines at most."""


def lower_whole(s: DeviceLowering, stages: Sequence[Stage], places: Mapping[SSAValue, Place]) -> None:
    """Reductions of whole arrays of the same extents, each to one number."""
    folds = [Fold(t.op) for t in stages if isinstance(t.op, ops.ReduceOp | ops.ArgReduceOp)]
    first = stages[0]
    assert first.space is not None
    sizes = s.sizes(first.space)
    total = s.counted(sizes)
    flat = _is_flat(s, stages)
    count = lanes_of(s, stages, {}) if flat else 1
    blocks = s.top.max(blocks_for(s, total, BLOCK * count * EACH, MOST_PARTIALS), 1)
    partials = [partials_for(s, fold, [blocks]) for fold in folds]

    def position(i: Index) -> Sequence[Index]:
        return (*(0 for _ in sizes[1:]), i) if flat and sizes else unravelled(s, i, sizes)

    def visit(lanes: int) -> None:
        def body(threads: Threads) -> None:
            carried = _of_thread(s, folds, threads, total, lanes, position)
            for fold, found, memory in zip(folds, carried, partials, strict=True):
                leave(s, memory, [threads.block[0]], met_in_block(s, fold, found, threads), threads)

        launch(s, name_of(stages), [blocks], [BLOCK], body)

    if count == 1:
        visit(1)
    else:
        by_vectors(s, lambda: visit(count), lambda: visit(1))
    _combine(s, folds, partials, blocks, places)


def _is_flat(s: DeviceLowering, stages: Sequence[Stage]) -> bool:
    """Whether positions in row-major order are positions in all that is read; an argument counts in them only
    where there is one axis."""
    if any(isinstance(stage.op, ops.ArgReduceOp) and stage.rank > 1 for stage in stages):
        return False
    return reads_flat(s, stages)


def _of_thread(
    s: DeviceLowering,
    folds: Sequence[Fold],
    threads: Threads,
    total: Index,
    lanes: int,
    position: Callable[[Index], Sequence[Index]],
) -> list[Carried]:
    """What a thread carries at the end of its part of all positions."""
    widths = [len(fold.dtypes) for fold in folds]
    stride = s.b.mul(threads.blocks[0], BLOCK)
    first = s.b.add(s.b.mul(threads.block[0], BLOCK), threads.thread[0])
    whole = s.top.floordiv(total, lanes)

    def some(base: SSAValue, carried: Carried, lanes: int) -> Sequence[SSAValue]:
        inner = [folding.inner_start(s, fold) for fold in folds]
        for i in neighbours(s, base, lanes):
            at = position(i)
            inner = [folding.step(s, f, part, at, None) for f, part in zip(folds, inner, strict=True)]
        both = zip(folds, folding.split(carried, widths), inner, strict=True)
        return [v for fold, outer, part in both for v in folding.absorb(s, fold, outer, part)]

    start = [value for fold in folds for value in folding.start(s, fold)]
    carried = s.b.loop(
        first, whole, start, lambda i, c: some(s.b.index(s.b.mul(i, lanes)), c, lanes), step=stride
    )
    if lanes > 1:
        done = s.b.mul(whole, lanes)
        carried = s.b.loop(s.b.add(done, first), total, carried, lambda i, c: some(i, c, 1), step=stride)
    return folding.split(carried, widths)


def _combine(
    s: DeviceLowering,
    folds: Sequence[Fold],
    partials: Sequence[Sequence[SSAValue]],
    blocks: Index,
    places: Mapping[SSAValue, Place],
) -> None:
    """One block combines what others have left, and stores the results."""
    targets = [places.get(fold.op.result) or s.number(fold.op.result) for fold in folds]

    def body(threads: Threads) -> None:
        for fold, memory, target in zip(folds, partials, targets, strict=True):

            def one(
                i: SSAValue, carried: Carried, fold: Fold = fold, memory: Sequence[SSAValue] = memory
            ) -> Sequence[SSAValue]:
                return folding.merge(s, fold, carried, load(s, fold, memory, [i]))

            carried = s.b.loop(threads.thread[0], blocks, folding.start(s, fold), one, step=BLOCK)
            result = folding.finish(s, fold, met_in_block(s, fold, carried, threads))
            at = folding.result_position(fold, {})
            only_if(
                s,
                s.b.compare("eq", threads.thread[0], s.b.index(0)),
                lambda result=result, target=target, at=at: s.store(result, target, at),  # type: ignore[misc]
            )

    launch(s, "combine", [1], [BLOCK], body)
    for fold, target in zip(folds, targets, strict=True):
        s.settle(fold.op.result, target)


@frozen
class Columns:
    """A reduction along columns: the extents of what it reduces, the axes that are kept, how many columns
    these make and of how many elements, and the place of the results."""

    fold: Fold
    sizes: Sequence[Index]
    kept: Sequence[int]
    count: Index
    length: Index
    place: Place


def lower_columns(s: DeviceLowering, stage: Stage, places: Mapping[SSAValue, Place]) -> None:
    """A reduction along axes before the last: neighbouring threads have neighbouring columns. Where these are
    few and long, several threads share one."""
    assert isinstance(stage.op, ops.ReduceOp | ops.ArgReduceOp)
    assert stage.space is not None
    fold, sizes = Fold(stage.op), s.sizes(stage.space)
    kept = tuple(axis for axis in range(len(sizes)) if axis not in fold.axes)
    columns = Columns(
        fold,
        sizes,
        kept,
        s.top.product(sizes[k] for k in kept),
        s.counted([sizes[a] for a in fold.axes]),
        places.get(stage.result) or s.number(stage.result),
    )
    name = name_of([stage])

    def alone() -> None:
        def whole(at: Sequence[Index]) -> None:
            _finish(s, columns, at[0], _column(s, columns, at[0], 0, 1))

        sweep(s, [columns.count], whole, name)

    if isinstance(columns.length, int) and columns.length <= SHORT_COLUMN:
        alone()
    else:
        few = is_below(s, columns.count, ENOUGH)
        either(s, few, lambda: _by_parts(s, columns, name), alone)
    s.settle(stage.result, columns.place)


def _by_parts(s: DeviceLowering, columns: Columns, name: str) -> None:
    """Parts of columns, each by a thread, are combined by a thread for each column, or by a block where they
    are many."""
    fold = columns.fold
    wanted = s.top.ceiling(ENOUGH, s.top.max(columns.count, 1))
    parts = s.top.max(s.top.min(s.top.ceiling(columns.length, SHORT_COLUMN), wanted), 1)
    memory = partials_for(s, fold, [parts, columns.count])

    def part(at: Sequence[Index]) -> None:
        carried = _column(s, columns, at[1], at[0], parts)
        for value, buffer in zip(carried, memory, strict=True):
            scalars.store(s.b, value, buffer, at)

    def combined(column: Index, first: Index, step: Index) -> Carried:
        def one(i: SSAValue, carried: Carried) -> Sequence[SSAValue]:
            return folding.merge(s, fold, carried, load(s, fold, memory, [i, column]))

        return s.b.loop(first, parts, folding.start(s, fold), one, step=step)

    def by_threads() -> None:
        def whole(at: Sequence[Index]) -> None:
            _finish(s, columns, at[0], combined(at[0], 0, 1))

        sweep(s, [columns.count], whole, "combine")

    def by_blocks() -> None:
        def body(threads: Threads) -> None:
            column, thread = threads.block[0], threads.thread[0]
            carried = met_in_block(s, fold, combined(column, thread, BLOCK), threads)
            leads = s.b.compare("eq", thread, s.b.index(0))
            only_if(s, leads, lambda: _finish(s, columns, column, carried))

        # There are fewer than ENOUGH / SHORT_COLUMN columns of so many parts.
        launch(s, "combine", [columns.count], [BLOCK], body)

    sweep(s, [parts, columns.count], part, name)
    either(s, is_below(s, parts, SHORT_COLUMN + 1), by_threads, by_blocks)


def _column(s: DeviceLowering, columns: Columns, number: Index, first: Index, step: Index) -> Carried:
    """What every `step`th element of a column carries, so that neighbouring parts are neighbours in memory
    where columns are few."""
    outer = unravelled(s, number, [columns.sizes[k] for k in columns.kept])
    kept = dict(zip(columns.kept, outer, strict=True))
    fold, sizes = columns.fold, columns.sizes

    def position(i: Index) -> list[Index]:
        along = dict(zip(fold.axes, unravelled(s, i, [sizes[a] for a in fold.axes]), strict=True))
        return [kept[axis] if axis in kept else along[axis] for axis in range(len(sizes))]

    round_ = s.b.mul(step, EACH)

    def some(low: SSAValue, before: Carried) -> Sequence[SSAValue]:
        def one(i: SSAValue, inner: Carried) -> Sequence[SSAValue]:
            return folding.step(s, fold, inner, position(i), None)

        high = s.b.min(s.b.add(low, round_), columns.length)
        inner = s.b.loop(low, high, folding.inner_start(s, fold), one, step=step)
        return folding.absorb(s, fold, before, inner)

    return s.b.loop(first, columns.length, folding.start(s, fold), some, step=round_)


def _finish(s: DeviceLowering, columns: Columns, number: Index, carried: Carried) -> None:
    """Stores the result of a column."""
    outer = unravelled(s, number, [columns.sizes[k] for k in columns.kept])
    at = folding.result_position(columns.fold, dict(zip(columns.kept, outer, strict=True)))
    s.store(folding.finish(s, columns.fold, carried), columns.place, at)
