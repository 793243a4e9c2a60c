"""Launches of what runs along lines: each element is combined with all before it on its line.

A line is cut into parts, each in the hands of one warp or of one thread: first the total of each part, then
what stands before it, then all parts at once. A line of one part is gone through once. How lines are cut
depends on their number and length alone, and so does the result.
"""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.ir import SSAValue

from flowc.dialects import device
from flowc.dialects.array.kinds import compute_dtype
from flowc.passes.array_to_gpu.across import across_warp
from flowc.passes.array_to_gpu.irregular.running import Running, ahead_in_block, combined, start
from flowc.passes.array_to_gpu.irregular.tiles import Hands, Part, run_along, total_of
from flowc.passes.array_to_gpu.launch import Threads, blocks_for, launch, only_if, unravelled
from flowc.passes.array_to_gpu.limits import BLOCK, WARP, WARPS
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.reductions import Carried

PART = 1024
"""The length of parts in the hands of warps is a multiple of this, which every tile divides."""
MOST_WARPS = 4096
"""Parts of all lines in the hands of warps, about: what a large device runs at once."""
SHORT_PART = 64
"""The least length of a part in the hands of one thread."""
MOST_THREADS = 1 << 16
AT_ONCE = 8
"""Elements that a thread alone reads ahead of those that it stores."""
VECTORS = 2
"""Neighbouring vectors that a thread of a warp takes at a time."""
ITEMS = 4
"""Totals of neighbouring parts that a thread combines at a time."""


@frozen
class Cut:
    """How lines are cut: `parts` of `each` elements, and memory, by line and part, for what stands before
    each part; None where there is one part."""

    parts: Index
    each: Index
    before: SSAValue | None


def cut_for_warps(s: DeviceLowering, running: Running) -> Cut:
    """Cuts lines whose elements lie side by side."""
    return _cut(s, running, PART, PART, MOST_WARPS)


def cut_for_threads(s: DeviceLowering, running: Running) -> Cut:
    """Cuts lines that lie beside one another."""
    return _cut(s, running, SHORT_PART, AT_ONCE, MOST_THREADS)


def _cut(s: DeviceLowering, running: Running, least: int, multiple: int, most: int) -> Cut:
    b, count = s.top, s.top.product(running.lines)
    wanted = b.max(b.min(b.ceiling(running.length, least), b.quotient(most, b.max(count, 1))), 1)
    each = b.max(b.mul(b.ceiling(b.ceiling(running.length, wanted), multiple), multiple), multiple)
    parts = b.max(b.ceiling(running.length, each), 1)
    if parts == 1:
        return Cut(1, each, None)
    kept = b.max(_where_several(s, parts, count), 1)
    held = scalars.stored_type(compute_dtype(running.dtype))
    return Cut(parts, each, s.allocate(held, [kept, parts]))


def _where_several(s: DeviceLowering, parts: Index, count: Index) -> Index:
    """A count where lines have several parts, else 0."""
    if isinstance(parts, int):
        return count
    several = s.top.compare("sgt", parts, s.top.index(1))
    return s.top.select(several, s.top.index(count), s.top.index(0))


def run_by_warps(s: DeviceLowering, running: Running, cut: Cut, name: str, lanes: int) -> None:
    """Launches what runs along lines whose elements lie side by side; a thread takes vectors of `lanes`."""

    def merge(one: Carried, other: Carried) -> Carried:
        return (combined(s, running, one[0], other[0]),)

    def total(line: Index, part: Index, lane: SSAValue | None) -> None:
        assert lane is not None
        own = total_of(s, running, Hands(lane, VECTORS, lanes), _part(s, running, cut, line, part))
        (found,) = across_warp(s, (own,), merge, lane)
        first = s.b.compare("eq", lane, s.b.index(0))
        only_if(s, first, lambda: _keep(s, cut, line, part, found))

    def run(line: Index, part: Index, lane: SSAValue | None) -> None:
        before = _before(s, running, cut, line, part)
        run_along(s, running, Hands(lane, VECTORS, lanes), _part(s, running, cut, line, part), before)

    def threads(body: _OfPart, pairs: Index) -> Callable[[Threads], None]:
        def here(own: Threads) -> None:
            def pair(number: SSAValue, _: Carried) -> Sequence[SSAValue]:
                body(s.b.quotient(number, cut.parts), s.b.remainder(number, cut.parts), own.thread[0])
                return ()

            first = s.b.add(s.b.mul(own.block[0], WARPS), own.thread[1])
            s.b.loop(first, pairs, (), pair, step=s.b.mul(own.blocks[0], WARPS))

        return here

    def launches(what: str, body: _OfPart, pairs: Index, wanted: Index) -> None:
        launch(s, what, [blocks_for(s, wanted, WARPS)], [WARP, WARPS], threads(body, pairs))

    _launch(s, running, cut, name, total, run, launches)


