"""Lowering stores into memory: a value is computed right where it belongs, unless what it reads, or what is
computed beside it, stands there; then it goes through a temporary.

A write waits for what follows it, as long as nothing reads that memory, so that several of them share loops.
"""

from collections.abc import Mapping, Sequence

from attrs import define, field
from xdsl.ir import Operation, SSAValue

from flowc.dialects.array import memory, ops
from flowc.dialects.array.types import shape_of
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.checks import Checks
from flowc.passes.array_to_loops.conditions import require_equal
from flowc.passes.array_to_loops.elements import Lowering, Place
from flowc.passes.array_to_loops.overlap import is_in_place, lines_read, reads_elsewhere
from flowc.passes.array_to_loops.segment import copy, is_stage, lower_segment
from flowc.passes.array_to_loops.ways import ways_of
from flowc.passes.array_walks import computed_from, evaluated


@define
class Run:
    """Straight-line code that is still to be lowered.

    `destinations` are the places of values that the block's user wants. `delayed` are the operators up to the
    last write that waits, `places` where such writes store, `written` their memory; `waiting` is what comes
    after it.
    """

    destinations: Mapping[SSAValue, Place]
    delayed: list[Operation] = field(factory=list)
    places: dict[SSAValue, Place] = field(factory=dict)
    written: set[SSAValue] = field(factory=set)
    waiting: list[Operation] = field(factory=list)


def lower_run(s: Lowering, checks: Checks, run: Run) -> None:
    """Lowers all of it."""
    run.delayed += run.waiting
    run.waiting = []
    lower_writes(s, checks, run)


def lower_writes(s: Lowering, checks: Checks, run: Run) -> None:
    """Lowers what leads to the writes that wait."""
    lower_segment(s, checks, run.delayed, {**run.destinations, **run.places})
    run.delayed, run.places, run.written = [], {}, set()


def lower_write(s: Lowering, checks: Checks, run: Run, op: memory.WriteOp) -> None:
    """Lowers a write, or lets it wait."""
    if is_in_place(op):
        lower_run(s, checks, run)
        return
    lines = lines_read(op) if reads_elsewhere(op) else []
    if lines and not reads_elsewhere(op, lines):
        _lower_beside(s, checks, run, op)
        _copy_first(s, lines)
    if reads_elsewhere(op, lines) or not _fits(s, op) or not _ready(s, op, run.waiting):
        lower_run(s, checks, run)
        _afterwards(s, checks, op)
    else:
        if op.ref in run.written or _reads_beside(run, op, run.delayed) or _views_wait(run, op):
            lower_writes(s, checks, run)
        if _reads_beside(run, op, run.waiting):
            _lower_beside(s, checks, run, op)
        run.places[op.value] = target_place(s, op.target)
        run.written.add(op.ref)
        run.delayed += run.waiting
        run.waiting = []


def _lower_beside(s: Lowering, checks: Checks, run: Run, op: memory.WriteOp) -> None:
    """Lowers what is delayed, and then what waits, but for the value that a write stores."""
    lower_writes(s, checks, run)
    owner = op.value.owner
    lower_segment(s, checks, [each for each in run.waiting if each is not owner], run.destinations)
    run.waiting = [each for each in run.waiting if each is owner]


def _copy_first(s: Lowering, values: Sequence[SSAValue]) -> None:
    """Copies what is read of memory that is about to change."""
    for value in values:
        place = s.temporary(value)
        copy(s, value, place)
        s.settle(value, place)


def _reads_beside(run: Run, op: memory.WriteOp, operations: Sequence[Operation]) -> bool:
    """Whether some of the operators read the memory of a write for other values than the one it stores: they
    may be computed after it."""
    own = {value.owner for value in computed_from(op.value)}
    destinations = {**run.destinations, **run.places}
    return any(
        isinstance(value.owner, memory.ReadOp) and value.owner.ref is op.ref
        for other in operations
        if other not in own and is_stage(other, destinations)
        for value in evaluated(other)
    )


def _views_wait(run: Run, op: memory.WriteOp) -> bool:
    """Whether the positions that a write names are found out by what waits."""
    return any(view in run.delayed for view in _views(op.target))


def _afterwards(s: Lowering, checks: Checks, op: memory.WriteOp) -> None:
    """Stores a value that is at hand, or can be computed where it is used."""
    s.b.location = s.top.location = op.location
    _require_fit(s, checks, op)
    place = target_place(s, op.target)
    if not shape_of(op.value.type):
        _spread(s, op, op.value, place)
        return
    if reads_elsewhere(op, _stored(s, op.value)):
        _copy_first(s, [op.value])
    if _fits(s, op):
        copy(s, op.value, place)
    else:
        _spread(s, op, op.value, place)


def _stored(s: Lowering, value: SSAValue) -> list[SSAValue]:
    """What a value is computed from that has memory, or a register, of its own by now."""
    found = computed_from(value, s.stored)
    return [each for each in found if s.stored(each) and not isinstance(each.owner, memory.ReadOp)]


def _ready(s: Lowering, op: memory.WriteOp, waiting: Sequence[Operation]) -> bool:
    """Whether the value can be computed right into the target."""
    owner = op.value.owner
    if (
        owner not in waiting
        or any(use.operation is not op for use in op.value.uses)
        or isinstance(owner, ops.ConstantOp)
    ):
        return False
    if any(view not in waiting or _dynamic(view) for view in _views(op.target)):
        return all(view not in waiting for view in _views(op.target)) and _same_extents(s, op)
    return _same_extents(s, op)


def _dynamic(view: Operation) -> bool:
    """Whether the positions of a view are found out in the segment that it stands in."""
    return bool(view.operands[1:])


def _same_extents(s: Lowering, op: memory.WriteOp) -> bool:
    return s.extents.shape(op.value) == s.extents.shape(op.target)


def _views(target: SSAValue) -> list[Operation]:
    found: list[Operation] = []
    owner = target.owner
    while isinstance(owner, memory.VIEWS):
        found.append(owner)
        owner = owner.source.owner
    return found


def _fits(s: Lowering, op: memory.WriteOp) -> bool:
    """Whether the value has the axes of the target, none of them stretched."""
    value, target = s.extents.shape(op.value), s.extents.shape(op.target)
    return len(value) == len(target) and all(a != 1 or b == 1 for a, b in zip(value, target, strict=True))


def _require_fit(s: Lowering, checks: Checks, op: memory.WriteOp) -> None:
    value, target = s.extents.shape(op.value), s.extents.shape(op.target)
    for own, wanted in zip(value, target[len(target) - len(value) :], strict=True):
        if own != 1:
            require_equal(s, checks, own, wanted, op)


def target_place(s: Lowering, target: SSAValue) -> Place:
    """Where the elements that a target shows are kept."""
    views = _views(target)
    buffer = s.buffers[memory.memory_of(target).ref]
    if not views:
        return Place(buffer)

    def position(at: Sequence[Index]) -> Sequence[Index]:
        indices = tuple(at)
        for view in views:
            assert isinstance(view, memory.VIEWS)
            indices = s.viewed(view, indices)
        return indices

    return Place(buffer, position)


def _spread(s: Lowering, op: memory.WriteOp, value: SSAValue, place: Place) -> None:
    """Stores a value into all that the target shows, stretched where it is shorter."""
    ways_of(s).sweep(
        s, s.sizes(op.target), lambda at: s.store(s.element(value, s.aligned(value, at)), place, at)
    )
