"""`x[...]` and `x.name`: positions, slices, gathers, fields, shapes."""

from xdsl.ir import SSAValue

from flowc.compiler.lower.arrays import as_array, contract, extent, index, literal, measure, operand
from flowc.compiler.lower.frame import Frame
from flowc.compiler.syntax import Attribute, Constant, Expression, Name, Slice, Subscript
from flowc.dialects.array import build
from flowc.dialects.array.slices import AxisSlice, Bound, SliceSpec
from flowc.dialects.array.types import is_array_type, shape_of
from flowc.dialects.flow.compute import ApplyOp, FieldOp, ItemOp, TupleOp
from flowc.dialects.flow.types import JsonType, NoneType, RecordType, TupleType
from flowc.runtime.types import Array, Tuple

__all__ = ["attribute", "contract", "subscript"]


def attribute(frame: Frame, expression: Attribute) -> SSAValue:
    """A field, an enum's member, or `.T` and `.shape` of an array."""
    if isinstance(expression.value, Name) and expression.value.id in frame.checked.enums:
        enum = expression.value.id
        if enum not in frame.variables:
            return frame.constant(expression.name, frame.lowering.type(frame.type_of(expression)))
    source = frame.value(expression.value)
    if is_array_type(source.type):
        return _of_array(frame, source, expression.name)
    if isinstance(source.type, TupleType):
        return frame.emit(ItemOp(source, _named_item(frame, expression)))
    if isinstance(source.type, RecordType | JsonType):
        result = frame.lowering.type(frame.type_of(expression))
        return frame.emit(FieldOp(source, expression.name, result))
    raise ValueError(f"{source.type} has no attributes")


def _named_item(frame: Frame, expression: Attribute) -> int:
    type_ = frame.checked.coercions.get(id(expression.value), frame.type_of(expression.value))
    if not isinstance(type_, Tuple):
        raise ValueError(f"{type_} has no named items")
    return type_.names.index(expression.name)


def _of_array(frame: Frame, source: SSAValue, name: str) -> SSAValue:
    if name == "T":
        return frame.emit(build.transpose(source))
    if name in ("size", "ndim"):
        return measure(frame, source, name)
    return frame.emit(TupleOp([extent(frame, source, axis) for axis in range(len(shape_of(source.type)))]))


def subscript(frame: Frame, expression: Subscript) -> SSAValue:
    """An element or a part of a value."""
    shape = _shape_position(frame, expression)
    if shape is not None:
        return shape
    source = frame.value(expression.value)
    if is_array_type(source.type) and shape_of(source.type):
        return _of_axes(frame, source, expression.indices)
    result = frame.lowering.type(frame.type_of(expression))
    (position,) = expression.indices
    if isinstance(position, Slice):
        bounds = [_bound_value(frame, bound) for bound in (position.start, position.stop, position.step)]
        return frame.emit(ApplyOp("slice", [source, *bounds], result))
    if isinstance(source.type, TupleType) and isinstance(written := literal(position), int):
        return frame.emit(ItemOp(source, written % len(source.type.items.data)))
    return frame.emit(ApplyOp("get_item", [source, frame.value(position)], result))


def _shape_position(frame: Frame, expression: Subscript) -> SSAValue | None:
    """`x.shape[1]` needs no tuple."""
    source = expression.value
    if not isinstance(source, Attribute) or source.name != "shape" or len(expression.indices) != 1:
        return None
    array_type = frame.checked.types.get(id(source.value))
    position = expression.indices[0]
    if not isinstance(array_type, Array) or isinstance(position, Slice):
        return None
    written = literal(position)
    return extent(frame, frame.value(source.value), written) if isinstance(written, int) else None


def _bound_value(frame: Frame, bound: Expression | None) -> SSAValue:
    return frame.value(bound) if bound is not None else frame.constant(None, NoneType())


def _of_axes(frame: Frame, source: SSAValue, indices: tuple[Expression | Slice, ...]) -> SSAValue:
    """Slices first, in one operator; then positions, the last axis first, so that they stay; `none` last."""
    created = _new_axes(frame, indices)
    indices = tuple(each for each in indices if not _is_none(each))
    bounds: list[SSAValue] = []
    axes = [_axis_slice(frame, each, bounds) if isinstance(each, Slice) else AxisSlice() for each in indices]
    if any(not axis.is_full for axis in axes):
        source = frame.emit(build.slices(source, SliceSpec(tuple(axes)), bounds))
    positions = [
        (axis, operand(frame, each)) for axis, each in enumerate(indices) if not isinstance(each, Slice)
    ]
    for axis, position in reversed(positions):
        if isinstance(position, SSAValue) and is_array_type(position.type) and shape_of(position.type):
            source = _gathered(frame, source, as_array(frame, position), axis)
        else:
            source = frame.emit(build.index(source, index(frame, position), axis))
    for axis in created:
        source = frame.emit(build.expand(source, axis))
    return source


def _is_none(each: Expression | Slice) -> bool:
    return isinstance(each, Constant) and each.kind == "none"


def _new_axes(frame: Frame, indices: tuple[Expression | Slice, ...]) -> list[int]:
    """Where `none` makes an axis of extent 1, counted in the result."""
    created, axis = [], 0
    for each in indices:
        if _is_none(each):
            created.append(axis)
        if isinstance(each, Slice) or _is_none(each):
            axis += 1
        elif isinstance(found := frame.type_of(each), Array):
            axis += len(found.dims)
    return created


def _gathered(frame: Frame, source: SSAValue, positions: SSAValue, axis: int) -> SSAValue:
    """Rows along `axis`: it is brought to the front and back."""
    if axis == 0:
        return frame.emit(build.gather(source, positions))
    rank, extra = len(shape_of(source.type)), len(shape_of(positions.type))
    front = [axis, *(each for each in range(rank) if each != axis)]
    rows = frame.emit(build.gather(frame.emit(build.transpose(source, front)), positions))
    others = list(range(extra, extra + rank - 1))
    return frame.emit(build.transpose(rows, [*others[:axis], *range(extra), *others[axis:]]))


def _axis_slice(frame: Frame, each: Slice, bounds: list[SSAValue]) -> AxisSlice:
    def bound(expression: Expression | None) -> Bound:
        if expression is None:
            return None
        written = literal(expression)
        if isinstance(written, int):
            return written
        bounds.append(index(frame, frame.value(expression)))
        return f"${len(bounds) - 1}"

    step = literal(each.step) if each.step is not None else 1
    return AxisSlice(bound(each.start), bound(each.stop), step if isinstance(step, int) else 1)
