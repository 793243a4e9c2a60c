"""Few long rows on a device: several blocks go through each, and leave partial results that another launch
combines. Each way through a row is a launch; what it finds of a row lies in memory for the next."""

from collections.abc import Mapping, Sequence

from attrs import define, field
from xdsl.ir import SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.kinds import compute_dtype
from flowc.dialects.array.types import dtype_of
from flowc.passes.array_to_gpu import folding
from flowc.passes.array_to_gpu.either import both, is_below
from flowc.passes.array_to_gpu.folding import Fold
from flowc.passes.array_to_gpu.launch import Threads, launch, only_if, unravelled
from flowc.passes.array_to_gpu.limits import BLOCK
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_gpu.partials import MOST_PARTIALS, leave, load, met_in_block, partials_for
from flowc.passes.array_to_gpu.row_groups import Rows, name_of, runs_of
from flowc.passes.array_to_gpu.row_sweeps import Hands, swept
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.elements import Place
from flowc.passes.array_to_loops.reductions import Carried
from flowc.passes.array_to_loops.stages import Stage

FEW_ROWS = 128
"""Rows that are too few to give each multiprocessor a block."""
LONG_ROW = 1 << 17
"""Elements from which a row is worth a launch that combines what several blocks find."""
EACH = 16
"""Vectors, or elements, that a thread takes at least before there is another block."""

Run = tuple[Sequence[Stage], Sequence[Stage]]
"""Stages that go through a row together, and stages behind them of one number for each row."""


@define(eq=False)
class LongRows:
    """Rows while they are lowered: where results go, how many rows there are, how many blocks share one, how
    many neighbours a thread takes at once, and the memory of the numbers that are known of each row."""

    rows: Rows
    places: Mapping[SSAValue, Place]
    total: Index
    parts: Index
    lanes: int
    known: dict[SSAValue, SSAValue] = field(factory=dict)


def can_be_cut(s: DeviceLowering, rows: Rows, length: Index) -> bool:
    """Whether rows may be cut: they have one way through, or are known now to be long, so that a kernel for
    rows of any length does not grow by many launches."""
    if isinstance(length, int):
        return length >= LONG_ROW
    return len(_runs(s, rows)) == 1


def are_few_and_long(s: DeviceLowering, total: Index, length: Index) -> SSAValue | bool:
    """Whether rows are so few and so long that several blocks should share one."""
    long = length >= LONG_ROW if isinstance(length, int) else s.b.compare("sge", length, s.b.index(LONG_ROW))
    return both(s, is_below(s, total, FEW_ROWS), long)


def lower_long_rows(
    s: DeviceLowering,
    rows: Rows,
    places: Mapping[SSAValue, Place],
    total: Index,
    length: Index,
    lanes: int,
) -> None:
    """Computes the stages by all rows at once, one way through them after another."""
    most = s.top.ceiling(MOST_PARTIALS, s.top.max(total, 1))
    parts = s.top.min(s.top.ceiling(length, BLOCK * lanes * EACH), most)
    long = LongRows(rows, places, total, parts, lanes)
    for through, numbers in _runs(s, rows):
        folds = [Fold(t.op) for t in through if isinstance(t.op, ops.ReduceOp | ops.ArgReduceOp)]
        memory = [partials_for(s, fold, [total, parts]) for fold in folds]
        if through:
            _go_through(s, long, through, folds, memory)
        results = [fold.op.result for fold in folds] + [stage.result for stage in numbers]
        if results:
            _combine(s, long, through, folds, memory, numbers)


def _runs(s: DeviceLowering, rows: Rows) -> list[Run]:
    """The ways through a row, each with the numbers that come behind it."""
    found: list[tuple[list[Stage], list[Stage]]] = []
    zeros = [0] * len(rows.sizes)
    for run in runs_of(s, rows):
        single = all(here.single for here in rows.ranges(run[0], zeros))
        if not (single and all(stage.elementwise for stage in run)):
            found.append((run, []))
        elif found:
            found[-1][1].extend(run)
        else:
            found.append(([], run))
    return list(found)


