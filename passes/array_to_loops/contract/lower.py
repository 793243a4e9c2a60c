"""Which form a product takes, by its shape and by how its operands lie."""

from collections.abc import Callable, Sequence

from xdsl.dialects import arith
from xdsl.dialects.builtin import i1
from xdsl.ir import SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.types import shape_of
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.contract.blocking import blocked
from flowc.passes.array_to_loops.contract.product import DEPTH, SIDE, Product, product_of
from flowc.passes.array_to_loops.contract.stacks import Finish, unflattened
from flowc.passes.array_to_loops.contract.thin import by_dots, by_updates, dot, tiny
from flowc.passes.array_to_loops.elements import Lowering

FEW_ROWS, FEW_COLUMNS = 4, 8
"""With fewer rows or columns than these, packing costs more than it saves."""

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
        by_updates(s, p.transposed(), exchanged)
    elif p.columns == 1 or (p.rows == 1 and deep):
        by_dots(s, p, finish)
    elif p.rows == 1:
        by_updates(s, p, finish)
    elif deep and p.left.contiguous == DEPTH:
        few = _fewer(s, s.b.min(p.rows, p.columns), FEW_ROWS)
        # Of two operands that lie the same way the smaller is packed, the larger read as it is.
        wide = _fewer(s, p.rows, p.columns)
        _either(
            s,
            few,
            lambda: by_dots(s, p, finish),
            lambda: _either(
                s,
                wide,
                lambda: blocked(s, p.transposed(), exchanged, sideways=True),
                lambda: blocked(s, p, finish),
            ),
        )
    else:
        _either(
            s,
            _fewer(s, p.columns, FEW_COLUMNS),
            lambda: by_dots(s, p, finish),
            lambda: _either(
                s,
                _is_light(s, p),
                lambda: by_updates(s, p, finish),
                lambda: blocked(s, p, finish),
            ),
        )


def _is_tiny(p: Product) -> bool:
    number = 1
    for extent in (p.rows, p.columns, p.depth):
        if not isinstance(extent, int):
            return False
        number *= extent
    return number <= TINY


def _is_light(s: Lowering, p: Product) -> SSAValue | bool:
    """Whether there are few rows, or so few multiplications that packing would cost more than it saves."""
    few = _fewer(s, p.rows, FEW_ROWS)
    number = s.b.mul(s.b.mul(p.rows, p.columns), p.depth)
    light = _fewer(s, number, LIGHT)
    if isinstance(few, bool):
        return True if few else light
    light = s.b.constant(int(light), i1) if isinstance(light, bool) else light
    return s.b.insert(arith.OrIOp(few, light))


def _fewer(s: Lowering, extent: Index, limit: Index) -> SSAValue | bool:
    if isinstance(extent, int) and isinstance(limit, int):
        return extent < limit
    return s.b.compare("slt", s.b.index(extent), s.b.index(limit))


def _either(
    s: Lowering, condition: SSAValue | bool, then: Callable[[], None], otherwise: Callable[[], None]
) -> None:
    if isinstance(condition, bool):
        (then if condition else otherwise)()
        return

    def side(build: Callable[[], None]) -> Callable[[], Sequence[SSAValue]]:
        def run() -> Sequence[SSAValue]:
            build()
            return ()

        return run

    s.b.branch(condition, side(then), side(otherwise))
