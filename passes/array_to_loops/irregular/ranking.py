"""Ranks of short lines: how many keys stand before each, counted as vectors without a branch.

The sign bit of `other - own - (1 if other stands further to the front)` with its borrow says whether another
key comes first, so ties are settled by position.
"""

from collections.abc import Sequence

from attrs import frozen
from xdsl.dialects import arith, vector
from xdsl.dialects.builtin import VectorType, i64
from xdsl.ir import SSAValue
from xdsl.irdl import IRDLOperation

from flowc.passes.array_to_loops.builder import Index, LoopBuilder

LANES = 8
VECTORS = 4
ROOM = LANES * VECTORS
"""So much room is behind the codes and ranks of a line; what stands there changes nothing."""

_lanes = VectorType(i64, [LANES])


@frozen
class Ranking:
    """Where ranks are counted: i64 codes in the unsigned order of the keys, and the ranks.

    Where several may be equal, `order` holds 0, 1, ...; without it they differ and are not negative.
    """

    b: LoopBuilder
    extent: Index
    codes: SSAValue
    ranks: SSAValue
    order: SSAValue | None


def count_ranks(ranking: Ranking) -> None:
    """Fills `ranks` with the rank of each code."""
    b = ranking.b
    zeros = _splat(b, b.constant(0, i64))

    def block(first: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        places = [b.index(b.add(first, number * LANES)) for number in range(VECTORS)]
        own = [b.insert(vector.LoadOp(ranking.codes, [place], _lanes)) for place in places]

        def other(j: SSAValue, counts: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            code = _splat(b, b.load(ranking.codes, [j]))
            more = [_before(ranking, code, mine, j, place) for mine, place in zip(own, places, strict=True)]
            return [b.insert(arith.AddiOp(count, one)) for count, one in zip(counts, more, strict=True)]

        counts = b.loop(0, ranking.extent, [zeros] * VECTORS, other)
        for count, place in zip(counts, places, strict=True):
            b.append(vector.StoreOp(count, ranking.ranks, [place]))
        return ()

    b.loop(0, ranking.extent, (), block, step=ROOM)


def _before(ranking: Ranking, other: SSAValue, own: SSAValue, j: SSAValue, place: SSAValue) -> SSAValue:
    """1 in the lanes whose key comes after the other."""
    b = ranking.b
    top = _splat(b, b.constant(63, i64))

    def apply(operator: type[IRDLOperation], *operands: SSAValue) -> SSAValue:
        return b.insert(operator.create(operands=operands, result_types=[_lanes]))

    if ranking.order is None:
        return apply(arith.ShRUIOp, apply(arith.SubiOp, other, own), top)
    positions = b.insert(vector.LoadOp(ranking.order, [place], _lanes))
    ahead = apply(arith.ShRUIOp, apply(arith.SubiOp, _splat(b, b.to_integer(j)), positions), top)
    difference = apply(arith.SubiOp, apply(arith.SubiOp, other, own), ahead)
    inverted = apply(arith.XOrIOp, other, _splat(b, b.constant(-1, i64)))
    smaller = apply(arith.AndIOp, inverted, own)
    borrowed = apply(arith.AndIOp, apply(arith.OrIOp, inverted, own), difference)
    return apply(arith.ShRUIOp, apply(arith.OrIOp, smaller, borrowed), top)


def _splat(b: LoopBuilder, value: SSAValue) -> SSAValue:
    return b.insert(vector.BroadcastOp(value, _lanes))
