"""Running sums, products, minima and maxima on a device; sums and products of floats are carried in f64."""

from collections.abc import Sequence

from xdsl.dialects.builtin import FixedBitwidthType
from xdsl.ir import SSAValue

from flowc.dialects.array import irregular
from flowc.dialects.array.types import dtype_of, is_float, shape_of
from flowc.passes.array_to_gpu.either import by_vectors, either
from flowc.passes.array_to_gpu.irregular.prefix import (
    Cut,
    cut_for_threads,
    cut_for_warps,
    run_by_threads,
    run_by_warps,
)
from flowc.passes.array_to_gpu.irregular.running import Running
from flowc.passes.array_to_gpu.limits import VECTOR_BYTES
from flowc.passes.array_to_gpu.lowering import DeviceLowering, fits_vectors
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.elements import Place
from flowc.passes.array_to_loops.stages import reads_of

SHORT_ROW = 64
"""Elements of a row up to which one thread goes through it."""


def lower_scan(s: DeviceLowering, op: irregular.ScanOp, destination: SSAValue) -> None:
    """A scan along any axis into memory of the result's shape."""
    axis, sizes = op.axis.value.data, s.sizes(op.source)
    running = _running(s, op, destination, axis)
    name = f"running_{op.kind.data}"
    if axis < len(sizes) - 1:
        run_by_threads(s, running, cut_for_threads(s, running), name)
        return
    cut = cut_for_warps(s, running)
    length = sizes[axis]

    def short() -> None:
        run_by_threads(s, running, Cut(1, length, None), name)

    def long() -> None:
        lanes = lanes_of_values(s, [op.source], [destination])
        whole = even_rows(s, running, lanes)
        by_vectors(
            s,
            lambda: run_by_warps(s, running, cut, name, lanes),
            lambda: run_by_warps(s, running, cut, name, 1),
            whole if lanes > 1 else False,
        )

    if running.lines:
        few = (
            length <= SHORT_ROW
            if isinstance(length, int)
            else s.b.compare("sle", length, s.b.index(SHORT_ROW))
        )
        either(s, few, short, long)
    else:
        long()


def _running(s: DeviceLowering, op: irregular.ScanOp, destination: SSAValue, axis: int) -> Running:
    dtype, kind = dtype_of(op.result.type), op.kind.data
    carried = "f64" if is_float(dtype) and kind in ("sum", "prod") else dtype
    sizes, place = s.sizes(op.source), Place(destination)

    def position(outer: Sequence[Index], i: Index) -> list[Index]:
        return [*outer[:axis], i, *outer[axis:]]

    def value(outer: Sequence[Index], i: Index) -> SSAValue:
        return s.as_dtype(op.source, position(outer, i), carried)

    def emit(
        outer: Sequence[Index], at: Sequence[Index], _: Sequence[SSAValue], after: Sequence[SSAValue]
    ) -> None:
        narrow = [each if carried == dtype else scalars.convert(s.b, each, carried, dtype) for each in after]
        s.store_lanes(narrow, place, [position(outer, i) for i in at])

    lines = [size for k, size in enumerate(sizes) if k != axis]
    return Running(kind, carried, lines, sizes[axis], value, emit)


def lanes_of_values(s: DeviceLowering, values: Sequence[SSAValue], stored: Sequence[SSAValue] = ()) -> int:
    """How many neighbours a thread takes as one vector, so that the widest elements that are read from memory
    for the values, or lie in what is `stored`, fill it; 1 where one of these does not lie dense."""
    found = reads_of(s, [(value, None) for value in values], set())
    read = {value for value, _ in found if shape_of(value.type)}
    buffers = [*stored, *(s.buffers[value] for value in read if value in s.buffers)]
    lanes = max(VECTOR_BYTES // max(map(_bytes_of, buffers), default=VECTOR_BYTES), 1)
    return lanes if all(fits_vectors(buffer, lanes) for buffer in buffers) else 1


def _bytes_of(buffer: SSAValue) -> int:
    element = scalars.element_type(buffer)
    return element.size if isinstance(element, FixedBitwidthType) else 8


def even_rows(s: DeviceLowering, running: Running, lanes: int) -> SSAValue | bool:
    """Whether all lines begin where vectors may, if the first one does."""
    if not running.lines:
        return True
    left = s.b.remainder(running.length, lanes)
    return left == 0 if isinstance(left, int) else s.b.compare("eq", left, s.b.index(0))
