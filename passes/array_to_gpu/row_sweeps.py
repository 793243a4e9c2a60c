"""Ways of threads through a row: in a loop, or written out where they hold all of it in registers."""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.ir import SSAValue

from flowc.passes.array_to_gpu import folding
from flowc.passes.array_to_gpu.either import both
from flowc.passes.array_to_gpu.elementwise import store_at
from flowc.passes.array_to_gpu.folding import Fold
from flowc.passes.array_to_gpu.launch import neighbours, only_if, unravelled
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops.builder import Index, Range
from flowc.passes.array_to_loops.elements import Place
from flowc.passes.array_to_loops.reductions import Carried

ROUND = 16
"""Elements that a thread takes before it adds to what it carries from round to round."""


@frozen
class Hands:
    """The threads that hold a row: how many, the number of this one, and in how many rounds they go through a
    row, `lanes` elements of each at a time; 0 where that is found out as they go. Where it does not hold
    that it `stores`, a thread only helps."""

    count: Index
    thread: SSAValue | None
    lanes: int = 1
    rounds: int = 0
    stores: SSAValue | None = None


def swept(
    s: DeviceLowering,
    ranges: Sequence[Range],
    folds: Sequence[Fold],
    stores: Sequence[tuple[SSAValue, Place]],
    hands: Hands,
) -> list[Carried]:
    """One way through a row: what each reduction carries in this thread at its end."""
    axes = [axis for axis, here in enumerate(ranges) if not here.single]
    sizes = [ranges[axis].high for axis in axes]
    length = s.b.product(sizes)

    def position(i: Index) -> list[Index]:
        inner = dict(zip(axes, _inner(s, i, sizes), strict=True))
        return [inner.get(axis, here.low) for axis, here in enumerate(ranges)]

    if hands.rounds:
        return _written_out(s, length, position, folds, stores, hands)
    return _in_a_loop(s, length, position, folds, stores, hands)


def _inner(s: DeviceLowering, i: Index, sizes: Sequence[Index]) -> tuple[Index, ...]:
    """A position of a row along each of its axes, the same values whenever it is asked for in a block."""
    if len(sizes) == 1 or not isinstance(i, SSAValue):
        return unravelled(s, i, sizes)
    key = (s.b.block, i, tuple(sizes))
    if key not in s.inner:
        s.inner[key] = unravelled(s, i, sizes)
    return s.inner[key]


def _written_out(
    s: DeviceLowering,
    length: Index,
    position: Callable[[Index], list[Index]],
    folds: Sequence[Fold],
    stores: Sequence[tuple[SSAValue, Place]],
    hands: Hands,
) -> list[Carried]:
    """The rounds of a thread one after the other. A round beyond the row's end reads its last vector, and
    what it finds does not count."""
    assert hands.thread is not None
    carried = [folding.start(s, fold) for fold in folds]
    inner = [folding.inner_start(s, fold) for fold in folds]
    pending: list[tuple[SSAValue | None, list[list[Index]]]] = []
    for number in range(hands.rounds):
        base, inside = _place(s, length, hands, number)
        at = [position(i) for i in _neighbours(s, base, hands.lanes)]
        pending.append((inside, at))
        for each in at:
            inner = [folding.step(s, f, part, each, inside) for f, part in zip(folds, inner, strict=True)]
    carried = [folding.absorb(s, f, c, part) for f, c, part in zip(folds, carried, inner, strict=True)]
    for inside, at in pending if stores else ():
        found = [[s.element(value, each) for each in at] for value, _ in stores]

        def store(found: Sequence[Sequence[SSAValue]] = found, at: Sequence[Sequence[Index]] = at) -> None:
            for values, (_, place) in zip(found, stores, strict=True):
                s.store_lanes(values, place, at)

        here = True if inside is None else inside
        only_if(s, here if hands.stores is None else both(s, here, hands.stores), store)
    return carried


def _place(s: DeviceLowering, length: Index, hands: Hands, number: int) -> tuple[SSAValue, SSAValue | None]:
    """Where a round of a thread begins, and whether that is within the row; None where it must be."""
    assert isinstance(hands.count, int)
    key = (s.b.block, number, hands.lanes, hands.count)
    found = s.rounds.get(key)
    if found is not None and found[0] == length:
        return found[1], found[2]
    assert hands.thread is not None
    first = s.b.mul(s.b.index(s.b.add(hands.thread, number * hands.count)), hands.lanes)
    end = (number + 1) * hands.count * hands.lanes
    if isinstance(length, int) and end <= length:
        result: tuple[SSAValue, SSAValue | None] = s.b.index(first), None
    else:
        inside = s.b.compare("slt", s.b.index(first), s.b.index(length))
        last = s.b.sub(length, hands.lanes)
        result = s.b.index(s.b.min(first, last)), inside
    s.rounds[key] = (length, *result)
    return result


def _neighbours(s: DeviceLowering, base: SSAValue, count: int) -> list[SSAValue]:
    """The positions of a vector, the same values whenever they are asked for in a block."""
    key = (s.b.block, base, count)
    if key not in s.visited:
        s.visited[key] = neighbours(s, base, count)
    return s.visited[key]


def _in_a_loop(
    s: DeviceLowering,
    length: Index,
    position: Callable[[Index], list[Index]],
    folds: Sequence[Fold],
    stores: Sequence[tuple[SSAValue, Place]],
    hands: Hands,
) -> list[Carried]:
    """The rounds of a thread as a loop; sums go on from some rounds to the next in a wider type."""
    thread: Index = 0 if hands.thread is None else hands.thread
    steps = s.b.floordiv(length, hands.lanes)
    stored = True if hands.stores is None else hands.stores

    def at(i: SSAValue) -> list[list[Index]]:
        base = s.b.index(s.b.mul(i, hands.lanes))
        return [position(each) for each in neighbours(s, base, hands.lanes)]

    if not folds:

        def visit(i: SSAValue, _: Carried) -> Sequence[SSAValue]:
            only_if(s, stored, lambda: store_at(s, stores, at(i)))
            return ()

        s.b.loop(thread, steps, (), visit, step=hands.count)
        return []
    widths = [len(fold.dtypes) for fold in folds]
    stride = s.b.mul(hands.count, max(ROUND // hands.lanes, 1))

    def some(low: SSAValue, before: Carried) -> Sequence[SSAValue]:
        starts = [folding.inner_start(s, fold) for fold in folds]
        parts = [len(each) for each in starts]

        def one(i: SSAValue, inner: Carried) -> Sequence[SSAValue]:
            here = at(i)
            if stores:
                only_if(s, stored, lambda: store_at(s, stores, here))
            found = folding.split(inner, parts)
            for each in here:
                found = [folding.step(s, f, part, each, None) for f, part in zip(folds, found, strict=True)]
            return [value for part in found for value in part]

        end = s.b.min(s.b.add(s.b.sub(low, thread), stride), steps)
        inner = s.b.loop(low, end, [v for each in starts for v in each], one, step=hands.count)
        both = zip(folds, folding.split(before, widths), folding.split(inner, parts), strict=True)
        return [v for fold, outer, part in both for v in folding.absorb(s, fold, outer, part)]

    first = [value for fold in folds for value in folding.start(s, fold)]
    return folding.split(s.b.loop(thread, steps, first, some, step=stride), widths)