def _go_through(
    s: DeviceLowering,
    long: LongRows,
    through: Sequence[Stage],
    folds: Sequence[Fold],
    memory: Sequence[Sequence[SSAValue]],
) -> None:
    """All blocks of a row stride through it side by side."""
    places = long.places
    stores = [(t.result, places[t.result]) for t in through if t.elementwise and t.result in places]

    def body(threads: Threads) -> None:
        part, row = threads.block[:2]
        s.b.location = through[0].op.location
        _recall(s, long, row)
        ranges = long.rows.ranges(through[0], unravelled(s, row, long.rows.sizes))
        thread = s.b.index(s.b.add(s.b.mul(part, BLOCK), threads.thread[0]))
        hands = Hands(s.b.mul(threads.blocks[0], BLOCK), thread, long.lanes)
        carried = swept(s, ranges, folds, stores, hands)
        for fold, found, buffers in zip(folds, carried, memory, strict=True):
            leave(s, buffers, [row, part], met_in_block(s, fold, found, threads), threads)
        _forget(s, long)

    launch(s, name_of(long.rows.stages), [long.parts, long.total], [BLOCK], body)


def _combine(
    s: DeviceLowering,
    long: LongRows,
    through: Sequence[Stage],
    folds: Sequence[Fold],
    memory: Sequence[Sequence[SSAValue]],
    numbers: Sequence[Stage],
) -> None:
    """A block for each row combines what others have left, and computes the numbers that follow from it."""
    results = [fold.op.result for fold in folds] + [stage.result for stage in numbers]
    kept = {value: _numbers_for(s, value, long.total) for value in results}

    def body(threads: Threads) -> None:
        row = threads.block[0]
        _recall(s, long, row)
        at = unravelled(s, row, long.rows.sizes)
        wanted: list[tuple[SSAValue, Sequence[Index]]] = []
        for fold, buffers in zip(folds, memory, strict=True):
            ranges = long.rows.ranges(through[0], at)
            own = {k: here.low for k, here in enumerate(ranges) if here.single and k not in fold.axes}
            wanted.append((fold.op.result, folding.result_position(fold, own)))
            s.registers[fold.op.result] = _combined(s, fold, buffers, row, long.parts, threads)
        for stage in numbers:
            position = [here.low for here in long.rows.ranges(stage, at)]
            wanted.append((stage.result, position))
            s.registers[stage.result] = s.element(stage.result, position)

        def store() -> None:
            for value, position in wanted:
                scalars.store(s.b, s.registers[value], kept[value], [row])
                if value in long.places:
                    s.store(s.registers[value], long.places[value], position)

        only_if(s, s.b.compare("eq", threads.thread[0], s.b.index(0)), store)
        for value in results:
            del s.registers[value]
        _forget(s, long)

    launch(s, "combine", [long.total], [BLOCK], body)
    long.known |= kept


def _combined(
    s: DeviceLowering,
    fold: Fold,
    memory: Sequence[SSAValue],
    row: SSAValue,
    parts: Index,
    threads: Threads,
) -> SSAValue:
    """The result of a row, in each thread of its block."""

    def one(i: SSAValue, carried: Carried) -> Sequence[SSAValue]:
        return folding.merge(s, fold, carried, load(s, fold, memory, [row, i]))

    carried = s.b.loop(threads.thread[0], parts, folding.start(s, fold), one, step=BLOCK)
    return folding.finish(s, fold, met_in_block(s, fold, carried, threads))


def _numbers_for(s: DeviceLowering, value: SSAValue, total: Index) -> SSAValue:
    """Memory for a number of each row."""
    return s.allocate(scalars.stored_type(compute_dtype(dtype_of(value.type))), [total])


def _recall(s: DeviceLowering, long: LongRows, row: SSAValue) -> None:
    """Loads what is known of a row."""
    for value, memory in long.known.items():
        s.registers[value] = scalars.load(s.b, memory, [row], dtype_of(value.type))


def _forget(s: DeviceLowering, long: LongRows) -> None:
    for value in long.known:
        del s.registers[value]
