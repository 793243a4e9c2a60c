"""A tile of the result in vector registers: `ROWS` times `width` sums over one panel of the right operand."""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.dialects import arith, vector
from xdsl.dialects.builtin import VectorType, f32, f64
from xdsl.ir import Attribute, SSAValue

from flowc.dialects.array.types import bits
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.elements import Lowering

ROWS = 6
"""Rows of a register tile: with four vectors of 512 bits a row (24 sums, 4 factors and 1 spread) it fills 32
registers, with two of 256 bits (12 + 2 + 1) it fills 16."""


@frozen
class RegisterTile:
    """The shape of a register tile."""

    element: Attribute
    width: int
    vector: VectorType[Attribute]


def register_tile(dtype: str, vector_bits: int, columns: Index) -> RegisterTile:
    """The tile for a dtype and the vectors of a machine; narrower where there are few columns."""
    element = scalars.held_type(dtype)
    lanes = vector_bits // max(bits(dtype), 32)
    width = lanes * (4 if vector_bits >= 512 else 2)
    while isinstance(columns, int) and width > lanes and columns <= width // 2:
        width //= 2
    return RegisterTile(element, width, VectorType(element, [width]))


def multiply(
    s: Lowering,
    shape: RegisterTile,
    factor: Callable[[int, SSAValue], SSAValue],
    panel: Callable[[SSAValue], tuple[SSAValue, Index]],
    depth: Index,
    start: Sequence[SSAValue],
) -> tuple[SSAValue, ...]:
    """Adds to `start`, a vector a row, the products over `depth`.

    `factor(row, k)` is a number of the left operand, `panel(k)` where a row of the right one lies.
    """
    b = s.b

    def step(k: SSAValue, sums: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        buffer, place = panel(k)
        right = b.insert(vector.LoadOp(buffer, [b.index(place)], shape.vector))
        return [
            _added(s, b.insert(vector.BroadcastOp(factor(row, k), shape.vector)), right, before)
            for row, before in enumerate(sums)
        ]

    return b.loop(0, depth, start, step, plain=True)


def _added(s: Lowering, a: SSAValue, c: SSAValue, before: SSAValue) -> SSAValue:
    """`a * c + before` of vectors."""
    assert isinstance(a.type, VectorType)
    if a.type.get_element_type() in (f32, f64):
        return s.b.insert(vector.FMAOp(a, c, before))
    return s.b.insert(arith.AddiOp(before, s.b.insert(arith.MuliOp(a, c))))
