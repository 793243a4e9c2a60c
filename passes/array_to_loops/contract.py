"""`@` as loops: dot products and row updates for thin operands, packed tiles in registers for the rest.

The tiled form is that of Goto and van de Geijn, "Anatomy of high-performance matrix multiplication" (ACM TOMS
2008): blocks of both operands are copied into panels that fit the caches, and a tile of the result stays in
vector registers. Packing reads elements by recipe, so transposed, strided and fused operands cost nothing
extra.
"""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.dialects import arith, memref, vector
from xdsl.dialects.builtin import VectorType, f32, f64, i1
from xdsl.ir import Attribute, SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.types import dtype_of, shape_of
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import REASSOCIATE, Index
from flowc.passes.array_to_loops.elements import Lowering, aligned
from flowc.passes.array_to_loops.reductions import accumulate, combine, identity

DEPTH, ROWS, COLUMNS = 256, 96, 1024
"""Extents of a packed block: along the contraction, of the left operand, of the right operand."""

TILE_ROWS = 6
THIN = 8
"""With fewer rows than this, packing costs more than it saves."""


@frozen
class Product:
    """`result[..., i, j] = sum over k of left[..., i, k] * right[..., k, j]`, with elements by recipe.

    `store` finishes an element, given the position in the stack of matrices, row and column.
    """

    dtype: str
    stack: tuple[Index, ...]
    rows: Index
    columns: Index
    depth: Index
    left: Callable[[Sequence[Index], Index, Index], SSAValue]
    right: Callable[[Sequence[Index], Index, Index], SSAValue]
    by_columns: bool
    store: Callable[[SSAValue, Sequence[Index], Index, Index], None]


def lower_contract(s: Lowering, op: ops.ContractOp, destination: SSAValue | None, vector_bits: int) -> None:
    """Stores a product in `destination`, or keeps that of two vectors in a register."""
    product = _product(s, op, destination)
    if destination is None:
        s.registers[op.result] = _dot(s, product, (), 0, 0)
    elif product.dtype == "bool" or len(shape_of(op.left.type)) == 1 or len(shape_of(op.right.type)) == 1:
        _thin(s, product)
    elif isinstance(product.rows, int) and isinstance(product.columns, int):
        if product.rows < THIN or product.columns < THIN:
            _thin(s, product)
        else:
            _tiled(s, product, vector_bits, destination)
    else:
        thin = s.b.compare("slt", s.b.index(s.b.min(product.rows, product.columns)), s.b.index(THIN))
        _either(s, thin, lambda: _thin(s, product), lambda: _tiled(s, product, vector_bits, destination))


def _either(
    s: Lowering, condition: SSAValue, then: Callable[[], None], otherwise: Callable[[], None]
) -> None:
    def side(build: Callable[[], None]) -> Callable[[], Sequence[SSAValue]]:
        def run() -> Sequence[SSAValue]:
            build()
            return ()

        return run

    s.b.branch(condition, side(then), side(otherwise))


def _product(s: Lowering, op: ops.ContractOp, destination: SSAValue | None) -> Product:
    left, right = op.left, op.right
    dtype = dtype_of(op.result.type)
    left_sizes, right_sizes = s.sizes(left), s.sizes(right)
    is_row, is_column = len(left_sizes) == 1, len(right_sizes) == 1
    stack = s.sizes(op.result)[: max(len(left_sizes), len(right_sizes), 2) - 2]

    def stacked(value: SSAValue, at: Sequence[Index], inner: Sequence[Index]) -> SSAValue:
        return s.as_dtype(value, aligned(value, (*at, *inner)), dtype)

    def store(value: SSAValue, at: Sequence[Index], i: Index, j: Index) -> None:
        if destination is not None:
            place = [*at, *(() if is_row else (i,)), *(() if is_column else (j,))]
            scalars.store(s.b, value, destination, place)

    return Product(
        dtype=dtype,
        stack=tuple(stack),
        rows=1 if is_row else left_sizes[-2],
        columns=1 if is_column else right_sizes[-1],
        depth=left_sizes[-1],
        left=lambda at, i, k: stacked(left, at, (k,) if is_row else (i, k)),
        right=lambda at, k, j: stacked(right, at, (k,) if is_column else (k, j)),
        by_columns=is_column or _swaps_last_axes(right),
        store=store,
    )


