"""Copies of operands in the order in which a product reads them.

Elements come by recipe, so transposed, strided and fused operands cost nothing extra.
"""

from collections.abc import Callable, Sequence

from xdsl.dialects import vector
from xdsl.ir import SSAValue

from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.contract.microkernel import RegisterTile
from flowc.passes.array_to_loops.contract.product import DEPTH, SIDE, Operand, Product, Stack
from flowc.passes.array_to_loops.elements import Lowering
from flowc.passes.array_to_loops.reductions import identity

BLOCK = 128
"""Steps of the contraction that are read in one sweep."""

Element = Callable[[Stack, Index, Index], SSAValue]
"""How an element is got, given its place in the stack, its line and its step."""

LONG_BLOCK = 1024
"""The same where there is one panel, which rows of the left operand meet only once: their sums then stay in
registers."""


def pack_right(
    s: Lowering,
    p: Product,
    shape: RegisterTile,
    stack: Sequence[Index],
    panels: SSAValue,
    padded: Index,
    offset: Index = 0,
    steps: Index = BLOCK,
) -> None:
    """Copies the right operand: block after block of so many `steps` of the contraction, in each panel after
    panel of `width` columns, in each row after row, padded with zeros; all of it from `offset` on."""
    b, width = s.b, shape.width
    number = b.floordiv(padded, width)

    def some(low: SSAValue, high: SSAValue) -> None:
        def block(start: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            deep = b.min(steps, b.sub(p.depth, start))

            def panel(which: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
                first = b.mul(which, width)
                base = b.add(b.add(offset, b.mul(start, padded)), b.mul(first, deep))
                _panel(s, p, shape, stack, panels, base, (start, first), deep)
                return ()

            b.loop(low, high, (), panel)
            return ()

        b.loop(0, p.depth, (), block, step=steps)

    b.parallel(number, 1, b.floordiv(b.mul(p.depth, padded), 2), some)


def _panel(
    s: Lowering,
    p: Product,
    shape: RegisterTile,
    stack: Sequence[Index],
    panels: SSAValue,
    base: Index,
    origin: tuple[Index, Index],
    deep: Index,
) -> None:
    b, width = s.b, shape.width
    full = b.min(width, b.sub(p.columns, origin[1]))
    zero = identity(b, "sum", p.dtype)

    def place(k: Index, j: Index) -> Index:
        return b.add(b.add(base, b.mul(k, width)), j)

    def write(element: Element, k: Index, j: Index) -> None:
        value = element(stack, b.add(origin[1], j), b.add(origin[0], k))
        b.store(value, panels, [place(k, j)])

    def clear(k: Index, j: Index) -> None:
        b.store(zero, panels, [place(k, b.add(full, j))])

    def columns() -> Sequence[SSAValue]:
        """Column after column, as they lie."""
        _lengthways(s, p.right, full, deep, lambda element, j, k: write(element, k, j))
        b.nest([b.sub(width, full), deep], lambda at: clear(at[1], at[0]), plain=True)
        return ()

    def rows() -> Sequence[SSAValue]:
        def row(k: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            b.nest([full], lambda at: write(p.right.element, k, at[0]))
            b.nest([b.sub(width, full)], lambda at: clear(k, at[0]), plain=True)
            return ()

        b.loop(0, deep, (), row, plain=True)
        return ()

    def whole_rows() -> Sequence[SSAValue]:
        def row(k: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            located = p.right.place
            assert located is not None
            buffer, at = located(stack, origin[1], b.add(origin[0], k))
            value = b.insert(vector.LoadOp(buffer, [b.index(i) for i in at], shape.vector))
            b.append(vector.StoreOp(value, panels, [b.index(place(k, 0))]))
            return ()

        b.loop(0, deep, (), row, plain=True)
        return ()

    if p.right.contiguous == DEPTH:
        columns()
    elif p.right.place is None or p.right.contiguous != SIDE:
        rows()
    elif isinstance(p.columns, int) and p.columns % width == 0:
        whole_rows()
    else:
        b.branch(b.compare("eq", b.index(full), b.index(width)), whole_rows, rows)


def steps_of(s: Lowering, p: Product, shape: RegisterTile, padded: Index) -> Index:
    """Steps of the contraction that are read in one sweep; rows that are copied stay in the first cache."""
    if not reads_in_place(p):
        return BLOCK
    if isinstance(padded, int):
        return LONG_BLOCK if padded <= shape.width else BLOCK
    b = s.b
    alone = b.compare("sle", padded, b.index(shape.width))
    return b.select(alone, b.index(LONG_BLOCK), b.index(BLOCK))


def reads_in_place(p: Product) -> bool:
    """Whether the left operand is read where it lies: its rows are contiguous."""
    return p.left.place is not None and p.left.contiguous == DEPTH


def left_scratch(s: Lowering, p: Product, shape: RegisterTile, rows: Index) -> SSAValue:
    """Memory for a packed tile of the left operand."""
    return s.b.allocate(shape.factor, [BLOCK, rows] if p.left.contiguous == SIDE else [rows, BLOCK])


def pack_left(
    s: Lowering,
    p: Product,
    stack: Sequence[Index],
    scratch: SSAValue,
    origin: tuple[Index, Index],
    extents: tuple[Index, Index],
) -> Callable[[Index, Index], SSAValue]:
    """Copies rows of the left operand; gives how a number of the copy is read.

    The copy is in the order in which the operand lies.
    """
    b = s.b

    def value(element: Element, i: Index, k: Index) -> SSAValue:
        return element(stack, b.add(origin[0], i), b.add(origin[1], k))

    rows, deep = extents
    if p.left.contiguous == SIDE:
        b.nest([deep, rows], lambda at: b.store(value(p.left.element, at[1], at[0]), scratch, at))
        return lambda i, k: b.load(scratch, [k, i])
    _lengthways(s, p.left, rows, deep, lambda element, i, k: b.store(value(element, i, k), scratch, [i, k]))
    return lambda i, k: b.load(scratch, [i, k])


def _lengthways(
    s: Lowering, operand: Operand, lines: Index, deep: Index, copy: Callable[[Element, Index, Index], None]
) -> None:
    """Copies line after line along the contraction; `copy` takes how to get an element, a line and a step."""
    b = s.b
    if operand.inner is None:
        b.nest([lines, deep], lambda at: copy(operand.element, *at))
        return
    inner, most = operand.inner, b.max(b.sub(deep, 1), 0)
    b.nest([lines, most], lambda at: copy(inner, *at))
    b.nest(
        [lines, b.sub(deep, most)], lambda at: copy(operand.element, at[0], b.add(most, at[1])), plain=True
    )
