"""Dot products of signed bytes, for which processors have instructions.

Sums are kept in 32 bits. A result of 64 bits takes them up after each block that cannot outgrow them.
"""

from collections.abc import Callable, Sequence

from xdsl.dialects import arith, vector
from xdsl.dialects.builtin import VectorType, i8, i32, i64
from xdsl.ir import SSAValue

from flowc.dialects.loops import DotOp
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.contract.product import DEPTH, Product, Stack
from flowc.passes.array_to_loops.elements import Lowering

BLOCK = 1 << 16
"""Products of two bytes, each at most 2**14, of which 32 bits hold the sum."""

SUMS = 2
"""Vectors of sums that grow side by side."""

SHORT = 16
"""Bytes of the vectors for what is left of a row."""

At = Callable[[Index], tuple[SSAValue, list[Index]]]


def has_byte_dots(p: Product) -> bool:
    """Whether the operands are signed bytes that lie in memory one after another along the contraction."""
    operands = (p.left.narrow, p.right.narrow)
    return p.dtype in ("i32", "i64") and all(
        narrow is not None and narrow.contiguous == DEPTH for narrow in operands
    )


def byte_dot(s: Lowering, p: Product, at: Stack, i: Index, j: Index) -> SSAValue:
    """One element of a product for which `has_byte_dots` holds."""
    b = s.b
    left, right = p.left.narrow, p.right.narrow
    assert left is not None
    assert right is not None
    one, other = left.place, right.place
    assert one is not None
    assert other is not None

    def part(low: Index, high: Index) -> SSAValue:
        return _sum(s, lambda k: one(at, i, k), lambda k: other(at, j, k), low, high)

    if p.dtype == "i32":
        return part(0, p.depth)

    def block(low: SSAValue, carried: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        total = part(low, b.min(b.add(low, BLOCK), p.depth))
        return (b.insert(arith.AddiOp(carried[0], b.convert(arith.ExtSIOp, total, i64))),)

    return b.loop(0, p.depth, (b.constant(0, i64),), block, step=BLOCK, plain=True)[0]


def _sum(s: Lowering, one: At, other: At, low: Index, high: Index) -> SSAValue:
    """The sum of products from `low` to `high`: by long vectors, then by short ones, then one by one."""
    b, long = s.b, s.vector_bits // 8
    total = b.constant(0, i32)
    for width, sums in dict.fromkeys([(long, SUMS), (long, 1), (SHORT, 1)]):
        end = b.add(low, b.mul(b.floordiv(b.sub(high, low), width * sums), width * sums))
        total = b.insert(arith.AddiOp(total, _by_vectors(s, one, other, (low, end), width, sums)))
        low = end

    def single(k: SSAValue, carried: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        left, right = (b.convert(arith.ExtSIOp, b.load(*at(k)), i32) for at in (one, other))
        return (b.insert(arith.AddiOp(carried[0], b.insert(arith.MuliOp(left, right)))),)

    return b.loop(low, high, (total,), single, plain=True)[0]


def _by_vectors(
    s: Lowering, one: At, other: At, bounds: tuple[Index, Index], width: int, number: int
) -> SSAValue:
    b = s.b
    bytes_, sums = VectorType(i8, [width]), VectorType(i32, [width // 4])
    zero = b.insert(vector.BroadcastOp(b.constant(0, i32), sums))

    def load(at: At, k: Index) -> SSAValue:
        buffer, place = at(k)
        return b.insert(vector.LoadOp(buffer, [b.index(position) for position in place], bytes_))

    def step(k: SSAValue, carried: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        places = [b.add(k, width * which) for which in range(number)]
        return [
            b.insert(DotOp(load(one, place), load(other, place), before))
            for place, before in zip(places, carried, strict=True)
        ]

    ends = b.loop(*bounds, (zero,) * number, step, step=width * number, plain=True)
    total = ends[0]
    for end in ends[1:]:
        total = b.insert(arith.AddiOp(total, end))
    return b.total(total)
