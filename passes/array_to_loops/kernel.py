"""Lowering one kernel: its operators in order, each into the result it is returned as, a temporary or
nothing."""

from collections.abc import Sequence

from xdsl.dialects import arith, func
from xdsl.dialects.builtin import DYNAMIC_INDEX, MemRefType, StridedLayoutAttr, i64
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.kernel import KernelOp, ReturnOp
from flowc.dialects.array.types import Shape, dtype_of, shape_of
from flowc.passes.array_extents import Expression
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.checks import (
    EXTENTS_DIFFER,
    INDEX_RANGE,
    NOTHING_TO_REDUCE,
    TOO_MANY,
    Checks,
    every,
)
from flowc.passes.array_to_loops.contract import lower_contract
from flowc.passes.array_to_loops.elements import Lowering
from flowc.passes.array_to_loops.reductions import lower_argreduce, lower_cumsum, lower_reduce, lower_softmax
from flowc.passes.array_to_loops.selection import lower_topk


def lower_kernel(
    kernel: KernelOp, name: str, vector_bits: int, unit_stride: bool
) -> tuple[func.FuncOp, Checks]:
    """The kernel as a function of loops called `name`; with it, the positions its checks refer to.

    With `unit_stride`, the last axis of every array argument is contiguous; the others have any stride.
    """
    arguments = [_argument_type(type_, unit_stride) for type_ in kernel.function_type.inputs]
    results = [_result_type(type_) for type_ in kernel.function_type.outputs]
    block = Block(arg_types=[*arguments, *results])
    s = Lowering(kernel, block, kernel.location)
    checks = Checks(s)
    s.arguments = list(block.args)
    for argument, value in zip(kernel.body.block.args, block.args, strict=False):
        value.name_hint = argument.name_hint
        if isinstance(value.type, MemRefType):
            s.buffers[argument] = value
        else:
            s.registers[argument] = _held(s, value, dtype_of(argument.type))
    _lower_body(s, checks, kernel, block.args[len(arguments) :], vector_bits)
    s.b.location = kernel.location
    s.b.append(func.ReturnOp(checks.finish()))
    function = func.FuncOp(name, ([*arguments, *results], [i64]), Region(block))
    function.location = kernel.location
    return function, checks


def _argument_type(type_: Attribute, unit_stride: bool) -> Attribute:
    shape = shape_of(type_)
    if not shape:
        return type_
    strides: list[int | None] = [None] * len(shape)
    if unit_stride:
        strides[-1] = 1
    return MemRefType(scalars.stored_type(dtype_of(type_)), _sizes(shape), StridedLayoutAttr(strides, 0))


def _result_type(type_: Attribute) -> Attribute:
    return MemRefType(scalars.stored_type(dtype_of(type_)), _sizes(shape_of(type_)))


def _sizes(shape: Shape) -> list[int]:
    return [extent if isinstance(extent, int) else DYNAMIC_INDEX for extent in shape]


def _held(s: Lowering, value: SSAValue, dtype: str) -> SSAValue:
    held = scalars.held_type(dtype)
    return value if value.type == held else s.b.insert(arith.ExtFOp(value, held))


def _lower_body(
    s: Lowering, checks: Checks, kernel: KernelOp, outputs: Sequence[SSAValue], vector_bits: int
) -> None:
    destinations: dict[SSAValue, SSAValue] = {}
    for value, output in zip(kernel.returned, outputs, strict=True):
        destinations.setdefault(value, output)
    for op in kernel.body.block.ops:
        s.b.location = s.top.location = op.location
        if isinstance(op, ReturnOp):
            _return(s, checks, op, outputs, kernel)
        else:
            _check(s, checks, op)
            _lower(s, op, destinations, vector_bits)


def _lower(s: Lowering, op: Operation, destinations: dict[SSAValue, SSAValue], vector_bits: int) -> None:
    if ops.is_view(op) or isinstance(op, ops.ConstantOp):
        _scalar_view(s, op)
        return
    result = op.results[0]
    if "inline" in op.properties and result not in destinations:
        return
    if not shape_of(result.type) and not isinstance(op, ops.ReduceOp | ops.ArgReduceOp | ops.ContractOp):
        s.registers[result] = s.element(result, ())
        return
    places = [_place(s, value, destinations) for value in op.results]
    first = places[0]
    match op:
        case ops.ReduceOp():
            lower_reduce(s, op, first)
        case ops.ArgReduceOp():
            lower_argreduce(s, op, first)
        case ops.ContractOp():
            lower_contract(s, op, first, vector_bits)
        case ops.SoftmaxOp() if first is not None:
            lower_softmax(s, op, first)
        case ops.CumulativeSumOp() if first is not None:
            lower_cumsum(s, op, first)
        case ops.TopKOp() if first is not None and places[1] is not None:
            lower_topk(s, op, first, places[1])
        case _ if first is not None:
            s.b.nest(s.sizes(result), lambda at: scalars.store(s.b, s.element(result, at), first, at))
    for value, buffer in zip(op.results, places, strict=True):
        if buffer is not None:
            s.buffers[value] = buffer


