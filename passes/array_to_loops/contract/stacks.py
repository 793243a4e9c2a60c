"""The matrices of a stack of products: one after another where they are large, else side by side."""

from collections.abc import Callable, Sequence

from xdsl.dialects import arith
from xdsl.ir import SSAValue

from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.contract.product import Product
from flowc.passes.array_to_loops.elements import Lowering

LARGE = 200_000
"""Nanoseconds of work above which one matrix of a stack is worth all threads."""

WORTH = 20_000
"""Nanoseconds of work that are worth handing to a thread."""

Finish = Callable[[SSAValue, tuple[Index, ...]], None]
"""Takes an element of a product and its position in the result: stack, row, column."""


def for_each_matrix(s: Lowering, p: Product, each: Index, body: Callable[[tuple[Index, ...]], None]) -> None:
    """Runs `body` for every position of the stack; `each` is the work of one in nanoseconds."""
    if not p.stack:
        body(())
        return
    b = s.b
    number = b.product(p.stack)
    large = b.compare("sgt", b.index(each), b.index(LARGE))
    grain = b.select(large, b.index(b.max(number, 1)), b.index(b.max(grain_of(s, each, WORTH), 1)))

    def some(low: SSAValue, high: SSAValue) -> None:
        def one(flat: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            body(unflattened(s, flat, p.stack))
            return ()

        b.loop(low, high, (), one)

    b.parallel(number, grain, b.mul(number, each), some)


def unflattened(s: Lowering, flat: SSAValue, extents: Sequence[Index]) -> tuple[Index, ...]:
    """The position with a number, counted in row-major order."""
    rest: SSAValue = flat
    position: list[Index] = []
    for extent in reversed(extents[1:]):
        size = s.b.index(extent)
        position.append(s.b.insert(arith.RemUIOp(rest, size)))
        rest = s.b.insert(arith.DivUIOp(rest, size))
    return (rest, *reversed(position))


def grain_of(s: Lowering, each: Index, wanted: int) -> SSAValue:
    """How many pieces of work `each` make at least `wanted`."""
    b = s.b
    return b.insert(arith.DivUIOp(b.index(wanted), b.index(b.max(b.min(each, wanted), 1))))
