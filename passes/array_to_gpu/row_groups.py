"""Rows of stages that go together: their extents, and the ways through a row that the stages share."""

from collections.abc import Callable, Iterator, Sequence

from attrs import frozen

from flowc.dialects.array import ops
from flowc.passes.array_to_gpu.folding import Fold
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops.builder import Index, Range
from flowc.passes.array_to_loops.groups import begin_alike
from flowc.passes.array_to_loops.stages import Stage, reads


@frozen(eq=False)
class Rows:
    """What goes together: the stages, the extents along which rows follow one another, and for a stage and
    the position of a row its part of the stage's sweep."""

    stages: Sequence[Stage]
    sizes: Sequence[Index]
    ranges: Callable[[Stage, Sequence[Index]], list[Range]]


def name_of(stages: Sequence[Stage]) -> str:
    """What a launch does, by its first stages."""
    words = [stage.op.kind.data for stage in stages if isinstance(stage.op, ops.ReduceOp | ops.ArgReduceOp)]
    return "_".join(list(dict.fromkeys(words))[:3]) or "rows"


def lengths_of(s: DeviceLowering, rows: Rows) -> list[Index]:
    """The different numbers of elements that rows of the stages have; one alone is not among them."""
    zeros = [0] * len(rows.sizes)
    found: list[Index] = []
    for stage in rows.stages:
        extents = [here.high for here in rows.ranges(stage, zeros) if not here.single]
        length = s.counted(extents)
        if extents and length not in found:
            found.append(length)
    return found


def runs_of(s: DeviceLowering, rows: Rows) -> Iterator[list[Stage]]:
    """The stages in runs that go through a row once: none reads a number that another finds by going through
    it."""
    rest = list(rows.stages)
    while rest:
        run = [rest.pop(0)]
        while rest and _goes_along(s, rows, run, rest[0]):
            run.append(rest.pop(0))
        yield run


def _goes_along(s: DeviceLowering, rows: Rows, run: Sequence[Stage], stage: Stage) -> bool:
    first = run[0]
    assert stage.space is not None
    assert first.space is not None
    if s.extents.shape(stage.space) != s.extents.shape(first.space):
        return False
    a_row = range(1, len(rows.sizes) + 1)  # positions that differ, so that axes of it are told apart
    if not begin_alike(rows.ranges(first, a_row), rows.ranges(stage, a_row)):
        return False
    if first.elementwise and stage.elementwise and first.rank == 0:
        return True
    found = {other.result for other in run if not other.elementwise}
    axes = {tuple(Fold(o.op).axes) for o in (*run, stage) if isinstance(o.op, ops.ReduceOp | ops.ArgReduceOp)}
    return len(axes) <= 1 and not any(value in found for value, _ in reads(s, stage, None, found))