def _swaps_last_axes(value: SSAValue) -> bool:
    op = value.owner
    if not isinstance(op, ops.TransposeOp):
        return False
    order = [int(axis) for axis in op.permutation.get_values()]
    return order[-2:] == [len(order) - 1, len(order) - 2]


def _multiplied(s: Lowering, a: SSAValue, c: SSAValue) -> SSAValue:
    if a.type in (f32, f64):
        return s.b.insert(arith.MulfOp(a, c, REASSOCIATE))
    return s.b.insert((arith.AndIOp if a.type == i1 else arith.MuliOp)(a, c))


def _dot(s: Lowering, p: Product, at: Sequence[Index], i: Index, j: Index) -> SSAValue:
    kind = "any" if p.dtype == "bool" else "sum"
    total = accumulate(
        s.b, kind, p.dtype, [p.depth], lambda k: _multiplied(s, p.left(at, i, k[0]), p.right(at, k[0], j))
    )
    held = scalars.held_type(p.dtype)
    return total if total.type == held else s.b.insert(arith.TruncFOp(total, held))


def _thin(s: Lowering, p: Product) -> None:
    """Dot products where the right operand is contiguous along the contraction, else updates of a row."""
    if p.by_columns or p.dtype == "bool":
        # Rows innermost: a column of the right operand is in cache for all of them.
        s.b.nest(
            [*p.stack, p.columns, p.rows],
            lambda at: p.store(_dot(s, p, at[:-2], at[-1], at[-2]), at[:-2], at[-1], at[-2]),
        )
        return
    held = scalars.held_type(p.dtype)
    row = s.b.allocate(held, [p.columns])
    zero = identity(s.b, "sum", p.dtype)

    def one_row(at: tuple[SSAValue, ...]) -> None:
        stack, i = at[:-1], at[-1]
        s.b.nest([p.columns], lambda j: s.b.store(zero, row, j))

        def update(kj: tuple[SSAValue, ...]) -> None:
            k, j = kj
            product = _multiplied(s, p.left(stack, i, k), p.right(stack, k, j))
            s.b.store(combine(s.b, "sum", s.b.load(row, [j]), product), row, [j])

        s.b.nest([p.depth, p.columns], update)
        s.b.nest([p.columns], lambda j: p.store(s.b.load(row, j), stack, i, j[0]))

    s.b.nest([*p.stack, p.rows], one_row)
    s.b.append(memref.DeallocOp.get(row))


@frozen
class Tiling:
    """Buffers and vector type of a tiled product."""

    element: Attribute
    tile: VectorType[Attribute]
    width: int
    left: SSAValue
    right: SSAValue
    edge: SSAValue
    result: SSAValue
    prefix: tuple[Index, ...]


