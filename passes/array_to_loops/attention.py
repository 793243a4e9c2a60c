"""Attention in tiles: scores of some queries against a block of keys, never more than that in memory.

The softmax is taken as the blocks come: each query keeps its largest score so far and the sum of its
weights, and what it has collected is scaled down when a larger score arrives. Milakov and Gimelshein, "Online
normalizer calculation for softmax" (2018); Rabe and Staats, "Self-attention does not need O(n^2) memory"
(2021); Dao et al., "FlashAttention" (2022). Blocks that no query of a tile sees are skipped.
"""

from collections.abc import Sequence

from xdsl.dialects import arith, math, memref
from xdsl.ir import SSAValue

from flowc.dialects.array import products
from flowc.dialects.array.types import bits
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.attention_roles import (
    APART,
    Attention,
    Panels,
    Rows,
    attention_of,
    masked_score,
    of_head,
    seen_keys,
    share_of,
)
from flowc.passes.array_to_loops.builder import CONTRACT, Index
from flowc.passes.array_to_loops.contract.microkernel import ROWS, RegisterTile, register_tile
from flowc.passes.array_to_loops.contract.packing import pack_right
from flowc.passes.array_to_loops.contract.stacks import for_each_matrix
from flowc.passes.array_to_loops.contract.tiles import padded_columns, sweep
from flowc.passes.array_to_loops.decoding import lower_decoding
from flowc.passes.array_to_loops.elements import Lowering
from flowc.passes.array_to_loops.hidden_keys import in_order_of_sight, largest
from flowc.passes.array_to_loops.reductions import combine, identity
from flowc.passes.array_to_loops.visible_keys import sight_of

TILE = 4 * ROWS
"""Queries that are treated together."""

KEYS = 256
"""Keys that they meet at once."""


def lower_attention(s: Lowering, op: products.AttentionOp, destination: SSAValue) -> None:
    """Stores the weighted values of all heads."""
    a = attention_of(s, op, destination)
    if a.scores.rows == 1:
        lower_decoding(s, a)
        return
    b = s.b
    each = b.floordiv(b.mul(b.mul(a.scores.rows, a.scores.columns), b.add(a.scores.depth, 16)), 16)
    for_each_matrix(s, a.scores, each, lambda stack: _head(s, a, stack, each))


def _head(s: Lowering, a: Attention, stack: tuple[Index, ...], work: Index) -> None:
    """Packs the keys and values of a head, then treats its queries tile by tile."""
    b = s.b
    a = of_head(s, a, stack)
    key_shape = register_tile(a.dtype, s.vector_bits, a.scores.columns)
    value_shape = _value_tile(s, a)
    padded_keys = padded_columns(s, a.scores, key_shape)
    padded_features = padded_columns(s, a.values, value_shape)
    keys = b.allocate(key_shape.element, [b.mul(a.scores.depth, padded_keys)])
    values = b.allocate(value_shape.element, [b.mul(a.values.depth, padded_features)])
    pack_right(s, a.scores, key_shape, stack, keys, padded_keys, steps=b.max(a.scores.depth, 1))
    pack_right(s, a.values, value_shape, stack, values, padded_features, steps=b.max(a.values.depth, 1))
    sight = sight_of(s, a.op)
    panels = Panels(
        stack,
        key_shape,
        keys,
        padded_keys,
        value_shape,
        values,
        padded_features,
        sight,
        largest(b, keys, [b.mul(a.scores.depth, padded_keys)]) if sight is not None and sight.added else None,
        largest(b, values, [b.mul(a.values.depth, padded_features)]) if sight is not None else None,
    )
    b.parallel(a.scores.rows, TILE, work, lambda low, high: _tile(s, a, panels, low, high))
    b.append(memref.DeallocOp.get(values))
    b.append(memref.DeallocOp.get(keys))


def _value_tile(s: Lowering, a: Attention) -> RegisterTile:
    """Two vectors wide at most, so that few features are not padded to many."""
    columns, wide = a.values.columns, 2 * s.vector_bits // max(bits(a.dtype), 32)
    return register_tile(a.dtype, s.vector_bits, min(columns, wide) if isinstance(columns, int) else wide)


