"""Lowering memory and control flow: each straight-line run of operators is a segment of its own."""

from collections.abc import Mapping, Sequence

from xdsl.dialects import scf
from xdsl.dialects.builtin import i1
from xdsl.ir import Block, Operation, SSAValue

from flowc.dialects.array import irregular, memory
from flowc.dialects.array.reshape import ReshapeOp
from flowc.dialects.array.types import dtype_of
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.checks import Checks
from flowc.passes.array_to_loops.conditions import check
from flowc.passes.array_to_loops.elements import Lowering, Place
from flowc.passes.array_to_loops.lifetimes import end_lifetimes
from flowc.passes.array_to_loops.overlap import scatters_in_place
from flowc.passes.array_to_loops.reshape import lower_reshape
from flowc.passes.array_to_loops.segment import copy, lower_segment
from flowc.passes.array_to_loops.writes import Run, lower_run, lower_write, lower_writes


def lower_block(
    s: Lowering, checks: Checks, operations: Sequence[Operation], destinations: Mapping[SSAValue, Place]
) -> None:
    """Lowers the operators of a block in order; the block's terminator is the caller's."""
    run = Run(destinations)
    for op in operations:
        if isinstance(op, memory.ReadOp):
            if op.ref in run.written:
                lower_writes(s, checks, run)
            s.b.location = s.top.location = op.location
            s.settle(op.result, Place(s.buffers[op.ref]))
        elif not _interrupts(op):
            run.waiting.append(op)
        elif isinstance(op, memory.WriteOp):
            lower_write(s, checks, run, op)
        elif isinstance(op, memory.VariableOp):
            lower_writes(s, checks, run)
            _variable(s, checks, op, run.waiting, destinations)
            run.waiting = []
        else:
            lower_run(s, checks, run)
            s.b.location = s.top.location = op.location
            _control(s, checks, op)
    lower_run(s, checks, run)


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
            check(s, checks, op)
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
        if _sizes_wait(s, op.source, waiting):
            lower_segment(s, checks, waiting[:-1], destinations)
            waiting = waiting[-1:]
        _keep(s, op.result, s.allocate(scalars.stored_type(dtype_of(op.source.type)), s.sizes(op.source)))
    place = Place(s.buffers[op.result])
    if waiting:
        lower_segment(s, checks, waiting, {**destinations, op.source: place})
        return
    copy(s, op.source, place)


def _sizes_wait(s: Lowering, value: SSAValue, waiting: Sequence[Operation]) -> bool:
    """Whether what the extents of a value need may still be waiting."""
    return bool(waiting) and any(map(_is_of_run, s.extents.shape(value)))


def _is_of_run(extent: object) -> bool:
    """Whether an extent depends on a number that only the kernel computes."""
    return isinstance(extent, tuple) and (extent[0] == "value" or any(map(_is_of_run, extent[1:])))


def _reshaped(value: SSAValue) -> bool:
    return isinstance(value.owner, ReshapeOp)


def _made_for(value: SSAValue, user: Operation, waiting: Sequence[Operation]) -> bool:
    """Whether the last operator of a segment makes a value for this one user only."""
    return bool(waiting) and value.owner is waiting[-1] and all(use.operation is user for use in value.uses)


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

    def body(i: SSAValue, travelling: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        return _body(s, checks, op.body.block, [s.b.to_integer(i), *travelling])

    results = s.b.loop(low, high, carried, body, step)
    if results:
        s.written.append(results[0].owner)
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