def _tiled(s: Lowering, p: Product, vector_bits: int, destination: SSAValue) -> None:
    element = scalars.held_type(p.dtype)
    lanes = vector_bits // (64 if p.dtype in ("f64", "i64") else 32)
    width = lanes * (4 if vector_bits >= 512 else 2)
    direct = scalars.element_type(destination) == element
    buffers = [s.b.allocate(element, [extent]) for extent in (ROWS * DEPTH, COLUMNS * DEPTH)]
    edge = s.b.allocate(element, [TILE_ROWS, width])
    result = destination if direct else s.b.allocate(element, [p.rows, p.columns])

    def matrix(stack: tuple[SSAValue, ...]) -> None:
        prefix = stack if direct else ()
        t = Tiling(element, VectorType(element, [width]), width, buffers[0], buffers[1], edge, result, prefix)
        # An empty contraction writes nothing, so its zeros come first.
        empty = s.b.compare("eq", s.b.index(p.depth), s.b.index(0))
        rows = s.b.select(empty, s.b.index(p.rows), s.b.index(0))
        zero = identity(s.b, "sum", p.dtype)
        s.b.nest([rows, p.columns], lambda at: s.b.store(zero, result, [*prefix, *at]))
        _blocks(s, p, t, stack)
        if not direct:
            s.b.nest([p.rows, p.columns], lambda at: p.store(s.b.load(result, at), stack, *at))

    s.b.nest(p.stack, matrix)
    for buffer in (*buffers, edge, *(() if direct else (result,))):
        s.b.append(memref.DeallocOp.get(buffer))


