"""Reductions on a device, whatever they reduce by: what a thread carries, and how that of two threads meets.

Sums of f32 and narrower are taken in f32 over a thread's neighbouring rounds and in f64 across these, across
threads and blocks; those of f64 keep what rounding lost. The order is fixed by the extents, so a result never
depends on which thread came first.
"""

from collections.abc import Sequence

from attrs import frozen
from xdsl.dialects import arith
from xdsl.ir import SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.types import dtype_of
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops import folds, positions, reductions, scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.reductions import Carried

Reduction = ops.ReduceOp | ops.ArgReduceOp


@frozen
class Fold:
    """A reduction while it runs. Within a round of `inner` values elements meet one by one; `dtypes` are
    those of what is carried from round to round, and from thread to thread."""

    op: Reduction

    @property
    def axes(self) -> list[int]:
        """The axes that are reduced."""
        if isinstance(self.op, ops.ArgReduceOp):
            return [self.op.axis.value.data]
        return folds.axes_of(self.op)

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The dtypes of what is carried."""
        if isinstance(self.op, ops.ArgReduceOp):
            return dtype_of(self.op.source.type), "i64"
        reducer = folds.reducer_of(self.op)
        return ("f64",) * len(reducer.carried) if reducer.sums_floats else (reducer.dtype,)


def start(s: DeviceLowering, fold: Fold) -> Carried:
    """What is carried before the first element."""
    if isinstance(fold.op, ops.ArgReduceOp):
        identity = reductions.identity(s.b, positions.kind_of(fold.op), dtype_of(fold.op.source.type))
        return identity, s.b.to_integer(positions.NOWHERE)
    return reductions.start(s.b, folds.reducer_of(fold.op))


def inner_start(s: DeviceLowering, fold: Fold) -> Carried:
    """What a round begins with."""
    if isinstance(fold.op, ops.ArgReduceOp):
        return start(s, fold)
    reducer = folds.reducer_of(fold.op)
    return (reductions.identity(s.b, reducer.kind, reducer.dtype),)


def split(values: Sequence[SSAValue], widths: Sequence[int]) -> list[Carried]:
    """Values that stand one after the other, so many of them together."""
    rest = iter(values)
    return [tuple(next(rest) for _ in range(width)) for width in widths]


def step(
    s: DeviceLowering, fold: Fold, inner: Carried, at: Sequence[Index], inside: SSAValue | None
) -> Carried:
    """One more element of a round, that at a position of the source; none unless it is `inside`."""
    op = fold.op
    if isinstance(op, ops.ArgReduceOp):
        place = s.b.to_integer(at[op.axis.value.data])
        best = nearer(s, op, inner, (s.element(op.source, at), place))
        return (
            best if inside is None else tuple(map(lambda new, old: s.b.select(inside, new, old), best, inner))
        )
    reducer = folds.reducer_of(op)
    value = folds.element_of(s, op, at)
    if inside is not None:
        value = s.b.select(inside, value, reductions.identity(s.b, reducer.kind, reducer.dtype))
    return (reductions.combine(s.b, reducer.kind, inner[0], value, reducer.dtype),)


def absorb(s: DeviceLowering, fold: Fold, carried: Carried, inner: Carried) -> Carried:
    """What is carried after a round."""
    if isinstance(fold.op, ops.ArgReduceOp):
        return nearer(s, fold.op, carried, inner)
    return reductions.absorb(s.b, [folds.reducer_of(fold.op)], [carried], [inner[0]])[0]


def merge(s: DeviceLowering, fold: Fold, one: Carried, other: Carried) -> Carried:
    """What two threads carry together."""
    if isinstance(fold.op, ops.ArgReduceOp):
        return nearer(s, fold.op, one, other)
    return reductions.merge(s.b, folds.reducer_of(fold.op), one, other)


def finish(s: DeviceLowering, fold: Fold, carried: Carried) -> SSAValue:
    """The held result."""
    if isinstance(fold.op, ops.ArgReduceOp):
        return carried[1]
    return folds.finished(s, fold.op, carried)


def result_position(fold: Fold, kept: dict[int, Index]) -> list[Index]:
    """The position in the result, given that along each axis that is kept."""
    if isinstance(fold.op, ops.ReduceOp):
        return folds.position_of(fold.op, kept)
    return positions.position_of(fold.op, [kept[axis] for axis in sorted(kept)])


def nearer(s: DeviceLowering, op: ops.ArgReduceOp, one: Carried, other: Carried) -> Carried:
    """The better of two values with their positions; of equal ones the first in the array, whichever thread
    found it."""
    (value, place), (rival, elsewhere) = one, other
    wins = positions.beats(s, op, rival, value)
    loses = positions.beats(s, op, value, rival)
    before = s.b.compare("slt", elsewhere, place)
    tie = s.b.insert(arith.AndIOp(before, scalars.apply(s.b, "not", "bool", [loses])))
    takes = s.b.insert(arith.OrIOp(wins, tie))
    return s.b.select(takes, rival, value), s.b.select(takes, elsewhere, place)