def _tile(s: Lowering, a: Attention, panels: Panels, low: SSAValue, high: SSAValue) -> None:
    b, held = s.b, scalars.held_type(a.dtype)
    rows = Rows(
        low=low,
        count=b.sub(high, low),
        queries=b.allocate(held, [TILE, a.scores.depth]),
        scores=b.allocate(held, [TILE, KEYS]),
        sums=b.allocate(held, [TILE, panels.padded_features]),
        top=b.allocate(held, [TILE]),
        total=b.allocate(held, [TILE]),
    )
    zero, lowest = b.constant(0, held), identity(b, "max", a.dtype)

    def scaled(at: tuple[SSAValue, ...]) -> None:
        value = a.scores.left.element(panels.stack, b.add(low, at[0]), at[1])
        b.store(b.insert(arith.MulfOp(value, a.scale)), rows.queries, at)

    b.nest([rows.count, a.scores.depth], scaled)
    b.nest([TILE, panels.padded_features], lambda at: b.store(zero, rows.sums, at))
    b.nest([TILE], lambda at: b.store(lowest, rows.top, at))
    b.nest([TILE], lambda at: b.store(zero, rows.total, at))

    first, end = seen_keys(s, a, low, high, APART)

    def blocks(first: Index, end: Index) -> None:
        def block(start: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            _block(s, a, panels, rows, start, b.min(KEYS, b.sub(end, start)))
            return ()

        b.loop(first, end, (), block, step=KEYS)

    if panels.sight is None:
        blocks(first, end)
    else:
        in_order_of_sight(s, a, panels, rows, (first, end), blocks)

    def finish(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        share = share_of(s, a, b.load(rows.total, [i]))

        def feature(at: tuple[SSAValue, ...]) -> None:
            value = b.insert(arith.MulfOp(b.load(rows.sums, [i, at[0]]), share))
            scalars.store(b, value, a.destination, (*panels.stack, b.add(low, i), at[0]))

        b.nest([a.values.columns], feature)
        return ()

    b.loop(0, rows.count, (), finish)
    for buffer in (rows.total, rows.top, rows.sums, rows.scores, rows.queries):
        b.append(memref.DeallocOp.get(buffer))


def _block(s: Lowering, a: Attention, panels: Panels, rows: Rows, start: SSAValue, number: Index) -> None:
    """Scores against a block of keys, their weights, and the values so weighted."""
    b = s.b

    features = a.scores.depth
    sweep(
        s,
        panels.key_shape,
        (rows.count, number, features),
        lambda i, k: b.load(rows.queries, [i, k]),
        lambda j: (panels.keys, b.mul(b.add(start, j), features)),
        rows.scores,
        first=True,
    )
    b.nest([rows.count], lambda at: _weigh(s, a, panels, rows, at[0], start, number))
    base = b.mul(start, panels.value_shape.width)
    sweep(
        s,
        panels.value_shape,
        (rows.count, panels.padded_features, number),
        lambda i, k: b.load(rows.scores, [i, k]),
        lambda j: (panels.values, b.add(base, b.mul(j, a.values.depth))),
        rows.sums,
        first=False,
    )


def _weigh(
    s: Lowering, a: Attention, panels: Panels, rows: Rows, i: SSAValue, start: SSAValue, number: Index
) -> None:
    """Turns the scores of a query into weights, and scales down what it has collected."""
    b, held = s.b, scalars.held_type(a.dtype)
    before = b.load(rows.top, [i])
    _mask(s, a, panels, rows, i, start, number)

    def larger(j: SSAValue, carried: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        return (combine(b, "max", carried[0], b.load(rows.scores, [i, j])),)

    top = b.loop(0, number, (before,), larger)[0]
    lowest = identity(b, "max", a.dtype)
    base = b.select(b.insert(arith.CmpfOp(top, lowest, "oeq")), b.constant(0, held), top)

    def weight(j: SSAValue, carried: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        value = b.insert(math.ExpOp(b.insert(arith.SubfOp(b.load(rows.scores, [i, j]), base))))
        b.store(value, rows.scores, [i, j])
        return (combine(b, "sum", carried[0], value),)

    added = b.loop(0, number, (b.constant(0, held),), weight)[0]
    shrink = b.insert(math.ExpOp(b.insert(arith.SubfOp(before, base))))
    total = b.insert(arith.MulfOp(b.load(rows.total, [i]), shrink, CONTRACT))
    b.store(b.insert(arith.AddfOp(total, added, CONTRACT)), rows.total, [i])
    b.store(top, rows.top, [i])

    def scale(at: tuple[SSAValue, ...]) -> None:
        place = [i, at[0]]
        b.store(b.insert(arith.MulfOp(b.load(rows.sums, place), shrink)), rows.sums, place)

    b.nest([panels.padded_features], scale)


def _mask(
    s: Lowering, a: Attention, panels: Panels, rows: Rows, i: SSAValue, start: SSAValue, number: Index
) -> None:
    """Takes back the scores of a query against keys that it does not see, if there are such in the block."""
    b = s.b
    query = b.add(rows.low, i)
    score = masked_score(s, a, panels.stack, query, start)
    if score is None:
        return
    change = score

    def all_of_them() -> Sequence[SSAValue]:
        def one(at: tuple[SSAValue, ...]) -> None:
            place = [i, at[0]]
            b.store(change(b.load(rows.scores, place), at[0]), rows.scores, place)

        b.nest([number], one)
        return ()

    if a.op.steps is not None or a.op.window is not None:
        all_of_them()
        return
    last = b.index(b.add(start, b.sub(number, 1)))
    b.branch(b.compare("sgt", last, b.index(b.add(a.offset, query))), all_of_them, lambda: ())
