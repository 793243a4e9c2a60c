"""One part of a line, in the hands of a warp or of one thread, which go through it tile by tile."""

from collections.abc import Callable, Sequence

from attrs import evolve, frozen
from xdsl.ir import SSAValue

from flowc.passes.array_to_gpu.irregular.running import Running, Values, ahead_in_warp, combined, start
from flowc.passes.array_to_gpu.launch import neighbours, only_if
from flowc.passes.array_to_gpu.limits import WARP
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops.builder import Index


@frozen
class Hands:
    """Who goes through a part: a warp, of which this thread is a lane, or one thread, and how many neighbours
    each thread takes at a time: `vectors` of `lanes`."""

    lane: SSAValue | None
    vectors: int
    lanes: int

    @property
    def tile(self) -> int:
        """The elements that all of them take at a time."""
        return self.vectors * self.lanes * (1 if self.lane is None else WARP)


@frozen
class Part:
    """The positions from `low` to below `high` of a line, that at a position of all lines."""

    outer: Sequence[Index]
    low: Index
    high: Index


@frozen(eq=False)
class _Vector:
    """Neighbours: their positions, whether they belong to the part, and what stands there."""

    at: Sequence[SSAValue]
    inside: SSAValue
    values: Values


Tile = Callable[[SSAValue, Index, SSAValue, Hands], SSAValue]


def total_of(s: DeviceLowering, running: Running, hands: Hands, part: Part) -> SSAValue:
    """What this thread's elements of a part come to."""

    def tile(base: SSAValue, end: Index, carried: SSAValue, here: Hands) -> SSAValue:
        for each in _vectors(s, running, here, part.outer, base, end):
            for value in each.values:
                carried = combined(s, running, carried, value)
        return carried

    return _in_tiles(s, hands, part, start(s, running), tile)


def run_along(s: DeviceLowering, running: Running, hands: Hands, part: Part, first: SSAValue) -> None:
    """Goes through a part, from what has run up to it."""

    def tile(base: SSAValue, end: Index, carried: SSAValue, here: Hands) -> SSAValue:
        vectors = _vectors(s, running, here, part.outer, base, end)
        own: list[SSAValue] = []
        for value in (value for each in vectors for value in each.values):
            own.append(combined(s, running, own[-1], value) if own else value)
        before, total = carried, own[-1]
        if here.lane is not None:
            ahead, total = ahead_in_warp(s, running, total, here.lane)
            before = combined(s, running, carried, ahead)
        after = [combined(s, running, before, value) for value in own]
        earlier = [before, *after[:-1]]
        for number, each in enumerate(vectors):
            mine = slice(number * here.lanes, (number + 1) * here.lanes)
            _emit(s, running, part.outer, each, earlier[mine], after[mine])
        return combined(s, running, carried, total)

    _in_tiles(s, hands, part, first, tile)


def _emit(
    s: DeviceLowering,
    running: Running,
    outer: Sequence[Index],
    vector: _Vector,
    before: Values,
    after: Values,
) -> None:
    only_if(s, vector.inside, lambda: running.emit(outer, vector.at, before, after))


def _in_tiles(s: DeviceLowering, hands: Hands, part: Part, first: SSAValue, tile: Tile) -> SSAValue:
    """Goes through a part: whole vectors first, then what is left."""
    low, high = part.low, part.high
    if hands.lanes == 1:
        return _tiles(s, hands, low, high, first, tile)
    whole = s.b.add(low, s.b.mul(s.b.floordiv(s.b.sub(high, low), hands.lanes), hands.lanes))
    carried = _tiles(s, hands, low, whole, first, tile)
    if whole == high:
        return carried
    return _tiles(s, evolve(hands, vectors=1, lanes=1), whole, high, carried, tile)


def _tiles(s: DeviceLowering, hands: Hands, low: Index, high: Index, first: SSAValue, tile: Tile) -> SSAValue:
    def step(base: SSAValue, carried: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        return (tile(base, high, carried[0], hands),)

    return s.b.loop(low, high, (first,), step, step=hands.tile)[0]


def _vectors(
    s: DeviceLowering, running: Running, hands: Hands, outer: Sequence[Index], base: SSAValue, end: Index
) -> list[_Vector]:
    """The vectors of this thread in a tile; one beyond the end is the last vector again, and changes
    nothing."""
    first: Index = base
    if hands.lane is not None:
        first = s.b.add(base, s.b.mul(hands.lane, hands.vectors * hands.lanes))
    found = []
    for number in range(hands.vectors):
        place = s.b.index(s.b.add(first, number * hands.lanes))
        inside = s.b.compare("slt", place, s.b.index(end))
        safe = s.b.index(s.b.min(place, s.b.sub(end, hands.lanes)))
        at = neighbours(s, safe, hands.lanes)
        values = [running.value(outer, i) for i in at]
        nothing = start(s, running)
        found.append(_Vector(at, inside, [s.b.select(inside, value, nothing) for value in values]))
    return found
