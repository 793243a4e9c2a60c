"""What a module declares: records, enums and the flows themselves."""

from collections.abc import Sequence
from typing import Self

from xdsl.dialects.builtin import ArrayAttr, StringAttr, SymbolNameConstraint, SymbolRefAttr
from xdsl.ir import Attribute, Region, SSAValue
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    region_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import HasParent, IsolatedFromAbove, IsTerminator, Pure, ReturnLike, SymbolOpInterface
from xdsl.utils.exceptions import VerifyException

from flowc.dialects.flow.attributes import (
    EffectsAttr,
    JsonAttr,
    LimitsAttr,
    ParameterAttr,
    parse_text,
    print_json,
)
from flowc.dialects.flow.dominance import undefined_use
from flowc.dialects.flow.effects import DeclaredEffects
from flowc.dialects.flow.signature import parse_parameters, parse_promise, print_parameters, print_promise


@irdl_op_definition
class RecordDeclOp(IRDLOperation):
    """A record type: `flow.record_decl @Passage ["id", "text"] [!flow.str, !flow.str]`."""

    name = "flow.record_decl"
    sym_name = prop_def(SymbolNameConstraint())
    fields = prop_def(ArrayAttr[StringAttr])
    types = prop_def(ArrayAttr[Attribute])
    traits = traits_def(SymbolOpInterface(), Pure())
    assembly_format = "$sym_name $fields $types attr-dict"

    def __init__(self, name: str, fields: Sequence[tuple[str, Attribute]]) -> None:
        super().__init__(
            properties={
                "sym_name": StringAttr(name),
                "fields": ArrayAttr([StringAttr(field) for field, _ in fields]),
                "types": ArrayAttr([type_ for _, type_ in fields]),
            }
        )

    def verify_(self) -> None:
        """Each field has a type and a name of its own."""
        names = [field.data for field in self.fields]
        if len(set(names)) != len(names) or len(names) != len(self.types.data):
            raise VerifyException("a record needs one type for each of its distinct fields")


@irdl_op_definition
class EnumDeclOp(IRDLOperation):
    """An enum type: `flow.enum_decl @Verdict ["yes", "no"]`."""

    name = "flow.enum_decl"
    sym_name = prop_def(SymbolNameConstraint())
    members = prop_def(ArrayAttr[StringAttr])
    traits = traits_def(SymbolOpInterface(), Pure())
    assembly_format = "$sym_name $members attr-dict"

    def __init__(self, name: str, members: Sequence[str]) -> None:
        super().__init__(
            properties={
                "sym_name": StringAttr(name),
                "members": ArrayAttr([StringAttr(member) for member in members]),
            }
        )

    def verify_(self) -> None:
        """Members are distinct."""
        names = [member.data for member in self.members]
        if len(set(names)) != len(names):
            raise VerifyException("the members of an enum must differ")


class FunctionOp(IRDLOperation):
    """A function with named parameters, one result, effects, limits and a body of one block."""

    sym_name = prop_def(SymbolNameConstraint())
    parameters = prop_def(ArrayAttr[ParameterAttr])
    result_type = prop_def(Attribute)
    effects = prop_def(EffectsAttr)
    limits = opt_prop_def(LimitsAttr)
    documentation = opt_prop_def(JsonAttr)
    body = region_def("single_block")
    traits = traits_def(IsolatedFromAbove(), SymbolOpInterface())

    def __init__(
        self,
        name: str,
        parameters: Sequence[ParameterAttr],
        result: Attribute,
        body: Region,
        *,
        effects: EffectsAttr,
        limits: LimitsAttr | None = None,
        documentation: str | None = None,
    ) -> None:
        super().__init__(
            properties={
                "sym_name": StringAttr(name),
                "parameters": ArrayAttr(parameters),
                "result_type": result,
                "effects": effects,
                "limits": limits,
                "documentation": JsonAttr.of(documentation) if documentation else None,
            },
            regions=[body],
        )

    def returned(self) -> SSAValue | None:
        """The value that the body ends with."""
        last = self.body.block.last_op
        return last.operands[0] if last is not None and len(last.operands) == 1 else None

    def verify_(self) -> None:
        """A parameter an argument, and a fitting end."""
        block = self.body.block
        if len(self.parameters.data) != len(block.args):
            raise VerifyException(
                f"{self.name} @{self.sym_name.data}: parameters and arguments differ in number"
            )
        names = [parameter.parameter.data for parameter in self.parameters.data]
        if len(set(names)) != len(names):
            raise VerifyException(f"{self.name} @{self.sym_name.data} has a parameter twice")
        value = self.returned()
        if value is None or value.type != self.result_type:
            raise VerifyException(f"{self.name} @{self.sym_name.data} must return {self.result_type}")
        if (early := undefined_use(block)) is not None:
            reader = f"{early.name} reads a value not made yet"
            raise VerifyException(f"{self.name} @{self.sym_name.data}: {reader}")

    def print(self, printer: Printer) -> None:
        """Writes `@name(k %k: !flow.int = 8) -> type effects<..> limits<..> attributes {..} {body}`."""
        printer.print_string(" ")
        printer.print_symbol_name(self.sym_name.data)
        print_parameters(printer, self.parameters.data, self.body.block.args)
        print_promise(printer, self.result_type, self.effects, self.limits)
        if self.documentation is not None:
            printer.print_string(" doc ")
            print_json(printer, self.documentation.value)
        printer.print_op_attributes(self.attributes, print_keyword=True)
        printer.print_string(" ")
        printer.print_region(self.body, print_entry_block_args=False, print_empty_block=False)

    @classmethod
    def parse(cls, parser: Parser) -> Self:
        """Reads what `print` wrote."""
        name = parser.parse_symbol_name().data
        parameters, arguments = parse_parameters(parser)
        result, effects, limits = parse_promise(parser)
        documentation = None
        if parser.parse_optional_keyword("doc") is not None:
            documentation = parse_text(parser)
        extra = parser.parse_optional_attr_dict_with_keyword()
        body = parser.parse_region(arguments)
        op = cls(name, parameters, result, body, effects=effects, limits=limits, documentation=documentation)
        op.attributes = dict(extra.data) if extra is not None else {}
        return op


@irdl_op_definition
class FuncOp(FunctionOp):
    """A flow.

    The attribute `parallel` says that only data and effects order its operations; else program order does.
    """

    name = "flow.func"


@irdl_op_definition
class ReturnOp(IRDLOperation):
    """Ends a flow with its value."""

    name = "flow.return"
    value = operand_def()
    traits = traits_def(IsTerminator(), ReturnLike(), Pure(), HasParent(FuncOp))
    assembly_format = "$value attr-dict `:` type($value)"

    def __init__(self, value: SSAValue) -> None:
        super().__init__(operands=[value])


@irdl_op_definition
class CallOp(IRDLOperation):
    """Calls another flow of the module. `effects` are the callee's."""

    name = "flow.call"
    callee = prop_def(SymbolRefAttr)
    effects = prop_def(EffectsAttr)
    arguments = var_operand_def()
    result = result_def()
    traits = traits_def(DeclaredEffects())
    assembly_format = (
        "$callee `(` $arguments `)` `effects` `` $effects attr-dict `:` functional-type($arguments, $result)"
    )

    def __init__(
        self, callee: str, arguments: Sequence[SSAValue], result: Attribute, effects: EffectsAttr
    ) -> None:
        super().__init__(
            operands=[arguments],
            result_types=[result],
            properties={"callee": SymbolRefAttr(callee), "effects": effects},
        )
