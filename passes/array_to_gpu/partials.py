"""Partial results of reductions: what blocks leave in memory, for other launches to combine in order."""

from collections.abc import Sequence

from xdsl.ir import SSAValue

from flowc.dialects.array.kinds import compute_dtype
from flowc.passes.array_to_gpu import folding
from flowc.passes.array_to_gpu.across import across_block
from flowc.passes.array_to_gpu.folding import Fold
from flowc.passes.array_to_gpu.launch import Threads, only_if
from flowc.passes.array_to_gpu.limits import BLOCK
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.reductions import Carried

MOST_PARTIALS = 1024
"""Blocks that leave partial results of one reduction, or of all its rows; a block combines them."""


def partials_for(s: DeviceLowering, fold: Fold, sizes: Sequence[Index]) -> list[SSAValue]:
    """Memory for partial results: one buffer of these extents for each value that is carried."""
    held = [scalars.stored_type(compute_dtype(dtype)) for dtype in fold.dtypes]
    return [s.allocate(element, sizes) for element in held]


def load(s: DeviceLowering, fold: Fold, memory: Sequence[SSAValue], at: Sequence[Index]) -> Carried:
    """A partial result."""
    return tuple(
        scalars.load(s.b, buffer, at, dtype) for buffer, dtype in zip(memory, fold.dtypes, strict=True)
    )


def met_in_block(s: DeviceLowering, fold: Fold, carried: Carried, threads: Threads) -> Carried:
    """What all threads of a block carry together, in each of them."""
    return across_block(
        s, carried, lambda one, other: folding.merge(s, fold, one, other), threads.thread[0], BLOCK
    )


def leave(
    s: DeviceLowering, memory: Sequence[SSAValue], at: Sequence[Index], carried: Carried, threads: Threads
) -> None:
    """Stores what a block carries."""

    def store() -> None:
        for value, buffer in zip(carried, memory, strict=True):
            scalars.store(s.b, value, buffer, at)

    only_if(s, s.b.compare("eq", threads.thread[0], s.b.index(0)), store)
