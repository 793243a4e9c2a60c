"""Convolution as a product whose left factor is not stored: a row for each window, a column for each
filter, and the contraction along the rows, columns and channels of a filter."""

from collections.abc import Sequence

from xdsl.dialects import arith
from xdsl.ir import SSAValue

from flowc.dialects.array import products
from flowc.dialects.array.types import dtype_of
from flowc.passes.array_to_gpu.contract.factors import (
    DEPTH,
    SIDE,
    Factor,
    Problem,
    Stack,
    as_matrix,
    is_packed,
    narrowed,
    tensor_dtype,
)
from flowc.passes.array_to_gpu.contract.numbers import numbers_of
from flowc.passes.array_to_gpu.launch import unravelled
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.elements import Indices
from flowc.passes.array_to_loops.stored import located


def problem_of(s: DeviceLowering, op: products.ConvolveOp) -> Problem:
    """The roles in a convolution."""
    dtype = dtype_of(op.result.type)
    images, rows, columns, filters = s.sizes(op.result)
    depth = s.top.product(s.sizes(op.filter)[:3])
    narrow = {narrowed(s, op.source)[0], narrowed(s, op.filter)[0]}

    def position(_: Stack, i: Index, j: Index) -> Indices:
        return (*unravelled(s, i, [images, rows, columns]), j)

    return Problem(
        op=op,
        numbers=numbers_of(dtype),
        tensor=tensor_dtype(s, dtype, narrow, depth),
        stack=(),
        rows=s.top.product([images, rows, columns]),
        columns=filters,
        depth=depth,
        left=_windows(s, op, dtype),
        right=_filters(s, op, dtype, depth),
        position=position,
        run=s.sizes(op.source)[3],
    )


def _divisors(s: DeviceLowering, sizes: Sequence[Index]) -> list[Index]:
    """Extents that a position may be divided by, also where it is used for nothing since one of them is 0."""
    return [s.top.max(size, 1) for size in sizes]


def _windows(s: DeviceLowering, op: products.ConvolveOp, dtype: str) -> Factor:
    """The windows of all images, one after the other; beyond the edges of an image there is nothing."""
    stored, lies = narrowed(s, op.source)
    _, height, width, channels = s.sizes(op.source)
    images, rows, columns, _ = s.sizes(op.result)
    within = _divisors(s, [0, s.sizes(op.filter)[1], channels])
    down, right = op.stride.get_values()
    above, _, left, _ = op.padding.get_values()

    def pixel(window: Index, step: Index) -> tuple[Index, Index, Index, Index]:
        image, i, j = unravelled(s, window, [images, rows, columns])
        a, b, channel = unravelled(s, step, within)
        y = s.b.sub(s.b.add(s.b.mul(i, down), a), above)
        x = s.b.sub(s.b.add(s.b.mul(j, right), b), left)
        return image, y, x, channel

    def inside(_: Stack, window: Index, step: Index) -> SSAValue:
        y, x = pixel(window, step)[1:3]
        # A negative position, taken without a sign, is beyond any extent.
        lies_down = s.b.compare("ult", s.b.index(y), s.b.index(height))
        lies_across = s.b.compare("ult", s.b.index(x), s.b.index(width))
        return s.b.insert(arith.AndIOp(lies_down, lies_across))

    def place(_: Stack, window: Index, step: Index) -> tuple[SSAValue, Sequence[Index]]:
        return located(s, op.source, pixel(window, step))

    return Factor(
        element=lambda _, window, step: s.as_dtype(op.source, pixel(window, step), dtype),
        place=place if lies else None,
        stored=stored,
        contiguous=DEPTH,
        dense=op.source in s.buffers and is_packed(s.buffers[op.source]),
        inside=inside if any(op.padding.get_values()) else None,
    )


def _filters(s: DeviceLowering, op: products.ConvolveOp, dtype: str, depth: Index) -> Factor:
    """A column for each filter."""
    stored, lies = narrowed(s, op.filter)
    sizes = s.sizes(op.filter)
    within = _divisors(s, sizes[:3])
    packed = op.filter in s.buffers and is_packed(s.buffers[op.filter])
    matrix = as_matrix(s, s.buffers[op.filter], depth, sizes[3]) if packed else None

    def position(j: Index, step: Index) -> Indices:
        return (*unravelled(s, step, within), j)

    def place(_: Stack, j: Index, step: Index) -> tuple[SSAValue, Sequence[Index]]:
        return (matrix, [step, j]) if matrix is not None else located(s, op.filter, position(j, step))

    return Factor(
        element=lambda _, j, step: s.as_dtype(op.filter, position(j, step), dtype),
        place=place if lies else None,
        stored=stored,
        contiguous=SIDE,
        dense=packed,
    )
