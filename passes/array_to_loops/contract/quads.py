"""Products of signed bytes as products of words of four each, for which processors have instructions.

A word has four steps of the contraction, the first one in its lowest byte, and zeros beyond the contraction.
Sums wrap around as those of numbers of 32 bits do.
"""

from attrs import evolve
from xdsl.dialects import arith
from xdsl.dialects.builtin import i32
from xdsl.ir import SSAValue

from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.contract.product import Operand, Product, Stack
from flowc.passes.array_to_loops.elements import Lowering

STEPS = 4
"""Steps of the contraction in a word."""


def are_bytes(p: Product) -> bool:
    """Whether both operands are signed bytes in memory, and sums have 32 bits."""
    return p.dtype == "i32" and p.left.narrow is not None and p.right.narrow is not None


def in_quads(s: Lowering, p: Product) -> Product:
    """A product for which `are_bytes` holds as one of words."""
    left, right = p.left.narrow, p.right.narrow
    assert left is not None
    assert right is not None
    return evolve(
        p,
        depth=s.b.ceiling(p.depth, STEPS),
        left=_words(s, left, p.depth),
        right=_words(s, right, p.depth),
        single=evolve(p, left=left, right=right),
    )


def _words(s: Lowering, single: Operand, depth: Index) -> Operand:
    """An operand of signed bytes as words."""
    b = s.b

    def byte(at: Stack, i: Index, k: Index) -> SSAValue:
        assert single.place is not None
        return b.convert(arith.ExtUIOp, b.load(*single.place(at, i, k)), i32)

    def word(parts: list[SSAValue]) -> SSAValue:
        total = parts[0]
        for number, part in enumerate(parts[1:], start=1):
            shifted = b.insert(arith.ShLIOp(part, b.constant(8 * number, i32)))
            total = b.insert(arith.OrIOp(total, shifted))
        return total

    def inner(at: Stack, i: Index, k: Index) -> SSAValue:
        return word([byte(at, i, b.add(b.mul(k, STEPS), step)) for step in range(STEPS)])

    def element(at: Stack, i: Index, k: Index) -> SSAValue:
        parts = []
        for step in range(STEPS):
            place = b.add(b.mul(k, STEPS), step)
            there = b.compare("slt", b.index(place), b.index(depth))
            found = byte(at, i, b.min(place, b.sub(depth, 1)))
            parts.append(b.select(there, found, b.constant(0, i32)))
        return word(parts)

    return Operand(element, None, single.contiguous, inner=inner)
