"""Lowering memory and control flow: each straight-line run of pure operators is a segment of its own.

A write stores the value of the segment before it right where it belongs, unless that value reads the same
memory at other positions than it writes; then it goes through a temporary.
"""

from collections.abc import Mapping, Sequence

from xdsl.dialects import scf
from xdsl.dialects.builtin import i1
from xdsl.ir import Block, Operation, SSAValue

from flowc.dialects.array import irregular, memory, ops
from flowc.dialects.array.reshape import ReshapeOp
from flowc.dialects.array.types import dtype_of, shape_of
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.checks import Checks
from flowc.passes.array_to_loops.conditions import require_equal
from flowc.passes.array_to_loops.elements import Lowering, Place
from flowc.passes.array_to_loops.lifetimes import end_lifetimes
from flowc.passes.array_to_loops.overlap import is_in_place, reads_elsewhere, scatters_in_place
from flowc.passes.array_to_loops.reshape import lower_reshape
from flowc.passes.array_to_loops.segment import copy, lower_segment


def lower_block(
    s: Lowering, checks: Checks, operations: Sequence[Operation], destinations: Mapping[SSAValue, Place]
) -> None:
    """Lowers the operators of a block in order; the block's terminator is the caller's."""
    waiting: list[Operation] = []
    for op in operations:
        if isinstance(op, memory.ReadOp):
            s.b.location = s.top.location = op.location
            s.settle(op.result, Place(s.buffers[op.ref]))
            continue
        if not _interrupts(op):
            waiting.append(op)
            continue
        if isinstance(op, memory.WriteOp):
            _write(s, checks, op, waiting, destinations)
        elif isinstance(op, memory.VariableOp):
            _variable(s, checks, op, waiting, destinations)
        else:
            lower_segment(s, checks, waiting, destinations)
            s.b.location = s.top.location = op.location
            _control(s, checks, op)
        waiting = []
    lower_segment(s, checks, waiting, destinations)


def _interrupts(op: Operation) -> bool:
    if isinstance(op, irregular.ScatterOp):
        return scatters_in_place(op)
    return isinstance(
        op,
        memory.WriteOp | memory.VariableOp | memory.EmptyOp | ReshapeOp | scf.ForOp | scf.WhileOp | scf.IfOp,
    )


def _control(s: Lowering, checks: Checks, op: Operation) -> None:
    match op:
        case memory.EmptyOp():
            if op.result not in s.buffers:
                element = scalars.stored_type(dtype_of(op.result.type))
                _keep(s, op.result, s.allocate(element, s.sizes(op.result)))
        case irregular.ScatterOp():
            lower_segment(s, checks, [op], {})
        case ReshapeOp():
            lower_reshape(s, checks, op)
        case scf.ForOp():
            _for(s, checks, op)
        case scf.IfOp():
            _if(s, checks, op)
        case scf.WhileOp():
            _while(s, checks, op)


def _keep(s: Lowering, ref: SSAValue, buffer: SSAValue) -> None:
    s.buffers[ref] = buffer
    s.contiguous.add(ref)


def _variable(
    s: Lowering,
    checks: Checks,
    op: memory.VariableOp,
    waiting: Sequence[Operation],
    destinations: Mapping[SSAValue, Place],
) -> None:
    """Memory that begins with a value, computed right there where nothing else wants it."""
    if not _made_for(op.source, op, waiting) or _reshaped(op.source):
        lower_segment(s, checks, waiting, destinations)
        waiting = []
    if op.result not in s.buffers:
        s.b.location = s.top.location = op.location
        if _sizes_wait(op.source, waiting):
            lower_segment(s, checks, waiting[:-1], destinations)
            waiting = waiting[-1:]
        _keep(s, op.result, s.allocate(scalars.stored_type(dtype_of(op.source.type)), s.sizes(op.source)))
    place = Place(s.buffers[op.result])
    if waiting:
        lower_segment(s, checks, waiting, {**destinations, op.source: place})
        return
    copy(s, op.source, place)


def _sizes_wait(value: SSAValue, waiting: Sequence[Operation]) -> bool:
    """Whether what the extents of a value need may still be waiting."""
    return "" in shape_of(value.type) and bool(waiting)


def _reshaped(value: SSAValue) -> bool:
    return isinstance(value.owner, ReshapeOp)


