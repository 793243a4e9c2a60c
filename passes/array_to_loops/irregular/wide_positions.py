"""argsort of keys of 64 bits with vectors: what tells the keys of a line apart and a position are one number.

From each key the least of its line is taken, so that close ones leave their upper bits to the position. Of
keys that lie far apart the lowest bits have no room. Where these alone put some few out of order, they are
inserted in their places afterwards; where they do so to many, or these have far to go, another sort has to.
"""

from collections.abc import Sequence

from attrs import frozen
from xdsl.dialects import arith
from xdsl.dialects.builtin import i1, i64
from xdsl.ir import SSAValue

from flowc.passes.array_to_loops.builder import Index, LoopBuilder
from flowc.passes.array_to_loops.irregular.partition import KeyVectors, Row
from flowc.passes.array_to_loops.irregular.quick import Work, quicksort

POSITION_BITS = 16
LONGEST = 1 << POSITION_BITS
"""Longer lines have positions of more bits."""
FEW = 64
"""One element in so many may be out of order."""
MOVES = 8
"""So many places may be gone for each element when those are inserted."""


@frozen
class Line:
    """A line to be sorted: its keys and a copy of them, memory for codes, and a stack for `quicksort`."""

    b: LoopBuilder
    extent: Index
    lanes: int
    keys: Row
    spare: Row
    codes: Row
    stack: SSAValue


def sort_positions(line: Line) -> SSAValue:
    """Puts the positions that sort the keys where the codes are, equal ones in order; whether it did."""
    b = line.b
    least, most = _bounds(line)
    lost = _lost_bits(b, b.insert(arith.SubiOp(most, least)))

    def fill(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        apart = b.insert(arith.ShRUIOp(b.insert(arith.SubiOp(_load(line, line.keys, i), least)), lost))
        high = b.insert(arith.ShLIOp(apart, b.constant(POSITION_BITS, i64)))
        _store(line, b.insert(arith.OrIOp(high, b.to_integer(i))), i)
        return ()

    b.loop(0, line.extent, (), fill)
    work = Work(KeyVectors(b, i64, line.lanes), line.codes, line.spare, line.stack)
    quicksort(work, 0, line.extent, (b.constant(0, i64), b.constant(-1, i64)))
    exact = b.compare("eq", lost, b.constant(0, i64))
    wrong = b.branch(exact, lambda: (b.constant(0, i64),), lambda: (_out_of_order(line),))[0]

    few = b.compare("sle", wrong, b.to_integer(b.floordiv(line.extent, FEW)))
    some = b.insert(arith.AndIOp(few, b.compare("sgt", wrong, b.constant(0, i64))))
    sorted_ = b.branch(some, lambda: (_insert_all(line),), lambda: (few,))[0]

    def finish() -> Sequence[SSAValue]:
        def uncover(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            _store(line, _position(b, _load(line, line.codes, i)), i)
            return ()

        b.loop(0, line.extent, (), uncover)
        return (b.constant(1, i1),)

    return b.branch(sorted_, finish, lambda: (b.constant(0, i1),))[0]


def _bounds(line: Line) -> tuple[SSAValue, ...]:
    """The least and the greatest key."""
    b = line.b

    def step(i: SSAValue, found: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        key = _load(line, line.keys, i)
        return b.insert(arith.MinUIOp(found[0], key)), b.insert(arith.MaxUIOp(found[1], key))

    return b.loop(0, line.extent, (b.constant(-1, i64), b.constant(0, i64)), step)


def _lost_bits(b: LoopBuilder, span: SSAValue) -> SSAValue:
    """How many of the lowest bits of a number have no room beside a position."""
    room, one = b.constant(64 - POSITION_BITS, i64), b.constant(1, i64)

    def too_wide(lost: tuple[SSAValue, ...]) -> tuple[SSAValue, Sequence[SSAValue]]:
        beyond = b.insert(arith.ShRUIOp(b.insert(arith.ShRUIOp(span, lost[0])), room))
        return b.compare("ne", beyond, b.constant(0, i64)), lost

    return b.repeat([b.constant(0, i64)], too_wide, lambda lost: (b.insert(arith.AddiOp(lost[0], one)),))[0]


def _out_of_order(line: Line) -> SSAValue:
    """How many elements the bits that were lost would put before the one in front of them."""
    b = line.b

    def step(i: SSAValue, count: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        before, own = (_load(line, line.codes, place) for place in (b.sub(i, 1), i))
        late = _belongs_before(line, own, _key_of(line, own), before)
        return (b.insert(arith.AddiOp(count[0], b.insert(arith.ExtUIOp(late, i64)))),)

    return b.loop(1, line.extent, (b.constant(0, i64),), step)[0]


def _insert_all(line: Line) -> SSAValue:
    """Moves each element in front of those that the bits that were lost put behind it; whether all could
    be. It stops where these go further than `MOVES` allows, which two rising sequences and a number far
    from them may."""
    b = line.b

    def one(i: SSAValue, left: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        own = _load(line, line.codes, i)
        key = _key_of(line, own)

        def goes_on(at: tuple[SSAValue, ...]) -> tuple[SSAValue, Sequence[SSAValue]]:
            before = _load(line, line.codes, b.max(b.sub(at[0], 1), 0))
            inside = b.compare("sgt", at[0], b.index(b.max(b.sub(i, left[0]), 0)))
            return b.insert(arith.AndIOp(inside, _belongs_before(line, own, key, before))), at

        def move(at: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            ahead = b.index(b.sub(at[0], 1))
            _store(line, _load(line, line.codes, ahead), at[0])
            return (ahead,)

        place = b.repeat([i], goes_on, move)[0]
        _store(line, own, place)
        return (b.index(b.sub(left[0], b.sub(i, place))),)

    left = b.loop(1, line.extent, (b.index(b.mul(line.extent, MOVES)),), one)[0]
    return b.compare("sgt", left, b.index(0))


def _belongs_before(line: Line, own: SSAValue, key: SSAValue, before: SSAValue) -> SSAValue:
    """Whether two codes agree in what they have of their keys, and the second's key is the greater."""
    b = line.b
    room = b.constant(POSITION_BITS, i64)
    alike = b.compare("eq", b.insert(arith.ShRUIOp(own, room)), b.insert(arith.ShRUIOp(before, room)))
    return b.insert(arith.AndIOp(alike, b.compare("ugt", _key_of(line, before), key)))


def _position(b: LoopBuilder, code: SSAValue) -> SSAValue:
    return b.insert(arith.AndIOp(code, b.constant(LONGEST - 1, i64)))


def _key_of(line: Line, code: SSAValue) -> SSAValue:
    return _load(line, line.keys, line.b.to_index(_position(line.b, code)))


def _load(line: Line, row: Row, i: Index) -> SSAValue:
    return line.b.load(row.buffer, [*row.at, i])


def _store(line: Line, code: SSAValue, i: Index) -> None:
    line.b.store(code, line.codes.buffer, [*line.codes.at, i])
