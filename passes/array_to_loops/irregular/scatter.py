"""Scattering rows: a copy of the base, unless it is changed where it is, then one row after another, so that
the last of equal positions wins and sums are taken in the order of the indices."""

from collections.abc import Sequence

from xdsl.ir import SSAValue

from flowc.dialects.array import irregular
from flowc.dialects.array.types import dtype_of, shape_of
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.elements import Lowering, aligned
from flowc.passes.array_to_loops.irregular.ranges import rows
from flowc.passes.array_to_loops.reductions import combine


def lower_scatter(s: Lowering, op: irregular.ScatterOp, destination: SSAValue) -> None:
    """The base with rows written; positions have been checked."""
    b, dtype = s.b, dtype_of(op.base.type)
    sizes = s.sizes(op.base)
    rank = len(shape_of(op.indices.type))
    kind = op.kind.data

    def copied(at: Sequence[Index]) -> None:
        scalars.store(b, s.element(op.base, at), destination, at)

    def put(at: tuple[SSAValue, ...]) -> None:
        place = b.wrap(b.to_index(s.as_dtype(op.indices, at[:rank], "i64")), sizes[0])
        target = (place, *at[rank:])
        value = s.as_dtype(op.values, aligned(op.values, at), dtype)
        if kind != "set":
            before = scalars.load(b, destination, target, dtype)
            value = _combined(s, kind, dtype, before, value)
        scalars.store(b, value, destination, target)

    if s.buffers.get(op.base) is not destination:
        rows(b, sizes, 1, copied)
    b.nest([*s.sizes(op.indices), *sizes[1:]], put)


def _combined(s: Lowering, kind: str, dtype: str, before: SSAValue, value: SSAValue) -> SSAValue:
    if dtype == "bool":
        name = {"sum": "add", "prod": "mul", "min": "minimum", "max": "maximum"}[kind]
        return scalars.apply(s.b, name, dtype, [before, value])
    return combine(s.b, kind, before, value, dtype)
