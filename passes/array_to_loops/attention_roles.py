"""One attention: the roles of its operands, what is at hand of them, and what a query sees of the keys."""

from collections.abc import Callable

from attrs import evolve, frozen
from xdsl.dialects import arith
from xdsl.ir import SSAValue

from flowc.dialects.array import products
from flowc.dialects.array.types import dtype_of
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.contract.microkernel import RegisterTile
from flowc.passes.array_to_loops.contract.product import Operand, Product, operand_of
from flowc.passes.array_to_loops.elements import Lowering, aligned
from flowc.passes.array_to_loops.reductions import identity
from flowc.passes.array_to_loops.visible_keys import Sight

APART = 64
"""Blocks of keys begin at multiples of this, which any register tile's width divides."""


@frozen
class Attention:
    """One attention: its two products, whose depths are the features and the keys, and what a query sees."""

    op: products.AttentionOp
    dtype: str
    scores: Product
    values: Product
    scale: SSAValue
    offset: Index
    """The position of the first query among the keys."""
    destination: SSAValue


@frozen
class Panels:
    """The keys and values of one head, packed; of what a mask shows of them by positions, if that is known,
    and the largest magnitudes that are needed to make use of it."""

    stack: tuple[Index, ...]
    key_shape: RegisterTile
    keys: SSAValue
    padded_keys: Index
    value_shape: RegisterTile
    values: SSAValue
    padded_features: Index
    sight: Sight | None
    largest_key: SSAValue | None
    largest_value: SSAValue | None


@frozen
class Rows:
    """What is at hand of a tile of queries: their scaled features, scores against a block of keys, weighted
    values so far, the largest score so far and the sum of the weights."""

    low: Index
    count: Index
    queries: SSAValue
    scores: SSAValue
    sums: SSAValue
    top: SSAValue
    total: SSAValue


def attention_of(s: Lowering, op: products.AttentionOp, destination: SSAValue) -> Attention:
    """The roles of the operands; their elements are converted to the dtype of the result."""
    dtype = dtype_of(op.result.type)
    query, key = s.sizes(op.query), s.sizes(op.key)
    features = s.sizes(op.value)[-1]
    stack = tuple(query[:-2])

    queries = operand_of(s, op.query, dtype, side=0)
    # Keys are columns of the scores; the features along which they are multiplied come last in memory.
    keys, values = operand_of(s, op.key, dtype, side=0), operand_of(s, op.value, dtype, side=1)
    scale = s.as_dtype(op.scale, (), "f64" if dtype == "f64" else "f32")
    held = scalars.held_type(dtype)
    if scale.type != held:
        scale = s.b.insert(arith.TruncFOp(scale, held))
    return Attention(
        op,
        dtype,
        Product(dtype, stack, query[-2], key[-2], query[-1], queries, keys),
        Product(dtype, stack, query[-2], features, key[-2], queries, values),
        scale,
        s.b.sub(key[-2], query[-2]),
        destination,
    )


def _at(operand: Operand, stack: tuple[Index, ...]) -> Operand:
    """An operand that is the same matrix wherever in the stack."""
    place = operand.place
    return evolve(
        operand,
        element=lambda _, i, k: operand.element(stack, i, k),
        place=None if place is None else lambda _, i, k: place(stack, i, k),
    )


def of_head(s: Lowering, a: Attention, stack: tuple[Index, ...]) -> Attention:
    """The attention of one head, with the head of keys and values that it shares with its neighbours."""
    heads, shared = s.sizes(a.op.query)[:-2], s.sizes(a.op.key)[:-2]
    own = stack
    if stack and heads[-1] != shared[-1]:
        group = s.b.insert(arith.DivUIOp(s.b.index(heads[-1]), s.b.index(shared[-1])))
        own = (*stack[:-1], s.b.insert(arith.DivUIOp(s.b.index(stack[-1]), group)))
    return evolve(
        a,
        scores=evolve(a.scores, right=_at(a.scores.right, own)),
        values=evolve(a.values, right=_at(a.values.right, own)),
    )


def seen_keys(s: Lowering, a: Attention, low: Index, high: Index, step: int) -> tuple[Index, Index]:
    """The keys that the queries of a tile see among them, from a multiple of `step` on."""
    b = s.b
    first: Index = 0
    end = a.scores.columns
    if a.op.window is not None:
        reach = a.op.window.value.data - 1
        first = b.max(b.sub(b.add(a.offset, low), reach), 0)
        first = b.mul(b.floordiv(first, step), step)
        end = b.min(end, b.add(b.add(a.offset, high), reach))
    if a.op.causal is not None:
        end = b.min(end, b.add(a.offset, high))
    return first, end


def share_of(s: Lowering, a: Attention, total: SSAValue) -> SSAValue:
    """By what the weighted values of a query are multiplied at last: its weights have that `total`."""
    b = s.b
    one = b.constant(1, total.type)
    if a.op.hidden is None:
        nothing = b.insert(arith.CmpfOp(total, b.constant(0, total.type), "oeq"))
    else:
        nothing = b.compare("eq", b.index(a.scores.columns), b.index(0))
    return b.insert(arith.DivfOp(one, b.select(nothing, one, total)))


def masked_score(
    s: Lowering, a: Attention, stack: tuple[Index, ...], query: Index, start: Index
) -> Callable[[SSAValue, SSAValue], SSAValue] | None:
    """What a score becomes by the steps and by its position among the keys; None where it stays."""
    op, b = a.op, s.b
    changes = op.changes()
    if op.causal is None and op.window is None and not changes:
        return None
    lowest = identity(b, "max", a.dtype)
    hidden = lowest if op.hidden is None else b.constant(op.hidden.value.data, lowest.type)
    position = b.add(a.offset, query)

    def score(value: SSAValue, j: SSAValue) -> SSAValue:
        key = b.add(start, j)
        apart = b.index(b.sub(position, key))
        for kind, other in changes:
            if other is None:
                value = scalars.apply(b, kind, a.dtype, [value])
                continue
            element = s.element(other, aligned(other, (*stack, query, key)))
            if kind == "where":
                value = b.select(element, value, hidden)
            else:
                element = scalars.convert(b, element, dtype_of(other.type), a.dtype)
                value = scalars.apply(b, kind, a.dtype, [value, element])
        if op.causal is not None:
            value = b.select(b.compare("sge", apart, b.index(0)), value, lowest)
        if op.window is not None:
            window = b.index(op.window.value.data)
            near = b.insert(
                arith.AndIOp(
                    b.compare("slt", apart, window),
                    b.compare("slt", b.index(b.sub(0, apart)), window),
                )
            )
            value = b.select(near, value, lowest)
        return value

    return score
