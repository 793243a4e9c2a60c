"""A tile of the result in vector registers: `ROWS` times `width` sums over one panel of the right operand."""

from collections.abc import Callable, Sequence

from attrs import evolve, frozen
from xdsl.dialects import arith, vector
from xdsl.dialects.builtin import VectorType, f32, f64
from xdsl.ir import Attribute, SSAValue

from flowc.dialects.array.types import bits
from flowc.dialects.loops import PairDotOp, QuadDotOp
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.elements import Lowering

ROWS = 6
"""Rows of a register tile: with four vectors of 512 bits a row (24 sums, 4 factors and 1 spread) it fills 32
registers, with two of 256 bits (12 + 2 + 1) it fills 16."""


VECTORS = (2, 4)
"""Vectors of a row of a register tile: of at most 256 bits, and of 512."""


@frozen
class RegisterTile:
    """The shape of a register tile: the vectors of its sums and of the factors.

    These differ where factors are words of two bf16. One that `flushes` may take subnormal numbers for zero
    then. The factors of one of `quads` are words of four signed bytes.
    """

    width: int
    vector: VectorType[Attribute]
    factors: VectorType[Attribute]
    flushes: bool = False
    quads: bool = False

    @property
    def element(self) -> Attribute:
        """The type of a sum."""
        return self.vector.get_element_type()

    @property
    def factor(self) -> Attribute:
        """The type of a factor."""
        return self.factors.get_element_type()


@frozen
class Ahead:
    """What is asked for in advance: `ask(k)` is done once in so many `steps`, so that the memory has time for
    one request before the next."""

    steps: int
    ask: Callable[[SSAValue], None]


def register_tile(dtype: str, vector_bits: int, columns: Index) -> RegisterTile:
    """The tile for a dtype and the vectors of a machine; narrower where there are few columns."""
    vectors = VECTORS[vector_bits >= 512]
    while (
        isinstance(columns, int)
        and vectors > 1
        and columns <= tile_of(dtype, vector_bits, vectors).width // 2
    ):
        vectors //= 2
    return tile_of(dtype, vector_bits, vectors)


def tile_of(dtype: str, vector_bits: int, vectors: int) -> RegisterTile:
    """The tile whose rows are so many vectors."""
    width = vectors * vector_bits // max(bits(dtype), 32)
    type_ = VectorType(scalars.held_type(dtype), [width])
    return RegisterTile(width, type_, type_)


def of_pairs(shape: RegisterTile) -> RegisterTile:
    """The tile for words of two bf16, given that for words: its sums are of f32."""
    return evolve(shape, vector=VectorType(f32, [shape.width]))


def multiply(
    s: Lowering,
    shape: RegisterTile,
    factor: Callable[[int, SSAValue], SSAValue],
    right: Callable[[SSAValue], SSAValue],
    depth: Index,
    start: Sequence[SSAValue],
    ahead: Ahead | None = None,
) -> tuple[SSAValue, ...]:
    """Adds to `start`, a vector a row, the products over `depth`.

    `factor(row, k)` is a number of the left operand, `right(k)` a vector of the right one.
    """
    b = s.b

    def step(k: SSAValue, sums: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        values = right(k)
        return [
            _added(s, shape, b.insert(vector.BroadcastOp(factor(row, k), shape.factors)), values, before)
            for row, before in enumerate(sums)
        ]

    if ahead is None:
        return b.loop(0, depth, start, step, plain=True)
    steps, ask = ahead.steps, ahead.ask

    def some(k: SSAValue, sums: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        ask(k)
        return b.loop(k, b.min(b.add(k, steps), depth), sums, step, plain=True)

    return b.loop(0, depth, start, some, step=steps, plain=True)


def _added(s: Lowering, shape: RegisterTile, a: SSAValue, c: SSAValue, before: SSAValue) -> SSAValue:
    """`a * c + before` of vectors."""
    if shape.vector != shape.factors:
        return s.b.insert(PairDotOp(a, c, before, flushes=shape.flushes))
    if shape.quads:
        return s.b.insert(QuadDotOp(a, c, before))
    if shape.element in (f32, f64):
        return s.b.insert(vector.FMAOp(a, c, before))
    return s.b.insert(arith.AddiOp(before, s.b.insert(arith.MuliOp(a, c))))
