"""Which stages share a loop: those that can be computed together for one position, or one tile of positions,
of an axis after the other, so that what one gives the next need not go through memory.

A group keeps every axis along which all of its stages can go together (a track) until it is lowered. Partial
results of reductions along the axis itself are combined after the loop, so such a stage ends its value's way
through the group.
"""

from collections.abc import Iterable, Sequence

from attrs import define, field, frozen
from xdsl.ir import SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.types import shape_of
from flowc.passes.array_to_loops.builder import Range
from flowc.passes.array_to_loops.elements import Lowering
from flowc.passes.array_to_loops.stages import FLAT, NoFlatForm, Stage, reads

MOST_LOOPS = 32
"""Stages of a group with loops of their own: LLVM's time grows with the square of the loops within one."""


@frozen(eq=False)
class Track:
    """One way for the stages of a group to go together: the axis of each sweep, of each result that is there
    tile by tile, and of what is read from outside. Reductions of an operand of a product that cannot go this
    way are missing: they are computed before the others."""

    extent: object
    axes: dict[Stage, int]
    values: dict[SSAValue, int]
    sources: frozenset[tuple[SSAValue, int]]

    @property
    def partial(self) -> bool:
        """Whether some stage is reduced along the track."""
        return any(stage.result not in self.values for stage in self.axes)

    @property
    def outer(self) -> bool:
        """Whether vectors remain: no sweep of a matrix goes along its last axis."""
        return all(stage.rank == 1 or axis < stage.rank - 1 for stage, axis in self.axes.items())


@define(eq=False)
class Group:
    """Stages in order, and the tracks that all of them can take."""

    stages: list[Stage] = field(factory=list)
    tracks: list[Track] = field(factory=list)

    @property
    def results(self) -> set[SSAValue]:
        """The values that the group computes."""
        return {value for stage in self.stages for value in stage.op.results}


def group_stages(s: Lowering, stages: Iterable[Stage]) -> list[Group]:
    """The stages in groups, which run one after the other; first the numbers that need none of the others."""
    groups: list[Group] = []
    home: dict[SSAValue, int] = {}
    numbers, rest = _numbers_first(s, stages)
    members: set[SSAValue] = {value for stage in numbers for value in stage.op.results}
    for stage in rest:
        members |= set(home)
        sources = {value for value, _ in reads(s, stage, None, members)}
        earliest = max((home[value] for value in sources if value in home), default=0)
        for number in range(earliest, len(groups)):
            if _is_full(groups[number], stage):
                continue
            tracks = _joined(s, groups[number], stage, members)
            if tracks and not _worsens(groups[number], tracks, sources):
                groups[number].stages.append(stage)
                groups[number].tracks = tracks
                break
        else:
            number = len(groups)
            if not shape_of(stage.result.type):
                # A number comes as early as it can, so that what needs it may join a later group.
                number = max((home[value] + 1 for value in sources if value in home), default=0)
                home = {value: place + (place >= number) for value, place in home.items()}
            groups.insert(number, Group([stage], _tracks(s, stage, members)))
        home |= dict.fromkeys(stage.op.results, number)
        if stage.space is not None and isinstance(stage.op, ops.ContractOp):
            groups = _with_norms(s, groups, number, members | set(home))
            home = {value: place for place, group in enumerate(groups) for value in group.results}
    return [*(Group([stage]) for stage in numbers), *groups]


def _numbers_first(s: Lowering, stages: Iterable[Stage]) -> tuple[list[Stage], list[Stage]]:
    """The stages that give a number and read no array that is still to be computed, and the others.

    A constant brought to another dtype, say, must not stand between two stages that share a loop.
    """
    numbers: list[Stage] = []
    rest: list[Stage] = []
    waiting: set[SSAValue] = set()
    for stage in stages:
        ready = not any(value in waiting for value, _ in reads(s, stage, None, waiting))
        if stage.elementwise and not stage.rank and ready:
            numbers.append(stage)
        else:
            rest.append(stage)
            waiting |= set(stage.op.results)
    return numbers, rest


def _is_full(group: Group, stage: Stage) -> bool:
    """Whether a stage that needs loops of its own would come to as many others that do."""
    return not stage.elementwise and sum(not other.elementwise for other in group.stages) >= MOST_LOOPS


def _worsens(group: Group, tracks: Sequence[Track], sources: Iterable[SSAValue]) -> bool:
    """Whether a stage that reads nothing of a group would keep it from going row by row."""
    if not group.results.isdisjoint(sources):
        return False
    return any(track.outer for track in group.tracks) and not any(track.outer for track in tracks)


def _tracks(s: Lowering, stage: Stage, members: set[SSAValue]) -> list[Track]:
    found = (_follow(s, None, stage, axis, members) for axis in _axes(s, stage))
    return [track for track in found if track is not None]


def _joined(s: Lowering, group: Group, stage: Stage, members: set[SSAValue]) -> list[Track]:
    """The tracks of a group with one more stage; none if it cannot go along.

    The norms of the rows of a product's operand, say, go along with the product. Which axis is the long one
    shows at run time, so they may not choose it: on other tracks they, and what is made of them, are missing.
    """
    beside = any(isinstance(other.op, ops.ContractOp) for other in group.stages)
    tracks, joined = [], False
    for track in group.tracks:
        found = [_follow(s, track, stage, axis, members) for axis in _axes(s, stage)]
        if beside and not any(found) and _may_miss(s, group, track, stage, members):
            own = next((axis for axis in _axes(s, stage) if _shares(s, track, stage, axis, members)), None)
            found = [] if own is None else [_follow(s, track, stage, own, members, shared=True)]
            tracks += [] if any(found) else [track]
        tracks += [new for new in found if new is not None]
        joined |= any(found)
    return tracks if joined else []


