"""Products of bf16 as products of words of two numbers each, for which processors have an instruction.

A word has two steps of the contraction, the earlier one in its upper half, which is the one that is added
first: so the sums are those of fused operations of f32, step after step. The instruction takes subnormal
numbers for zero. It is used where none can arise: numbers that are zero or not below `LEAST` have products,
and sums of these, that are whole multiples of the smallest normal number. Whether numbers are so is found out
while they come into the cache, and others meet in fused operations. Results are the same either way.
"""

from collections.abc import Sequence

from attrs import evolve, frozen
from xdsl.dialects import arith, memref
from xdsl.dialects.builtin import i8, i16, i32
from xdsl.ir import SSAValue

from flowc.dialects.array.types import is_float
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.contract.microkernel import RegisterTile, of_pairs, register_tile
from flowc.passes.array_to_loops.contract.product import DEPTH, Operand, Product, Stack
from flowc.passes.array_to_loops.contract.quads import are_bytes, in_quads
from flowc.passes.array_to_loops.elements import Lowering
from flowc.passes.array_to_loops.reductions import accumulate

COLUMNS = 64
"""Columns that are looked at together."""

LEAST = 2.0**-56
"""A number of bf16 that is not below it is a multiple of 2**-63, and a product of two of 2**-126."""

LEAST_BITS = (127 - 56) << 7
"""The same as it lies in memory."""

ABOVE_ZERO = 0x7FFF
"""Added to twice the bits of a number, what makes zero the greatest of all magnitudes."""


MINUS_ZERO = 0x8000
"""The bits of -0. Times zero it is added to any sum without a change; zero would turn one of -0 into zero."""


def are_halves(p: Product) -> bool:
    """Whether both operands are bf16 in memory, and sums are of f32."""
    return p.dtype in ("bf16", "f32") and p.left.narrow is not None and p.right.narrow is not None


def in_words(s: Lowering, p: Product) -> Product:
    """The product as one of words, if both operands are bytes in memory, or bf16 and the target has an
    instruction for these."""
    if are_bytes(p):
        return in_quads(s, p)
    if not s.bf16_dots or s.b.precise or not are_halves(p):
        return p
    left, right = p.left.narrow, p.right.narrow
    assert left is not None
    assert right is not None
    return evolve(
        p,
        dtype="i32",
        depth=s.b.ceiling(p.depth, 2),
        left=_words(s, left, p.depth, MINUS_ZERO),
        right=_words(s, right, p.depth, 0),
        single=evolve(p, left=left, right=right),
    )


def tile_for(s: Lowering, p: Product) -> RegisterTile:
    """The register tile of a product, of words or not."""
    shape = register_tile(p.dtype, s.vector_bits, p.columns)
    if p.single is None:
        return shape
    return of_pairs(shape) if is_float(p.single.dtype) else evolve(shape, quads=True)


def _words(s: Lowering, single: Operand, depth: Index, beyond: int) -> Operand:
    """An operand of bf16 as words; the last has the bits `beyond` for a step beyond the contraction."""
    b = s.b

    def half(at: Stack, i: Index, k: Index) -> SSAValue:
        return b.convert(arith.ExtUIOp, _bits(s, single, at, i, k), i32)

    def word(upper: SSAValue, lower: SSAValue) -> SSAValue:
        return b.insert(arith.OrIOp(b.insert(arith.ShLIOp(upper, b.constant(16, i32))), lower))

    def inner(at: Stack, i: Index, k: Index) -> SSAValue:
        first = b.mul(k, 2)
        return word(half(at, i, first), half(at, i, b.add(first, 1)))

    def element(at: Stack, i: Index, k: Index) -> SSAValue:
        first = b.mul(k, 2)
        second = b.add(first, 1)
        there = b.compare("slt", b.index(second), b.index(depth))
        lower = half(at, i, b.min(second, b.sub(depth, 1)))
        return word(half(at, i, first), b.select(there, lower, b.constant(beyond, i32)))

    return Operand(element, None, single.contiguous, inner=inner)


def _bits(s: Lowering, single: Operand, at: Stack, i: Index, k: Index) -> SSAValue:
    assert single.place is not None
    buffer, place = single.place(at, i, k)
    return s.b.insert(arith.BitcastOp(s.b.load(buffer, place), i16))


def fit_columns(s: Lowering, p: Product, stack: Sequence[Index]) -> SSAValue | None:
    """Whether all numbers of the right operand fit the instruction; None for other products."""
    if p.single is None or not is_float(p.single.dtype):
        return None
    b, single = s.b, p.single
    number = b.ceiling(p.columns, COLUMNS)
    least = b.allocate(i16, [number])

    def some(low: SSAValue, high: SSAValue) -> None:
        def one(which: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            first = b.mul(which, COLUMNS)
            count = b.min(COLUMNS, b.sub(p.columns, first))
            b.store(_least(s, single.right, stack, first, (count, single.depth)), least, [which])
            return ()

        b.loop(low, high, (), one)

    b.parallel(number, 1, b.floordiv(b.mul(p.columns, single.depth), 8), some)
    smallest = accumulate(b, "min", "i16", [number], lambda at: b.load(least, at))
    b.append(memref.DeallocOp.get(least))
    return _fits(s, smallest)


@frozen
class Kept:
    """Where a part of the contraction finds what was found out when the first one `begins`."""

    buffer: SSAValue
    place: Index
    begins: SSAValue


def fit_rows(
    s: Lowering,
    p: Product,
    stack: Sequence[Index],
    rows: tuple[Index, Index],
    others: SSAValue,
    kept: Kept | None = None,
) -> SSAValue:
    """Whether all numbers of some rows of the left operand, given the first and how many, and `others` fit
    the instruction.

    All of the contraction decides, also for a part of it: sums that others have left are not looked at.
    """
    assert p.single is not None
    b, left, extents = s.b, p.single.left, (rows[1], p.single.depth)

    def looked_at() -> SSAValue:
        return b.insert(arith.AndIOp(_fits(s, _least(s, left, stack, rows[0], extents)), others))

    if kept is None:
        return looked_at()

    def first() -> Sequence[SSAValue]:
        fit = looked_at()
        b.store(b.convert(arith.ExtUIOp, fit, i8), kept.buffer, [kept.place])
        return (fit,)

    def later() -> Sequence[SSAValue]:
        return (b.compare("ne", b.load(kept.buffer, [kept.place]), b.constant(0, i8)),)

    return b.branch(kept.begins, first, later)[0]


def _least(
    s: Lowering, single: Operand, stack: Sequence[Index], first: Index, extents: tuple[Index, Index]
) -> SSAValue:
    """The smallest magnitude but zero of some lines of so many steps, as `_key` has it."""
    b = s.b

    def key(line: Index, k: Index) -> SSAValue:
        return _key(s, _bits(s, single, stack, b.add(first, line), k))

    if single.contiguous == DEPTH:
        return accumulate(b, "min", "i16", extents, lambda at: key(*at))
    return accumulate(b, "min", "i16", extents[::-1], lambda at: key(at[1], at[0]))


def _key(s: Lowering, number: SSAValue) -> SSAValue:
    """A signed number in the order of magnitudes, but that zero is above all."""
    twice = s.b.insert(arith.ShLIOp(number, s.b.constant(1, i16)))
    return s.b.insert(arith.AddiOp(twice, s.b.constant(ABOVE_ZERO, i16)))


def _fits(s: Lowering, key: SSAValue) -> SSAValue:
    least = (2 * LEAST_BITS + ABOVE_ZERO + 0x8000) % 0x10000 - 0x8000
    return s.b.compare("sge", key, s.b.constant(least, i16))
