"""Lines of numbers that are put in order, wherever they stand, and how many threads, blocks and levels that
takes."""

from collections.abc import Callable

from attrs import frozen
from xdsl.dialects import arith
from xdsl.ir import SSAValue

from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_gpu.sorting.items import ItemForm
from flowc.passes.array_to_loops.builder import Index


@frozen(eq=False)
class Lines:
    """`count` lines of `length` numbers each.

    `key` gives the key at a place of a line; it is asked once for each. `finish` is told the key, and the
    position as i32 if the form has positions, of what comes at a rank in a line.
    """

    form: ItemForm
    count: Index
    length: Index
    key: Callable[[Index, Index], SSAValue]
    finish: Callable[[Index, Index, SSAValue, SSAValue | None], None]


def levels_of(s: DeviceLowering, length: Index, least: int, most: int) -> Index:
    """The logarithm of the power of two that is as long as a line, from `least` to `most`."""
    if isinstance(length, int):
        return max(least, (max(length, 1) - 1).bit_length())
    found: Index = least
    for level in range(least, most):
        longer = s.top.compare("sgt", length, s.top.index(1 << level))
        found = s.top.add(found, s.top.select(longer, s.top.index(1), s.top.index(0)))
    return found


def power(s: DeviceLowering, exponent: Index) -> Index:
    """2 to the power of a number that the host knows."""
    if isinstance(exponent, int):
        return 1 << exponent
    return s.top.insert(arith.ShLIOp(s.top.index(1), exponent))
