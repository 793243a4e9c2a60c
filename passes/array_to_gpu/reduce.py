"""Reductions on a device that are not rows of neighbours: of whole arrays, and along axes before the last.

Blocks of threads leave partial results in memory, which a second launch combines in order.
"""

from collections.abc import Mapping, Sequence

from xdsl.ir import SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.kinds import compute_dtype
from flowc.passes.array_to_gpu import folding
from flowc.passes.array_to_gpu.across import across_block
from flowc.passes.array_to_gpu.either import by_vectors, either
from flowc.passes.array_to_gpu.elementwise import lanes_of, reads_flat
from flowc.passes.array_to_gpu.folding import Fold
from flowc.passes.array_to_gpu.launch import Threads, blocks_for, launch, neighbours, only_if, unravelled
from flowc.passes.array_to_gpu.limits import BLOCK
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_gpu.rows import name_of
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.elements import Place
from flowc.passes.array_to_loops.reductions import Carried
from flowc.passes.array_to_loops.stages import Stage

EACH = 16
"""Vectors, or elements, that a thread takes at least before there is another block."""
MOST_PARTIALS = 1024
"""Blocks that leave partial results; one block combines them."""
COLUMN_PARTS = 64
"""Parts of long columns at most, each in the hands of other threads."""
SHORT_COLUMN = 64
"""Elements of a column that a thread takes at least before there are more parts."""
WIDE = 1 << 15
"""Columns that give enough threads on their own."""


def lower_whole(s: DeviceLowering, stages: Sequence[Stage], places: Mapping[SSAValue, Place]) -> None:
    """Reductions of whole arrays of the same extents, each to one number."""
    folds = [Fold(t.op) for t in stages if isinstance(t.op, ops.ReduceOp | ops.ArgReduceOp)]
    first = stages[0]
    assert first.space is not None
    sizes = s.sizes(first.space)
    total = s.counted(sizes)
    count = lanes_of(s, stages, {}) if _is_flat(s, stages) else 1
    blocks = s.top.max(blocks_for(s, total, BLOCK * count * EACH, MOST_PARTIALS), 1)
    partials = [_memory(s, fold, [blocks]) for fold in folds]
    flat = _is_flat(s, stages)

    def position(i: Index) -> Sequence[Index]:
        return (*(0 for _ in sizes[1:]), i) if flat and sizes else unravelled(s, i, sizes)

    def visit(lanes: int) -> None:
        def body(threads: Threads) -> None:
            carried = _of_thread(s, folds, threads, total, lanes, position)
            for fold, found, memory in zip(folds, carried, partials, strict=True):
                _leave(s, memory, [threads.block[0]], _met(s, fold, found, threads), threads)

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


def _memory(s: DeviceLowering, fold: Fold, sizes: Sequence[Index]) -> list[SSAValue]:
    """Memory for partial results."""
    held = [scalars.stored_type(compute_dtype(dtype)) for dtype in fold.dtypes]
    return [s.allocate(element, sizes) for element in held]


def _of_thread(
    s: DeviceLowering,
    folds: Sequence[Fold],
    threads: Threads,
    total: Index,
    lanes: int,
    position: object,
) -> list[Carried]:
    """What a thread carries at the end of its part of all positions."""
    assert callable(position)
    widths = [len(fold.dtypes) for fold in folds]
    stride = s.b.mul(threads.blocks[0], BLOCK)
    first = s.b.add(s.b.mul(threads.block[0], BLOCK), threads.thread[0])
    whole = s.top.floordiv(total, lanes)

    def some(base: SSAValue, carried: Carried, lanes: int) -> Sequence[SSAValue]:
        inner = [folding.inner_start(s, fold) for fold in folds]
        for i in neighbours(s, base, lanes):
            at = position(i)
            inner = [folding.step(s, f, part, at, None) for f, part in zip(folds, inner, strict=True)]
        both = zip(folds, _split(carried, widths), inner, strict=True)
        return [v for fold, outer, part in both for v in folding.absorb(s, fold, outer, part)]

    start = [value for fold in folds for value in folding.start(s, fold)]
    carried = s.b.loop(
        first, whole, start, lambda i, c: some(s.b.index(s.b.mul(i, lanes)), c, lanes), step=stride
    )
    if lanes > 1:
        done = s.b.mul(whole, lanes)
        carried = s.b.loop(s.b.add(done, first), total, carried, lambda i, c: some(i, c, 1), step=stride)
    return _split(carried, widths)


def _split(values: Sequence[SSAValue], widths: Sequence[int]) -> list[Carried]:
    rest = iter(values)
    return [tuple(next(rest) for _ in range(width)) for width in widths]


def _met(s: DeviceLowering, fold: Fold, carried: Carried, threads: Threads) -> Carried:
    """What all threads of a block carry together."""
    return across_block(
        s, carried, lambda one, other: folding.merge(s, fold, one, other), threads.thread[0], BLOCK
    )


def _leave(
    s: DeviceLowering, memory: Sequence[SSAValue], at: Sequence[Index], carried: Carried, threads: Threads
) -> None:
    """Stores what a block carries."""

    def store() -> None:
        for value, buffer in zip(carried, memory, strict=True):
            scalars.store(s.b, value, buffer, at)

    only_if(s, s.b.compare("eq", threads.thread[0], s.b.index(0)), store)