def _scalar_view(s: Lowering, op: Operation) -> None:
    """A view of rank 0 is read once, ahead of the loops that use it."""
    if isinstance(op, ops.IndexOp) and not shape_of(op.result.type):
        s.registers[op.result] = s.element(op.result, ())


def _place(s: Lowering, value: SSAValue, destinations: dict[SSAValue, SSAValue]) -> SSAValue | None:
    """Where a value goes: the result it is returned as, or a temporary in the form values are held in."""
    if not shape_of(value.type):
        return None
    if value in destinations:
        return destinations[value]
    return s.allocate(scalars.held_type(dtype_of(value.type)), s.sizes(value))


def _return(s: Lowering, checks: Checks, op: ReturnOp, outputs: Sequence[SSAValue], kernel: KernelOp) -> None:
    for value, output, wanted in zip(op.operands, outputs, kernel.function_type.outputs, strict=True):
        for axis, extent in enumerate(shape_of(wanted)):
            declared = s.extents.declared(extent)
            if declared is not None and shape_of(value.type)[axis] != extent:
                _require_equal(s, checks, declared, s.extents.extent(value, axis), op)
        if s.buffers.get(value) is not output:
            _copy(s, value, output)


def _copy(s: Lowering, value: SSAValue, output: SSAValue) -> None:
    s.b.nest(s.sizes(value), lambda at: scalars.store(s.b, s.element(value, at), output, at))


def _check(s: Lowering, checks: Checks, op: Operation) -> None:
    """The conditions of an operator that its types do not settle."""
    match op:
        case ops.ElementwiseOp():
            _check_elementwise(s, checks, op)
        case ops.ContractOp():
            right = len(shape_of(op.right.type))
            inner = s.extents.extent(op.left, len(shape_of(op.left.type)) - 1)
            _require_equal(s, checks, inner, s.extents.extent(op.right, max(right - 2, 0)), op)
            _check_broadcast(s, checks, op, op.operands, skip=2)
        case ops.ConcatOp():
            for part in op.inputs[1:]:
                for axis in range(len(shape_of(part.type))):
                    if axis != op.axis.value.data:
                        first = s.extents.extent(op.inputs[0], axis)
                        _require_equal(s, checks, first, s.extents.extent(part, axis), op)
        case ops.BroadcastOp():
            _check_stretch(s, checks, op)
        case ops.IndexOp():
            _check_index(s, checks, op)
        case ops.GatherOp():
            _check_gather(s, checks, op)
        case ops.TopKOp():
            _check_count(s, checks, op)
        case ops.ReduceOp() if op.kind.data in ("min", "max"):
            _check_reduced(s, checks, op, [int(axis) for axis in op.axes.get_values()])
        case ops.ArgReduceOp():
            _check_reduced(s, checks, op, [op.axis.value.data])
    _check_claims(s, checks, op)


def _require_equal(s: Lowering, checks: Checks, a: Expression, b: Expression, op: Operation) -> None:
    if a == b:
        return
    left, right = s.size(a), s.size(b)
    checks.require(s.b.compare("eq", s.b.index(left), s.b.index(right)), EXTENTS_DIFFER, op)


def _check_broadcast(
    s: Lowering, checks: Checks, op: Operation, operands: Sequence[SSAValue], skip: int
) -> None:
    rank = max(len(shape_of(operand.type)) for operand in operands)
    for axis in range(rank - skip):
        known: Expression | None = None
        for operand in operands:
            own = axis - rank + len(shape_of(operand.type))
            if own < 0 or shape_of(operand.type)[own] == 1:
                continue
            extent = s.extents.extent(operand, own)
            if known is not None:
                _require_equal(s, checks, known, extent, op)
            known = extent if known is None else known


