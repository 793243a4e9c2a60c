"""Constants of a given type, made at once instead of converted at run time."""

from xdsl.dialects.builtin import f64, i1
from xdsl.ir import Attribute, Operation

from flowc.dialects.array import build
from flowc.dialects.array.types import ShapeError, dtype_of, is_array_type, shape_of
from flowc.dialects.flow.attributes import Json
from flowc.dialects.flow.compute import ConstantOp
from flowc.dialects.flow.types import IntType, NoneType, OptionalType, StrType


def converted_constant(value: Json, source: Attribute, target: Attribute) -> Operation | None:
    """The constant `value` of type `source` as one of type `target`; None where only a run can convert it."""
    if isinstance(target, OptionalType):
        if isinstance(source, NoneType) or (
            source == target.inner and source in (StrType(), IntType(), i1, f64)
        ):
            return ConstantOp(value, target)
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number(value, target)
    return None


def number(value: int | float, target: Attribute) -> Operation | None:
    """The number as a constant of a numeric type; None where it does not fit."""
    if not is_array_type(target) or shape_of(target) or target == i1:
        return None
    try:
        if target == f64:
            return ConstantOp(float(value), f64)
        return build.constant(value, dtype_of(target))
    except (ShapeError, OverflowError, ValueError):
        return None
