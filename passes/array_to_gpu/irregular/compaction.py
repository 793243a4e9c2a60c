"""Where a vector of bools is true, and what stands there, on a device: how many are true before each element
is where it goes. What comes out stands in rising order."""

from collections.abc import Sequence

from xdsl.dialects import arith
from xdsl.ir import SSAValue

from flowc.dialects.array import irregular
from flowc.passes.array_to_gpu.either import by_vectors
from flowc.passes.array_to_gpu.irregular.prefix import cut_for_warps, run_by_warps
from flowc.passes.array_to_gpu.irregular.running import Running
from flowc.passes.array_to_gpu.irregular.scan import lanes_of_values
from flowc.passes.array_to_gpu.launch import only_if
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index

MOST_LANES = 8
"""Neighbours that a thread takes as one vector at most: what it stores lies apart from what others store."""


def lower_true_positions(s: DeviceLowering, op: irregular.TruePositionsOp, destination: SSAValue) -> None:
    """The positions in rising order; behind them nothing is stored."""
    _lower(s, op.source, None, destination, "true_positions")


def lower_pick(s: DeviceLowering, op: irregular.PickOp, destination: SSAValue) -> None:
    """The elements in order; behind them nothing is stored."""
    _lower(s, op.mask, op.source, destination, "pick")


def _lower(
    s: DeviceLowering, mask: SSAValue, values: SSAValue | None, destination: SSAValue, name: str
) -> None:
    dtype = "i32" if s.narrow else "i64"
    counted = scalars.held_type(dtype)

    def value(_: Sequence[Index], i: Index) -> SSAValue:
        return s.b.convert(arith.ExtUIOp, s.element(mask, (i,)), counted)

    def emit(
        _: Sequence[Index], at: Sequence[Index], before: Sequence[SSAValue], after: Sequence[SSAValue]
    ) -> None:
        found = [s.b.to_integer(i) if values is None else s.element(values, (i,)) for i in at]
        for each, place, behind in zip(found, before, after, strict=True):
            wanted = s.b.compare("ne", place, behind)
            only_if(s, wanted, lambda each=each, place=place: _store(s, each, destination, place))  # type: ignore[misc]

    running = Running("sum", dtype, [], s.sizes(mask)[0], value, emit)
    cut = cut_for_warps(s, running)
    lanes = min(lanes_of_values(s, [mask] if values is None else [mask, values]), MOST_LANES)
    by_vectors(
        s,
        lambda: run_by_warps(s, running, cut, name, lanes),
        lambda: run_by_warps(s, running, cut, name, 1),
        lanes > 1,
    )


def _store(s: DeviceLowering, value: SSAValue, destination: SSAValue, place: SSAValue) -> None:
    scalars.store(s.b, value, destination, [s.b.to_index(place)])
