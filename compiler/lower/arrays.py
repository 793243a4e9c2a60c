"""Array operators: in kernels every number, in flows what touches an array.

A number written in the program is weak, as in NumPy: it takes the dtype of the array it meets. So does an
`int` or a `float` of a flow, by a cast.
"""

from collections.abc import Mapping, Sequence

from xdsl.dialects.builtin import i64
from xdsl.ir import SSAValue

from flowc.compiler.checker.model import BoundCall
from flowc.compiler.lower.frame import Frame
from flowc.compiler.syntax import Attribute, Constant, Expression, ListDisplay, Unary
from flowc.dialects.array import build, kinds
from flowc.dialects.array.types import (
    Extent,
    dtype_of,
    is_array_type,
    is_float,
    promote_all,
    shape_of,
    type_of_dtype,
)
from flowc.dialects.flow.compute import CastOp
from flowc.dialects.flow.types import IntType
from flowc.runtime.types import FLOAT, INT, Array, Tuple, Type

Operand = SSAValue | int | float
"""A value, or a number written in the program."""


def literal(expression: Expression) -> int | float | None:
    """The number that an expression writes, sign included."""
    match expression:
        case Constant("int" | "float", int() | float() as value):
            return value
        case Unary("-", operand):
            inner = literal(operand)
            return None if inner is None else -inner
    return None


def operand(frame: Frame, expression: Expression) -> Operand:
    """An operand of an array operator: a literal stays a number until the dtype it takes is known."""
    written = literal(expression)
    if written is not None and not isinstance(frame.checked.coercions.get(id(expression)), Array):
        return written
    return frame.value(expression)


def is_weak(frame: Frame, expression: Expression) -> bool:
    """Whether the operand adapts to the dtype of the others."""
    target = frame.checked.coercions.get(id(expression), frame.type_of(expression))
    return target in (INT, FLOAT)


def as_number(frame: Frame, value: Operand, dtype: str) -> SSAValue:
    """The operand as a number or array of `dtype`."""
    if not isinstance(value, SSAValue):
        return frame.emit(build.constant(value, dtype))
    if not is_array_type(value.type):
        return frame.converted(value, type_of_dtype[dtype])
    return value if dtype_of(value.type) == dtype else frame.emit(build.cast(value, dtype))


def as_array(frame: Frame, value: Operand) -> SSAValue:
    """The operand in the dtype it has by itself: i64 for an `int`."""
    if isinstance(value, SSAValue):
        return as_number(frame, value, "i64") if isinstance(value.type, IntType) else value
    return as_number(frame, value, "f64" if isinstance(value, float) else "i64")


def index(frame: Frame, value: Operand) -> SSAValue:
    """A position or an extent: an i64."""
    if isinstance(value, SSAValue) and not is_array_type(value.type):
        return frame.emit(CastOp(value, i64))
    return as_number(frame, value, "i64")


def common_dtype(values: Sequence[Operand], weak: Sequence[bool]) -> str:
    """The dtype in which operands meet, weak ones adapting to strong ones."""
    strong = [
        dtype_of(value.type)
        for value, adapts in zip(values, weak, strict=True)
        if isinstance(value, SSAValue) and not adapts
    ]
    floating = any(
        isinstance(value, float) or (adapts and isinstance(value, SSAValue) and _is_floating(value))
        for value, adapts in zip(values, weak, strict=True)
    )
    if not strong:
        return "f64" if floating else "i64"
    result = promote_all(strong)
    if floating and not is_float(result):
        return "f64"
    return "i64" if any(weak) and result == "bool" else result


def _is_floating(value: SSAValue) -> bool:
    return is_array_type(value.type) and is_float(dtype_of(value.type))


def elementwise(frame: Frame, kind: str, values: Sequence[Operand], weak: Sequence[bool]) -> SSAValue:
    """An elementwise operator over operands of which some are weak."""
    first = 1 if kind == "where" else 0
    dtype = common_dtype(values[first:], weak[first:])
    ready = [as_array(frame, value) for value in values[:first]]
    ready += [
        as_number(frame, value, dtype)
        if adapts or not isinstance(value, SSAValue)
        else as_array(frame, value)
        for value, adapts in zip(values[first:], weak[first:], strict=True)
    ]
    return frame.emit(build.elementwise(kind, ready))


def contract(frame: Frame, left: SSAValue, right: SSAValue) -> SSAValue:
    """`left @ right`."""
    return frame.emit(build.contract(left, right))


