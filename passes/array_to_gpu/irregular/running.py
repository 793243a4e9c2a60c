"""What runs along lines: how elements are combined with those before them, and how lanes and warps that hold
neighbouring elements tell one another what stands before each."""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.dialects import arith, gpu
from xdsl.dialects.builtin import i32
from xdsl.ir import SSAValue

from flowc.dialects import device
from flowc.passes.array_to_gpu.launch import only_if
from flowc.passes.array_to_gpu.limits import WARP, WARPS
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.reductions import combine, identity

Values = Sequence[SSAValue]
Emit = Callable[[Sequence[Index], Sequence[Index], Values, Values], None]


@frozen(eq=False)
class Running:
    """What runs along lines of `length` elements, of which there are as many as positions below `lines`.

    `value` gives the element, held in `dtype`, at a position along a line; `emit` takes what has run up to
    before each of some neighbouring positions of a line, and what has run up to each of them.
    """

    kind: str
    dtype: str
    lines: Sequence[Index]
    length: Index
    value: Callable[[Sequence[Index], Index], SSAValue]
    emit: Emit


def start(s: DeviceLowering, running: Running) -> SSAValue:
    """What has run up to the first element."""
    return identity(s.b, running.kind, running.dtype)


def combined(s: DeviceLowering, running: Running, before: SSAValue, later: SSAValue) -> SSAValue:
    """Both together; unlike in a reduction, no other order of the operations may be taken."""
    if running.dtype == "f64" and running.kind in ("sum", "prod"):
        return s.b.insert((arith.AddfOp if running.kind == "sum" else arith.MulfOp)(before, later))
    return combine(s.b, running.kind, before, later, running.dtype)


def ahead_in_warp(
    s: DeviceLowering, running: Running, value: SSAValue, lane: SSAValue
) -> tuple[SSAValue, SSAValue]:
    """What the lanes before each lane hold together, and what all of them do."""
    value = _up_to(s, running, value, lane)
    total = s.b.insert(device.ShuffleOp("idx", value, s.b.constant(WARP - 1, i32)))
    return _before(s, running, value, lane), total


def ahead_in_block(
    s: DeviceLowering, running: Running, value: SSAValue, thread: SSAValue, totals: SSAValue
) -> tuple[SSAValue, SSAValue]:
    """What the threads before each thread of a block hold together, and what all of them do; `totals` is
    shared memory for one value a warp. All threads must get here."""
    lane, warp = s.b.index(s.b.remainder(thread, WARP)), s.b.index(s.b.quotient(thread, WARP))
    value = _up_to(s, running, value, lane)
    before = _before(s, running, value, lane)
    s.b.append(gpu.BarrierOp.create())
    last = s.b.compare("eq", lane, s.b.index(WARP - 1))
    only_if(s, last, lambda: scalars.store(s.b, value, totals, [warp]))
    s.b.append(gpu.BarrierOp.create())
    ahead = total = start(s, running)
    for number in range(WARPS):
        total = combined(s, running, total, scalars.load(s.b, totals, [number], running.dtype))
        further = s.b.compare("sgt", warp, s.b.index(number))
        ahead = s.b.select(further, total, ahead)
    return combined(s, running, ahead, before), total


def _up_to(s: DeviceLowering, running: Running, value: SSAValue, lane: SSAValue) -> SSAValue:
    """What the lanes up to each lane hold together."""
    distance = 1
    while distance < WARP:
        other = s.b.insert(device.ShuffleOp("up", value, s.b.constant(distance, i32)))
        has = s.b.compare("sge", lane, s.b.index(distance))
        value = s.b.select(has, combined(s, running, other, value), value)
        distance *= 2
    return value


def _before(s: DeviceLowering, running: Running, value: SSAValue, lane: SSAValue) -> SSAValue:
    """What the lane before each lane has."""
    before = s.b.insert(device.ShuffleOp("up", value, s.b.constant(1, i32)))
    return s.b.select(s.b.compare("eq", lane, s.b.index(0)), start(s, running), before)
