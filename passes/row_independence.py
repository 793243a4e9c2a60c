"""Kernels that give for some rows what they give for all: their calls may be cut into calls of parts.

A kernel goes along rows where position i of the first axis of each result depends on position i of an axis of
some arguments, the same axis wherever such an argument is read, and on the whole of the others; and where
nothing depends on how many rows there are.
"""

from collections.abc import Sequence

from xdsl.ir import BlockArgument, Operation, SSAValue

from flowc.dialects.array import irregular, ops
from flowc.dialects.array.kernel import PRECISE, REPRODUCIBLE, KernelOp, ReturnOp
from flowc.dialects.array.types import RefType, shape_of
from flowc.passes.array_extents import ExtentAnalysis
from flowc.passes.array_to_loops.stages import operands_along

COUNTING = ops.IotaOp | irregular.RandomOp | irregular.LinspaceOp
"""Operators whose elements depend on where they stand."""

Along = tuple[SSAValue, int | None]


def row_axes(kernel: KernelOp) -> tuple[int | None, ...]:
    """The axis of each argument, then of each result, along which the kernel goes row by row; None for an
    argument that every row reads whole. Empty where it does not go along rows, and for kernels that promise
    their bits: how a row is summed may depend on how many there are beside it."""
    if PRECISE in kernel.attributes or REPRODUCIBLE in kernel.attributes:
        return ()
    extents = ExtentAnalysis(kernel)
    inputs, outputs = kernel.function_type.inputs, kernel.function_type.outputs
    plain = not any(isinstance(type_, RefType) for type_ in inputs) and _is_straight(kernel)
    if not plain or not kernel.returned or not all(map(shape_of, outputs)):
        return ()
    rows = {extents.extent(value, 0) for value in kernel.returned}
    if len(rows) > 1 or any(isinstance(extent, int) for extent in rows):
        return ()
    (extent,) = rows
    if any(_counts(extents, op, extent) for op in kernel.body.block.ops):
        return ()
    found = _read(extents, kernel)
    axes: list[int | None] = []
    for argument in kernel.body.block.args:
        here = found.get(argument, {None})
        along = next(iter(here)) if len(here) == 1 else None
        whole = None in here
        if len(here) > 1 or (along is not None and extents.extent(argument, along) != extent):
            return ()
        axes.append(None if whole else along)
    if all(axis is None for axis in axes) or _is_elsewhere(extents, kernel, axes, extent):
        return ()
    return (*axes, *(0 for _ in outputs))


def _is_elsewhere(
    extents: ExtentAnalysis, kernel: KernelOp, axes: Sequence[int | None], rows: object
) -> bool:
    """Whether another axis of an argument or a result is as long as there are rows, by name: a part of the
    rows would not fit it, in a square matrix say."""
    pairs = [*zip(kernel.body.block.args, axes, strict=True), *((value, 0) for value in kernel.returned)]
    return any(
        _mentions(extent, rows)
        for value, cut in pairs
        for axis, extent in enumerate(extents.shape(value))
        if axis != cut
    )


def _is_straight(kernel: KernelOp) -> bool:
    """Whether a kernel is operators one after the other, without memory or control flow."""
    return all(isinstance(op, ops.ArrayOperation | ReturnOp) for op in kernel.body.block.ops)


def _counts(extents: ExtentAnalysis, op: Operation, rows: object) -> bool:
    """Whether an operator depends on how many rows there are, or on the number of one."""
    if isinstance(op, COUNTING):
        return any(_mentions(extent, rows) for extent in extents.shape(op.results[0]))
    if isinstance(op, ops.DimOp) and _mentions(extents.extent(op.source, op.axis.value.data), rows):
        return any(not isinstance(use.operation, ops.BroadcastOp) for use in op.result.uses)
    return False


def _mentions(extent: object, rows: object) -> bool:
    """Whether an extent is made of the number of rows."""
    if extent == rows:
        return True
    return isinstance(extent, tuple) and any(_mentions(part, rows) for part in extent)


def _read(extents: ExtentAnalysis, kernel: KernelOp) -> dict[SSAValue, set[int | None]]:
    """Along which axes each argument is read, position for position with the rows of the results; None where
    one row reads more of it."""
    found: dict[SSAValue, set[int | None]] = {}
    seen: set[Along] = set()
    pending: list[Along] = [(value, 0) for value in kernel.returned]
    while pending:
        value, axis = pending.pop()
        if (value, axis) in seen:
            continue
        seen.add((value, axis))
        if isinstance(value, BlockArgument):
            found.setdefault(value, set()).add(axis)
        else:
            assert isinstance(value.owner, Operation)
            pending += _operands(extents, value.owner, value, axis)
    return found


def _operands(extents: ExtentAnalysis, op: Operation, value: SSAValue, axis: int | None) -> list[Along]:
    """What an operator reads for one position along an axis of its result."""
    if axis is None:
        return [(operand, None) for operand in op.operands]
    match op:
        case ops.ReduceOp():
            gone = [int(each) for each in op.axes.get_values()]
            return [(op.source, _before(axis, gone, op.keepdims is not None))]
        case ops.ArgReduceOp():
            return [(op.source, _before(axis, [op.axis.value.data], op.keepdims is not None))]
        case ops.SoftmaxOp() | irregular.ScanOp() | irregular.SortOp() | irregular.ArgsortOp():
            return [(op.source, None if axis == op.axis.value.data else axis)]
        case ops.TopKOp():
            last = len(shape_of(op.source.type)) - 1
            return [(op.source, None if axis == last else axis), (op.count, None)]
    return operands_along(extents, op, value, axis)


def _before(axis: int, gone: list[int], kept: bool) -> int | None:
    """The axis of what is reduced that an axis of the result was; None for one that is left as 1 long."""
    if kept:
        return None if axis in gone else axis
    for each in sorted(gone):
        axis += each <= axis
    return axis
