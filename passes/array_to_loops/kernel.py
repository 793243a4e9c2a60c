"""Lowering one kernel: the function it becomes, from its arguments to its status."""

from collections.abc import Sequence

from xdsl.dialects import arith, func
from xdsl.dialects.builtin import DYNAMIC_INDEX, MemRefType, StridedLayoutAttr, i8, i64
from xdsl.ir import Attribute, Block, Region, SSAValue

from flowc.dialects.array import memory
from flowc.dialects.array.kernel import KernelOp, ReturnOp
from flowc.dialects.array.types import Shape, dtype_of, shape_of
from flowc.passes.array_extents import least_extents
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.chains import fuse_chains
from flowc.passes.array_to_loops.checks import EXTENTS_DIFFER, Checks
from flowc.passes.array_to_loops.conditions import require_equal
from flowc.passes.array_to_loops.control import lower_block
from flowc.passes.array_to_loops.distribution import part_loops
from flowc.passes.array_to_loops.elements import Lowering, Place
from flowc.passes.array_to_loops.lifetimes import Result
from flowc.passes.array_to_loops.order import keep_order
from flowc.passes.array_to_loops.segment import PROCESSOR, copy
from flowc.passes.array_to_loops.short_loops import mark_short_loops
from flowc.passes.array_to_loops.width import scale_work


def lower_kernel(
    kernel: KernelOp, name: str, vector_bits: int, layouts: Sequence[str], bf16_dots: bool = False
) -> tuple[func.FuncOp, Checks]:
    """The kernel as a function of loops called `name`; with it, the positions its checks refer to.

    `layouts` has a word per argument: "contiguous" (row-major without gaps), "rows" (elements of the last
    axis side by side) or "any"; that of a number does not matter. `bf16_dots` says whether the target adds
    products of pairs of bf16.
    """
    block = function_block(kernel, layouts)
    s = Lowering(kernel, block, kernel.location, PROCESSOR, vector_bits, bf16_dots)
    checks = Checks(s)
    function = lower_function(s, checks, kernel, name, layouts)
    keep_order(kernel, function)
    part_loops(s.written)
    fuse_chains(function)
    mark_short_loops(function, vector_bits)
    scale_work(function, s.choices.work)
    return function, checks


def function_block(kernel: KernelOp, layouts: Sequence[str]) -> Block:
    """The block of a kernel's function, with its arguments: the kernel's, then memory for its results."""
    arguments = [
        _argument_type(type_, layout)
        for type_, layout in zip(kernel.function_type.inputs, layouts, strict=True)
    ]
    return Block(arg_types=[*arguments, *map(_result_type, kernel.function_type.outputs)])


def lower_function(
    s: Lowering, checks: Checks, kernel: KernelOp, name: str, layouts: Sequence[str]
) -> func.FuncOp:
    """The function of a kernel, whose block the lowering stands in."""
    block = s.b.block
    count = len(kernel.function_type.inputs)
    s.arguments = list(block.args)
    for argument, value, layout in zip(kernel.body.block.args, block.args, layouts, strict=False):
        value.name_hint = argument.name_hint
        if isinstance(value.type, MemRefType):
            s.buffers[argument] = value
            if layout == "contiguous":
                s.contiguous.add(argument)
        else:
            s.registers[argument] = _held(s, value, dtype_of(argument.type))
    _require_least(s, checks, kernel)
    _lower_body(s, checks, kernel, block.args[count:])
    s.b.location = kernel.location
    s.b.append(func.ReturnOp(checks.finish(_results(s, kernel, block.args[count:]))))
    function = func.FuncOp(name, (list(block.arg_types), [i64]), Region(block))
    function.location = kernel.location
    return function


def _results(s: Lowering, kernel: KernelOp, outputs: Sequence[SSAValue]) -> list[Result]:
    """The memory of the results, with extents where the lowering has asked for all of them."""
    sizes = s.known_sizes()
    found = []
    for value, output in zip(kernel.returned, outputs, strict=True):
        shape = s.extents.shape(value)
        known = all(isinstance(extent, int) or extent in sizes for extent in shape)
        found.append(Result(output, s.sizes(value) if known else None))
    return found


def _argument_type(type_: Attribute, layout: str) -> Attribute:
    shape = shape_of(type_)
    if not shape:
        return i8 if dtype_of(type_) == "u8" else type_
    if layout == "contiguous":
        return _result_type(type_)
    strides: list[int | None] = [None] * len(shape)
    if layout == "rows":
        strides[-1] = 1
    return MemRefType(scalars.stored_type(dtype_of(type_)), _sizes(shape), StridedLayoutAttr(strides, 0))


def _result_type(type_: Attribute) -> Attribute:
    return MemRefType(scalars.stored_type(dtype_of(type_)), _sizes(shape_of(type_)))


def _sizes(shape: Shape) -> list[int]:
    return [extent if isinstance(extent, int) else DYNAMIC_INDEX for extent in shape]


def _held(s: Lowering, value: SSAValue, dtype: str) -> SSAValue:
    held = scalars.held_type(dtype)
    return value if value.type == held else s.b.insert(arith.ExtFOp(value, held))


def _require_least(s: Lowering, checks: Checks, kernel: KernelOp) -> None:
    """The lengths on which the kernel relies, whoever calls it."""
    for name, least in least_extents(kernel).items():
        extent = s.extents.declared(name)
        if extent is not None:
            enough = s.b.compare("sge", s.b.index(s.size(extent)), s.b.index(least))
            checks.require(enough, EXTENTS_DIFFER, kernel)


def _lower_body(s: Lowering, checks: Checks, kernel: KernelOp, outputs: Sequence[SSAValue]) -> None:
    destinations: dict[SSAValue, Place] = {}
    for value, output in zip(kernel.returned, outputs, strict=True):
        if shape_of(value.type):
            destinations.setdefault(value, Place(output))
    *operations, last = kernel.body.block.ops
    assert isinstance(last, ReturnOp)
    _lend_outputs(s, last, outputs)
    lower_block(s, checks, operations, destinations)
    s.b.location = s.top.location = last.location
    _return(s, checks, last, outputs, kernel)


def _lend_outputs(s: Lowering, op: ReturnOp, outputs: Sequence[SSAValue]) -> None:
    """Memory of the kernel whose last value is returned is the memory of that result from the start."""
    for value, output in zip(op.operands, outputs, strict=True):
        read = value.owner
        if not isinstance(read, memory.ReadOp) or read.ref in s.buffers:
            continue
        made = read.ref.owner
        if isinstance(made, memory.VariableOp | memory.EmptyOp) and made.parent is op.parent:
            s.settle(read.ref, Place(output))


def _return(s: Lowering, checks: Checks, op: ReturnOp, outputs: Sequence[SSAValue], kernel: KernelOp) -> None:
    for value, output, wanted in zip(op.operands, outputs, kernel.function_type.outputs, strict=True):
        for axis, extent in enumerate(shape_of(wanted)):
            declared = s.extents.declared(extent)
            if declared is not None and shape_of(value.type)[axis] != extent:
                require_equal(s, checks, declared, s.extents.extent(value, axis), op)
        if s.buffers.get(value) is not output:
            copy(s, value, Place(output))
