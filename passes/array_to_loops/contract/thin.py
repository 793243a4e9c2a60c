"""Products with few rows or columns, which the speed of memory bounds: dot products, or updates of a row."""

from collections.abc import Callable, Sequence

from attrs import evolve
from xdsl.dialects import arith, memref
from xdsl.ir import SSAValue

from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.contract.byte_dots import byte_dot, has_byte_dots
from flowc.passes.array_to_loops.contract.product import DEPTH, Product, multiplied
from flowc.passes.array_to_loops.contract.stacks import Finish, for_each_matrix, grain_of
from flowc.passes.array_to_loops.elements import Lowering
from flowc.passes.array_to_loops.reductions import accumulate, combine, identity

CHUNK = 1 << 18
"""Bytes that are worth a thread."""

CHUNKS = 64
"""Chunks of a large product: a thread that asks for the next one stops the stream it reads."""

CACHED = 2 << 20
"""Bytes that the second-level cache may hold; more are asked for in advance."""

AHEAD = 4096
"""How many bytes in advance."""

COLUMNS = 512
"""Columns of a row that is updated in the first-level cache."""

PART = 256
"""Rows of the right operand whose sum is kept in the product's own dtype."""

STEPS = 8
"""Rows of the right operand that are added to a row at once."""


def dot(s: Lowering, p: Product, at: Sequence[Index], i: Index, j: Index) -> SSAValue:
    """One element of a product."""
    if has_byte_dots(p):
        return byte_dot(s, p, at, i, j)
    kind = "any" if p.dtype == "bool" else "sum"

    def term(k: tuple[Index, ...]) -> SSAValue:
        return multiplied(s.b, p.left.element(at, i, k[0]), p.right.element(at, j, k[0]))

    total = accumulate(s.b, kind, p.dtype, [p.depth], term)
    held = scalars.held_type(p.dtype)
    return total if total.type == held else s.b.insert(arith.TruncFOp(total, held))