def _made_for(value: SSAValue, user: Operation, waiting: Sequence[Operation]) -> bool:
    """Whether the last operator of a segment makes a value for this one user only."""
    return bool(waiting) and value.owner is waiting[-1] and all(use.operation is user for use in value.uses)


def _write(
    s: Lowering,
    checks: Checks,
    op: memory.WriteOp,
    waiting: Sequence[Operation],
    destinations: Mapping[SSAValue, Place],
) -> None:
    if is_in_place(op):
        lower_segment(s, checks, waiting, destinations)
        return
    elsewhere = reads_elsewhere(op)
    direct = not elsewhere and _fits(s, op) and _ready(s, op, waiting)
    if direct:
        s.b.location = s.top.location = op.location
        lower_segment(s, checks, waiting, {**destinations, op.value: target_place(s, op.target)})
        return
    lower_segment(s, checks, waiting, destinations)
    s.b.location = s.top.location = op.location
    _require_fit(s, checks, op)
    place = target_place(s, op.target)
    if not shape_of(op.value.type):
        _spread(s, op, op.value, place)
        return
    if elsewhere:
        element = scalars.stored_type(dtype_of(op.value.type))
        kept = s.allocate(element, s.sizes(op.value))
        copy(s, op.value, Place(kept))
        s.settle(op.value, Place(kept))
    if _fits(s, op):
        copy(s, op.value, place)
    else:
        _spread(s, op, op.value, place)


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
    s.b.nest(s.sizes(op.target), lambda at: s.store(s.element(value, s.aligned(value, at)), place, at))


class _Scope:
    """A nested block: what is computed or allocated in it is known in it only."""

    def __init__(self, s: Lowering) -> None:
        self.s = s

    def __enter__(self) -> None:
        s = self.s
        self.outer = (s.top.block, s.allocated)
        self.sizes = s.known_sizes()
        s.top.block, s.allocated = s.b.block, []
        s.nested += 1

    def __exit__(self, *_: object) -> None:
        s = self.s
        end_lifetimes(s.allocated, [s.b.block])
        s.top.block, s.allocated = self.outer
        s.restore_sizes(self.sizes)
        s.nested -= 1


def _body(s: Lowering, checks: Checks, block: Block, arguments: Sequence[SSAValue]) -> list[SSAValue]:
    """Lowers a nested block with its arguments in registers; gives what its terminator passes on."""
    for argument, value in zip(block.args, arguments, strict=True):
        s.registers[argument] = value
    last = block.last_op
    assert last is not None
    with _Scope(s):
        lower_block(s, checks, [op for op in block.ops if op is not last], {})
        return [_passed(s, value) for value in last.operands]


def _passed(s: Lowering, value: SSAValue) -> SSAValue:
    return s.element(value, ())


def _for(s: Lowering, checks: Checks, op: scf.ForOp) -> None:
    low, high, step = (s.size(s.extents.scalar(bound)) for bound in (op.lb, op.ub, op.step))
    carried = [_passed(s, value) for value in op.iter_args]
    assert isinstance(step, int)

    def body(i: SSAValue, travelling: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        return _body(s, checks, op.body.block, [s.b.to_integer(i), *travelling])

    results = s.b.loop(low, high, carried, body, step)
    s.registers.update(zip(op.results, results, strict=True))


def _if(s: Lowering, checks: Checks, op: scf.IfOp) -> None:
    condition = _passed(s, op.cond)
    assert condition.type == i1
    results = s.b.branch(
        condition,
        lambda: _body(s, checks, op.true_region.block, ()),
        lambda: _body(s, checks, op.false_region.block, ()) if op.false_region.blocks else (),
    )
    s.registers.update(zip(op.results, results, strict=True))


def _while(s: Lowering, checks: Checks, op: scf.WhileOp) -> None:
    def test(carried: tuple[SSAValue, ...]) -> tuple[SSAValue, Sequence[SSAValue]]:
        condition, *passed = _body(s, checks, op.before_region.block, carried)
        return condition, passed

    results = s.b.repeat(
        [_passed(s, value) for value in op.arguments],
        test,
        lambda passed: _body(s, checks, op.after_region.block, passed),
    )
    s.registers.update(zip(op.results, results, strict=True))
