"""One attention on a device: its extents, and where a row of scores comes from.

Queries that share keys are the rows of one unit, whatever their heads, so that what is brought into the
memory of a block serves all of them.
"""

from attrs import frozen
from xdsl.dialects import arith
from xdsl.ir import SSAValue

from flowc.dialects.array import products
from flowc.dialects.array.types import dtype_of, shape_of
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index, LoopBuilder
from flowc.passes.array_to_loops.elements import Indices, aligned
from flowc.passes.array_to_loops.reductions import identity


@frozen
class Attention:
    """One attention: `heads` of queries share `shared` heads of keys, so many in a `group`, in each of the
    stack `lead`. Where it is `packed`, a unit is a head of keys with all queries that meet it; else a unit is
    a head of queries."""

    op: products.AttentionOp
    dtype: str
    lead: Indices
    heads: Index
    shared: Index
    group: Index
    queries: Index
    keys: Index
    depth: Index
    features: Index
    destination: SSAValue
    packed: bool = True

    @property
    def stack(self) -> Indices:
        """The extents that units are numbered along."""
        return (*self.lead, self.shared if self.packed else self.heads)

    @property
    def headed(self) -> bool:
        """Whether there is an axis of heads."""
        return len(shape_of(self.op.result.type)) > 2

    def units(self, b: LoopBuilder) -> Index:
        """How many there are."""
        return b.product(self.stack)

    def rows(self, b: LoopBuilder) -> Index:
        """Rows of a unit."""
        return b.mul(self.group, self.queries) if self.packed else self.queries

    def offset(self, b: LoopBuilder) -> Index:
        """The position of the first query among the keys; negative where there are more queries."""
        return b.sub(self.keys, self.queries)


@frozen
class Row:
    """A row of scores: where its query stands, and the first and the last key that positions let it see;
    there is no first one where all keys before the last are seen."""

    stack: Indices
    query: Index
    first: Index | None
    last: Index


def attention_of(s: DeviceLowering, op: products.AttentionOp, destination: SSAValue) -> Attention:
    """The roles of the operands."""
    query, key, value = s.sizes(op.query), s.sizes(op.key), s.sizes(op.value)
    heads, shared = (query[-3], key[-3]) if len(query) > 2 else (1, 1)
    extents = s.extents.shape(op.query), s.extents.shape(op.key)
    same = len(query) == 2 or extents[0][-3] == extents[1][-3]
    return Attention(
        op=op,
        dtype=dtype_of(op.result.type),
        lead=tuple(query[:-3]),
        heads=heads,
        shared=shared,
        group=1 if same else s.top.quotient(heads, s.top.max(shared, 1)),
        queries=query[-2],
        keys=key[-2],
        depth=query[-1],
        features=value[-1],
        destination=destination,
    )


def query_stack(s: DeviceLowering, a: Attention, unit: Indices, member: Index) -> Indices:
    """Where in the stack of queries a member of a unit's group stands."""
    if not a.headed:
        return ()
    if not a.packed:
        return unit
    return (*unit[:-1], s.b.add(s.b.mul(unit[-1], a.group), member))


def key_stack(s: DeviceLowering, a: Attention, unit: Indices) -> Indices:
    """Where in the stack of keys a unit finds its own."""
    if not a.headed:
        return ()
    return unit if a.packed else (*unit[:-1], s.b.quotient(unit[-1], a.group))


def member_and_query(s: DeviceLowering, a: Attention, row: Index) -> tuple[Index, Index]:
    """Which query of which head of its group a row is."""
    if a.group == 1 or not a.packed:
        return 0, row
    return s.b.quotient(row, a.queries), s.b.remainder(row, a.queries)


def row_of(s: DeviceLowering, a: Attention, unit: Indices, row: Index) -> Row:
    """A row of a unit. One behind the last is taken for that, so that no position lies outside of memory."""
    b = s.b
    member, query = member_and_query(s, a, b.min(row, b.sub(a.rows(b), 1)))
    position = b.add(a.offset(b), query)
    first, last = None, b.sub(a.keys, 1)
    if a.op.window is not None:
        reach = a.op.window.value.data - 1
        first, last = b.sub(position, reach), b.min(last, b.add(position, reach))
    if a.op.causal is not None:
        last = b.min(last, position)
    return Row(query_stack(s, a, unit, member), query, first, last)


@frozen
class Tile:
    """The rows from `low` to below `high` of a unit; the positions of the first and of the last of their
    queries, and the keys from `first` to below `end` that some of them may see."""

    unit: Indices
    low: Index
    high: Index
    lowest: Index
    highest: Index
    first: Index
    end: Index


