"""Grouping on a device: elements are combined by the group that each belongs to, in one of two ways.

Few groups have tables in the shared memory of blocks (`owned`). Many have one table in memory, to which
threads add as they come; for that, numbers are integers (`tables`, `fixed_point`). Which way is taken depends
on extents alone (`grouped`).
"""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.ir import SSAValue

from flowc.passes.array_to_gpu.launch import Threads, blocks_for, launch, only_if, unravelled
from flowc.passes.array_to_gpu.limits import BLOCK
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops.builder import Index

ROUNDS = 4
"""Elements that a thread reads before it does anything with them."""


@frozen(eq=False)
class Grouping:
    """What is grouped: the elements at all positions below `sizes`.

    `kind` is sum, prod, min or max; `dtype`, in which elements are combined, one of f64, f32, i64 and i32,
    f64 for sums and products of floats. `entry` gives the group of a position, below `entries`, and whether
    it has one; `value` the element there; `finish` takes a group and what it comes to, once for each; `start`
    is what a group without elements comes to. `single` says that elements of dtype f64 are numbers of f32.
    """

    name: str
    kind: str
    dtype: str
    start: int | float
    entries: Index
    sizes: Sequence[Index]
    entry: Callable[[Sequence[Index]], tuple[SSAValue, SSAValue]]
    value: Callable[[Sequence[Index]], SSAValue]
    finish: Callable[[Index, SSAValue], None]
    single: bool = False

    def position(self, s: DeviceLowering, i: Index) -> tuple[Index, ...]:
        """The position of an element, given that in row-major order."""
        return unravelled(s, i, self.sizes)


@frozen(eq=False)
class Visit:
    """What threads do at all positions below `sizes`, a few positions at a time: they `read` at each of them,
    and then `act` on what they have read. The elements of values `ahead`, of the same extents, are at hand
    before any of them reads."""

    sizes: Sequence[Index]
    read: Callable[[Sequence[Index]], Sequence[SSAValue]]
    act: Callable[[Sequence[SSAValue]], None]
    ahead: Sequence[SSAValue] = ()


def kept(s: DeviceLowering, used: SSAValue | bool, size: Index) -> Index:
    """The extent of memory that only one way needs: 1 where another one is taken."""
    if isinstance(used, bool):
        return size if used else 1
    return s.b.select(used, s.b.index(size), s.b.index(1))


def visit(s: DeviceLowering, name: str, work: Visit) -> None:
    """A launch whose threads visit each position."""
    count = s.top.product(work.sizes)
    blocks = blocks_for(s, count, BLOCK * ROUNDS)
    launch(s, name, [blocks], [BLOCK], lambda threads: visited(s, threads, count, work))


def visited(s: DeviceLowering, threads: Threads, count: Index, work: Visit) -> None:
    """What a thread visits of `count` positions."""

    def some(first: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        places = [s.b.index(s.b.add(first, number * BLOCK)) for number in range(ROUNDS)]
        inside = [s.b.compare("slt", place, s.b.index(count)) for place in places]
        at = [unravelled(s, s.b.min(place, s.b.sub(count, 1)), work.sizes) for place in places]
        for each in at:
            for value in work.ahead:
                s.element(value, each)
        found = [work.read(each) for each in at]
        for here, values in zip(inside, found, strict=True):
            only_if(s, here, lambda values=values: work.act(values))  # type: ignore[misc]
        return ()

    first = s.b.add(s.b.mul(threads.block[0], BLOCK * ROUNDS), threads.thread[0])
    s.b.loop(first, count, (), some, step=s.b.mul(threads.blocks[0], BLOCK * ROUNDS))
