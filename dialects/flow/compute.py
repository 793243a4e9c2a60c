"""Values and pure operators of flows: constants, functions by name, records, lists, conversions, labels.

All are without effect; some can fail: a missing key, a division by zero.
"""

from collections.abc import Sequence

from xdsl.dialects.builtin import ArrayAttr, IntegerAttr, StringAttr, i1, i64
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import ConstantLike, NoMemoryEffect, Pure
from xdsl.utils.exceptions import VerifyException

from flowc.dialects.flow.attributes import Json, JsonAttr, parse_json, print_json
from flowc.dialects.flow.types import DictType, ListType, RecordType, TupleType

OPERATOR = "`(` operands `)` attr-dict `:` functional-type(operands, results)"


@irdl_op_definition
class ConstantOp(IRDLOperation):
    """A constant: any JSON value. `%x = flow.constant "text" : !flow.str`."""

    name = "flow.constant"
    value = prop_def(JsonAttr)
    result = result_def()
    traits = traits_def(Pure(), ConstantLike())

    def __init__(self, value: Json, type_: Attribute) -> None:
        super().__init__(properties={"value": JsonAttr.of(value)}, result_types=[type_])

    @classmethod
    def parse(cls, parser: Parser) -> "ConstantOp":
        """Reads `value attr-dict : type`."""
        value = parse_json(parser)
        attributes = parser.parse_optional_attr_dict()
        parser.parse_punctuation(":")
        op = cls(value, parser.parse_type())
        op.attributes = attributes
        return op

    def print(self, printer: Printer) -> None:
        """Writes what `parse` reads."""
        printer.print_string(" ")
        print_json(printer, self.value.value)
        printer.print_op_attributes(self.attributes)
        printer.print_string(" : ")
        printer.print_attribute(self.result.type)


@irdl_op_definition
class AbsentOp(IRDLOperation):
    """The value of a variable on a path where it has none; nothing may depend on it.

    It is `none` at run time.
    """

    name = "flow.absent"
    result = result_def()
    traits = traits_def(Pure())
    assembly_format = "attr-dict `:` type($result)"

    def __init__(self, type_: Attribute) -> None:
        super().__init__(result_types=[type_])


@irdl_op_definition
class ApplyOp(IRDLOperation):
    """A pure function of the runtime by its name: arithmetic, comparison, texts, lists, dictionaries."""

    name = "flow.apply"
    function = prop_def(StringAttr)
    arguments = var_operand_def()
    result = result_def()
    traits = traits_def(NoMemoryEffect())
    assembly_format = "$function " + OPERATOR

    def __init__(self, function: str, arguments: Sequence[SSAValue], type_: Attribute) -> None:
        super().__init__(
            operands=[arguments], properties={"function": StringAttr(function)}, result_types=[type_]
        )


@irdl_op_definition
class RecordOp(IRDLOperation):
    """A record from the values of its fields, in the order of its declaration."""

    name = "flow.record"
    values = var_operand_def()
    result = result_def(RecordType)
    traits = traits_def(Pure())
    assembly_format = OPERATOR

    def __init__(self, values: Sequence[SSAValue], type_: RecordType) -> None:
        super().__init__(operands=[values], result_types=[type_])


@irdl_op_definition
class FieldOp(IRDLOperation):
    """A field of a record, or of a JSON value, where it may be missing."""

    name = "flow.field"
    field = prop_def(StringAttr)
    source = operand_def()
    result = result_def()
    traits = traits_def(NoMemoryEffect())
    assembly_format = "$field " + OPERATOR

    def __init__(self, source: SSAValue, field: str, type_: Attribute) -> None:
        super().__init__(operands=[source], properties={"field": StringAttr(field)}, result_types=[type_])


@irdl_op_definition
class ListOp(IRDLOperation):
    """A list of its operands."""

    name = "flow.list"
    items = var_operand_def()
    result = result_def(ListType)
    traits = traits_def(Pure())
    assembly_format = OPERATOR

    def __init__(self, items: Sequence[SSAValue], type_: ListType) -> None:
        super().__init__(operands=[items], result_types=[type_])

    def verify_(self) -> None:
        """Every item has the element type."""
        element = self.result.type.element
        if any(item.type != element for item in self.items):
            raise VerifyException(f"the items of this list must be {element}")


