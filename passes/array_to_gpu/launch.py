"""Launches: grids of threads, and the positions that each of them visits."""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.dialects import arith, gpu, scf
from xdsl.dialects.builtin import IntegerAttr, StringAttr, UnitAttr, i32
from xdsl.ir import Block, Region, SSAValue

from flowc.dialects import device
from flowc.passes.array_to_gpu.limits import BLOCK, MOST_BLOCKS
from flowc.passes.array_to_gpu.lowering import DeviceLowering, Lane
from flowc.passes.array_to_loops.builder import Index, index_type


@frozen
class Threads:
    """What a thread knows of itself: its block and its place in it, each by x, y and z, and the sizes of the
    grid and of a block."""

    block: tuple[SSAValue, ...]
    thread: tuple[SSAValue, ...]
    blocks: tuple[SSAValue, ...]
    threads: tuple[SSAValue, ...]


def launch(
    s: DeviceLowering,
    name: str,
    blocks: Sequence[Index],
    threads: Sequence[int],
    body: Callable[[Threads], None],
    shared: Index = 0,
) -> None:
    """Runs `body` in every thread of a grid; sizes are those of up to three axes, `shared` the bytes of
    dynamic shared memory."""
    outer, inner = s.b.block, Block(arg_types=[index_type] * 12)
    s.b.block = inner
    ids = [tuple(inner.args[first : first + 3]) for first in (0, 3, 6, 9)]
    body(Threads(*ids))
    s.b.append(gpu.TerminatorOp())  # type: ignore[no-untyped-call]
    s.b.block = outer
    grid, block = ([s.b.index(size) for size in (*given, 1, 1)[:3]] for given in (blocks, threads))
    bytes_ = None
    if isinstance(shared, SSAValue):
        bytes_ = s.b.insert(arith.IndexCastOp(shared, i32))
    elif shared:
        bytes_ = s.b.insert(arith.ConstantOp(IntegerAttr(shared, i32)))
    op = gpu.LaunchOp(Region(inner), grid, block, dynamicSharedMemorySize=bytes_)
    op.attributes[device.NAME] = StringAttr(name)
    if s.narrow:
        op.attributes[device.NARROW] = UnitAttr()
    s.b.append(op)


def blocks_for(s: DeviceLowering, positions: Index, each: Index = BLOCK, most: int = MOST_BLOCKS) -> Index:
    """Blocks that visit so many positions, `each` of them at once; none where there are none."""
    return s.top.min(s.top.ceiling(positions, each), most)


def unravelled(s: DeviceLowering, position: Index, sizes: Sequence[Index]) -> tuple[Index, ...]:
    """The position along each axis of one along all of them, the last fastest."""
    found: list[Index] = []
    for size in reversed(sizes[1:]):
        found.append(s.b.remainder(position, size))
        position = s.b.quotient(position, size)
    return (position, *reversed(found)) if sizes else ()


def strided(
    s: DeviceLowering, threads: Threads, count: Index, body: Callable[[SSAValue], None], each: int = BLOCK
) -> None:
    """Runs `body` for the positions below `count` that belong to a thread of a grid along x."""
    first = s.b.add(s.b.mul(threads.block[0], each), threads.thread[0])
    stride = s.b.mul(threads.blocks[0], each)

    def step(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        body(i)
        return ()

    s.b.loop(first, count, (), step, step=stride)


def sweep(
    s: DeviceLowering,
    sizes: Sequence[Index],
    body: Callable[[tuple[Index, ...]], None],
    name: str = "sweep",
) -> None:
    """A launch that runs `body` at all positions below `sizes`, in any order."""
    if not sizes:
        launch(s, name, [1], [1], lambda _: body(()))
        return
    total = s.counted(sizes)
    launch(
        s,
        name,
        [blocks_for(s, total)],
        [BLOCK],
        lambda threads: strided(s, threads, total, lambda i: body(unravelled(s, i, sizes))),
    )


def neighbours(s: DeviceLowering, base: SSAValue, count: int) -> list[SSAValue]:
    """`count` positions from `base` on, which are visited as the lanes of a vector."""
    if count == 1:
        return [base]
    found = [s.b.insert(arith.AddiOp(base, s.b.index(number))) for number in range(count)]
    s.lanes |= {position: Lane(base, number, count) for number, position in enumerate(found)}
    return found


def barrier(s: DeviceLowering) -> None:
    """Waits for all threads of the block, which must get here together, and for what they wrote."""
    s.b.append(gpu.BarrierOp())  # type: ignore[no-untyped-call]


def only_if(s: DeviceLowering, condition: SSAValue | bool, body: Callable[[], object]) -> None:
    """Runs `body` where a condition holds."""
    if isinstance(condition, bool):
        if condition:
            body()
        return
    outer, inner = s.b.block, Block()
    s.b.block = inner
    body()
    s.b.append(scf.YieldOp())
    s.b.block = outer
    nothing = Block()
    nothing.add_op(scf.YieldOp())
    s.b.append(scf.IfOp(condition, [], Region(inner), Region(nothing)))
