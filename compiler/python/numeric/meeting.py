"""One array where two branches of the flow of control meet."""

from collections.abc import Sequence

from xdsl.ir import Block

from flowc.compiler.python.numeric.context import Context
from flowc.compiler.python.numeric.errors import UNSETTLED, Refused
from flowc.compiler.python.numeric.values import Array


def one_array(c: Context, blocks: Sequence[Block], first: Array, second: Array, name: str) -> Array:
    """Memory made before the branches, which each of them fills; raises Refused where its extents are not
    known there."""
    if not all(a == b and a != "" for a, b in zip(first.shape, second.shape, strict=True)):
        raise Refused(
            f"{name} is an array of another shape in each branch, or of one that only the run knows",
            help="write `np.where(condition, first, second)`, or fill an array made before",
            code=UNSETTLED,
        )
    extents = [c.extent_value(c.known_extent(extent)) for extent in first.shape]
    made = c.fresh(first.type, extents)
    for block, value in zip(blocks, (first, second), strict=True):
        with c.inside(block):
            c.write(made, c.value(value))
    return c.copied(made, first, second)


def alike(first: object, second: object) -> bool:
    """Whether two values are arrays of one dtype and rank."""
    return (
        isinstance(first, Array)
        and isinstance(second, Array)
        and first.dtype == second.dtype
        and len(first.shape) == len(second.shape)
    )
