"""Grouping by keys on a device: counts, sums, products and extremes of the rows that share a key.

All keys are looked at first; one outside ends the kernel, and belongs to no group until then.
"""

from collections.abc import Sequence

from xdsl.ir import SSAValue

from flowc.dialects.array import irregular
from flowc.dialects.array.types import bits, dtype_of, integer_range, is_float
from flowc.passes.array_to_gpu.irregular.counting import Counting, count
from flowc.passes.array_to_gpu.irregular.grouped import group
from flowc.passes.array_to_gpu.irregular.grouping import Grouping
from flowc.passes.array_to_gpu.launch import unravelled
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.checks import KEY_RANGE, Checks


def lower_segments(s: DeviceLowering, checks: Checks, op: irregular.SegmentOp, destination: SSAValue) -> None:
    """One result for each group."""
    (extent,), (groups, *inner) = s.sizes(op.keys), s.sizes(op.result)
    checks.require_everywhere([extent], lambda at: _group_of(s, op, at[0])[1], KEY_RANGE, op)
    name = f"segment_{op.kind.data}"
    if op.values is None:
        count(s, Counting(name, groups, [extent], lambda at: _group_of(s, op, at[0]), op.keys, destination))
        return
    dtype, source = dtype_of(op.result.type), dtype_of(op.values.type)
    carried = combined_dtype(op.kind.data, dtype)
    values = op.values

    def entry(at: Sequence[Index]) -> tuple[SSAValue, SSAValue]:
        row, has = _group_of(s, op, at[0])
        place: Index = row
        for size, i in zip(inner, at[1:], strict=True):
            place = s.b.add(s.b.mul(place, size), i)
        return s.b.index(place), has

    def value(at: Sequence[Index]) -> SSAValue:
        held = s.element(values, at)
        return held if source == carried else scalars.convert(s.b, held, source, carried)

    def finish(place: Index, total: SSAValue) -> None:
        narrow = total if carried == dtype else scalars.convert(s.b, total, carried, dtype)
        scalars.store(s.b, narrow, destination, unravelled(s, place, [groups, *inner]))

    entries, start = s.top.product([groups, *inner]), neutral(op.kind.data, dtype)
    single = is_float(source) and source != "f64"
    group(
        s,
        Grouping(name, op.kind.data, carried, start, entries, [extent, *inner], entry, value, finish, single),
    )


def _group_of(s: DeviceLowering, op: irregular.SegmentOp, i: Index) -> tuple[SSAValue, SSAValue]:
    """The group of a key, and whether it is one: as i64, which no key is too large for."""
    key = s.as_dtype(op.keys, (i,), "i64")
    has = s.b.compare("ult", key, s.b.to_integer(s.sizes(op.result)[0]))
    return s.b.select(has, s.b.to_index(key), s.b.index(0)), has


def combined_dtype(kind: str, dtype: str) -> str:
    """The dtype in which elements are combined for a result of some dtype: sums and products of floats in
    f64, small integers in i32."""
    if is_float(dtype):
        return "f64" if kind in ("sum", "prod") or dtype == "f64" else "f32"
    return "i64" if bits(dtype) > 32 else "i32"


def neutral(kind: str, dtype: str) -> int | float:
    """What a group without elements comes to."""
    if kind in ("sum", "prod"):
        return int(kind == "prod")
    if is_float(dtype):
        return float("inf") if kind == "min" else float("-inf")
    return integer_range(dtype)[kind == "min"]