def _blocks(s: Lowering, p: Product, t: Tiling, stack: tuple[SSAValue, ...]) -> None:
    def columns(jc: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        wide = s.b.min(COLUMNS, s.b.sub(p.columns, jc))

        def depth(pc: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            deep = s.b.min(DEPTH, s.b.sub(p.depth, pc))
            _pack_right(s, p, t, stack, (pc, jc), deep, wide)

            def rows(ic: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
                high = s.b.min(ROWS, s.b.sub(p.rows, ic))
                _pack_left(s, p, t, stack, (ic, pc), high, deep)
                first = s.b.compare("eq", pc, s.b.index(0))

                def tile_column(jr: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
                    def tile_row(ir: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
                        tile = _tile(s, t, ir, jr, deep)
                        room = (s.b.sub(high, ir), s.b.sub(wide, jr))
                        _write(s, t, tile, (s.b.add(ic, ir), s.b.add(jc, jr)), room, first)
                        return ()

                    s.b.loop(0, high, (), tile_row, step=TILE_ROWS)
                    return ()

                s.b.loop(0, wide, (), tile_column, step=t.width)
                return ()

            s.b.loop(0, p.rows, (), rows, step=ROWS)
            return ()

        s.b.loop(0, p.depth, (), depth, step=DEPTH)
        return ()

    s.b.loop(0, p.columns, (), columns, step=COLUMNS)


def _pack_right(
    s: Lowering,
    p: Product,
    t: Tiling,
    stack: Sequence[Index],
    origin: tuple[Index, Index],
    deep: Index,
    wide: Index,
) -> None:
    """Copies a block of the right operand: panels of `width` columns, row after row, padded with zeros."""
    zero = identity(s.b, "sum", p.dtype)

    def panel(jr: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        base, full = s.b.mul(jr, DEPTH), s.b.min(t.width, s.b.sub(wide, jr))

        def place(k: Index, j: Index) -> list[Index]:
            return [s.b.add(s.b.add(base, s.b.mul(k, t.width)), j)]

        def copy(k: Index, j: Index) -> None:
            value = p.right(stack, s.b.add(origin[0], k), s.b.add(s.b.add(origin[1], jr), j))
            s.b.store(value, t.right, place(k, j))

        if p.by_columns:
            s.b.nest([full, deep], lambda at: copy(at[1], at[0]))
        else:
            s.b.nest([deep, full], lambda at: copy(at[0], at[1]))
        rest = s.b.sub(t.width, full)
        s.b.nest([deep, rest], lambda at: s.b.store(zero, t.right, place(at[0], s.b.add(full, at[1]))))
        return ()

    s.b.loop(0, wide, (), panel, step=t.width)


def _pack_left(
    s: Lowering,
    p: Product,
    t: Tiling,
    stack: Sequence[Index],
    origin: tuple[Index, Index],
    high: Index,
    deep: Index,
) -> None:
    """Copies a block of the left operand: panels of `TILE_ROWS` rows, by columns, padded with zeros."""
    zero = identity(s.b, "sum", p.dtype)

    def panel(ir: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        base, full = s.b.mul(ir, DEPTH), s.b.min(TILE_ROWS, s.b.sub(high, ir))

        def place(i: Index, k: Index) -> list[Index]:
            return [s.b.add(s.b.add(base, s.b.mul(k, TILE_ROWS)), i)]

        def copy(at: tuple[SSAValue, ...]) -> None:
            i, k = at
            value = p.left(stack, s.b.add(s.b.add(origin[0], ir), i), s.b.add(origin[1], k))
            s.b.store(value, t.left, place(i, k))

        s.b.nest([full, deep], copy)
        rest = s.b.sub(TILE_ROWS, full)
        s.b.nest([rest, deep], lambda at: s.b.store(zero, t.left, place(s.b.add(full, at[0]), at[1])))
        return ()

    s.b.loop(0, high, (), panel, step=TILE_ROWS)


def _tile(s: Lowering, t: Tiling, ir: SSAValue, jr: SSAValue, deep: Index) -> tuple[SSAValue, ...]:
    """The register tile: `TILE_ROWS` rows of one vector each, over the packed panels."""
    start = s.b.insert(vector.BroadcastOp(s.b.constant(0, t.element), t.tile))
    left_base, right_base = s.b.mul(ir, DEPTH), s.b.mul(jr, DEPTH)

    def step(k: SSAValue, carried: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        row = s.b.insert(
            vector.LoadOp(t.right, [s.b.index(s.b.add(right_base, s.b.mul(k, t.width)))], t.tile)
        )
        place = s.b.add(left_base, s.b.mul(k, TILE_ROWS))
        results = []
        for number, before in enumerate(carried):
            factor = s.b.load(t.left, [s.b.add(place, number)])
            spread = s.b.insert(vector.BroadcastOp(factor, t.tile))
            if t.element in (f32, f64):
                results.append(s.b.insert(vector.FMAOp(spread, row, before)))
            else:
                product = s.b.insert(arith.MuliOp(spread, row))
                results.append(s.b.insert(arith.AddiOp(before, product)))
        return results

    return s.b.loop(0, deep, [start] * TILE_ROWS, step)


def _write(
    s: Lowering,
    t: Tiling,
    tile: tuple[SSAValue, ...],
    corner: tuple[Index, Index],
    room: tuple[Index, Index],
    first: SSAValue,
) -> None:
    """Adds a tile to the result, or sets it the first time; at the edges element by element."""
    add = arith.AddfOp if t.element in (f32, f64) else arith.AddiOp
    rows, columns = room
    whole = s.b.insert(
        arith.AndIOp(
            s.b.compare("sge", s.b.index(rows), s.b.index(TILE_ROWS)),
            s.b.compare("sge", s.b.index(columns), s.b.index(t.width)),
        )
    )

    def inside() -> None:
        for number, value in enumerate(tile):
            at = [s.b.index(i) for i in (*t.prefix, s.b.add(corner[0], number), corner[1])]
            before = s.b.insert(vector.LoadOp(t.result, at, t.tile))
            s.b.append(vector.StoreOp(s.b.select(first, value, s.b.insert(add(value, before))), t.result, at))

    def at_the_edge() -> None:
        for number, value in enumerate(tile):
            s.b.append(vector.StoreOp(value, t.edge, [s.b.index(number), s.b.index(0)]))

        def one(at: tuple[SSAValue, ...]) -> None:
            place = [*t.prefix, s.b.add(corner[0], at[0]), s.b.add(corner[1], at[1])]
            value = s.b.load(t.edge, at)
            total = s.b.insert(add(value, s.b.load(t.result, place)))
            s.b.store(s.b.select(first, value, total), t.result, place)

        s.b.nest([s.b.min(rows, TILE_ROWS), s.b.min(columns, t.width)], one)

    _either(s, whole, inside, at_the_edge)
