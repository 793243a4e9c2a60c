"""The types of values in flows: what arrays, numbers and bools do not cover.

A bool is builtin `i1`, a `float` is `f64`; arrays and numeric scalars are those of the array dialect.
"""

from xdsl.dialects.builtin import ArrayAttr, StringAttr
from xdsl.ir import Attribute, ParametrizedAttribute, TypeAttribute
from xdsl.irdl import irdl_attr_definition


@irdl_attr_definition
class StrType(ParametrizedAttribute, TypeAttribute):
    """Text."""

    name = "flow.str"


@irdl_attr_definition
class IntType(ParametrizedAttribute, TypeAttribute):
    """An integer of any size, as Python has it."""

    name = "flow.int"


@irdl_attr_definition
class BytesType(ParametrizedAttribute, TypeAttribute):
    """A string of bytes."""

    name = "flow.bytes"


@irdl_attr_definition
class NoneType(ParametrizedAttribute, TypeAttribute):
    """The type of `none`."""

    name = "flow.none"


@irdl_attr_definition
class JsonType(ParametrizedAttribute, TypeAttribute):
    """Any plain JSON value."""

    name = "flow.json"


@irdl_attr_definition
class StartedType(ParametrizedAttribute, TypeAttribute):
    """What `flow.speculate` has started: for the `flow.if` that decides about it."""

    name = "flow.started"


@irdl_attr_definition
class ListType(ParametrizedAttribute, TypeAttribute):
    """A list of values of one type."""

    name = "flow.list"
    element: Attribute


@irdl_attr_definition
class DictType(ParametrizedAttribute, TypeAttribute):
    """A dictionary from text to values of one type."""

    name = "flow.dict"
    value: Attribute


@irdl_attr_definition
class OptionalType(ParametrizedAttribute, TypeAttribute):
    """A value or `none`."""

    name = "flow.optional"
    inner: Attribute


@irdl_attr_definition
class TupleType(ParametrizedAttribute, TypeAttribute):
    """A fixed number of values, each of its own type."""

    name = "flow.tuple"
    items: ArrayAttr[Attribute]


@irdl_attr_definition
class RecordType(ParametrizedAttribute, TypeAttribute):
    """A record by its name; `flow.record_decl` has its fields."""

    name = "flow.record_of"
    record: StringAttr


@irdl_attr_definition
class EnumType(ParametrizedAttribute, TypeAttribute):
    """An enum by its name; `flow.enum_decl` has its members."""

    name = "flow.enum"
    enum: StringAttr


@irdl_attr_definition
class PlanType(ParametrizedAttribute, TypeAttribute):
    """A graph of calls of these tools, written by a model."""

    name = "flow.plan"
    tools: ArrayAttr[StringAttr]
