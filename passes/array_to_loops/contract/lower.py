"""Which form a product takes, by its shape and by how its operands lie."""

from collections.abc import Callable, Sequence

from xdsl.dialects import arith
from xdsl.ir import SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.types import bits, dtype_of, shape_of
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.contract.blocking import COLUMNS, blocked
from flowc.passes.array_to_loops.contract.byte_dots import has_byte_dots
from flowc.passes.array_to_loops.contract.direct import DEEP, SMALL, direct, reads_rows
from flowc.passes.array_to_loops.contract.dots import dots, is_narrow, reads_depth
from flowc.passes.array_to_loops.contract.pairs import are_halves
from flowc.passes.array_to_loops.contract.product import DEPTH, SIDE, Product, product_of
from flowc.passes.array_to_loops.contract.stacks import Finish, unflattened
from flowc.passes.array_to_loops.contract.streamed import streamed
from flowc.passes.array_to_loops.contract.thin import by_dots, by_parts, by_updates, dot, tiny
from flowc.passes.array_to_loops.elements import Lowering

FEW_ROWS, FEW_COLUMNS = 4, 8
"""With fewer rows or columns than these, packing costs more than it saves."""

FEW_HALVES = 10
"""The same for bf16 that both lie along the contraction: dot products of so few pay."""

FEW_BYTES = 16
"""The same for signed bytes, whose dot products have an instruction."""

FEW_ROWS_DIRECT = 12
"""With fewer rows than these, an operand in memory is not packed."""

LONG_ROW = 1024
"""A row of so many columns is taken in tiles of registers; a shorter one is added to in the cache."""

SHORT = 8
"""Of fewer steps than these no row is a vector: it is rows that vectors are made of."""

FEW_DOTS, DEEP_DOTS = 40, 128
"""With fewer rows or columns, and more steps than these, operands that both lie along the contraction are not
packed."""

FAR = 8 << 20
"""Bytes of an operand that comes from memory, or from a cache that cores share."""

SHALLOW = 1024
"""Of no more steps than these the sums of all parts of a contraction would be large beside the matrix."""

WIDE = 64
"""Columns that a register tile of any machine does not exceed."""

LIGHT = 8_000
"""With fewer multiplications than this, rows are updated one after the other."""

TINY = 1024
"""With fewer multiplications than this, a product is a nest of loops."""


def lower_contract(s: Lowering, op: ops.ContractOp, destination: SSAValue | None) -> None:
    """Stores a product in `destination`, or keeps that of two vectors in a register."""
    if destination is None:
        s.registers[op.result] = dot(s, product_of(s, op), (), 0, 0)
        return
    lower_product(s, op, lambda value, at: scalars.store(s.b, value, destination, at))


def lower_product(
    s: Lowering, op: ops.ContractOp, finish: Callable[[SSAValue, tuple[Index, ...]], None]
) -> None:
    """Computes a product of which one operand has rows, and hands each element with its position to `finish`,
    in the order in which they are stored and while they are in the cache."""
    product = product_of(s, op)
    is_row, is_column = len(shape_of(op.left.type)) == 1, len(shape_of(op.right.type)) == 1

    def placed(value: SSAValue, at: tuple[Index, ...]) -> None:
        *stack, i, j = at
        if product.folded:
            *stack, i = unflattened(s, s.b.index(i), product.folded)
        finish(value, (*stack, *(() if is_row else (i,)), *(() if is_column else (j,))))

    _chosen(s, product, placed)


def _chosen(s: Lowering, p: Product, finish: Finish) -> None:
    deep = p.right.contiguous == DEPTH

    def exchanged(value: SSAValue, at: tuple[Index, ...]) -> None:
        finish(value, (*at[:-2], at[-1], at[-2]))

    if p.dtype == "bool":
        by_dots(s, p, finish)
    elif _is_tiny(p):
        tiny(s, p, finish)
    elif p.columns == 1 and p.left.contiguous == SIDE:
        _of_row(s, p.transposed(), exchanged)
    elif p.columns == 1 or (p.rows == 1 and deep):
        if s.ordered or not reads_depth(p):
            by_dots(s, p, finish)
        elif p.columns == 1:
            short = _fewer(s, p.depth, SHORT)
            s.b.either(short, lambda: by_updates(s, p.transposed(), exchanged), lambda: dots(s, p, finish))
        else:
            dots(s, p.transposed(), exchanged)
    elif p.rows == 1:
        _of_row(s, p, finish)
    elif not s.ordered and is_narrow(s, p):
        dots(s, p, finish)
    elif not s.ordered and is_narrow(s, p.transposed()):
        dots(s, p.transposed(), exchanged)
    elif _is_narrower(p) and reads_rows(p.transposed()):
        _chosen(s, p.transposed(), exchanged)
    elif deep and p.left.contiguous == DEPTH:
        _of_rows(s, p, finish, exchanged)
    elif reads_rows(p):
        s.b.either(
            _is_far(s, p),
            lambda: streamed(s, p, finish),
            lambda: s.b.either(
                _needs_no_panels(s, p), lambda: direct(s, p, finish), lambda: blocked(s, p, finish)
            ),
        )
    else:
        s.b.either(
            _fewer(s, p.columns, FEW_COLUMNS),
            lambda: by_dots(s, p, finish),
            lambda: s.b.either(
                _is_light(s, p),
                lambda: by_updates(s, p, finish),
                lambda: blocked(s, p, finish),
            ),
        )