@irdl_op_definition
class DictOp(IRDLOperation):
    """A dictionary; keys and values alternate."""

    name = "flow.dict"
    entries = var_operand_def()
    result = result_def(DictType)
    traits = traits_def(Pure())
    assembly_format = OPERATOR

    def __init__(self, entries: Sequence[SSAValue], type_: DictType) -> None:
        super().__init__(operands=[entries], result_types=[type_])

    def verify_(self) -> None:
        """Keys and values come in pairs, values of the declared type."""
        value = self.result.type.value
        if len(self.entries) % 2 or any(entry.type != value for entry in self.entries[1::2]):
            raise VerifyException(f"a dictionary needs pairs of a key and a {value}")


@irdl_op_definition
class TupleOp(IRDLOperation):
    """A tuple of its operands."""

    name = "flow.tuple"
    items = var_operand_def()
    result = result_def(TupleType)
    traits = traits_def(Pure())
    assembly_format = OPERATOR

    def __init__(self, items: Sequence[SSAValue]) -> None:
        super().__init__(operands=[items], result_types=[TupleType(ArrayAttr([item.type for item in items]))])

    def verify_(self) -> None:
        """The result has the operands' types."""
        if tuple(item.type for item in self.items) != self.result.type.items.data:
            raise VerifyException("the type of this tuple differs from its items")


@irdl_op_definition
class ItemOp(IRDLOperation):
    """An item of a tuple, by its position."""

    name = "flow.item"
    index = prop_def(IntegerAttr)
    source = operand_def(TupleType)
    result = result_def()
    traits = traits_def(Pure())
    assembly_format = "$index " + OPERATOR

    def __init__(self, source: SSAValue, index: int) -> None:
        if not isinstance(source.type, TupleType):
            raise TypeError(f"{source.type} is no tuple")
        super().__init__(
            operands=[source],
            properties={"index": IntegerAttr(index, i64)},
            result_types=[source.type.items.data[index]],
        )

    def verify_(self) -> None:
        """The position is there, and the result has its type."""
        items = self.source.type.items.data if isinstance(self.source.type, TupleType) else ()
        position = self.index.value.data
        if not 0 <= position < len(items) or items[position] != self.result.type:
            raise VerifyException(f"item {position} of {self.source.type} is no {self.result.type}")


@irdl_op_definition
class CastOp(IRDLOperation):
    """A conversion that the checker licensed: int to float, T to T?, list to array.

    May fail for what only a run knows.
    """

    name = "flow.cast"
    source = operand_def()
    result = result_def()
    traits = traits_def(NoMemoryEffect())
    assembly_format = OPERATOR

    def __init__(self, source: SSAValue, type_: Attribute) -> None:
        super().__init__(operands=[source], result_types=[type_])


@irdl_op_definition
class SelectOp(IRDLOperation):
    """One of two values that are both there already."""

    name = "flow.select"
    condition = operand_def(i1)
    first = operand_def()
    second = operand_def()
    result = result_def()
    traits = traits_def(Pure())
    assembly_format = OPERATOR

    def __init__(self, condition: SSAValue, first: SSAValue, second: SSAValue) -> None:
        super().__init__(operands=[condition, first, second], result_types=[first.type])

    def verify_(self) -> None:
        """Both values and the result are of one type."""
        if not self.first.type == self.second.type == self.result.type:
            raise VerifyException("both values of a select must have the type of its result")


class Relabelling(IRDLOperation):
    """What `endorse` and `declassify` share: the value as it is, under other labels, and the reason."""

    reason = prop_def(JsonAttr)
    source = operand_def()
    result = result_def()
    traits = traits_def(Pure())
    assembly_format = "$reason " + OPERATOR

    def __init__(self, source: SSAValue, reason: str) -> None:
        super().__init__(
            operands=[source], properties={"reason": JsonAttr.of(reason)}, result_types=[source.type]
        )

    def verify_(self) -> None:
        """The type stays what it is."""
        if self.source.type != self.result.type:
            raise VerifyException(f"{self.name} changes labels, not the type")


@irdl_op_definition
class EndorseOp(Relabelling):
    """Says that an untrusted value was checked, and why it may be trusted."""

    name = "flow.endorse"


@irdl_op_definition
class DeclassifyOp(Relabelling):
    """Says that a secret value may be known, and why."""

    name = "flow.declassify"
