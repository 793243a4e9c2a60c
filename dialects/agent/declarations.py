"""Declared operations: models asked, tools called, people asked, events waited for.

Calls name them; the runtime reads their settings.
"""

from collections.abc import Sequence
from typing import Self

from xdsl.dialects.builtin import ArrayAttr, StringAttr, SymbolNameConstraint
from xdsl.ir import Attribute
from xdsl.irdl import IRDLOperation, irdl_op_definition, opt_prop_def, prop_def, traits_def
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import Pure, SymbolOpInterface
from xdsl.utils.exceptions import VerifyException

from flowc.dialects.flow.attributes import (
    EffectsAttr,
    Json,
    JsonAttr,
    LimitsAttr,
    ParameterAttr,
)
from flowc.dialects.flow.attributes import parse_json as read_json
from flowc.dialects.flow.attributes import print_json as write_json
from flowc.dialects.flow.signature import (
    parse_promise,
    parse_typed_parameters,
    print_parameters,
    print_promise,
)

SETTINGS = (
    "model",
    "temperature",
    "max_tokens",
    "cached",
    "reorder",
    "fusable",
    "associative",
    "pruned",
    "latency",
    "module",
    "function",
    "documentation",
)


class DeclarationOp(IRDLOperation):
    """What the four kinds share: a signature, effects, limits, and settings such as the model's name."""

    sym_name = prop_def(SymbolNameConstraint())
    parameters = prop_def(ArrayAttr[ParameterAttr])
    types = prop_def(ArrayAttr[Attribute])
    result_type = prop_def(Attribute)
    effects = prop_def(EffectsAttr)
    limits = opt_prop_def(LimitsAttr)
    settings = prop_def(JsonAttr)
    traits = traits_def(SymbolOpInterface(), Pure())

    def __init__(
        self,
        name: str,
        parameters: Sequence[tuple[ParameterAttr, Attribute]],
        result: Attribute,
        *,
        effects: EffectsAttr,
        limits: LimitsAttr | None = None,
        settings: dict[str, Json] | None = None,
    ) -> None:
        super().__init__(
            properties={
                "sym_name": StringAttr(name),
                "parameters": ArrayAttr([attribute for attribute, _ in parameters]),
                "types": ArrayAttr([type_ for _, type_ in parameters]),
                "result_type": result,
                "effects": effects,
                "limits": limits,
                "settings": JsonAttr.of(settings or {}),
            }
        )

    @property
    def setting(self) -> dict[str, Json]:
        """The settings as a dictionary."""
        value = self.settings.value
        return value if isinstance(value, dict) else {}

    @property
    def pruned(self) -> tuple[str, ...]:
        """The fields of an answer that are not asked for, since nobody reads them."""
        names = self.setting.get("pruned")
        return tuple(map(str, names)) if isinstance(names, list) else ()

    def verify_(self) -> None:
        """A type a parameter, and settings that exist."""
        if len(self.parameters.data) != len(self.types.data):
            raise VerifyException(f"{self.name} @{self.sym_name.data}: parameters and types differ in number")
        if unknown := set(self.setting) - set(SETTINGS):
            raise VerifyException(f"{self.name} @{self.sym_name.data} has no setting `{min(unknown)}`")

    def print(self, printer: Printer) -> None:
        """Writes `@name(q: type) -> type effects<..> limits<..> settings {..}`."""
        printer.print_string(" ")
        printer.print_symbol_name(self.sym_name.data)
        print_parameters(printer, self.parameters.data, self.types.data)
        print_promise(printer, self.result_type, self.effects, self.limits)
        if self.setting:
            printer.print_string(" settings ")
            write_json(printer, self.settings.value)
        printer.print_op_attributes(self.attributes, print_keyword=True)

    @classmethod
    def parse(cls, parser: Parser) -> Self:
        """Reads what `print` wrote."""
        name = parser.parse_symbol_name().data
        parameters, types = parse_typed_parameters(parser)
        result, effects, limits = parse_promise(parser)
        settings: Json = {}
        if parser.parse_optional_keyword("settings") is not None:
            settings = read_json(parser)
        extra = parser.parse_optional_attr_dict_with_keyword()
        op = cls(
            name,
            list(zip(parameters, types, strict=True)),
            result,
            effects=effects,
            limits=limits,
            settings=settings if isinstance(settings, dict) else {},
        )
        op.attributes = dict(extra.data) if extra is not None else {}
        return op


@irdl_op_definition
class LlmOp(DeclarationOp):
    """A typed function answered by a model; the result type is the schema of its answers."""

    name = "agent.llm"


@irdl_op_definition
class ToolOp(DeclarationOp):
    """A typed function of the outside world."""

    name = "agent.tool"


@irdl_op_definition
class HumanOp(DeclarationOp):
    """A typed question that a person answers."""

    name = "agent.human"


@irdl_op_definition
class EventOp(DeclarationOp):
    """Something that is waited for, and whose value somebody tells the run."""

    name = "agent.event"
