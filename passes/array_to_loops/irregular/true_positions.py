"""Where a vector of bools is true, and what stands there: chunks count their true elements, then each stores
positions or elements behind those of the chunks before.

A block of bools, and of the elements, is evaluated into a tile first, as any loop is that becomes vectors.
With AVX-512 those of a vector are packed at a time, unless they are narrow.
"""

from collections.abc import Sequence

from attrs import frozen
from xdsl.dialects import arith, vector
from xdsl.dialects.builtin import FixedBitwidthType, IntegerAttr, VectorType, i8, i64
from xdsl.ir import SSAValue

from flowc.dialects.array import irregular
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.elements import Lowering
from flowc.passes.array_to_loops.irregular.partition import KeyVectors, Row
from flowc.passes.array_to_loops.irregular.ranges import ceil_divide, grain_of, scratch
from flowc.passes.array_to_loops.irregular.vector_sort import PACKING_BITS

LEAST_CHUNK = 1 << 15
BLOCK = 1024
"""So many bools are evaluated at a time."""
PACKED = (32, 64)
"""Elements of so many bits are packed as vectors."""
PADDING = PACKING_BITS // min(PACKED)
"""As many bools as the longest vectors have elements."""
NANOSECONDS = 1
"""What an element costs, about."""
NOT_EQUAL = 1
"""The comparison, as `arith.cmpi` numbers it."""


@frozen
class _Packing:
    """A vector of bools, and what is packed where they are true: elements of another, or else positions."""

    mask: SSAValue
    destination: SSAValue
    values: SSAValue | None = None


@frozen
class _Tiles:
    """The bools of a block, with room for zeros behind them, and what is packed: numbers from 0 on stand for
    positions."""

    bools: SSAValue
    values: SSAValue


@frozen
class _Block:
    """Where a block begins, how long it is, and where its positions go."""

    first: SSAValue
    length: SSAValue
    place: SSAValue


def lower_true_positions(s: Lowering, op: irregular.TruePositionsOp, destination: SSAValue) -> None:
    """The positions in rising order."""
    _lower(s, _Packing(op.source, destination))


def lower_pick(s: Lowering, op: irregular.PickOp, destination: SSAValue) -> None:
    """The elements in order."""
    _lower(s, _Packing(op.mask, destination, op.source))


def _lower(s: Lowering, p: _Packing) -> None:
    b = s.b
    (extent,) = s.sizes(p.mask)
    grain = grain_of(b, extent, LEAST_CHUNK)
    chunks = b.max(ceil_divide(b, extent, grain), 1)
    several = b.compare("sgt", b.index(extent), b.index(grain))

    def with_counts(counts: SSAValue) -> None:
        def count(low: SSAValue, high: SSAValue) -> None:
            def one(i: SSAValue, found: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
                wide = b.convert(arith.ExtUIOp, s.element(p.mask, (i,)), i64)
                return (b.insert(arith.AddiOp(found[0], wide)),)

            b.store(b.loop(low, high, (b.constant(0, i64),), one)[0], counts, [b.quotient(low, grain)])

        def offset(number: SSAValue, before: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            own = b.load(counts, [number])
            b.store(before[0], counts, [number])
            return (b.insert(arith.AddiOp(before[0], own)),)

        def fill(low: SSAValue, high: SSAValue) -> None:
            start = b.to_index(b.load(counts, [b.quotient(low, grain)]))

            def with_tiles(bools: SSAValue, values: SSAValue) -> None:
                _fill(s, p, _Tiles(bools, values), (low, high, start))

            packed = scalars.element_type(p.destination)
            scratch(b, [(i8, [BLOCK + PADDING]), (packed, [BLOCK])], with_tiles)

        b.store(b.constant(0, i64), counts, [0])
        b.parallel(b.select(several, b.index(extent), b.index(0)), grain, extent, count)
        b.loop(0, b.select(several, b.index(chunks), b.index(0)), (b.constant(0, i64),), offset)
        b.parallel(extent, grain, b.mul(extent, NANOSECONDS), fill)

    scratch(b, [(i64, [chunks])], with_counts)


def _fill(s: Lowering, p: _Packing, tiles: _Tiles, chunk: tuple[SSAValue, SSAValue, SSAValue]) -> None:
    """Stores what is packed of a chunk from a place on, block by block."""
    b = s.b
    low, high, start = chunk
    type_ = scalars.element_type(p.destination)
    as_vectors = isinstance(type_, FixedBitwidthType) and type_.bitwidth in PACKED
    store = _packed if as_vectors and s.vector_bits >= PACKING_BITS else _one_by_one
    if p.values is None:
        b.nest([BLOCK], lambda at: b.store(b.to_integer(at[0]), tiles.values, at))

    def block(first: SSAValue, place: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        length = b.index(b.min(b.sub(high, first), BLOCK))

        def evaluate(k: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            scalars.store(b, s.element(p.mask, (b.add(first, k),)), tiles.bools, [k])
            return ()

        def take(k: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            assert p.values is not None
            scalars.store(b, s.element(p.values, (b.add(first, k),)), tiles.values, [k])
            return ()

        b.loop(0, length, (), evaluate)
        if p.values is not None:
            b.loop(0, length, (), take)
        return (store(s, p, tiles, _Block(first, length, place[0])),)

    b.loop(low, high, (start,), block, BLOCK, plain=True)


def _packed(s: Lowering, p: _Packing, tiles: _Tiles, block: _Block) -> SSAValue:
    """Stores what is packed of a block as vectors; gives the place behind it."""
    b, type_ = s.b, scalars.element_type(p.destination)
    assert isinstance(type_, FixedBitwidthType)
    k = KeyVectors(b, type_, PACKING_BITS // type_.bitwidth)
    bytes_ = VectorType(i8, [k.lanes])
    zeros = b.insert(vector.BroadcastOp(b.constant(0, i8), bytes_))
    base = k.splat(b.to_integer(block.first)) if p.values is None else None
    b.append(vector.StoreOp(zeros, tiles.bools, [block.length]))

    def some(i: SSAValue, place: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        bools = b.insert(vector.LoadOp(tiles.bools, [i], bytes_))
        unequal = {"predicate": IntegerAttr(NOT_EQUAL, i64)}
        compared = arith.CmpiOp.create(
            operands=[bools, zeros], result_types=[k.mask_type], properties=unequal
        )
        values = k.load(Row(tiles.values), i)
        if base is not None:
            values = b.insert(arith.AddiOp(base, values))
        packed, count = k.pack(values, b.insert(compared))
        k.store(packed, Row(p.destination), place[0], k.mask(count))
        return (b.index(b.add(place[0], count)),)

    return b.loop(0, block.length, (block.place,), some, k.lanes, plain=True)[0]


def _one_by_one(s: Lowering, p: _Packing, tiles: _Tiles, block: _Block) -> SSAValue:
    """The same without vectors."""
    b = s.b

    def one(i: SSAValue, place: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        def keep() -> Sequence[SSAValue]:
            value = b.load(tiles.values, [i])
            if p.values is None:
                value = b.insert(arith.AddiOp(value, b.to_integer(block.first)))
            b.store(value, p.destination, [place[0]])
            return (b.index(b.add(place[0], 1)),)

        wanted = b.compare("ne", b.load(tiles.bools, [i]), b.constant(0, i8))
        return (b.branch(wanted, keep, lambda: (place[0],))[0],)

    return b.loop(0, block.length, (block.place,), one, plain=True)[0]
