"""Extents inside types: of arrays, and of lists, dictionaries, optionals and tuples of them."""

from collections.abc import Callable

from xdsl.dialects.builtin import ArrayAttr, TensorType
from xdsl.ir import Attribute

from flowc.dialects.array.types import Extent, array_type, dtype_of, shape_of
from flowc.dialects.flow.types import DictType, ListType, OptionalType, TupleType

Rename = Callable[[Extent], Extent]


def with_extents(type_: Attribute, extent_of: Rename) -> Attribute:
    """The type with `extent_of` of each of its extents in the place of that extent."""
    match type_:
        case TensorType():
            return array_type(dtype_of(type_), [extent_of(each) for each in shape_of(type_)])
        case ListType():
            return ListType(with_extents(type_.element, extent_of))
        case DictType():
            return DictType(with_extents(type_.value, extent_of))
        case OptionalType():
            return OptionalType(with_extents(type_.inner, extent_of))
        case TupleType():
            return TupleType(ArrayAttr([with_extents(item, extent_of) for item in type_.items]))
    return type_
