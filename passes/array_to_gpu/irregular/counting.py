"""Counting by groups: blocks count in shared memory where that has room, and add what they found to the
result."""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.dialects import arith, gpu
from xdsl.dialects.builtin import i32, i64
from xdsl.ir import SSAValue

from flowc.dialects import device
from flowc.passes.array_to_gpu.either import either
from flowc.passes.array_to_gpu.irregular.atomics import change
from flowc.passes.array_to_gpu.irregular.grouping import ROUNDS, Visit, visit, visited
from flowc.passes.array_to_gpu.launch import Threads, blocks_for, launch, only_if, sweep
from flowc.passes.array_to_gpu.limits import BLOCK
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops.builder import Index

MOST_SHARED = 8192
"""Groups whose counts fit into shared memory, several blocks of them on a multiprocessor."""
EACH = 4
"""So many times the elements that a thread reads at once are its own, before there is another block."""
MOST_BLOCKS = 1024
COUNT_BYTES = 4


@frozen(eq=False)
class Counting:
    """What is counted: `entry` gives the group of the element at a position below `sizes`, one of `entries`,
    and whether it has one, from the elements of `source`. The i64 counts go to `destination`."""

    name: str
    entries: Index
    sizes: Sequence[Index]
    entry: Callable[[Sequence[Index]], tuple[SSAValue, SSAValue]]
    source: SSAValue
    destination: SSAValue


def count(s: DeviceLowering, c: Counting) -> None:
    """Launches that count."""
    sweep(s, [c.entries], lambda at: s.b.store(s.b.constant(0, i64), c.destination, at), f"{c.name}_begin")
    entries = c.entries
    fits = (
        entries <= MOST_SHARED
        if isinstance(entries, int)
        else s.b.compare("sle", entries, s.b.index(MOST_SHARED))
    )
    either(s, fits, lambda: _in_blocks(s, c), lambda: _at_once(s, c))


def _at_once(s: DeviceLowering, c: Counting) -> None:
    """Every element is added to memory."""

    def act(element: Sequence[SSAValue]) -> None:
        entry, has = element
        only_if(s, has, lambda: change(s, "sum", s.b.constant(1, i64), c.destination, [entry]))

    visit(s, c.name, Visit(c.sizes, c.entry, act, [c.source]))


def _in_blocks(s: DeviceLowering, c: Counting) -> None:
    """Each block counts what its threads visit."""
    total = s.top.product(c.sizes)

    def body(threads: Threads) -> None:
        counts = s.b.insert(device.SharedAtOp(s.b.index(0), i32, [c.entries]))

        def each(body: Callable[[SSAValue], None]) -> None:
            def one(entry: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
                body(entry)
                return ()

            s.b.loop(threads.thread[0], c.entries, (), one, step=BLOCK)

        def act(element: Sequence[SSAValue]) -> None:
            entry, has = element
            only_if(s, has, lambda: change(s, "sum", s.b.constant(1, i32), counts, [entry]))

        def leave(entry: SSAValue) -> None:
            found = s.b.load(counts, [entry])
            some = s.b.compare("ne", found, s.b.constant(0, i32))
            wide = s.b.convert(arith.ExtUIOp, found, i64)
            only_if(s, some, lambda: change(s, "sum", wide, c.destination, [entry]))

        each(lambda entry: s.b.store(s.b.constant(0, i32), counts, [entry]))
        s.b.append(gpu.BarrierOp.create())
        visited(s, threads, total, Visit(c.sizes, c.entry, act, [c.source]))
        s.b.append(gpu.BarrierOp.create())
        each(leave)

    blocks = blocks_for(s, total, BLOCK * ROUNDS * EACH, MOST_BLOCKS)
    launch(s, c.name, [blocks], [BLOCK], body, shared=s.top.mul(s.top.max(c.entries, 1), COUNT_BYTES))