def tile_of(s: DeviceLowering, a: Attention, unit: Indices, low: Index, rows: int, step: int) -> Tile:
    """Rows from `low` on; keys are seen from a multiple of `step` on."""
    b = s.b
    high = b.min(b.add(low, rows), a.rows(b))
    (head, start), (tail, end) = (member_and_query(s, a, row) for row in (low, b.sub(high, 1)))
    if a.group != 1 and a.packed:
        alike = b.compare("eq", b.index(head), b.index(tail))
        start = b.select(alike, b.index(start), b.index(0))
        end = b.select(alike, b.index(end), b.index(b.sub(a.queries, 1)))
    lowest, highest = b.add(a.offset(b), start), b.add(a.offset(b), end)
    first: Index = 0
    seen = a.keys
    if a.op.window is not None:
        reach = a.op.window.value.data - 1
        first = b.max(b.sub(lowest, reach), 0)
        first = b.mul(b.quotient(first, step), step)
        seen = b.min(seen, b.add(highest, reach + 1))
    if a.op.causal is not None:
        seen = b.min(seen, b.add(highest, 1))
    return Tile(unit, low, high, lowest, highest, first, seen)


def is_cut(s: DeviceLowering, a: Attention, tile: Tile, start: Index, keys: int) -> SSAValue:
    """Whether some row of a tile does not see all of `keys` keys from `start` on, by positions."""
    b = s.b
    least = b.sub(a.keys, 1)
    if a.op.causal is not None:
        least = b.min(least, tile.lowest)
    elif a.op.window is not None:
        least = b.min(least, b.add(tile.lowest, a.op.window.value.data - 1))
    cut = b.compare("sgt", b.index(b.add(start, keys - 1)), b.index(least))
    if a.op.window is None:
        return cut
    first = b.sub(tile.highest, a.op.window.value.data - 1)
    return b.insert(arith.OrIOp(cut, b.compare("slt", b.index(start), b.index(first))))


def within(s: DeviceLowering, row: Row, key: Index, score: SSAValue, dtype: str) -> SSAValue:
    """A score, or the least number where positions hide the key."""
    b = s.b
    lowest = identity(b, "max", dtype)
    seen = b.compare("sle", b.index(key), b.index(row.last))
    if row.first is not None:
        seen = b.insert(arith.AndIOp(seen, b.compare("sge", b.index(key), b.index(row.first))))
    return b.select(seen, score, lowest)


def changed(s: DeviceLowering, a: Attention, row: Row, key: Index, score: SSAValue) -> SSAValue:
    """A scaled score after the steps of the operator."""
    b = s.b
    key = b.min(key, b.sub(a.keys, 1))
    hidden = float("-inf") if a.op.hidden is None else a.op.hidden.value.data
    for kind, other in a.op.changes():
        if other is None:
            score = scalars.apply(b, kind, a.dtype, [score])
            continue
        element = s.element(other, aligned(other, (*row.stack, row.query, key)))
        if kind == "where":
            score = b.select(element, score, b.constant(hidden, score.type))
        else:
            element = scalars.convert(b, element, dtype_of(other.type), a.dtype)
            score = scalars.apply(b, kind, a.dtype, [score, element])
    return score


def scale_of(s: DeviceLowering, a: Attention) -> SSAValue:
    """The held number by which products of queries and keys are multiplied."""
    held = scalars.held_type(a.dtype)
    scale = s.as_dtype(a.op.scale, (), "f64" if a.dtype == "f64" else "f32")
    return scale if scale.type == held else s.b.insert(arith.TruncFOp(scale, held))


def base_of(s: DeviceLowering, a: Attention, top: SSAValue) -> SSAValue:
    """What is taken off each score of a row whose largest is `top`: 0 where nothing is seen."""
    b = s.b
    nothing = b.insert(arith.CmpfOp(top, identity(b, "max", a.dtype), "oeq"))
    return b.select(nothing, b.constant(0, top.type), top)


def share_of(s: DeviceLowering, a: Attention, total: SSAValue) -> SSAValue:
    """By what the weighted values of a row are multiplied at last: its weights have that `total`."""
    b = s.b
    one = b.constant(1, total.type)
    if a.op.hidden is None:
        nothing = b.insert(arith.CmpfOp(total, b.constant(0, total.type), "oeq"))
    else:
        nothing = b.compare("eq", b.index(a.keys), b.index(0))
    return b.insert(arith.DivfOp(one, b.select(nothing, one, total)))
