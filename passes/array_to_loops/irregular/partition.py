"""Rows of keys as vectors: parting a range by a pivot, and sorting a few vectors at once.

A range is parted in place. What is less than the pivot is packed to the front, never further than what has
been read; the rest goes to other memory and is copied behind it. The last vector of a range is masked, so
nothing outside the range is touched.
"""

from collections.abc import Sequence

from attrs import frozen
from xdsl.dialects import arith, vector
from xdsl.dialects.builtin import IntegerAttr, VectorType, i1, i64
from xdsl.ir import Attribute, SSAValue

from flowc.dialects.loops import PackOp, SortOp
from flowc.passes.array_to_loops.builder import Index, LoopBuilder

SORTED = 32
"""So many vectors are sorted at once."""
UNROLLED = 4
BELOW = 6
"""The comparison of unsigned integers, as `arith.cmpi` numbers it."""


@frozen
class Row:
    """A row of keys in memory: the buffer, and the positions before the last axis."""

    buffer: SSAValue
    at: Sequence[Index] = ()


@frozen
class KeyVectors:
    """Vectors of keys of one type."""

    b: LoopBuilder
    type: Attribute
    lanes: int

    @property
    def vector_type(self) -> VectorType:
        """The type of a vector."""
        return VectorType(self.type, [self.lanes])

    def splat(self, value: SSAValue) -> SSAValue:
        """The key in every lane."""
        return self.b.insert(vector.BroadcastOp(value, self.vector_type))

    @property
    def few(self) -> int:
        """So many keys are sorted at once."""
        return SORTED * self.lanes

    @property
    def mask_type(self) -> VectorType:
        """The type of a truth value a lane."""
        return VectorType(i1, [self.lanes])

    def mask(self, count: Index) -> SSAValue:
        """The lanes before a place."""
        return self.b.insert(vector.CreateMaskOp([self.b.index(count)], self.mask_type))

    def less(self, one: SSAValue, other: SSAValue) -> SSAValue:
        """The lanes in which one key comes before the other."""
        predicate = {"predicate": IntegerAttr(BELOW, i64)}
        op = arith.CmpiOp.create(operands=[one, other], result_types=[self.mask_type], properties=predicate)
        return self.b.insert(op)

    def load(self, row: Row, i: Index, mask: SSAValue | None = None) -> SSAValue:
        """Neighbouring keys; those outside of a mask are the greatest."""
        at = [self.b.index(k) for k in (*row.at, i)]
        if mask is None:
            return self.b.insert(vector.LoadOp(row.buffer, at, self.vector_type))
        greatest = self.splat(self.b.constant(-1, self.type))
        return self.b.insert(vector.MaskedLoadOp(row.buffer, at, mask, greatest))

    def store(self, value: SSAValue, row: Row, i: Index, mask: SSAValue | None = None) -> None:
        """Stores neighbouring keys, those of a mask."""
        at = [self.b.index(k) for k in (*row.at, i)]
        if mask is None:
            self.b.append(vector.StoreOp(value, row.buffer, at))
        else:
            self.b.append(vector.MaskedStoreOp(row.buffer, at, mask, value))

    def pack(self, value: SSAValue, mask: SSAValue) -> tuple[SSAValue, SSAValue]:
        """The keys of a mask, and how many they are."""
        op = PackOp(value, mask)
        self.b.append(op)
        return op.packed, op.count


def sort_few(k: KeyVectors, row: Row, low: Index, high: Index) -> None:
    """Sorts a range of at most `few` keys."""
    first = [k.b.index(i) for i in (*row.at, low)]
    k.b.append(SortOp(row.buffer, first, k.b.index(k.b.sub(high, low)), k.lanes))


def part(k: KeyVectors, row: Row, spare: Row, low: Index, high: Index, pivot: SSAValue) -> SSAValue:
    """Moves the keys of a range that are less than the pivot to its front; gives where the rest begins."""
    b, bound, every = k.b, k.splat(pivot), k.mask(k.lanes)
    step = UNROLLED * k.lanes
    whole = b.add(low, b.mul(b.floordiv(b.sub(high, low), step), step))

    def vectors(i: SSAValue, ends: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        front, behind = ends
        for value in [k.load(row, b.add(i, number * k.lanes)) for number in range(UNROLLED)]:
            less = k.less(value, bound)
            packed, count = k.pack(value, less)
            k.store(packed, row, front)
            packed, _ = k.pack(value, b.insert(arith.XOrIOp(less, every)))
            k.store(packed, spare, behind)
            front = b.index(b.add(front, count))
            behind = b.index(b.add(behind, b.sub(k.lanes, count)))
        return front, behind

    def last(i: SSAValue, ends: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        front, behind = ends
        inside = k.mask(b.sub(high, i))
        value = k.load(row, i, inside)
        less = b.insert(arith.AndIOp(inside, k.less(value, bound)))
        rest = b.insert(arith.XOrIOp(inside, less))
        (few, count), (others, left) = k.pack(value, less), k.pack(value, rest)
        k.store(few, row, front, k.mask(count))
        k.store(others, spare, behind, k.mask(left))
        return b.index(b.add(front, count)), b.index(b.add(behind, left))

    ends = b.loop(low, whole, (b.index(low), b.index(low)), vectors, step, plain=True)
    middle, behind = b.loop(whole, high, ends, last, k.lanes, plain=True)
    copy(k, (spare, low), (row, middle), b.sub(behind, low))
    return middle


def copy(k: KeyVectors, source: tuple[Row, Index], target: tuple[Row, Index], count: Index) -> None:
    """Copies keys from one row to another, each from a position on."""

    def some(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        inside = k.mask(k.b.sub(count, i))
        value = k.load(source[0], k.b.add(source[1], i), inside)
        k.store(value, target[0], k.b.add(target[1], i), inside)
        return ()

    k.b.loop(0, count, (), some, k.lanes, plain=True)
