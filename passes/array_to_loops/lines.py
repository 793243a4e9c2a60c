"""Operators that need whole lines of their source: softmax and running sums, products and extremes."""

from collections.abc import Sequence

from xdsl.dialects import arith, math
from xdsl.dialects.builtin import f64
from xdsl.ir import SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.irregular import ScanOp
from flowc.dialects.array.types import bits, dtype_of, is_float
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index, Range
from flowc.passes.array_to_loops.elements import Lowering, Place
from flowc.passes.array_to_loops.reductions import accumulate, combine, identity


def lower_softmax(s: Lowering, op: ops.SoftmaxOp, place: Place, ranges: Sequence[Range]) -> None:
    """Line by line: the maximum, the exponentials and their sum in one sweep, the division."""
    axis, dtype = op.axis.value.data, dtype_of(op.result.type)
    size = ranges[axis].high
    keeps = bits(dtype) > 16
    held = scalars.held_type(dtype)

    def line(outer: tuple[Index, ...]) -> None:
        def whole(i: Index) -> list[Index]:
            return [*outer[:axis], i, *outer[axis:]]

        def source(at: tuple[Index, ...]) -> SSAValue:
            return s.as_dtype(op.source, whole(at[0]), dtype)

        top = accumulate(s.b, "max", dtype, [size], source)

        def power(at: tuple[Index, ...]) -> SSAValue:
            return s.b.insert(math.ExpOp(s.b.insert(arith.SubfOp(source(at), top))))

        def kept_power(at: tuple[Index, ...]) -> SSAValue:
            value = power(at)
            if keeps:
                s.store(value, place, whole(at[0]))
            return value

        total = accumulate(s.b, "sum", dtype, [size], kept_power)
        share = s.b.insert(arith.DivfOp(s.b.constant(1.0, f64), total))
        share = share if share.type == held else s.b.insert(arith.TruncFOp(share, held))

        def scale(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            at = place.position(whole(i))
            value = scalars.load(s.b, place.buffer, at, dtype) if keeps else power((i,))
            scalars.store(s.b, s.b.insert(arith.MulfOp(value, share)), place.buffer, at)
            return ()

        s.b.loop(0, size, (), scale)

    s.b.sweep([here for k, here in enumerate(ranges) if k != axis], line)


def lower_scan(s: Lowering, op: ScanOp, place: Place, ranges: Sequence[Range]) -> None:
    """One running value per line along the axis, sums and products of floats in f64; before the last axis, a
    row of them."""
    axis, kind, dtype = op.axis.value.data, op.kind.data, dtype_of(op.result.type)
    wide = "f64" if is_float(dtype) and kind in ("sum", "prod") else dtype
    outer = [here for k, here in enumerate(ranges) if k != axis]
    first = identity(s.b, kind, wide)

    def next_value(before: SSAValue, at: Sequence[Index]) -> SSAValue:
        value = combine(s.b, kind, before, s.as_dtype(op.source, at, wide), wide)
        s.store(scalars.convert(s.b, value, wide, dtype) if wide != dtype else value, place, at)
        return value

    def line(at: tuple[Index, ...]) -> None:
        def step(i: SSAValue, carried: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            return (next_value(carried[0], [*at[:axis], i, *at[axis:]]),)

        s.b.loop(0, ranges[axis].high, (first,), step)

    def rows() -> None:
        row = s.allocate(scalars.stored_type(wide), [here.room for here in outer])

        def own(at: Sequence[Index]) -> list[Index]:
            return [s.b.sub(i, here.low) for i, here in zip(at, outer, strict=True)]

        def step(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            def one(at: tuple[Index, ...]) -> None:
                before = scalars.load(s.b, row, own(at), wide)
                value = next_value(before, [*at[:axis], i, *at[axis:]])
                scalars.store(s.b, value, row, own(at))

            s.b.sweep(outer, one)
            return ()

        s.b.sweep(outer, lambda at: scalars.store(s.b, first, row, own(at)))
        s.b.loop(0, ranges[axis].high, (), step)

    if any(not here.single for here in ranges[axis + 1 :]):
        rows()
    else:
        s.b.sweep(outer, line)
