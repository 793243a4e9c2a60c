"""What a caller must know of a kernel, read off its types and the extents of its results."""

from collections.abc import Iterable

from xdsl.dialects.builtin import ArrayAttr, CallSiteLoc, FileLineColLoc, FusedLoc, LocationAttr, NameLoc
from xdsl.ir import Attribute, SSAValue

from flowc.dialects.array.kernel import KernelOp
from flowc.dialects.array.types import RefType, ShapeError, dtype_of, shape_of
from flowc.passes.array_extents import Expression, ExtentAnalysis
from flowc.runtime.kernel_signature import Extent, KernelSignature, Parameter, Result


def signature_of(kernel: KernelOp, sites: Iterable[LocationAttr] = ()) -> KernelSignature:
    """What a caller must know; raises ShapeError where a result's extent depends on computed values."""
    extents = ExtentAnalysis(kernel, quotients=True)
    parameters = tuple(
        Parameter(name, dtype_of(type_), shape_of(type_), isinstance(type_, RefType))
        for name, type_ in zip(kernel.arg_names, kernel.function_type.inputs, strict=True)
    )
    names: dict[Expression, str] = {}
    for position, parameter in enumerate(parameters):
        for axis, dimension in enumerate(parameter.dims):
            if isinstance(dimension, str) and dimension:
                names[("dim", position, axis)] = dimension
    results = []
    for value, type_ in zip(kernel.returned, kernel.function_type.outputs, strict=True):
        dims: list[Extent] = []
        for expression in extents.shape(value):
            _refuse_computed(kernel, expression)
            dims.append(names.get(expression, expression))
        results.append(Result(dtype_of(type_), tuple(dims)))
    return KernelSignature(kernel.sym_name.data, parameters, tuple(results), tuple(map(line_of, sites)))


def line_of(location: Attribute) -> int:
    """The source line of a location, 0 where unknown."""
    match location:
        case FileLineColLoc():
            return location.line.data
        case FusedLoc():
            return next((line for part in _parts(location) if (line := line_of(part))), 0)
        case CallSiteLoc():
            return line_of(location.callee)
        case NameLoc():
            return line_of(location.location)
    return 0


def _parts(location: FusedLoc) -> Iterable[Attribute]:
    return location.locations.data if isinstance(location.locations, ArrayAttr) else ()


def _refuse_computed(kernel: KernelOp, expression: object) -> None:
    if isinstance(expression, SSAValue):
        raise ShapeError(
            f"an extent of a result of kernel `{kernel.sym_name.data}` depends on values it "
            "computes; pass it as an argument instead"
        )
    if isinstance(expression, tuple):
        for part in expression:
            _refuse_computed(kernel, part)