def call(frame: Frame, bound: BoundCall, result: Type) -> SSAValue:
    """A built-in that becomes array operators."""
    options = bound.options
    if bound.form == "elementwise":
        sides = bound.arguments[: kinds.arity[bound.operator]]
        weak = [is_weak(frame, each) for each in sides]
        return elementwise(frame, bound.operator, [operand(frame, each) for each in sides], weak)
    if bound.form in ("fill", "iota"):
        return _made(frame, bound, result)
    values = [operand(frame, argument) for argument in bound.arguments]
    source = as_array(frame, values[0])
    match bound.form:
        case "cast":
            return as_number(frame, source, bound.operator)
        case "reduce":
            axes = _axes(options.get("axes"))
            return frame.emit(build.reduce(bound.operator, source, axes, options.get("keepdims") is True))
        case "argreduce":
            return frame.emit(
                build.argreduce(bound.operator, source, _axis(options), options.get("keepdims") is True)
            )
        case "softmax":
            return frame.emit(build.softmax(source, _axis(options)))
        case "expand":
            return frame.emit(build.expand(source, _axis(options)))
        case "transpose":
            return frame.emit(build.transpose(source, _axes(options.get("permutation"))))
        case "gather":
            return frame.emit(build.gather(source, as_array(frame, values[1])))
        case "contract":
            return contract(frame, source, as_array(frame, values[1]))
        case "concat":
            return _concat(frame, values, bound)
        case "shape":
            return extent(frame, source) if bound.operator == "len" else size(frame, source)
    raise ValueError(f"no array operator for the form `{bound.form}`")


def _axes(value: object) -> tuple[int, ...] | None:
    return tuple(axis for axis in value if isinstance(axis, int)) if isinstance(value, tuple | list) else None


def _axis(options: Mapping[str, object]) -> int:
    value = options.get("axis")
    return value if isinstance(value, int) else -1


def _concat(frame: Frame, values: Sequence[Operand], bound: BoundCall) -> SSAValue:
    weak = [False] * len(values)
    dtype = common_dtype(values, weak)
    return frame.emit(
        build.concat([as_number(frame, value, dtype) for value in values], _axis(bound.options))
    )


def topk(frame: Frame, bound: BoundCall, result: Type) -> tuple[SSAValue, SSAValue]:
    """The values and the positions of the largest."""
    source = as_array(frame, operand(frame, bound.arguments[0]))
    count = index(frame, operand(frame, bound.arguments[1]))
    dims: tuple[Extent, ...] = ("",)
    if isinstance(result, Tuple) and isinstance(result.items[0], Array):
        dims = result.items[0].dims
    op = frame.add(build.topk(source, count, dims[-1]))
    return op.results[0], op.results[1]


def _made(frame: Frame, bound: BoundCall, result: Type) -> SSAValue:
    dims = result.dims if isinstance(result, Array) else ()
    if bound.form == "iota":
        return frame.emit(build.iota(index(frame, operand(frame, bound.arguments[0])), dims[0]))
    sizes = extents(frame, bound.arguments[0])
    dtype = str(bound.options["dtype"])
    filling = bound.options.get("value")
    value = filling if isinstance(filling, int | float) else operand(frame, bound.arguments[1])
    return frame.emit(build.broadcast(as_number(frame, value, dtype), dims, sizes))


def extents(frame: Frame, expression: Expression) -> list[SSAValue]:
    """The extents that a `shape` argument names: a list of them, the shape of an array, or a single one."""
    if isinstance(expression, ListDisplay):
        return [index(frame, operand(frame, item)) for item in expression.items]
    if isinstance(expression, Attribute) and isinstance(frame.type_of(expression), Tuple):
        source = as_array(frame, operand(frame, expression.value))
        return [frame.emit(build.dim(source, axis)) for axis in range(len(shape_of(source.type)))]
    return [index(frame, operand(frame, expression))]


def extent(frame: Frame, source: SSAValue, axis: int = 0) -> SSAValue:
    """The extent of an axis: i64 in a kernel, an `int` in a flow."""
    value = frame.emit(build.dim(source, axis))
    return value if frame.native else frame.emit(CastOp(value, IntType()))


def measure(frame: Frame, source: SSAValue, name: str) -> SSAValue:
    """`.size` or `.ndim` of an array."""
    if name == "size":
        return size(frame, source)
    count = frame.emit(build.constant(len(shape_of(source.type)), "i64"))
    return count if frame.native else frame.emit(CastOp(count, IntType()))


def size(frame: Frame, source: SSAValue) -> SSAValue:
    """The number of elements."""
    total = frame.emit(build.constant(1, "i64"))
    for axis in range(len(shape_of(source.type))):
        total = frame.emit(build.elementwise("mul", [total, frame.emit(build.dim(source, axis))]))
    return total if frame.native else frame.emit(CastOp(total, IntType()))
