"""Reductions, running sums and softmax as loops.

Sums of f32 and narrower are taken in f32 over blocks of 1,024 and in f64 across blocks; sums of f64 are
compensated across blocks. Within a block the partial sums may be reassociated into vector lanes.
"""

from collections.abc import Callable, Sequence

from xdsl.dialects import arith, math
from xdsl.dialects.builtin import f32, f64, i1, i64
from xdsl.ir import SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.kinds import reduction_dtype
from flowc.dialects.array.types import bits, dtype_of, is_float, shape_of
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import EXTREME, REASSOCIATE, Index, LoopBuilder
from flowc.passes.array_to_loops.elements import Lowering

BLOCK = 1024

ElementAt = Callable[[tuple[Index, ...]], SSAValue]


def accumulate(
    b: LoopBuilder, kind: str, dtype: str, extents: Sequence[Index], element: ElementAt
) -> SSAValue:
    """Reduces `element` over all positions below `extents`; the element is held in `dtype`, the result too,
    but for sums of f32, which come as f64."""
    if kind == "sum" and is_float(dtype):
        return _float_sum(b, dtype, extents, element)
    return _carried(
        b, extents, (identity(b, kind, dtype),), element, lambda c, v: (combine(b, kind, c[0], v),)
    )[0]


def _carried(
    b: LoopBuilder,
    extents: Sequence[Index],
    start: Sequence[SSAValue],
    element: ElementAt,
    step: Callable[[tuple[SSAValue, ...], SSAValue], Sequence[SSAValue]],
) -> tuple[SSAValue, ...]:
    """A nest of loops over `extents` that carries values through `step`."""

    def level(at: tuple[Index, ...], carried: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        if len(at) == len(extents):
            return step(carried, element(at))
        return b.loop(0, extents[len(at)], carried, lambda i, inner: level((*at, i), inner))

    return tuple(level((), tuple(start)))


def _float_sum(b: LoopBuilder, dtype: str, extents: Sequence[Index], element: ElementAt) -> SSAValue:
    held = scalars.held_type(dtype)
    last = extents[-1]

    def block(at: tuple[Index, ...], low: Index, high: Index) -> SSAValue:
        zero = b.constant(0.0, held)
        return b.loop(low, high, (zero,), lambda i, c: (combine(b, "sum", c[0], element((*at, i))),))[0]

    def row(at: tuple[Index, ...], carried: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        if len(at) < len(extents) - 1:
            return b.loop(0, extents[len(at)], carried, lambda i, inner: row((*at, i), inner))
        if isinstance(last, int) and last <= BLOCK:
            return _add_block(b, carried, block(at, 0, last))
        return b.loop(
            0, last, carried,
            lambda low, inner: _add_block(b, inner, block(at, low, b.min(b.add(low, BLOCK), last))),
            step=BLOCK,
        )  # fmt: skip

    if held == f32:
        return row((), (b.constant(0.0, f64),))[0]
    total, lost = row((), (b.constant(0.0, f64), b.constant(0.0, f64)))
    finite = b.insert(arith.CmpfOp(b.insert(math.AbsFOp(total)), b.constant(float("inf"), f64), "olt"))
    return b.select(finite, b.insert(arith.AddfOp(total, lost)), total)


def _add_block(b: LoopBuilder, carried: tuple[SSAValue, ...], block: SSAValue) -> Sequence[SSAValue]:
    """Adds a block's sum: f32 into f64, or f64 with the rounding error kept (Knuth's two-sum)."""
    if block.type == f32:
        return (b.insert(arith.AddfOp(carried[0], b.insert(arith.ExtFOp(block, f64)))),)
    total, lost = carried
    new = b.insert(arith.AddfOp(total, block))
    part = b.insert(arith.SubfOp(new, total))
    first = b.insert(arith.SubfOp(total, b.insert(arith.SubfOp(new, part))))
    error = b.insert(arith.AddfOp(first, b.insert(arith.SubfOp(block, part))))
    return new, b.insert(arith.AddfOp(lost, error))


def identity(b: LoopBuilder, kind: str, dtype: str) -> SSAValue:
    """What changes nothing in a reduction."""
    held = scalars.held_type(dtype)
    if kind in ("min", "max"):
        if dtype == "bool":
            return b.constant(int(kind == "min"), i1)
        if is_float(dtype):
            return b.constant(float("inf") if kind == "min" else float("-inf"), held)
        edge = 1 << bits(dtype) - 1
        return b.constant(edge - 1 if kind == "min" else -edge, held)
    return b.constant(1 if kind in ("prod", "all") else 0, held)


def combine(b: LoopBuilder, kind: str, a: SSAValue, c: SSAValue) -> SSAValue:
    """One step of a reduction on held values."""
    floating = a.type in (f32, f64)
    match kind:
        case "sum":
            return b.insert(arith.AddfOp(a, c, REASSOCIATE) if floating else arith.AddiOp(a, c))
        case "prod":
            return b.insert(arith.MulfOp(a, c, REASSOCIATE) if floating else arith.MuliOp(a, c))
        case "any":
            return b.insert(arith.OrIOp(a, c))
        case "all":
            return b.insert(arith.AndIOp(a, c))
    if floating:
        return b.insert((arith.MinimumfOp if kind == "min" else arith.MaximumfOp)(a, c, EXTREME))
    if a.type == i1:
        return b.insert((arith.AndIOp if kind == "min" else arith.OrIOp)(a, c))
    return b.insert((arith.MinSIOp if kind == "min" else arith.MaxSIOp)(a, c))


def lower_reduce(s: Lowering, op: ops.ReduceOp, destination: SSAValue | None) -> None:
    """Stores a reduction in `destination`, or keeps it in a register at rank 0."""
    rank = len(shape_of(op.source.type))
    axes = [int(axis) for axis in op.axes.get_values()]
    kept = [axis for axis in range(rank) if axis not in axes]
    sizes = s.sizes(op.source)
    dtype = reduction_dtype(op.kind.data, dtype_of(op.source.type))
    kind = "sum" if op.kind.data == "mean" else op.kind.data

    def element(at: dict[int, Index]) -> SSAValue:
        value = s.element(op.source, [at[axis] for axis in range(rank)])
        source = dtype_of(op.source.type)
        if kind in ("any", "all"):
            return scalars.truth(s.b, value, source)
        same = scalars.held_type(source) == scalars.held_type(dtype)
        return value if same else scalars.convert(s.b, value, source, dtype)

    def finished(value: SSAValue) -> SSAValue:
        if op.kind.data == "mean":
            number: Index = 1
            for axis in axes:
                number = s.b.mul(number, sizes[axis])
            count = s.b.convert(arith.SIToFPOp, s.b.to_integer(number), value.type)
            value = s.b.insert(arith.DivfOp(value, count))
        held = scalars.held_type(dtype)
        return value if value.type == held else s.b.insert(arith.TruncFOp(value, held))

    def out(kept_at: dict[int, Index]) -> list[Index]:
        if op.keepdims is not None:
            return [kept_at.get(axis, 0) for axis in range(rank)]
        return [kept_at[axis] for axis in kept]

    def whole(kept_at: dict[int, Index]) -> SSAValue:
        if not axes:
            return finished(element(kept_at))
        inner = [sizes[axis] for axis in axes]
        return finished(
            accumulate(
                s.b, kind, dtype, inner, lambda at: element(kept_at | dict(zip(axes, at, strict=True)))
            )
        )

    if destination is None:
        s.registers[op.result] = whole({})
    elif kept and axes and kept[-1] > axes[-1]:
        _by_rows(
            s,
            kind,
            dtype,
            sizes,
            kept,
            element,
            lambda at, v: scalars.store(s.b, finished(v), destination, out(at)),
        )
    else:
        s.b.nest(
            [sizes[axis] for axis in kept],
            lambda at: scalars.store(
                s.b,
                whole(dict(zip(kept, at, strict=True))),
                destination,
                out(dict(zip(kept, at, strict=True))),
            ),
        )


def _by_rows(
    s: Lowering,
    kind: str,
    dtype: str,
    sizes: Sequence[Index],
    kept: Sequence[int],
    element: Callable[[dict[int, Index]], SSAValue],
    finish: Callable[[dict[int, Index], SSAValue], None],
) -> None:
    """A reduction that leaves the last axis: whole rows are added to a row of partial results."""
    held = scalars.held_type(dtype)
    wide = f64 if held == f32 and kind == "sum" else held
    name = "f64" if wide == f64 else dtype
    extents = [sizes[axis] for axis in kept]
    partial = s.allocate(wide, extents)
    start = identity(s.b, kind, name)
    s.b.nest(extents, lambda at: scalars.store(s.b, start, partial, at))

    def add(at: tuple[SSAValue, ...]) -> None:
        own = [at[axis] for axis in kept]
        value = element(dict(enumerate(at)))
        if value.type != wide:
            value = s.b.insert(arith.ExtFOp(value, wide))
        before = scalars.load(s.b, partial, own, name)
        scalars.store(s.b, combine(s.b, kind, before, value), partial, own)

    s.b.nest(sizes, add)

    def close(at: tuple[SSAValue, ...]) -> None:
        value = scalars.load(s.b, partial, at, name)
        finish(dict(zip(kept, at, strict=True)), value)

    s.b.nest(extents, close)


def lower_argreduce(s: Lowering, op: ops.ArgReduceOp, destination: SSAValue | None) -> None:
    """The extreme first, then the first position that holds it; both loops become vectors."""
    axis, rank = op.axis.value.data, len(shape_of(op.source.type))
    sizes = s.sizes(op.source)
    dtype = dtype_of(op.source.type)
    kept = [k for k in range(rank) if k != axis]
    kind = op.kind.data.removeprefix("arg")

    def whole(outer: Sequence[Index]) -> SSAValue:
        def element(at: tuple[Index, ...]) -> SSAValue:
            return s.element(op.source, [*outer[:axis], at[0], *outer[axis:]])

        best = accumulate(s.b, kind, dtype, [sizes[axis]], element)

        def position(at: tuple[Index, ...]) -> SSAValue:
            value = element(at)
            found = scalars.apply(s.b, "eq", dtype, [value, best])
            if is_float(dtype):
                found = s.b.insert(arith.OrIOp(found, s.b.insert(arith.CmpfOp(value, value, "uno"))))
            return s.b.select(found, s.b.to_integer(at[0]), s.b.constant((1 << 63) - 1, i64))

        return accumulate(s.b, "min", "i64", [sizes[axis]], position)

    if destination is None:
        s.registers[op.result] = whole(())
        return

    def row(at: tuple[SSAValue, ...]) -> None:
        out: list[Index] = [*at[:axis], 0, *at[axis:]] if op.keepdims is not None else list(at)
        s.b.store(whole(at), destination, out)

    s.b.nest([sizes[k] for k in kept], row)


def lower_softmax(s: Lowering, op: ops.SoftmaxOp, destination: SSAValue) -> None:
    """Row by row: the maximum, the exponentials and their sum in one sweep, the division."""
    axis, dtype = op.axis.value.data, dtype_of(op.result.type)
    sizes = s.sizes(op.source)
    keeps = bits(dtype) > 16
    held = scalars.held_type(dtype)

    def row(outer: tuple[SSAValue, ...]) -> None:
        def whole(i: Index) -> list[Index]:
            return [*outer[:axis], i, *outer[axis:]]

        def source(at: tuple[Index, ...]) -> SSAValue:
            return s.as_dtype(op.source, whole(at[0]), dtype)

        top = accumulate(s.b, "max", dtype, [sizes[axis]], source)

        def power(at: tuple[Index, ...]) -> SSAValue:
            return s.b.insert(math.ExpOp(s.b.insert(arith.SubfOp(source(at), top))))

        def kept_power(at: tuple[Index, ...]) -> SSAValue:
            value = power(at)
            if keeps:
                scalars.store(s.b, value, destination, whole(at[0]))
            return value

        total = accumulate(s.b, "sum", dtype, [sizes[axis]], kept_power)
        share = s.b.insert(arith.DivfOp(s.b.constant(1.0, f64), total))
        share = share if share.type == held else s.b.insert(arith.TruncFOp(share, held))

        def scale(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            value = scalars.load(s.b, destination, whole(i), dtype) if keeps else power((i,))
            scalars.store(s.b, s.b.insert(arith.MulfOp(value, share)), destination, whole(i))
            return ()

        s.b.loop(0, sizes[axis], (), scale)

    s.b.nest([size for k, size in enumerate(sizes) if k != axis], row)


def lower_cumsum(s: Lowering, op: ops.CumulativeSumOp, destination: SSAValue) -> None:
    """One running sum per line along the axis, of floats in f64."""
    axis, dtype = op.axis.value.data, dtype_of(op.result.type)
    sizes = s.sizes(op.source)
    wide = "f64" if is_float(dtype) else dtype

    def line(outer: tuple[SSAValue, ...]) -> None:
        def step(i: SSAValue, carried: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            at = [*outer[:axis], i, *outer[axis:]]
            value = s.as_dtype(op.source, at, wide)
            total = s.b.insert(
                arith.AddfOp(carried[0], value) if wide == "f64" else arith.AddiOp(carried[0], value)
            )
            scalars.store(s.b, scalars.convert(s.b, total, wide, dtype), destination, at)
            return (total,)

        s.b.loop(0, sizes[axis], (s.b.constant(0, scalars.held_type(wide)),), step)

    s.b.nest([size for k, size in enumerate(sizes) if k != axis], line)