def _may_miss(s: Lowering, group: Group, track: Track, stage: Stage, members: set[SSAValue]) -> bool:
    """Whether a stage may be computed before those on a track: it reads nothing of the group, or nothing but
    what is missing itself."""
    read = group.results & {value for value, _ in reads(s, stage, None, members)}
    present = {value for other in track.axes for value in other.op.results}
    return bool(shape_of(stage.result.type)) and (read.isdisjoint(present) if read else stage.combines)


def _with_norms(s: Lowering, groups: Sequence[Group], number: int, members: set[SSAValue]) -> list[Group]:
    """The groups, in which that of a product has taken in earlier ones that reduce rows of its operands, if
    nothing up to it reads what they compute: so those rows are read once, whichever is written first."""
    later = [groups[number]]
    for group in reversed(groups[:number]):
        read = {
            value for other in later for stage in other.stages for value, _ in reads(s, stage, None, members)
        }
        whole = None if not group.results.isdisjoint(read) else _together(s, later[-1], group, members)
        later = [group, *later] if whole is None else [*later[:-1], whole]
    return [*later, *groups[number + 1 :]]


def _together(s: Lowering, group: Group, other: Group, members: set[SSAValue]) -> Group | None:
    """A group of a product with all the stages of another; None where one of them cannot join it, or is a
    product itself."""
    whole = Group(list(group.stages), group.tracks)
    for stage in other.stages:
        apart = isinstance(stage.op, ops.ContractOp) or _is_full(whole, stage)
        tracks = [] if apart else _joined(s, whole, stage, members)
        if not tracks:
            return None
        whole.stages.append(stage)
        whole.tracks = tracks
    return whole


def _shares(s: Lowering, track: Track, stage: Stage, axis: int, members: set[SSAValue]) -> bool:
    """Whether lines are reduced that the track reads, one after the other."""
    if axis in stage.along or axis == FLAT:
        return False
    return any(source in track.sources for source in reads(s, stage, axis, members))


def _axes(s: Lowering, stage: Stage) -> Sequence[int]:
    """The axes along which a stage can go, first all at once. Those proved to be 1 long are none: they are
    read at 0 alone, and FLAT counts along the last one."""
    if stage.space is None:
        return ()
    shape = s.extents.shape(stage.space)
    axes = [axis for axis, extent in enumerate(shape) if extent != 1]
    return [FLAT, *axes] if len(shape) > 1 and shape[-1] != 1 else axes


def _follow(
    s: Lowering,
    track: Track | None,
    stage: Stage,
    axis: int,
    members: set[SSAValue],
    shared: bool = False,
) -> Track | None:
    """The track with one more stage, which goes along an axis of its sweep; None where it cannot. `shared`
    says that it is known to share what it reads."""
    along = axis in stage.along or (axis == FLAT and bool(stage.along))
    if along and not stage.combines:
        return None
    if axis == FLAT and stage.along and len(stage.along) < stage.rank:
        return None
    if axis == FLAT and any(value in s.scattered for value in stage.op.results):
        return None
    assert stage.space is not None
    extent: object = s.extents.shape(stage.space) if axis == FLAT else s.extents.extent(stage.space, axis)
    if track is not None and (extent != track.extent or (axis == FLAT) != (FLAT in track.axes.values())):
        return None
    try:
        found = set(reads(s, stage, axis, members))
    except NoFlatForm:
        return None
    sources = frozenset((value, here) for value, here in found if here is not None)
    if track is not None:
        own = {value for other in track.axes for value in other.op.results}
        inside = [(value, here) for value, here in found if value in own]
        if any(here is None or track.values.get(value) != here for value, here in inside):
            return None
        products = any(isinstance(member.op, ops.ContractOp) for member in (*track.axes, stage))
        if not inside and not shared and (products or not sources & track.sources):
            return None  # nothing to share; and the operands of a product alone must not choose its axis
        if _widens(track, stage, axis):
            return None
    result = None if along else stage.result_axis(axis)
    before = track or Track(extent, {}, {}, frozenset())
    return Track(
        extent,
        before.axes | {stage: axis},
        before.values if result is None else before.values | dict.fromkeys(stage.op.results, result),
        before.sources | sources,
    )


def _widens(track: Track, stage: Stage, axis: int) -> bool:
    """Whether vectors would become the columns of a matrix: each tile would go through all of its rows."""
    return stage.rank > 1 and axis == stage.rank - 1 and all(other.rank == 1 for other in track.axes)


def apart(tracks: Iterable[Track]) -> list[Track]:
    """Tracks that can be taken at once, as many as fit with the first: where a square is read by rows and by
    columns, there are two for each axis of a stage.
    """
    found: list[Track] = []
    for track in tracks:
        if not any(taken.axes.get(stage) == axis for taken in found for stage, axis in track.axes.items()):
            found.append(track)
    return found


def begin_alike(ranges: Sequence[Range], others: Sequence[Range]) -> bool:
    """Whether two sweeps of the same shape have the same part in a tile: those of a square may go one by rows
    and one by columns. Where they begin says it: both end a tile later, or with the axis."""
    return all(
        (one.low, one.single) == (other.low, other.single) for one, other in zip(ranges, others, strict=True)
    )
