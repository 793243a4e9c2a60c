"""Types of values: the checker's and the IR's, both ways."""

from xdsl.dialects.builtin import ArrayAttr, StringAttr, f64, i1
from xdsl.ir import Attribute

from flowc.dialects.array.types import array_type, dtype_of, is_array_type, shape_of
from flowc.dialects.flow import types as flow
from flowc.runtime.types import (
    BOOL,
    BYTES,
    FLOAT,
    INT,
    JSON,
    NONE,
    STR,
    Array,
    Dict,
    Enum,
    List,
    Optional,
    PlanOf,
    Record,
    Scalar,
    Tuple,
    Type,
)

_SCALARS: dict[str, Attribute] = {
    "str": flow.StrType(),
    "int": flow.IntType(),
    "float": f64,
    "bool": i1,
    "bytes": flow.BytesType(),
    "none": flow.NoneType(),
    "json": flow.JsonType(),
}

_RUNTIME: dict[Attribute, Scalar] = {
    flow.StrType(): STR,
    flow.IntType(): INT,
    f64: FLOAT,
    i1: BOOL,
    flow.BytesType(): BYTES,
    flow.NoneType(): NONE,
    flow.JsonType(): JSON,
}


def ir_type(type_: Type) -> Attribute:
    """The IR's type for a type of the language."""
    match type_:
        case Scalar(name):
            return _SCALARS[name] if name in _SCALARS else array_type(name, ())
        case Array(dtype, dims):
            return array_type(dtype, dims)
        case List(element):
            return flow.ListType(ir_type(element))
        case Dict(value):
            return flow.DictType(ir_type(value))
        case Optional(inner):
            return flow.OptionalType(ir_type(inner))
        case Tuple(items):
            return flow.TupleType(ArrayAttr([ir_type(item) for item in items]))
        case Record(name):
            return flow.RecordType(StringAttr(name))
        case Enum(name):
            return flow.EnumType(StringAttr(name))
        case PlanOf(tools):
            return flow.PlanType(ArrayAttr([StringAttr(tool) for tool in tools]))


def runtime_type(attribute: Attribute) -> Type:
    """The type of the language for a type of the IR; raises ValueError where there is none."""
    if attribute in _RUNTIME:
        return _RUNTIME[attribute]
    match attribute:
        case flow.ListType():
            return List(runtime_type(attribute.element))
        case flow.DictType():
            return Dict(runtime_type(attribute.value))
        case flow.OptionalType():
            return Optional(runtime_type(attribute.inner))
        case flow.TupleType():
            return Tuple(tuple(runtime_type(item) for item in attribute.items))
        case flow.RecordType():
            return Record(attribute.record.data)
        case flow.EnumType():
            return Enum(attribute.enum.data)
        case flow.PlanType():
            return PlanOf(tuple(tool.data for tool in attribute.tools))
    if is_array_type(attribute):
        shape = shape_of(attribute)
        return Array(dtype_of(attribute), shape) if shape else Scalar(dtype_of(attribute))
    raise ValueError(f"{attribute} is no type of a value")


def meet(first: Attribute, second: Attribute) -> Attribute:
    """The type of a value that is of one type on one path and of another on the other.

    The checker has made them equal but for what it does not track: extents of arrays, and whether an
    optional is there.
    """
    if first == second:
        return first
    if is_array_type(first) and is_array_type(second) and len(shape_of(first)) == len(shape_of(second)):
        shape = [a if a == b else "" for a, b in zip(shape_of(first), shape_of(second), strict=True)]
        return array_type(dtype_of(first), shape)
    if isinstance(first, flow.OptionalType):
        return first
    if isinstance(second, flow.OptionalType):
        return second
    if isinstance(first, flow.NoneType):
        return flow.OptionalType(second)
    if isinstance(second, flow.NoneType):
        return flow.OptionalType(first)
    if isinstance(first, flow.ListType) and isinstance(second, flow.ListType):
        return flow.ListType(meet(first.element, second.element))
    return first


def loosened(attribute: Attribute) -> Attribute:
    """An array's type with no extent known, as a variable needs it that a loop changes."""
    if is_array_type(attribute) and shape_of(attribute):
        return array_type(dtype_of(attribute), [""] * len(shape_of(attribute)))
    return attribute
