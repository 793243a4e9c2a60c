"""Attention of one query a head, as in decoding: keys and values are read once, where they lie.

The keys are cut into parts, so that few heads and many keys give work to all threads. Each part keeps its
largest score, the sum of its weights and its weighted values; these are combined in order.
"""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.dialects import arith, math, memref
from xdsl.ir import SSAValue

from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.attention_roles import (
    Attention,
    masked_score,
    of_head,
    seen_keys,
    share_of,
)
from flowc.passes.array_to_loops.builder import CONTRACT, REASSOCIATE, Index
from flowc.passes.array_to_loops.contract.stacks import unflattened
from flowc.passes.array_to_loops.elements import Lowering
from flowc.passes.array_to_loops.reductions import combine, identity

KEYS = 512
"""Keys of a part: with their values they fit the second-level cache, for heads that share them."""

TOGETHER = 8
"""Keys that meet the query at once."""

STEPS = 8
"""Values that are added at once."""


@frozen
class Parts:
    """Memory for what each part of each head gives, in the order of heads."""

    number: Index
    first: Index
    end: Index
    top: SSAValue
    total: SSAValue
    sums: SSAValue


def lower_decoding(s: Lowering, a: Attention) -> None:
    """Stores the weighted values of all heads, each with one query."""
    b, held = s.b, scalars.held_type(a.dtype)
    heads = s.b.product(a.scores.stack)
    first, end = seen_keys(s, a, 0, 1, step=1)
    number = b.max(b.ceiling(b.max(b.sub(end, first), 0), KEYS), 1)
    pieces = b.mul(heads, number)
    parts = Parts(
        number,
        first,
        end,
        b.allocate(held, [pieces]),
        b.allocate(held, [pieces]),
        b.allocate(held, [pieces, a.values.columns]),
    )
    each = b.floordiv(b.mul(b.add(a.scores.depth, a.values.columns), KEYS), 8)

    def some(low: SSAValue, high: SSAValue) -> None:
        def one(flat: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            stack, part = _place(s, a, number, flat)
            _part(s, of_head(s, a, stack), parts, stack, part)
            return ()

        b.loop(low, high, (), one)

    b.parallel(pieces, 1, b.mul(pieces, each), some)
    b.nest(a.scores.stack, lambda stack: _combine(s, a, parts, stack))
    for buffer in (parts.sums, parts.total, parts.top):
        b.append(memref.DeallocOp.get(buffer))


def _place(s: Lowering, a: Attention, number: Index, flat: SSAValue) -> tuple[tuple[Index, ...], Index]:
    """The head and the part with a number: heads beside each other, which may share keys, come together."""
    stack = a.scores.stack
    if not stack:
        return (), flat
    *before, part, last = unflattened(s, flat, [*stack[:-1], number, stack[-1]])
    return (*before, last), part


def _piece(s: Lowering, a: Attention, parts: Parts, stack: Sequence[Index], part: Index) -> Index:
    head: Index = 0
    for extent, i in zip(a.scores.stack, stack, strict=True):
        head = s.b.add(s.b.mul(head, extent), i)
    return s.b.add(s.b.mul(head, parts.number), part)


def _part(s: Lowering, a: Attention, parts: Parts, stack: tuple[Index, ...], part: Index) -> None:
    b, held = s.b, scalars.held_type(a.dtype)
    piece = _piece(s, a, parts, stack, part)
    start = b.add(parts.first, b.mul(part, KEYS))
    count = b.min(KEYS, b.sub(parts.end, start))
    weights = b.insert(memref.AllocaOp.get(held, shape=[KEYS]))
    query = b.allocate(held, [a.scores.depth])

    def scaled(k: tuple[SSAValue, ...]) -> None:
        value = a.scores.left.element(stack, 0, k[0])
        b.store(b.insert(arith.MulfOp(value, a.scale)), query, k)

    b.nest([a.scores.depth], scaled)
    top = _scores(s, a, stack, (start, count), query, weights)
    b.store(top, parts.top, [piece])
    b.store(_weigh(s, a, count, weights, top), parts.total, [piece])
    _values(s, a, stack, (start, count), weights, (parts.sums, piece))
    b.append(memref.DeallocOp.get(query))


def _scores(
    s: Lowering,
    a: Attention,
    stack: tuple[Index, ...],
    keys: tuple[Index, Index],
    query: SSAValue,
    weights: SSAValue,
) -> SSAValue:
    """Stores the scores of the keys, and gives the largest."""
    b, held = s.b, scalars.held_type(a.dtype)
    start, count = keys
    score = masked_score(s, a, stack, 0, start)

    even = b.mul(b.floordiv(count, TOGETHER), TOGETHER)

    def some(number: int) -> Callable[[SSAValue, tuple[SSAValue, ...]], Sequence[SSAValue]]:
        def step(j: SSAValue, largest: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            places = [b.add(j, which) for which in range(number)]

            def term(k: SSAValue, totals: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
                feature = b.load(query, [k])
                keys = [a.scores.right.element(stack, b.add(start, place), k) for place in places]
                products = [b.insert(arith.MulfOp(feature, key, REASSOCIATE)) for key in keys]
                return [
                    combine(b, "sum", total, value) for total, value in zip(totals, products, strict=True)
                ]

            values = b.loop(0, a.scores.depth, (b.constant(0, held),) * number, term)
            top = largest[0]
            for place, value in zip(places, values, strict=True):
                own = value if score is None else score(value, b.index(place))
                b.store(own, weights, [place])
                top = combine(b, "max", top, own)
            return (top,)

        return step

    lowest = (identity(b, "max", a.dtype),)
    top = b.loop(0, even, lowest, some(TOGETHER), step=TOGETHER, plain=True)
    return b.loop(even, count, top, some(1), plain=True)[0]


def _base(s: Lowering, a: Attention, top: SSAValue) -> SSAValue:
    """What is taken off each score; of a query that sees nothing, 0."""
    b = s.b
    nothing = b.insert(arith.CmpfOp(top, identity(b, "max", a.dtype), "oeq"))
    return b.select(nothing, b.constant(0, top.type), top)


def _weigh(s: Lowering, a: Attention, count: Index, weights: SSAValue, top: SSAValue) -> SSAValue:
    """Turns scores into weights, and gives their sum."""
    b = s.b
    base = _base(s, a, top)

    def weight(j: SSAValue, total: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        value = b.insert(math.ExpOp(b.insert(arith.SubfOp(b.load(weights, [j]), base))))
        b.store(value, weights, [j])
        return (combine(b, "sum", total[0], value),)

    return b.loop(0, count, (b.constant(0, top.type),), weight)[0]


def _values(
    s: Lowering,
    a: Attention,
    stack: tuple[Index, ...],
    keys: tuple[Index, Index],
    weights: SSAValue,
    into: tuple[SSAValue, Index],
) -> None:
    """Adds up the values, several of them at once."""
    b, (start, count), (sums, piece) = s.b, keys, into
    features = a.values.columns
    b.nest([features], lambda f: b.store(b.constant(0, scalars.held_type(a.dtype)), sums, [piece, f[0]]))

    def add(j: Index, steps: int) -> None:
        factors = [b.load(weights, [b.add(j, step)]) for step in range(steps)]

        def feature(f: tuple[SSAValue, ...]) -> None:
            total = b.load(sums, [piece, f[0]])
            for step, factor in enumerate(factors):
                value = a.values.right.element(stack, f[0], b.add(b.add(start, j), step))
                total = combine(b, "sum", total, b.insert(arith.MulfOp(factor, value, REASSOCIATE)))
            b.store(total, sums, [piece, f[0]])

        b.nest([features], feature)

    b.by_steps(count, STEPS, add)


def _combine(s: Lowering, a: Attention, parts: Parts, stack: tuple[Index, ...]) -> None:
    """The parts of a head, each by how far its largest score is below that of all."""
    b, held = s.b, scalars.held_type(a.dtype)

    def larger(part: SSAValue, top: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        return (combine(b, "max", top[0], b.load(parts.top, [_piece(s, a, parts, stack, part)])),)

    top = b.loop(0, parts.number, (identity(b, "max", a.dtype),), larger, plain=True)[0]
    base = _base(s, a, top)

    def share(part: SSAValue) -> tuple[Index, SSAValue]:
        piece = _piece(s, a, parts, stack, part)
        own = b.load(parts.top, [piece])
        return piece, b.insert(math.ExpOp(b.insert(arith.SubfOp(own, base))))

    def add(part: SSAValue, total: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        piece, factor = share(part)
        product_ = b.insert(arith.MulfOp(b.load(parts.total, [piece]), factor, CONTRACT))
        return (b.insert(arith.AddfOp(total[0], product_, CONTRACT)),)

    zero = b.constant(0, held)
    total = b.loop(0, parts.number, (zero,), add, plain=True)[0]
    inverse = share_of(s, a, total)
    collected = b.allocate(held, [a.values.columns])
    b.nest([a.values.columns], lambda f: b.store(zero, collected, f))

    def values(part: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        piece, factor = share(part)

        def feature(f: tuple[SSAValue, ...]) -> None:
            value = b.insert(arith.MulfOp(b.load(parts.sums, [piece, f[0]]), factor, CONTRACT))
            b.store(b.insert(arith.AddfOp(b.load(collected, f), value, CONTRACT)), collected, f)

        b.nest([a.values.columns], feature)
        return ()

    b.loop(0, parts.number, (), values)

    def finish(f: tuple[SSAValue, ...]) -> None:
        value = b.insert(arith.MulfOp(b.load(collected, f), inverse))
        scalars.store(b, value, a.destination, (*stack, 0, f[0]))

    b.nest([a.values.columns], finish)
    b.append(memref.DeallocOp.get(collected))