def tiny(s: Lowering, p: Product, finish: Finish) -> None:
    """A nest of loops over extents that are known and small, which the compiler unrolls."""
    b = s.b
    zero = identity(b, "sum", p.dtype)

    def element(stack: tuple[Index, ...], at: tuple[SSAValue, ...]) -> None:
        def step(k: SSAValue, total: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            left, right = p.left.element(stack, at[0], k), p.right.element(stack, at[1], k)
            return (combine(b, "sum", total[0], multiplied(b, left, right)),)

        finish(b.loop(0, p.depth, (zero,), step)[0], (*stack, *at))

    def matrix(stack: tuple[Index, ...]) -> None:
        b.nest([p.rows, p.columns], lambda at: element(stack, at))

    for_each_matrix(s, p, b.max(_work(s, p), 1), matrix)


def by_dots(s: Lowering, p: Product, finish: Finish) -> None:
    """Each element on its own; the shorter of rows and columns is innermost, so that what it reads is in
    cache."""

    def matrix(stack: tuple[Index, ...]) -> None:
        if p.right.contiguous == DEPTH or p.columns == 1 or p.dtype == "bool":
            _dots(s, p, stack, finish)
            return
        copy = s.b.allocate(scalars.held_type(p.dtype), [p.columns, p.depth])
        s.b.nest(
            [p.depth, p.columns],
            lambda at: s.b.store(p.right.element(stack, at[1], at[0]), copy, [at[1], at[0]]),
        )
        right = evolve(p.right, element=lambda at, j, k: s.b.load(copy, [j, k]))
        _dots(s, evolve(p, right=right), stack, finish)
        s.b.append(memref.DeallocOp.get(copy))

    for_each_matrix(s, p, _work(s, p), matrix)


def _work(s: Lowering, p: Product) -> Index:
    """About how many nanoseconds one matrix takes."""
    return s.b.floordiv(s.b.mul(s.b.mul(p.rows, p.columns), p.depth), 16)


def _dots(s: Lowering, p: Product, stack: tuple[Index, ...], finish: Finish) -> None:
    b = s.b
    few, many = b.min(p.rows, p.columns), b.max(p.rows, p.columns)
    more_rows = b.compare("sge", b.index(p.rows), b.index(p.columns))

    by_rows = p.columns == 1 or (isinstance(few, int) and few == p.columns)
    streamed, size = (p.left if by_rows else p.right).stored_as(p.dtype)
    streams = b.compare("sgt", b.index(b.mul(many, p.depth)), b.index(CACHED // size))
    distance = b.add(grain_of(s, p.depth, AHEAD // size), 1)

    def ahead(o: SSAValue) -> Sequence[SSAValue]:
        streamed.prefetch(s, stack, b.add(o, distance), 0, p.depth, size)
        return ()

    def some(low: SSAValue, high: SSAValue) -> None:
        def outer(o: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            b.branch(streams, lambda: ahead(o), lambda: ())

            def inner(at: tuple[SSAValue, ...]) -> None:
                i, j = _ordered(s, p, more_rows, o, at[0])
                finish(dot(s, p, stack, i, j), (*stack, i, j))

            b.nest([few], inner)
            return ()

        b.loop(low, high, (), outer)

    grain = b.max(grain_of(s, b.mul(few, p.depth), CHUNK // size), b.ceiling(many, CHUNKS))
    b.parallel(many, grain, _work(s, p), some)


def _ordered(
    s: Lowering, p: Product, more_rows: SSAValue, outer: SSAValue, inner: SSAValue
) -> tuple[Index, Index]:
    """Row and column, given the position along the longer of both and along the shorter."""
    if p.columns == 1 or p.rows == 1:
        return (outer, inner) if p.columns == 1 else (inner, outer)
    if isinstance(p.rows, int) and isinstance(p.columns, int):
        return (outer, inner) if p.rows >= p.columns else (inner, outer)
    return s.b.select(more_rows, outer, inner), s.b.select(more_rows, inner, outer)


def by_updates(s: Lowering, p: Product, finish: Finish) -> None:
    """Rows of the right operand times numbers of the left one are added to a row of the result."""

    def matrix(stack: tuple[Index, ...]) -> None:
        def some(low: SSAValue, high: SSAValue) -> None:
            row = s.b.insert(memref.AllocaOp.get(scalars.held_type(p.dtype), shape=[COLUMNS]))
            s.b.nest([p.rows], lambda i: _updated(s, p, stack, i[0], (low, high), row, finish))

        s.b.parallel(p.columns, COLUMNS, _work(s, p), some)

    for_each_matrix(s, p, _work(s, p), matrix)


def by_parts(s: Lowering, p: Product, finish: Finish) -> None:
    """One row times a matrix whose rows stay in the first-level cache: for each part of the contraction they
    are added to a row of sums, and these are then added in their order."""
    b = s.b
    zero = identity(b, "sum", p.dtype)

    def matrix(stack: tuple[Index, ...]) -> None:
        parts = b.max(b.ceiling(p.depth, PART), 1)
        sums = b.allocate(scalars.held_type(p.dtype), [parts, p.columns])

        def some(low: SSAValue, high: SSAValue) -> None:
            def part(number: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
                start = b.mul(number, PART)
                own = p.of_depth(b, start, b.min(PART, b.sub(p.depth, start)))
                b.nest([p.columns], lambda at: b.store(zero, sums, [number, at[0]]))
                _add_rows(s, own, stack, 0, (0, p.columns), lambda j: (sums, [number, j]))
                return ()

            b.loop(low, high, (), part)

        b.parallel(parts, 1, _work(s, p), some)

        def add(at: tuple[SSAValue, ...]) -> None:
            later = b.load(sums, [b.add(at[0], 1), at[1]])
            b.store(combine(b, "sum", b.load(sums, [0, at[1]]), later), sums, [0, at[1]])

        b.nest([b.sub(parts, 1), p.columns], add)
        b.nest([p.columns], lambda at: finish(b.load(sums, [0, at[0]]), (*stack, 0, at[0])))
        b.append(memref.DeallocOp.get(sums))

    for_each_matrix(s, p, _work(s, p), matrix)


def _updated(
    s: Lowering,
    p: Product,
    stack: tuple[Index, ...],
    i: Index,
    columns: tuple[SSAValue, SSAValue],
    row: SSAValue,
    finish: Finish,
) -> None:
    b = s.b
    low, high = columns
    count = b.sub(high, low)
    zero = identity(b, "sum", p.dtype)
    b.nest([count], lambda j: b.store(zero, row, j))

    _add_rows(s, p, stack, i, columns, lambda j: (row, [j]))
    b.nest([count], lambda j: finish(b.load(row, j), (*stack, i, b.add(low, j[0]))))


def _add_rows(
    s: Lowering,
    p: Product,
    stack: tuple[Index, ...],
    i: Index,
    columns: tuple[Index, Index],
    place: Callable[[SSAValue], tuple[SSAValue, list[Index]]],
) -> None:
    """Adds to a row of sums, each at its `place`, all rows of the right operand times row `i` of the left."""
    b = s.b
    low, high = columns

    def add(first: Index, steps: int) -> None:
        factors = [p.left.element(stack, i, b.add(first, step)) for step in range(steps)]

        def one(at: tuple[SSAValue, ...]) -> None:
            total = b.load(*place(at[0]))
            for step, factor in enumerate(factors):
                value = p.right.element(stack, b.add(low, at[0]), b.add(first, step))
                total = combine(b, "sum", total, multiplied(b, factor, value))
            b.store(total, *place(at[0]))

        b.nest([b.sub(high, low)], one)

    b.by_steps(p.depth, STEPS, add)
