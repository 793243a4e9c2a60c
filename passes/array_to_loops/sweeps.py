"""Writing the sweeps of stages over a part of their positions, one after the other or together.

Elementwise stages and reductions along the same last axes that go through the same positions share one nest
of loops: a value is stored on the way to a sum of it.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from types import MappingProxyType

from xdsl.ir import SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.irregular import ScanOp
from flowc.dialects.array.types import shape_of
from flowc.passes.array_to_loops import partials, ranking
from flowc.passes.array_to_loops.beside import goes_beside, lower_beside
from flowc.passes.array_to_loops.builder import Index, Range
from flowc.passes.array_to_loops.cache_lines import sweep_lines
from flowc.passes.array_to_loops.elements import Lowering, Place
from flowc.passes.array_to_loops.folds import Fold, axes_of, by_rows, in_register, lower_folds, storing
from flowc.passes.array_to_loops.groups import begin_alike
from flowc.passes.array_to_loops.lines import lower_scan, lower_softmax
from flowc.passes.array_to_loops.partials import Partial
from flowc.passes.array_to_loops.positions import Best, lower_argreduce
from flowc.passes.array_to_loops.seams import sweep_pieces
from flowc.passes.array_to_loops.stages import Stage, reads
from flowc.passes.array_to_loops.streams import Stream
from flowc.passes.array_to_loops.tiling import MOST_TOGETHER, stage_operations
from flowc.passes.array_to_loops.transposes import sweep_in_blocks
from flowc.passes.array_to_loops.weighted_rows import add_weighted_rows, are_short, weighted_rows
from flowc.passes.array_walks import origins

Places = Mapping[SSAValue, Place]
Ended = Mapping[SSAValue, tuple[Partial, Index]]
"""The partial results of reductions along the loop, with the number of the chunk."""


def nests(
    s: Lowering,
    stages: Sequence[Stage],
    places: Places,
    ranges: Callable[[Stage], list[Range]],
    kept: Set[SSAValue],
    ended: Ended | None = None,
    settle: Callable[[Stage], None] = lambda _: None,
    streams: Sequence[Stream] = (),
) -> None:
    """Writes the sweeps of stages in order; those that go through the same positions share one.

    A value that is not `kept` is stored in its place only if a later sweep reads it. Those of `streams` go
    out line by line.
    """
    lines = {stream.value: stream for stream in streams}
    rest = list(stages)
    last = _last_reads(s, stages, places)
    while rest:
        s.b.location = rest[0].op.location
        here = ranges(rest[0])
        together = _together(s, rest, here, ranges, set(lines))
        rest = rest[len(together) :]
        done = len(stages) - len(rest)
        wanted = {v: place for v, place in places.items() if v in kept or last.get(v, 0) >= done}
        _sweep(s, together, here, wanted, ended or {}, lines)
        for stage in together:
            settle(stage)


def _last_reads(s: Lowering, stages: Sequence[Stage], places: Places) -> dict[SSAValue, int]:
    """Which of the stages is the last to read each value that has a place."""
    own = {*places, *(value for stage in stages for value in stage.op.results)}
    return {value: number for number, stage in enumerate(stages) for value, _ in reads(s, stage, None, own)}


def _together(
    s: Lowering,
    stages: Sequence[Stage],
    here: Sequence[Range],
    ranges: Callable[[Stage], list[Range]],
    lines: Set[SSAValue],
) -> list[Stage]:
    """The first stages that can share a sweep: elementwise, and reductions along the same last axes, up to so
    many operations.

    A reduction shares none with a value that goes out line by line.
    """
    found: list[Stage] = []
    work = 0
    for stage in stages:
        if not (stage.elementwise or isinstance(stage.op, ops.ReduceOp)):
            break
        if isinstance(stage.op, ops.ReduceOp) and by_rows(stage.op, here):
            break
        if found and not (_fits(s, found, stage) and begin_alike(here, ranges(stage))):
            break
        work += stage_operations(stage)
        if found and work > MOST_TOGETHER:
            break
        streamed = any(other.result in lines for other in (*found, stage))
        if streamed and not all(other.elementwise for other in (*found, stage)):
            break
        found.append(stage)
    return found or [stages[0]]


def _fits(s: Lowering, found: Sequence[Stage], stage: Stage) -> bool:
    first = found[0]
    assert stage.space is not None
    assert first.space is not None
    if s.extents.shape(stage.space) != s.extents.shape(first.space):
        return False
    folds = [other.op for other in (*found, stage) if isinstance(other.op, ops.ReduceOp)]
    if len({tuple(axes_of(op)) for op in folds}) > 1:
        return False
    results = {value for other in found for value in other.op.results}
    for axis, extent in enumerate(shape_of(stage.space.type)):
        for value, here in reads(s, stage, axis, results):
            if value in results and here != axis and (extent != 1 or here is not None):
                return False
            if value in results and not any(other.result is value and other.elementwise for other in found):
                return False
    return True


def _sweep(
    s: Lowering,
    stages: Sequence[Stage],
    ranges: Sequence[Range],
    places: Places,
    ended: Ended,
    lines: Mapping[SSAValue, Stream],
) -> None:
    first = stages[0]
    if not all(stage.elementwise or isinstance(stage.op, ops.ReduceOp) for stage in stages):
        _sweep_alone(s, first, ranges, places, ended)
        return
    values = [stage.result for stage in stages if stage.elementwise]
    stores = [(value, places[value]) for value in values if value in places]
    single = all(here.single for here in ranges)
    numbers = [value for value in values if value not in places] if single else []
    folds = [_fold(s, stage.op, places, ended) for stage in stages if isinstance(stage.op, ops.ReduceOp)]
    if folds and not stores and goes_beside(s, folds, ranges):
        lower_beside(s, folds, ranges)
    elif folds and not stores and (weighted := weighted_rows(s, folds, ranges)) is not None:
        short = are_short(s, weighted)
        s.b.either(short, lambda: add_weighted_rows(s, weighted), lambda: lower_folds(s, folds, ranges))
    elif folds:
        lower_folds(s, folds, ranges, stores)
    else:

        def store(at: tuple[Index, ...], instead: Places = MappingProxyType({})) -> None:
            for value in numbers:
                s.registers[value] = s.element(value, at)
            for value, place in stores:
                s.store(s.element(value, at), instead.get(value, place), at)

        streamed = [lines[value] for value in values if value in lines]

        def sweep(part: Sequence[Range], know: Callable[[tuple[Index, ...]], None], short: bool) -> None:
            def element(at: tuple[Index, ...], instead: Places = MappingProxyType({})) -> None:
                know(at)
                store(at, instead)

            if streamed and not short:
                sweep_lines(s, streamed, part, element)
            else:
                s.b.sweep(part, element, plain=short)

        if single:  # one position fills no line, and its numbers are computed once
            s.b.sweep(ranges, store)
        else:
            sweep_in_blocks(s, values, ranges, lambda part: sweep_pieces(s, values, part, sweep))


def _fold(s: Lowering, op: ops.ReduceOp, places: Places, ended: Ended) -> Fold:
    if op.result in ended:
        return partials.fold_of(s, op, *ended[op.result])
    if op.result in places:
        return Fold(op, storing(s, op, places[op.result]))
    return Fold(op, in_register(s, op))


def _sweep_alone(
    s: Lowering,
    stage: Stage,
    ranges: Sequence[Range],
    places: Places,
    ended: Ended,
) -> None:
    match stage.op:
        case ops.TopKOp() as op:
            _rank(s, op, ranges, places, ended)
        case ops.SoftmaxOp() as op:
            lower_softmax(s, op, places[op.result], ranges)
        case ScanOp() as op:
            lower_scan(s, op, places[op.result], ranges)
        case ops.ArgReduceOp() as op:
            if op.result in ended:
                sink, rows = partials.best_of(s, op, *ended[op.result])
                lower_argreduce(s, op, ranges, sink, rows)
                return

            def keep(at: Sequence[Index], best: Best) -> None:
                if op.result in places:
                    s.store(best[1], places[op.result], at)
                else:
                    s.registers[op.result] = best[1]

            lower_argreduce(s, op, ranges, keep)
        case _:
            raise ValueError(f"{stage.op.name} is no sweep")


def _rank(s: Lowering, op: ops.TopKOp, ranges: Sequence[Range], places: Places, ended: Ended) -> None:
    if op.values in ended:
        partial, number = ended[op.values]
        lists = partials.ranking_of(partial, number)
        ranking.offer(s, op, lists, ranges, _lies_across(s, op.source))
        return
    kept = ranges[:-1]
    lists = ranking.fresh(s, op, kept)
    ranking.clear(s, op, lists, kept)
    ranking.offer(s, op, lists, ranges)
    ranking.emit(s, op, lists, kept, places)


def _lies_across(s: Lowering, source: SSAValue) -> bool:
    """Whether a value comes from a product whose columns are at hand as rows."""

    def further(value: SSAValue) -> Sequence[SSAValue]:
        if isinstance(value.owner, ops.ArrayOperation) and not s.stored(value):
            return value.owner.operands
        return ()

    return len(shape_of(source.type)) == 2 and any(
        isinstance(value.owner, ops.ContractOp) and value in s.tiles for value in origins([source], further)
    )
