"""Blocks of keys that a mask written out hides: left out where they change nothing.

What a mask hides has weight 0 once its score is far below the largest, and 0 times a finite value is 0. So
the blocks that the mask may show come first; what they leave decides whether the others are needed.
"""

from collections.abc import Callable, Sequence

from xdsl.dialects import arith, math
from xdsl.dialects.builtin import MemRefType
from xdsl.ir import SSAValue

from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.attention_roles import APART, Attention, Panels, Rows
from flowc.passes.array_to_loops.builder import Index, LoopBuilder
from flowc.passes.array_to_loops.elements import Lowering
from flowc.passes.array_to_loops.reductions import combine
from flowc.passes.array_to_loops.visible_keys import Sight, visible_keys

NEGLIGIBLE = 1000
"""By how much a score lies below the largest whose weight is 0 in every dtype."""


def in_order_of_sight(
    s: Lowering,
    a: Attention,
    panels: Panels,
    rows: Rows,
    keys: tuple[Index, Index],
    blocks: Callable[[Index, Index], None],
) -> None:
    """First the blocks of keys that the mask may show; then those behind and before them, unless they can
    be seen to change nothing."""
    b, sight, (first, end) = s.b, panels.sight, keys
    assert sight is not None
    near, far = visible_keys(s, sight, panels.stack, rows.low, b.add(rows.low, rows.count), end)
    near = b.max(first, b.mul(b.floordiv(b.min(near, end), APART), APART))
    far = b.min(end, b.mul(b.ceiling(b.max(far, near), APART), APART))

    def part(number: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        def of(parts: Sequence[Index]) -> SSAValue:
            later = b.select(b.compare("eq", number, b.index(1)), b.index(parts[1]), b.index(parts[2]))
            return b.select(b.compare("eq", number, b.index(0)), b.index(parts[0]), later)

        low, high = of([near, far, first]), of([far, end, near])
        later = b.compare("ne", number, b.index(0))
        idle = b.insert(arith.AndIOp(later, _is_negligible(s, a, panels, rows, sight)))
        blocks(low, b.select(idle, low, high))
        return ()

    b.loop(0, 3, (), part, plain=True)


def _is_negligible(s: Lowering, a: Attention, panels: Panels, rows: Rows, sight: Sight) -> SSAValue:
    """Whether a key that the mask hides has weight 0 for all queries, and a value that 0 takes back."""
    b, held = s.b, scalars.held_type(a.dtype)
    assert panels.largest_value is not None
    hidden = b.constant(sight.hidden, held)
    if panels.largest_key is not None:
        queries = largest(b, rows.queries, [rows.count, a.scores.depth])
        terms = b.convert(arith.SIToFPOp, b.to_integer(b.mul(a.scores.depth, 2)), held)
        bound = b.insert(arith.MulfOp(b.insert(arith.MulfOp(queries, panels.largest_key)), terms))
        hidden = b.insert(arith.AddfOp(hidden, bound))

    def lower(i: SSAValue, least: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        return (combine(b, "min", least[0], b.load(rows.top, [i])),)

    least = b.loop(0, rows.count, (b.constant(float("inf"), held),), lower)[0]
    finite = b.insert(arith.CmpfOp(panels.largest_value, b.constant(float("inf"), held), "olt"))
    apart = b.insert(arith.SubfOp(least, hidden))
    far = b.insert(arith.CmpfOp(apart, b.constant(NEGLIGIBLE, held), "oge"))
    return b.insert(arith.AndIOp(finite, far))


def largest(b: LoopBuilder, buffer: SSAValue, extents: Sequence[Index]) -> SSAValue:
    """The largest magnitude of a buffer, NaN where there is one."""

    def level(at: tuple[SSAValue, ...], before: SSAValue) -> SSAValue:
        if len(at) == len(extents):
            return combine(b, "max", before, b.insert(math.AbsFOp(b.load(buffer, at))))
        inner = extents[len(at)]
        return b.loop(0, inner, (before,), lambda i, carried: (level((*at, i), carried[0]),))[0]

    assert isinstance(buffer.type, MemRefType)
    return level((), b.constant(0, buffer.type.element_type))
