"""The signatures of flows and operations in IR text: `(question %q: !flow.str, k %k: !flow.int = 8) -> ...`.

The name stands before the value because a value's name is only a hint to the printer.
"""

from collections.abc import Sequence

from xdsl.dialects.builtin import ArrayAttr, NoneType, StringAttr
from xdsl.ir import Attribute, BlockArgument
from xdsl.parser import Parser
from xdsl.printer import Printer

from flowc.dialects.flow.attributes import (
    EffectsAttr,
    JsonAttr,
    LimitsAttr,
    ParameterAttr,
    parse_json,
    parse_text,
    print_json,
)


def parameter(name: str, default: Attribute | None = None, labels: Sequence[str] = ()) -> ParameterAttr:
    """The attribute of one parameter."""
    return ParameterAttr(
        StringAttr(name),
        NoneType() if default is None else default,  # as the word `none` is read
        ArrayAttr([StringAttr(label) for label in sorted(labels)]),
    )


def print_parameters(
    printer: Printer, parameters: Sequence[ParameterAttr], values: Sequence[BlockArgument | Attribute]
) -> None:
    """Writes the list; `values` are the arguments of a body, or the types where there is none."""

    def one(pair: tuple[ParameterAttr, BlockArgument | Attribute]) -> None:
        attribute, value = pair
        printer.print_identifier_or_string_literal(attribute.parameter.data)
        if isinstance(value, BlockArgument):
            printer.print_string(" ")
            printer.print_ssa_value(value)
        printer.print_string(": ")
        printer.print_attribute(value.type if isinstance(value, BlockArgument) else value)
        if attribute.labels.data:
            printer.print_string(" labels ")
            printer.print_attribute(attribute.labels)
        if isinstance(attribute.default, JsonAttr):
            printer.print_string(" = ")
            print_json(printer, attribute.default.value)

    with printer.in_parens():
        printer.print_list(list(zip(parameters, values, strict=True)), one)


def parse_parameters(parser: Parser) -> tuple[list[ParameterAttr], list[Parser.Argument]]:
    """Reads the list with a value for each parameter."""

    def one() -> tuple[ParameterAttr, Parser.Argument]:
        name = parser.parse_optional_identifier() or parse_text(parser)
        argument = parser.parse_argument()
        return _rest(parser, name), argument

    pairs = parser.parse_comma_separated_list(parser.Delimiter.PAREN, one)
    return [attribute for attribute, _ in pairs], [argument for _, argument in pairs]


def parse_typed_parameters(parser: Parser) -> tuple[list[ParameterAttr], list[Attribute]]:
    """Reads the list with a type for each parameter."""

    def one() -> tuple[ParameterAttr, Attribute]:
        name = parser.parse_optional_identifier() or parse_text(parser)
        parser.parse_punctuation(":")
        type_ = parser.parse_type()
        return _rest(parser, name), type_

    pairs = parser.parse_comma_separated_list(parser.Delimiter.PAREN, one)
    return [attribute for attribute, _ in pairs], [type_ for _, type_ in pairs]


def _rest(parser: Parser, name: str) -> ParameterAttr:
    labels: list[str] = []
    if parser.parse_optional_keyword("labels") is not None:
        labels = parser.parse_comma_separated_list(parser.Delimiter.SQUARE, parser.parse_str_literal)
    default = None
    if parser.parse_optional_punctuation("=") is not None:
        default = JsonAttr.of(parse_json(parser))
    return parameter(name, default, labels)


def print_promise(
    printer: Printer, result: Attribute, effects: EffectsAttr, limits: LimitsAttr | None
) -> None:
    """Writes what follows the parameters: `-> type effects<..> limits<..>`."""
    printer.print_string(" -> ")
    printer.print_attribute(result)
    printer.print_string(" effects")
    effects.print_parameter(printer)
    if limits is not None:
        printer.print_string(" limits")
        limits.print_parameter(printer)


def parse_promise(parser: Parser) -> tuple[Attribute, EffectsAttr, LimitsAttr | None]:
    """Reads what `print_promise` wrote."""
    parser.parse_punctuation("->")
    result = parser.parse_type()
    parser.parse_keyword("effects")
    effects = EffectsAttr(EffectsAttr.parse_parameter(parser))
    if parser.parse_optional_keyword("limits") is None:
        return result, effects, None
    return result, effects, LimitsAttr(LimitsAttr.parse_parameter(parser))
