"""What the threads of a warp, and the warps of a block, find together."""

from collections.abc import Callable
from functools import partial

from xdsl.dialects.builtin import i1, i8, i32
from xdsl.ir import Attribute, SSAValue

from flowc.dialects import device
from flowc.passes.array_to_gpu.launch import barrier, only_if
from flowc.passes.array_to_gpu.limits import WARP
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.reductions import Carried

Merge = Callable[[Carried, Carried], Carried]


def across_warp(
    s: DeviceLowering, carried: Carried, merge: Merge, thread: SSAValue, width: int = WARP
) -> Carried:
    """What `width` neighbouring threads carry together, in each of them; `thread` counts them."""
    distance = width // 2
    while distance:
        mask = s.b.constant(distance, i32)
        other = tuple(s.b.insert(device.ShuffleOp("xor", value, mask)) for value in carried)
        if len(carried) > 1:
            # All threads merge the lower half with the upper one, so that all of them find the same bits.
            half = s.b.remainder(s.b.quotient(thread, distance), 2)
            upper = s.b.compare("ne", s.b.index(half), s.b.index(0))
            low = tuple(map(partial(s.b.select, upper), other, carried))
            high = tuple(map(partial(s.b.select, upper), carried, other))
            carried = merge(low, high)
        else:
            carried = merge(carried, other)
        distance //= 2
    return carried


def across_block(
    s: DeviceLowering, carried: Carried, merge: Merge, thread: SSAValue, threads: int
) -> Carried:
    """What all threads of a block carry together, in each of them. All of them must get here."""
    carried = across_warp(s, carried, merge, thread)
    warps = threads // WARP
    if warps == 1:
        return carried
    shared = [s.b.insert(device.SharedOp(_element(value.type), [warps])) for value in carried]
    first = s.b.compare("eq", s.b.index(s.b.remainder(thread, WARP)), s.b.index(0))
    barrier(s)

    def leave() -> None:
        for value, memory in zip(carried, shared, strict=True):
            s.b.store(scalars.stored(s.b, value, _element(value.type)), memory, [s.b.quotient(thread, WARP)])

    only_if(s, first, leave)
    barrier(s)

    def of_warp(number: int) -> Carried:
        loaded = [s.b.load(memory, [number]) for memory in shared]
        return tuple(
            s.b.compare("ne", found, s.b.constant(0, i8)) if value.type == i1 else found
            for found, value in zip(loaded, carried, strict=True)
        )

    parts = [of_warp(number) for number in range(warps)]
    while len(parts) > 1:
        parts = [merge(one, other) for one, other in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def _element(type_: Attribute) -> Attribute:
    return i8 if type_ == i1 else type_
