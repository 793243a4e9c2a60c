"""Digits of keys, and what the threads of a warp and of a block find out about them together."""

from collections.abc import Sequence

from xdsl.dialects import arith, math, memref
from xdsl.dialects.builtin import IntegerAttr, i32, i64
from xdsl.ir import SSAValue

from flowc.dialects import device
from flowc.passes.array_to_gpu.launch import barrier
from flowc.passes.array_to_gpu.limits import BLOCK, WARP, WARPS
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops.builder import Index

WIDTH = 8
"""Bits of a digit."""
VALUES = 1 << WIDTH
"""Values of a digit, one for each thread of a block."""


ADD = IntegerAttr(1, i64)
"""The kind of an atomic addition of integers, as MLIR numbers them."""


def add(s: DeviceLowering, value: SSAValue, target: SSAValue, at: Sequence[SSAValue]) -> SSAValue:
    """Adds an i32 to an element of memory in one step; gives what stood there before."""
    return s.b.insert(
        memref.AtomicRMWOp.build(operands=[value, target, at], properties={"kind": ADD}, result_types=[i32])
    )


def digit_of(s: DeviceLowering, key: SSAValue, lowest: Index) -> SSAValue:
    """The digit of a key from a bit on, as i32."""
    shift = s.b.convert(arith.IndexCastOp, s.b.index(lowest), key.type)
    moved = s.b.insert(arith.ShRUIOp(key, shift))
    low = moved if moved.type == i32 else s.b.convert(arith.TruncIOp, moved, i32)
    return s.b.insert(arith.AndIOp(low, s.b.constant(VALUES - 1, i32)))


def peers(s: DeviceLowering, digit: SSAValue, inside: SSAValue) -> SSAValue:
    """The lanes of the warp that have the same digit as this one, among those `inside`, as bits of an i32.
    All 32 lanes must get here."""
    found = s.b.insert(device.BallotOp(inside))
    for bit in range(WIDTH):
        own = s.b.compare(
            "ne", s.b.insert(arith.AndIOp(digit, s.b.constant(1 << bit, i32))), s.b.constant(0, i32)
        )
        with_it = s.b.insert(device.BallotOp(own))
        without = s.b.insert(arith.XOrIOp(with_it, s.b.constant(-1, i32)))
        found = s.b.insert(arith.AndIOp(found, s.b.select(own, with_it, without)))
    return found


def lanes_before(s: DeviceLowering, lane: SSAValue) -> SSAValue:
    """The lanes before one as bits of an i32."""
    count = s.b.convert(arith.IndexCastOp, lane, i32)
    one = s.b.constant(1, i32)
    return s.b.insert(arith.SubiOp(s.b.insert(arith.ShLIOp(one, count)), one))


def how_many(s: DeviceLowering, lanes: SSAValue) -> SSAValue:
    """How many lanes an i32 names."""
    return s.b.insert(math.CtPopOp(lanes))


def leads(s: DeviceLowering, peers: SSAValue, before: SSAValue, inside: SSAValue) -> SSAValue:
    """Whether a lane is the first of its peers."""
    others = s.b.insert(arith.AndIOp(peers, before))
    first = s.b.compare("eq", others, s.b.constant(0, i32))
    return s.b.insert(arith.AndIOp(inside, first))


def sums_before(s: DeviceLowering, values: Sequence[SSAValue], thread: SSAValue) -> list[SSAValue]:
    """For each i32 that the threads of a block have, the sum of those of the threads before this one. All
    threads must get here."""
    lane, warp = s.b.index(s.b.remainder(thread, WARP)), s.b.index(s.b.quotient(thread, WARP))
    shared = [s.b.insert(device.SharedOp(i32, [WARPS])) for _ in values]
    through = [sum_through(s, value, lane) for value in values]
    barrier(s)
    is_last = s.b.compare("eq", lane, s.b.index(WARP - 1))

    def leave() -> Sequence[SSAValue]:
        for total, memory in zip(through, shared, strict=True):
            s.b.store(total, memory, [warp])
        return ()

    s.b.branch(is_last, leave, lambda: ())
    barrier(s)
    found = []
    for value, total, memory in zip(values, through, shared, strict=True):
        own = s.b.insert(arith.SubiOp(total, value))
        for number in range(WARPS - 1):
            counts = s.b.compare("slt", s.b.index(number), warp)
            part = s.b.select(counts, s.b.load(memory, [number]), s.b.constant(0, i32))
            own = s.b.insert(arith.AddiOp(own, part))
        found.append(own)
    return found


def sum_through(s: DeviceLowering, value: SSAValue, lane: SSAValue) -> SSAValue:
    """The sum of the i32 of this lane and those of all lanes before it. All 32 lanes must get here."""
    for distance in (1, 2, 4, 8, 16):
        other = s.b.insert(device.ShuffleOp("up", value, s.b.constant(distance, i32)))
        reaches = s.b.compare("sge", lane, s.b.index(distance))
        value = s.b.insert(arith.AddiOp(value, s.b.select(reaches, other, s.b.constant(0, i32))))
    return value


assert VALUES == BLOCK