def run_by_threads(s: DeviceLowering, running: Running, cut: Cut, name: str) -> None:
    """Launches what runs along lines beside one another: neighbouring threads have neighbouring lines."""
    hands, lines = Hands(None, AT_ONCE, 1), s.top.product(running.lines)

    def total(line: Index, part: Index, _: SSAValue | None) -> None:
        _keep(s, cut, line, part, total_of(s, running, hands, _part(s, running, cut, line, part)))

    def run(line: Index, part: Index, _: SSAValue | None) -> None:
        before = _before(s, running, cut, line, part)
        run_along(s, running, hands, _part(s, running, cut, line, part), before)

    def threads(body: _OfPart, pairs: Index) -> Callable[[Threads], None]:
        def here(own: Threads) -> None:
            def pair(number: SSAValue, _: Carried) -> Sequence[SSAValue]:
                line, part = (number, 0) if cut.parts == 1 else _by_line(s, number, lines)
                body(line, part, None)
                return ()

            first = s.b.add(s.b.mul(own.block[0], BLOCK), own.thread[0])
            s.b.loop(first, pairs, (), pair, step=s.b.mul(own.blocks[0], BLOCK))

        return here

    def launches(what: str, body: _OfPart, pairs: Index, wanted: Index) -> None:
        launch(s, what, [blocks_for(s, wanted)], [BLOCK], threads(body, pairs))

    _launch(s, running, cut, name, total, run, launches)


_OfPart = Callable[[Index, Index, SSAValue | None], None]
"""What is done with a part of a line, by a lane of a warp, or None."""


def _by_line(s: DeviceLowering, number: Index, lines: Index) -> tuple[Index, Index]:
    return s.b.remainder(number, lines), s.b.quotient(number, lines)


def _launch(
    s: DeviceLowering,
    running: Running,
    cut: Cut,
    name: str,
    total: _OfPart,
    run: _OfPart,
    launches: Callable[[str, _OfPart, Index, Index], None],
) -> None:
    """The totals of parts where there are several, what stands before them, and all parts."""
    pairs = s.top.mul(s.top.product(running.lines), cut.parts)
    if cut.before is not None:
        launches(f"{name}_totals", total, pairs, _where_several(s, cut.parts, pairs))
        _offsets(s, running, cut, cut.before, name)
    launches(name, run, pairs, pairs)


def _part(s: DeviceLowering, running: Running, cut: Cut, line: Index, part: Index) -> Part:
    outer = unravelled(s, line, running.lines)
    if cut.parts == 1:
        return Part(outer, 0, running.length)
    low = s.b.mul(part, cut.each)
    return Part(outer, low, s.b.min(s.b.add(low, cut.each), running.length))


def _keep(s: DeviceLowering, cut: Cut, line: Index, part: Index, found: SSAValue) -> None:
    assert cut.before is not None
    scalars.store(s.b, found, cut.before, [line, part])


def _before(s: DeviceLowering, running: Running, cut: Cut, line: Index, part: Index) -> SSAValue:
    """What has run up to a part."""
    memory = cut.before
    if memory is None:
        return start(s, running)
    several = s.b.compare("sgt", s.b.index(cut.parts), s.b.index(1))
    return s.b.branch(
        several,
        lambda: (scalars.load(s.b, memory, [line, part], running.dtype),),
        lambda: (start(s, running),),
    )[0]


def _offsets(s: DeviceLowering, running: Running, cut: Cut, memory: SSAValue, name: str) -> None:
    """Puts what stands before each part in the place of its total; a block has a line."""
    count = _where_several(s, cut.parts, s.top.product(running.lines))

    def body(threads: Threads) -> None:
        line, thread = threads.block[0], threads.thread[0]
        totals = s.b.insert(device.SharedOp(scalars.stored_type(compute_dtype(running.dtype)), [WARPS]))

        def tile(base: SSAValue, carried: Carried) -> Sequence[SSAValue]:
            first = s.b.add(base, s.b.mul(thread, ITEMS))
            places = [s.b.index(s.b.add(first, number)) for number in range(ITEMS)]
            inside = [s.b.compare("slt", place, s.b.index(cut.parts)) for place in places]
            own: list[SSAValue] = []
            for place, here in zip(places, inside, strict=True):
                safe = s.b.min(place, s.b.sub(cut.parts, 1))
                value = scalars.load(s.b, memory, [line, safe], running.dtype)
                value = s.b.select(here, value, start(s, running))
                own.append(combined(s, running, own[-1], value) if own else value)
            ahead, total = ahead_in_block(s, running, own[-1], thread, totals)
            before = combined(s, running, carried[0], ahead)
            starts = [before, *(combined(s, running, before, value) for value in own[:-1])]
            for place, here, each in zip(places, inside, starts, strict=True):
                _store_if(s, here, each, memory, (line, place))
            return (combined(s, running, carried[0], total),)

        s.b.loop(0, cut.parts, (start(s, running),), tile, step=BLOCK * ITEMS)

    launch(s, f"{name}_offsets", [count], [BLOCK], body)


def _store_if(
    s: DeviceLowering, condition: SSAValue, value: SSAValue, memory: SSAValue, at: Sequence[Index]
) -> None:
    only_if(s, condition, lambda: scalars.store(s.b, value, memory, at))
