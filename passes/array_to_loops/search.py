"""Binary search in a sorted vector: always as many steps as its length has bits, and no branch on values."""

from collections.abc import Callable, Sequence

from xdsl.dialects import arith
from xdsl.ir import SSAValue

from flowc.dialects.array.types import is_float
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index, LoopBuilder


def insertion_point(
    b: LoopBuilder, load: Callable[[Index], SSAValue], extent: Index, value: SSAValue, dtype: str, side: str
) -> SSAValue:
    """How many elements are less than the value, or with side "right" no greater; NaN is the greatest.

    `load` gives the element at an index below `extent`, held in `dtype` as the value is.
    """

    def passes(i: Index) -> SSAValue:
        element = load(i)
        if side == "left":
            return _less(b, dtype, element, value)
        greater = _less(b, dtype, value, element)
        return b.compare("eq", greater, b.constant(0, greater.type))

    def some() -> Sequence[SSAValue]:
        first = _halved(b, extent, passes)
        beyond = b.add(first, 1)
        return (b.select(passes(first), b.index(beyond), first),)

    return b.branch(b.compare("sgt", b.index(extent), b.index(0)), some, lambda: (b.index(0),))[0]


def _halved(b: LoopBuilder, extent: Index, passes: Callable[[Index], SSAValue]) -> SSAValue:
    """Halves the range in which the last passing element may lie until one is left."""

    def several(found: tuple[SSAValue, ...]) -> tuple[SSAValue, Sequence[SSAValue]]:
        return b.compare("ugt", found[1], b.index(1)), found

    def halve(found: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        base, length = found
        half = b.insert(arith.ShRUIOp(length, b.index(1)))
        middle = b.index(b.add(base, half))
        taken = b.select(passes(b.sub(middle, 1)), middle, base, unpredictable=True)
        return taken, b.index(b.sub(length, half))

    return b.repeat([b.index(0), b.index(extent)], several, halve)[0]


def _less(b: LoopBuilder, dtype: str, x: SSAValue, y: SSAValue) -> SSAValue:
    smaller = scalars.apply(b, "lt", dtype, [x, y])
    if not is_float(dtype):
        return smaller
    number, nan = b.insert(arith.CmpfOp(x, x, "ord")), b.insert(arith.CmpfOp(y, y, "uno"))
    return b.insert(arith.OrIOp(smaller, b.insert(arith.AndIOp(number, nan))))
