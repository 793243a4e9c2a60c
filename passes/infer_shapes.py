"""infer-shapes: carries what is known of extents forward.

A launch gives its results the extents that its arguments have; each array operator's result follows from
its operands. Where a region or a list wants a type that says less, a conversion that costs nothing says
less. What is known can only grow, and operands come before their users, so one walk suffices.
"""

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
from flowc.passes.facts import blocks_inside
from flowc.passes.framework import FlowPass, Report, block_of, stamp


def infer_shapes(module: ModuleOp) -> int:
    """Refines the types of array values in flows; gives how many."""
    kernels = {op.sym_name.data: op for op in module.ops if isinstance(op, KernelOp)}
    changed = 0
    for function in module.ops:
        if isinstance(function, FuncOp):
            for block in blocks_inside(function):
                changed += sum(_refine(op, kernels) for op in list(block.ops))
    return changed


def _refine(op: Operation, kernels: dict[str, KernelOp]) -> int:
    found = _inferred(op, kernels)
    changed = 0
    for result, inferred in zip(op.results, found, strict=False):
        better = refined(result.type, inferred)
        if better is not None:
            _retype(op, result, better)
            changed += 1
    return changed


def _retype(op: Operation, result: SSAValue, better: Attribute) -> None:
    """Gives a value its better type.

    Array operators take it; regions and lists want the old one, by a conversion.
    """
    strict = [use for use in result.uses if not isinstance(use.operation, ArrayOperation | LaunchOp)]
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
    merged: Shape = tuple(a if isinstance(a, int) or b == "" else b for a, b in zip(have, know, strict=True))
    return None if merged == have else array_type(dtype_of(declared), merged)


@dataclass(frozen=True)
class InferShapesPass(FlowPass):
    """Carries known extents forward."""

    name = "infer-shapes"

    def run(self, module: ModuleOp) -> Report:
        """Runs `infer_shapes`."""
        return Report(infer_shapes(module))
