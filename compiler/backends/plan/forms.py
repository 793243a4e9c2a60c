"""Which conversions change nothing at run time: then the plan has no node for them."""

from xdsl.dialects.builtin import f64, i1
from xdsl.ir import Attribute

from flowc.dialects.array.types import dtype_of, is_array_type, shape_of
from flowc.dialects.flow import types as flow

PLAIN = (flow.StrType(), flow.IntType(), flow.NoneType(), flow.JsonType(), i1, f64)


def keeps_form(source: Attribute, target: Attribute) -> bool:
    """Whether a value of `source` is one of `target` as it stands, or, narrowed, known to be."""
    if source == target:
        return True
    if isinstance(source, flow.OptionalType):
        return keeps_form(source.inner, target)
    if isinstance(target, flow.OptionalType):
        return isinstance(source, flow.NoneType) or keeps_form(source, target.inner)
    if isinstance(target, flow.JsonType):
        return _is_plain(source)
    if isinstance(source, flow.EnumType):
        return isinstance(target, flow.StrType)
    if isinstance(source, flow.ListType) and isinstance(target, flow.ListType):
        return keeps_form(source.element, target.element)
    if isinstance(source, flow.DictType) and isinstance(target, flow.DictType):
        return keeps_form(source.value, target.value)
    if isinstance(source, flow.TupleType) and isinstance(target, flow.TupleType):
        pairs = list(zip(source.items.data, target.items.data, strict=False))
        return len(source.items) == len(target.items) and all(keeps_form(a, b) for a, b in pairs)
    return _same_array(source, target)


def _same_array(source: Attribute, target: Attribute) -> bool:
    if not is_array_type(source) or not is_array_type(target) or dtype_of(source) != dtype_of(target):
        return False
    return len(shape_of(source)) == len(shape_of(target))


def _is_plain(source: Attribute) -> bool:
    if isinstance(source, flow.ListType):
        return _is_plain(source.element)
    if isinstance(source, flow.DictType):
        return _is_plain(source.value)
    return source in PLAIN or isinstance(source, flow.EnumType)
