"""Sweeps over arrays that are put together from parts, such as an image within a border: piece by piece, so
that most positions need not ask which part they fall into.

Along an axis the sweep is cut where a part near its start ends and where one near its end begins. Between
these cuts every position is known to lie in the long part, and reads it as if nothing had been put together.
Which cut is near which end is guessed from the way extents are written: a wrong guess makes the middle short,
never false.
"""

from collections.abc import Callable, Iterator, Sequence

from attrs import frozen
from xdsl.ir import Operation, SSAValue

from flowc.dialects.array import ops
from flowc.passes.array_extents import Expression, combine
from flowc.passes.array_to_loops.builder import Index, Range
from flowc.passes.array_to_loops.elements import Between, Lowering
from flowc.passes.array_to_loops.stages import operands_along
from flowc.passes.long_extents import is_long

Sweep = Callable[[Sequence[Range], Callable[[tuple[Index, ...]], None], bool], None]
"""Goes through ranges, says of each position what is known of it, and whether the last of them is short."""


@frozen
class _Piece:
    """A part of the positions of a sweep, with what is known along each axis; `short` along the last."""

    ranges: tuple[Range, ...]
    known: tuple[Between | None, ...]
    short: bool = False


def sweep_pieces(s: Lowering, values: Sequence[SSAValue], ranges: Sequence[Range], sweep: Sweep) -> None:
    """A sweep that computes `values`, cut at their seams."""

    def level(axis: int, piece: _Piece) -> None:
        if axis == len(ranges):
            sweep(piece.ranges, lambda at: _know(s, piece, at), piece.short)
            return
        between = _between(s, values, axis)
        if between is None:
            level(axis + 1, piece)
            return
        here = piece.ranges[axis]
        first, last, end = _cut(s, here, between)
        innermost = axis == len(ranges) - 1

        def one_end(number: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            before = s.b.compare("eq", number, s.b.index(0))
            low = s.b.select(before, s.b.index(here.low), last)
            high = s.b.select(before, first, end)
            level(axis + 1, _placed(piece, axis, Range(low, high), None, innermost))
            return ()

        s.b.loop(0, 2, (), one_end, plain=True)
        level(axis + 1, _placed(piece, axis, Range(first, last), between, False))

    level(0, _Piece(tuple(ranges), (None,) * len(ranges)))


def _placed(piece: _Piece, axis: int, here: Range, known: Between | None, short: bool) -> _Piece:
    ranges = (*piece.ranges[:axis], here, *piece.ranges[axis + 1 :])
    return _Piece(ranges, (*piece.known[:axis], known, *piece.known[axis + 1 :]), short)


def _cut(s: Lowering, here: Range, between: Between) -> tuple[SSAValue, SSAValue, SSAValue]:
    """Where the middle of a range begins and ends, empty if the cuts leave none, and where the range ends."""
    end = s.b.add(here.low, 1) if here.single else here.high
    first, last = here.low, end
    for low in between.lows:
        first = s.b.max(first, s.size(low))
    first = s.b.min(first, end)
    for high in between.highs:
        last = s.b.min(last, s.size(high))
    return s.b.index(first), s.b.index(s.b.max(first, last)), s.b.index(end)


def _know(s: Lowering, piece: _Piece, at: tuple[Index, ...]) -> None:
    for i, known in zip(at, piece.known, strict=True):
        if known is not None and isinstance(i, SSAValue):
            s.between[i] = known


def _between(s: Lowering, values: Sequence[SSAValue], axis: int) -> Between | None:
    """What is to be known of positions along an axis; None where there is no seam."""
    if not is_long(s.extents, s.extents.extent(values[0], axis)):
        return None
    cuts = dict.fromkeys(_cuts(s, values, axis))
    far = {cut: is_long(s.extents, cut) for cut in cuts}
    between = Between(*(tuple(cut for cut in cuts if far[cut] is side) for side in (False, True)))
    return between if between.lows or between.highs else None


def _cuts(s: Lowering, values: Sequence[SSAValue], along: int) -> Iterator[Expression]:
    """The positions along an axis of a sweep where parts end of which its values are computed."""
    pending: list[tuple[SSAValue, int, Expression]] = [(value, along, 0) for value in values]
    seen: set[tuple[SSAValue, int, Expression]] = set()
    while pending:
        here = pending.pop()
        value, axis, moved = here
        op = value.owner
        if here in seen or not isinstance(op, Operation):
            continue
        seen.add(here)
        if s.stored(value):
            continue
        if isinstance(op, ops.ConcatOp) and axis == op.axis.value.data:
            for number, part in enumerate(op.inputs):
                if number:
                    yield combine("sub", 0, moved)
                pending.append((part, axis, moved))
                moved = combine("sub", moved, s.extents.extent(part, axis))
        elif isinstance(op, ops.SliceOp):
            start, step, _ = s.extents.slice_range(op, axis)
            if step == 1:
                pending.append((op.source, axis, combine("add", moved, start)))
        else:
            pending += [
                (operand, own, moved)
                for operand, own in operands_along(s.extents, op, value, axis)
                if own is not None
            ]
