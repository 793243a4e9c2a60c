"""infer-shapes: spreads what is known of extents through a flow.

A conversion between array types says that extents are equal: inlining leaves such where a flow's names meet
the caller's. So each name of an inlined body gets the extent it stands for, everywhere. Then the results
of launches and array operators follow from their operands. Names of the flow's own parameters stay names.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.rewriter import Rewriter

from flowc.dialects.array.kernel import KernelOp, LaunchOp
from flowc.dialects.array.ops import ArrayOperation
from flowc.dialects.array.types import (
    Extent,
    Shape,
    ShapeError,
    array_type,
    dtype_of,
    is_array_type,
    shape_of,
)
from flowc.dialects.flow.compute import CastOp
from flowc.dialects.flow.declarations import FuncOp
from flowc.passes.extents import Rename, with_extents
from flowc.passes.facts import blocks_inside, flows_of, operations_inside
from flowc.passes.framework import FlowPass, Report, block_of, stamp

ARRAYS = (ArrayOperation, LaunchOp)
"""Operations that take an operand whose extents are known better than they were."""


def infer_shapes(module: ModuleOp) -> int:
    """Refines the types of array values in flows; gives how many."""
    kernels = {op.sym_name.data: op for op in module.ops if isinstance(op, KernelOp)}
    changed = 0
    for function in flows_of(module).values():
        changed += _bind_names(function)
        for op in operations_inside(function):
            changed += _refine(op, kernels)
    return changed


def _bind_names(function: FuncOp) -> int:
    """Puts extents in the place of names that conversions say are equal to them."""
    rigid = {name for argument in function.body.block.args for name in _names(argument.type)}
    rigid.update(_names(function.result_type))
    bound: dict[str, Extent] = {}

    def resolved(extent: Extent) -> Extent:
        while isinstance(extent, str) and extent in bound:
            extent = bound[extent]
        return extent

    for op in operations_inside(function):
        if isinstance(op, CastOp):
            for have, name in _equal_extents(op):
                extent = resolved(have)
                if _is_free(name, rigid, bound) and extent not in ("", name):
                    bound[str(name)] = extent
    if not bound:
        return 0
    return sum(_rename(value, resolved) for value in _values(function))


def _is_free(name: Extent, rigid: set[str], bound: dict[str, Extent]) -> bool:
    return isinstance(name, str) and name != "" and name not in rigid and name not in bound


def _equal_extents(op: CastOp) -> Iterator[tuple[Extent, Extent]]:
    source, result = op.source.type, op.result.type
    if is_array_type(source) and is_array_type(result) and len(shape_of(source)) == len(shape_of(result)):
        yield from zip(shape_of(source), shape_of(result), strict=True)


def _names(type_: Attribute) -> set[str]:
    found: set[str] = set()

    def note(extent: Extent) -> Extent:
        if isinstance(extent, str):
            found.add(extent)
        return extent

    with_extents(type_, note)
    return found


def _values(function: FuncOp) -> list[SSAValue]:
    """All values inside a flow but its parameters."""
    values: list[SSAValue] = []
    for block in blocks_inside(function):
        if block is not function.body.block:
            values.extend(block.args)
        for op in block.ops:
            values.extend(op.results)
    return values


def _rename(value: SSAValue, extent_of: Rename) -> int:
    new = with_extents(value.type, extent_of)
    if new == value.type:
        return 0
    Rewriter.replace_value_with_new_type(value, new)
    return 1


def _refine(op: Operation, kernels: dict[str, KernelOp]) -> int:
    changed = 0
    for result, inferred in zip(op.results, _inferred(op, kernels), strict=False):
        better = refined(result.type, inferred)
        if better is not None:
            _retype(op, result, better)
            changed += 1
    return changed


def _retype(op: Operation, result: SSAValue, better: Attribute) -> None:
    """Gives a value its better type. Array operators take it; what wants the old one gets a conversion."""
    strict = [use for use in result.uses if not isinstance(use.operation, ARRAYS)]
    old = result.type
    new = Rewriter.replace_value_with_new_type(result, better)
    if strict:
        cast = CastOp(new, old)
        stamp(cast, op)
        block_of(op).insert_op_after(cast, op)
        for use in strict:
            use.operation.operands[use.index] = cast.result


def _inferred(op: Operation, kernels: dict[str, KernelOp]) -> tuple[Attribute, ...]:
    try:
        if isinstance(op, ArrayOperation):
            return op.infer()
        if isinstance(op, LaunchOp):
            kernel = kernels.get(op.kernel.root_reference.data)
            return () if kernel is None else launched(kernel, op)
        if isinstance(op, CastOp) and any(isinstance(use.operation, ARRAYS) for use in op.result.uses):
            return (op.source.type,)
    except ShapeError:
        return ()
    return ()


def launched(kernel: KernelOp, launch: LaunchOp) -> tuple[Attribute, ...]:
    """The types of a launch's results with the kernel's extents bound by the arguments."""
    bound: dict[str, Extent] = {}
    for wanted, value in zip(kernel.function_type.inputs, launch.arguments, strict=True):
        if is_array_type(value.type):
            for name, extent in zip(shape_of(wanted), shape_of(value.type), strict=True):
                if isinstance(name, str) and name and extent != "":
                    bound.setdefault(name, extent)
    results = []
    for type_ in kernel.function_type.outputs:
        shape = tuple(bound.get(each, "") if isinstance(each, str) else each for each in shape_of(type_))
        results.append(array_type(dtype_of(type_), shape))
    return tuple(results)


def refined(declared: Attribute, inferred: Attribute) -> Attribute | None:
    """The declared type with the extents that only the inferred one knows; None where it knows none."""
    if not is_array_type(declared) or not is_array_type(inferred):
        return None
    have, know = shape_of(declared), shape_of(inferred)
    if len(have) != len(know) or dtype_of(declared) != dtype_of(inferred):
        return None
    merged: Shape = tuple(a if a != "" else b for a, b in zip(have, know, strict=True))
    return None if merged == have else array_type(dtype_of(declared), merged)


@dataclass(frozen=True)
class InferShapesPass(FlowPass):
    """Spreads known extents."""

    name = "infer-shapes"

    def run(self, module: ModuleOp) -> Report:
        """Runs `infer_shapes`."""
        return Report(infer_shapes(module))
