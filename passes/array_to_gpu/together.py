"""Groups of stages on a device: each is one launch where its stages can go together, else one of each."""

from collections.abc import Mapping, Sequence

from xdsl.ir import Operation, SSAValue

from flowc.dialects.array import irregular, memory, ops
from flowc.dialects.array.types import shape_of
from flowc.passes.array_to_gpu.elementwise import lower_elementwise
from flowc.passes.array_to_gpu.folding import Fold
from flowc.passes.array_to_gpu.launch import sweep
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_gpu.reduce import lower_columns, lower_whole
from flowc.passes.array_to_gpu.row_groups import Rows
from flowc.passes.array_to_gpu.rows import lower_rows
from flowc.passes.array_to_loops.builder import Index, Range, whole
from flowc.passes.array_to_loops.elements import Lowering, Place
from flowc.passes.array_to_loops.groups import Group, Track, apart
from flowc.passes.array_to_loops.stages import FLAT, Stage, reads, stage_of
from flowc.passes.array_to_loops.tiling import Tiling, ranges_of, track_sizes
from flowc.passes.array_walks import computed_from

Places = Mapping[SSAValue, Place]


def stage_for(op: Operation) -> Stage:
    """How an operator that needs storage is computed on a device."""
    alone = ops.ContractOp | ops.TopKOp | ops.SoftmaxOp | irregular.ScanOp
    return Stage(op, None) if isinstance(op, alone) else stage_of(op)


def lower_group(s: DeviceLowering, group: Group, places: Places) -> None:
    """Computes the stages of a group; `places` has the whole of each value that is used beyond it."""
    numbers = [stage for stage in group.stages if stage.elementwise and not stage.rank]
    rest = [stage for stage in group.stages if stage not in numbers]
    if not rest:
        for stage in numbers:
            _number(s, stage)
        return
    rows = _rows_of(s, group)
    if all(stage.elementwise for stage in group.stages) and _same_space(s, group.stages):
        lower_elementwise(s, group.stages, places)
    elif rows is not None:
        lower_rows(s, rows, places)
    elif _are_whole(group.stages) and _same_space(s, group.stages) and _independent(s, group.stages):
        lower_whole(s, group.stages, places)
    else:
        _one_by_one(s, group, places)
    for stage in group.stages:
        if stage.result in places:
            s.settle(stage.result, places[stage.result])


def _number(s: DeviceLowering, stage: Stage) -> None:
    """A number is computed where it is used, unless what it is made of may change until then, or it is
    wanted."""
    value = stage.result
    changes = any(isinstance(each.owner, memory.ReadOp) for each in computed_from(value))
    if changes or s.wanted(value) is not None:
        place = s.number(value)
        sweep(s, [], lambda at: s.store(s.element(value, at), place, at), "number")
        s.settle(value, place)


def _same_space(s: DeviceLowering, stages: Sequence[Stage]) -> bool:
    spaces = [s.extents.shape(stage.space) for stage in stages if stage.space is not None]
    return all(space == spaces[0] for space in spaces)


def _are_whole(stages: Sequence[Stage]) -> bool:
    """Whether all stages reduce whole arrays."""
    return all(_reduces(stage) and len(stage.along) == stage.rank for stage in stages)


def _reduces(stage: Stage) -> bool:
    return isinstance(stage.op, ops.ReduceOp | ops.ArgReduceOp)


def _independent(s: DeviceLowering, stages: Sequence[Stage]) -> bool:
    own = {stage.result for stage in stages}
    return not any(value in own for stage in stages for value, _ in reads(s, stage, None, own))


def _rows_of(s: DeviceLowering, group: Group) -> Rows | None:
    """The rows along which a group goes; None where it has none, where one of its stages does not find one
    number in a row, or where neighbouring rows are neighbours in memory: columns, that is, of which there may
    be too few to go along together."""
    free = apart(t for t in group.tracks if not t.partial and FLAT not in t.axes.values())
    if not free or not any(_reduces(stage) for stage in group.stages):
        return None
    tiling = Tiling(tuple(free), 1)
    for stage in group.stages:
        inner = set(range(stage.rank)) - {track.axes[stage] for track in free}
        if _reduces(stage):
            if set(Fold(_op(stage)).axes) != inner:
                return None
        elif not stage.elementwise:
            return None
    return None if _are_side_by_side(group.stages, free) else _in_order(s, group.stages, tiling)


def _op(stage: Stage) -> ops.ReduceOp | ops.ArgReduceOp:
    assert isinstance(stage.op, ops.ReduceOp | ops.ArgReduceOp)
    return stage.op


def _are_side_by_side(stages: Sequence[Stage], tracks: Sequence[Track]) -> bool:
    """Whether the elements of a row are far apart, and those of neighbouring rows are neighbours."""
    long = [stage for stage in stages if stage.rank > len(tracks)]
    return any(track.axes[stage] == stage.rank - 1 for stage in long for track in tracks)


def _in_order(s: DeviceLowering, stages: Sequence[Stage], tiling: Tiling) -> Rows:
    def ranges(stage: Stage, at: Sequence[Index]) -> list[Range]:
        return ranges_of(s, stage, tiling, at, 0)

    return Rows(stages, track_sizes(s, tiling), ranges)


def _one_by_one(s: DeviceLowering, group: Group, places: Places) -> None:
    """Each stage of a group by a launch of its own; what others read of it goes through memory."""
    own = group.results
    read = {value for stage in group.stages for value, _ in reads(s, stage, None, own)}
    for stage in group.stages:
        here = {value: place for value, place in places.items() if value is stage.result}
        if _reduces(stage):
            _reduce(s, stage, here)
        elif not stage.rank:
            _number(s, stage)
        else:
            if stage.result in read and not here:
                here = {stage.result: s.temporary(stage.result)}
            lower_elementwise(s, [stage], here)
        for value, place in here.items():
            s.settle(value, place)


def _reduce(s: DeviceLowering, stage: Stage, places: dict[SSAValue, Place]) -> None:
    """One reduction, along whatever axes."""
    axes = Fold(_op(stage)).axes
    if len(axes) == stage.rank:
        lower_whole(s, [stage], places)
        return
    if shape_of(stage.result.type) and stage.result not in places:
        places[stage.result] = s.temporary(stage.result)
    if stage.rank - 1 not in axes:
        lower_columns(s, stage, places)
        return
    kept = [axis for axis in range(stage.rank) if axis not in axes]
    assert stage.space is not None
    sizes = s.sizes(stage.space)

    def ranges(_: Stage, at: Sequence[Index]) -> list[Range]:
        own = dict(zip(kept, at, strict=True))
        return [
            Range(own[axis], s.b.add(own[axis], 1), True) if axis in own else whole(size)
            for axis, size in enumerate(sizes)
        ]

    lower_rows(s, Rows([stage], [sizes[axis] for axis in kept], ranges), places)


def as_device(s: Lowering) -> DeviceLowering:
    """The state of a lowering that was begun for a device."""
    assert isinstance(s, DeviceLowering)
    return s