def _load(s: DeviceLowering, fold: Fold, memory: Sequence[SSAValue], at: Sequence[Index]) -> Carried:
    return tuple(
        scalars.load(s.b, buffer, at, dtype) for buffer, dtype in zip(memory, fold.dtypes, strict=True)
    )


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
                return folding.merge(s, fold, carried, _load(s, fold, memory, [i]))

            carried = s.b.loop(threads.thread[0], blocks, folding.start(s, fold), one, step=BLOCK)
            result = folding.finish(s, fold, _met(s, fold, carried, threads))
            at = folding.result_position(fold, {})
            only_if(
                s,
                s.b.compare("eq", threads.thread[0], s.b.index(0)),
                lambda result=result, target=target, at=at: s.store(result, target, at),  # type: ignore[misc]
            )

    launch(s, "combine", [1], [BLOCK], body)
    for fold, target in zip(folds, targets, strict=True):
        s.settle(fold.op.result, target)


def lower_columns(s: DeviceLowering, stage: Stage, places: Mapping[SSAValue, Place]) -> None:
    """A reduction along axes before the last: neighbouring threads have neighbouring columns. Where these are
    few and long, several threads share one."""
    assert isinstance(stage.op, ops.ReduceOp | ops.ArgReduceOp)
    assert stage.space is not None
    fold, sizes = Fold(stage.op), s.sizes(stage.space)
    kept = [axis for axis in range(len(sizes)) if axis not in fold.axes]
    columns, length = s.top.product(sizes[k] for k in kept), s.top.product(sizes[a] for a in fold.axes)
    place = places.get(stage.result) or s.number(stage.result)

    def position(outer: Sequence[Index], i: Index) -> list[Index]:
        found = dict(zip(kept, outer, strict=True))
        found |= dict(zip(fold.axes, unravelled(s, i, [sizes[a] for a in fold.axes]), strict=True))
        return [found[axis] for axis in range(len(sizes))]

    def column(outer: Sequence[Index], low: Index, high: Index) -> Carried:
        def some(first: SSAValue, before: Carried) -> Sequence[SSAValue]:
            def one(i: SSAValue, inner: Carried) -> Sequence[SSAValue]:
                return folding.step(s, fold, inner, position(outer, i), None)

            end = s.b.min(s.b.add(first, EACH), high)
            return folding.absorb(s, fold, before, s.b.loop(first, end, folding.inner_start(s, fold), one))

        return s.b.loop(low, high, folding.start(s, fold), some, step=EACH)

    def store(carried: Carried, outer: Sequence[Index]) -> None:
        at = folding.result_position(fold, dict(zip(kept, outer, strict=True)))
        s.store(folding.finish(s, fold, carried), place, at)

    def alone() -> None:
        _each(s, stage, columns, lambda n: _whole_column(n))

    def _whole_column(number: Index) -> None:
        outer = unravelled(s, number, [sizes[k] for k in kept])
        store(column(outer, 0, length), outer)

    def shared() -> None:
        parts = s.top.max(s.top.min(s.top.ceiling(length, SHORT_COLUMN), COLUMN_PARTS), 1)
        memory = _memory(s, fold, [parts, columns])
        each = s.top.ceiling(length, parts)

        def part(number: Index) -> None:
            here, own = s.b.remainder(number, columns), s.b.quotient(number, columns)
            low = s.b.mul(own, each)
            outer = unravelled(s, here, [sizes[k] for k in kept])
            carried = column(outer, s.b.min(low, length), s.b.min(s.b.add(low, each), length))
            for value, buffer in zip(carried, memory, strict=True):
                scalars.store(s.b, value, buffer, [own, here])

        _each(s, stage, s.top.mul(parts, columns), part)

        def combine(number: Index) -> None:
            def one(i: SSAValue, carried: Carried) -> Sequence[SSAValue]:
                return folding.merge(s, fold, carried, _load(s, fold, memory, [i, number]))

            carried = s.b.loop(0, parts, folding.start(s, fold), one)
            store(carried, unravelled(s, number, [sizes[k] for k in kept]))

        _each(s, stage, columns, combine)

    few = columns < WIDE if isinstance(columns, int) else s.b.compare("slt", columns, s.b.index(WIDE))
    if isinstance(length, int) and length <= SHORT_COLUMN:
        alone()
    else:
        either(s, few, shared, alone)
    s.settle(stage.result, place)


def _each(s: DeviceLowering, stage: Stage, count: Index, body: object) -> None:
    """A thread for each of `count` positions."""
    assert callable(body)
    run = body

    def threads(here: Threads) -> None:
        first = s.b.add(s.b.mul(here.block[0], BLOCK), here.thread[0])

        def step(i: SSAValue, _: Carried) -> Sequence[SSAValue]:
            run(i)
            return ()

        s.b.loop(first, count, (), step, step=s.b.mul(here.blocks[0], BLOCK))

    launch(s, name_of([stage]), [blocks_for(s, count)], [BLOCK], threads)