def _check_elementwise(s: Lowering, checks: Checks, op: ops.ElementwiseOp) -> None:
    """Each axis of an operand is as long as the result's, or 1; so is one whose extent the run finds out,
    if another operand says the extent. Between operands of which none says it, nothing stretches.
    """
    rank = len(shape_of(op.result.type))
    for axis in range(rank):
        whole = s.extents.derived(op.result, axis)
        places = [(operand, axis - rank + len(shape_of(operand.type))) for operand in op.inputs]
        said = any(own >= 0 and shape_of(operand.type)[own] not in (1, "") for operand, own in places)
        for operand, own in places:
            if own < 0 or shape_of(operand.type)[own] == 1:
                continue
            if said and shape_of(operand.type)[own] == "":
                _require_equal_or_one(s, checks, whole, s.extents.extent(operand, own), op)
            else:
                _require_equal(s, checks, whole, s.extents.extent(operand, own), op)


def _require_equal_or_one(
    s: Lowering, checks: Checks, whole: Expression, own: Expression, op: Operation
) -> None:
    if own in (whole, 1):
        return
    extent = s.b.index(s.size(own))
    equal = s.b.compare("eq", s.b.index(s.size(whole)), extent)
    one = s.b.compare("eq", extent, s.b.index(1))
    checks.require(s.b.insert(arith.OrIOp(equal, one)), EXTENTS_DIFFER, op)


def _check_stretch(s: Lowering, checks: Checks, op: ops.BroadcastOp) -> None:
    offset = len(op.extents) - len(shape_of(op.source.type))
    for axis, extent in enumerate(shape_of(op.source.type)):
        if extent != 1:
            target = s.extents.extent(op.result, axis + offset)
            _require_equal(s, checks, target, s.extents.extent(op.source, axis), op)


def _check_index(s: Lowering, checks: Checks, op: ops.IndexOp) -> None:
    whole = s.extents.extent(op.source, op.axis.value.data)
    wanted = s.extents.scalar(op.index)
    if isinstance(whole, int) and isinstance(wanted, int) and -whole <= wanted < whole:
        s.positions[op.result] = wanted % whole
        return
    extent = s.size(whole)
    place = s.b.index(s.b.wrap(s.size(wanted), extent))
    inside = s.b.compare("ult", place, s.b.index(extent))
    checks.require(inside, INDEX_RANGE, op)
    s.positions[op.result] = place


def _check_gather(s: Lowering, checks: Checks, op: ops.GatherOp) -> None:
    extent = s.size(s.extents.extent(op.source, 0))

    def inside(at: tuple[SSAValue, ...]) -> SSAValue:
        place = s.b.wrap(s.b.to_index(s.element(op.indices, at)), extent)
        return s.b.compare("ult", s.b.index(place), s.b.index(extent))

    checks.require(every(s, s.sizes(op.indices), inside), INDEX_RANGE, op)


def _check_count(s: Lowering, checks: Checks, op: ops.TopKOp) -> None:
    extent = s.extents.extent(op.source, len(shape_of(op.source.type)) - 1)
    count = s.extents.scalar(op.count)
    if isinstance(extent, int) and isinstance(count, int) and 0 <= count <= extent:
        return
    # Unsigned: a negative count is larger than any extent.
    fits = s.b.compare("ule", s.b.index(s.size(count)), s.b.index(s.size(extent)))
    checks.require(fits, TOO_MANY, op)


def _check_reduced(
    s: Lowering, checks: Checks, op: ops.ReduceOp | ops.ArgReduceOp, axes: Sequence[int]
) -> None:
    """Something to reduce, or no result to give."""
    shape = s.extents.shape(op.source)
    if all(isinstance(shape[axis], int) and shape[axis] != 0 for axis in axes):
        return
    kept, reduced = s.b.index(1), s.b.index(1)
    for axis, expression in enumerate(shape):
        size = s.size(expression)
        if axis in axes:
            reduced = s.b.index(s.b.mul(reduced, size))
        else:
            kept = s.b.index(s.b.mul(kept, size))
    zero = s.b.index(0)
    some = s.b.insert(arith.OrIOp(s.b.compare("ne", reduced, zero), s.b.compare("eq", kept, zero)))
    checks.require(some, NOTHING_TO_REDUCE, op)


def _check_claims(s: Lowering, checks: Checks, op: Operation) -> None:
    """Extents that a result type declares beyond what the operator's rule knows."""
    if not isinstance(op, ops.ArrayOperation):
        return
    for result, inferred in zip(op.results, op.infer(), strict=True):
        for axis, (have, know) in enumerate(zip(shape_of(result.type), shape_of(inferred), strict=True)):
            if know == "" and have != "":
                _require_equal(s, checks, s.extents.extent(result, axis), s.extents.derived(result, axis), op)