def _of_row(s: Lowering, p: Product, finish: Finish) -> None:
    """A product with one row."""
    if not reads_rows(p):
        by_updates(s, p, finish)
    elif s.ordered:
        direct(s, p, finish)
    else:
        short = _fewer(s, p.columns, LONG_ROW)
        s.b.either(short, lambda: by_parts(s, p, finish), lambda: direct(s, p, finish))


def _of_rows(s: Lowering, p: Product, finish: Finish, exchanged: Finish) -> None:
    """A product of which both operands lie along the contraction."""
    b, size = s.b, max(bits(p.dtype) // 8, 1)
    # Of two operands that lie the same way the smaller is packed, the larger read as it is.
    wide = _fewer(s, p.rows, p.columns)

    def packed() -> None:
        b.either(
            wide,
            lambda: blocked(s, p.transposed(), exchanged, sideways=True),
            lambda: blocked(s, p, finish),
        )

    fewer = b.min(p.rows, p.columns)
    if s.ordered or not reads_depth(p):
        few = FEW_BYTES if has_byte_dots(p) else FEW_HALVES if are_halves(p) else FEW_ROWS
        b.either(_fewer(s, fewer, few), lambda: by_dots(s, p, finish), packed)
        return
    deep = _both(s, _fewer(s, fewer, FEW_DOTS), _fewer(s, DEEP_DOTS, p.depth))
    near = _fewer(s, b.mul(p.depth, p.columns), s.choice("near") // size)
    b.either(
        deep,
        lambda: dots(s, p, finish),
        lambda: b.either(near, lambda: direct(s, p, finish), packed),
    )


def _is_narrower(p: Product) -> bool:
    """Whether there are few columns, known now, and more rows than these."""
    if not isinstance(p.columns, int) or p.columns > FEW_COLUMNS:
        return False
    return not isinstance(p.rows, int) or p.rows > p.columns


def _is_tiny(p: Product) -> bool:
    number = 1
    for extent in (p.rows, p.columns, p.depth):
        if not isinstance(extent, int):
            return False
        number *= extent
    return number <= TINY


def _is_light(s: Lowering, p: Product) -> SSAValue | bool:
    """Whether there are few rows, or so few multiplications that packing would cost more than it saves."""
    number = s.b.mul(s.b.mul(p.rows, p.columns), p.depth)
    return _any(s, _fewer(s, p.rows, FEW_ROWS), _fewer(s, number, LIGHT))


def _needs_no_panels(s: Lowering, p: Product) -> SSAValue | bool:
    """Whether the right operand, read where it lies, is in the cache as soon as if it were packed."""
    b, size = s.b, max(bits(p.dtype) // 8, 1)
    result, right = b.mul(p.rows, p.columns), b.mul(p.depth, p.columns)
    return _any(
        s,
        _fewer(s, p.rows, FEW_ROWS_DIRECT),
        _fewer(s, right, s.choice("near") // size),
        _both(s, _fewer(s, result, SMALL + 1), _fewer(s, DEEP, p.depth)),
    )


def _is_far(s: Lowering, p: Product) -> SSAValue | bool:
    """Whether a few rows meet a matrix that no cache of a core holds."""
    if p.stack or s.b.precise:
        return False
    b, size = s.b, max(bits(p.dtype) // 8, 1)
    return _both(
        s,
        _both(s, _fewer(s, p.rows, FEW_ROWS_DIRECT), _fewer(s, WIDE - 1, p.columns)),
        _both(s, _fewer(s, SHALLOW, p.depth), _fewer(s, FAR // size, b.mul(p.depth, p.columns))),
    )


def _any(s: Lowering, *conditions: SSAValue | bool) -> SSAValue | bool:
    """Whether one of the conditions holds."""
    return _joined(s, conditions, True, arith.OrIOp)


def is_packed_at_once(s: Lowering, op: ops.ContractOp, axis: int | None) -> SSAValue | bool:
    """Whether a product of matrices needs panels, those of its shorter side are packed together, and its
    longer side is that along an axis, if one is given."""
    size = max(bits(dtype_of(op.result.type)) // 8, 1)
    sizes = s.sizes(op.result)
    right = s.b.mul(s.b.min(*sizes), s.sizes(op.left)[-1])
    shorter = True if axis is None else _fewer(s, sizes[1 - axis], s.b.add(sizes[axis], 1))
    return _both(
        s, shorter, _fewer(s, s.b.min(*sizes), COLUMNS + 1), _fewer(s, s.choice("near") // size - 1, right)
    )


def _both(s: Lowering, *conditions: SSAValue | bool) -> SSAValue | bool:
    """Whether all conditions hold."""
    return _joined(s, conditions, False, arith.AndIOp)


def _joined(
    s: Lowering,
    conditions: Sequence[SSAValue | bool],
    decides: bool,
    operation: type[arith.OrIOp | arith.AndIOp],
) -> SSAValue | bool:
    """Conditions as one; a known one that `decides` is the answer, another known one says nothing."""
    if any(condition is decides for condition in conditions):
        return decides
    open_ = [condition for condition in conditions if isinstance(condition, SSAValue)]
    if not open_:
        return not decides
    joined = open_[0]
    for condition in open_[1:]:
        joined = s.b.insert(operation(joined, condition))
    return joined


def _fewer(s: Lowering, extent: Index, limit: Index) -> SSAValue | bool:
    if isinstance(extent, int) and isinstance(limit, int):
        return extent < limit
    return s.b.compare("slt", s.b.index(extent), s.b.index(limit))
