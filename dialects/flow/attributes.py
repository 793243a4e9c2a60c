"""Attributes of flows: JSON constants, effects, limits, parameters.

Each prints in a form of its own that reads back as the same attribute.
"""

import json
import re
from typing import NoReturn

from attrs import frozen
from xdsl.dialects.builtin import ArrayAttr, StringAttr
from xdsl.ir import Attribute, Data, ParametrizedAttribute
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

DEEPEST = 100
"""JSON constants nest no deeper than this when read from text."""


@irdl_attr_definition
class JsonAttr(Data[str]):
    """A constant as canonical JSON text, so that 1, 1.0 and true stay different."""

    name = "flow.json_value"

    @staticmethod
    def of(value: Json) -> "JsonAttr":
        """The attribute of a JSON value; raises ValueError for what JSON cannot say, such as infinity."""
        return JsonAttr(json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False))

    @property
    def value(self) -> Json:
        """The value, fresh: lists and dicts may be kept."""
        value: Json = json.loads(self.data)
        return value

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> str:
        """Reads what `print_parameter` wrote."""
        with parser.in_angle_brackets():
            return cls.of(parse_json(parser)).data

    def print_parameter(self, printer: Printer) -> None:
        """Writes the value in angle brackets."""
        with printer.in_angle_brackets():
            print_json(printer, self.value)


def print_json(printer: Printer, value: Json) -> None:
    """Writes a JSON value: as JSON does, with MLIR's string literals and `=` in dictionaries."""
    match value:
        case None:
            printer.print_string("none")
        case bool():
            printer.print_string("true" if value else "false")
        case int():
            printer.print_string(str(value))
        case float():
            printer.print_string(_float_text(value))
        case str():
            print_text(printer, value)
        case list():
            with printer.in_square_brackets():
                printer.print_list(value, lambda item: print_json(printer, item))
        case dict():
            with printer.in_braces():
                printer.print_list(value.items(), lambda item: _print_entry(printer, item))


def _print_entry(printer: Printer, entry: tuple[str, Json]) -> None:
    print_text(printer, entry[0])
    printer.print_string(" = ")
    print_json(printer, entry[1])


def _float_text(value: float) -> str:
    """The shortest decimal that reads back as `value`, always with a point as the lexer wants it."""
    mantissa, exponent, power = repr(value).partition("e")
    return mantissa + ("" if "." in mantissa else ".0") + exponent + power


def parse_json(parser: AttrParser, depth: int = 0) -> Json:
    """Reads what `print_json` wrote."""
    if depth > DEEPEST:
        parser.raise_error(f"a constant nests deeper than {DEEPEST}")
    if (text := parse_optional_text(parser)) is not None:
        return text
    if (number := parser.parse_optional_number(allow_boolean=False)) is not None:
        return float(number) if isinstance(number, float) else int(number)
    for word, constant in (("none", None), ("true", True), ("false", False)):
        if parser.parse_optional_keyword(word) is not None:
            return constant
    items = parser.parse_optional_comma_separated_list(
        parser.Delimiter.SQUARE, lambda: parse_json(parser, depth + 1)
    )
    if items is not None:
        return list(items)
    entries = parser.parse_optional_comma_separated_list(
        parser.Delimiter.BRACES, lambda: _parse_entry(parser, depth)
    )
    return dict(entries) if entries is not None else _refuse(parser, "a constant was expected")


def _parse_entry(parser: AttrParser, depth: int) -> tuple[str, Json]:
    key = parse_text(parser)
    parser.parse_punctuation("=")
    return key, parse_json(parser, depth + 1)


def _refuse(parser: AttrParser, message: str) -> NoReturn:
    parser.raise_error(message)


_ESCAPED = re.compile(r'[\x00-\x1f"\\\x7f]')


def print_text(printer: Printer, text: str) -> None:
    """Writes a string literal. Characters beyond ASCII stay: xDSL reads their escapes as bytes."""
    escaped = _ESCAPED.sub(lambda match: f"\\{ord(match[0]):02X}", text)
    printer.print_string(f'"{escaped}"')


def parse_optional_text(parser: AttrParser) -> str | None:
    """Reads a string literal if one is next; the lexer takes one with escapes and umlauts for bytes."""
    if (text := parser.parse_optional_str_literal()) is not None:
        return text
    if (content := parser.parse_optional_bytes_literal()) is None:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        _refuse(parser, "this string is not UTF-8")


def parse_text(parser: AttrParser) -> str:
    """Reads a string literal."""
    text = parse_optional_text(parser)
    return text if text is not None else _refuse(parser, "a string was expected")


@frozen
class EffectItem:
    """One effect of an operation: `pure`, `llm`, `human`, `sleep`, `reads R`, `writes R`."""

    kind: str
    resource: str | None = None
    idempotent: bool = False
    undo: str | None = None


@irdl_attr_definition
class EffectsAttr(Data[tuple[EffectItem, ...]]):
    """What an operation does to the world: `<reads "web", writes "mail" idempotent undo "unsend">`.

    Empty is pure.
    """

    name = "flow.effects"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> tuple[EffectItem, ...]:
        """Reads what `print_parameter` wrote."""
        return tuple(parser.parse_comma_separated_list(parser.Delimiter.ANGLE, lambda: _parse_effect(parser)))

    def print_parameter(self, printer: Printer) -> None:
        """Writes the effects in angle brackets."""
        with printer.in_angle_brackets():
            printer.print_list(self.data, lambda item: _print_effect(printer, item))

    def verify(self) -> None:
        """Each effect is of a known kind, and has a resource exactly where one is meant."""
        for item in self.data:
            if item.kind not in ("llm", "human", "sleep", "reads", "writes"):
                raise VerifyException(f"`{item.kind}` is no effect")
            if (item.resource is None) != (item.kind in ("llm", "human", "sleep")):
                raise VerifyException(f"the effect `{item.kind}` and its resource do not fit")


def _print_effect(printer: Printer, item: EffectItem) -> None:
    printer.print_string(item.kind)
    if item.resource is not None:
        printer.print_string(" ")
        printer.print_string_literal(item.resource)
    if item.idempotent:
        printer.print_string(" idempotent")
    if item.undo is not None:
        printer.print_string(" undo ")
        printer.print_string_literal(item.undo)


def _parse_effect(parser: AttrParser) -> EffectItem:
    kind = parser.parse_identifier()
    resource = parser.parse_optional_str_literal()
    idempotent = parser.parse_optional_keyword("idempotent") is not None
    undo = parser.parse_str_literal() if parser.parse_optional_keyword("undo") is not None else None
    return EffectItem(kind, resource, idempotent, undo)


LIMIT_NAMES = ("timeout", "money", "tokens", "calls", "memory", "retries", "backoff")


@irdl_attr_definition
class LimitsAttr(Data[tuple[tuple[str, float | int], ...]]):
    """What a call or a block may use: `<timeout = 30.0, money = 0.02>`; seconds, US dollars, bytes."""

    name = "flow.limits"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> tuple[tuple[str, float | int], ...]:
        """Reads what `print_parameter` wrote."""

        def entry() -> tuple[str, float | int]:
            name = parser.parse_identifier()
            parser.parse_punctuation("=")
            number = parser.parse_number()
            return name, float(number) if isinstance(number, float) else int(number)

        return tuple(parser.parse_comma_separated_list(parser.Delimiter.ANGLE, entry))

    def print_parameter(self, printer: Printer) -> None:
        """Writes `name = number` pairs in angle brackets."""
        with printer.in_angle_brackets():
            printer.print_string(
                ", ".join(
                    f"{name} = {_float_text(limit) if isinstance(limit, float) else limit}"
                    for name, limit in self.data
                )
            )

    def verify(self) -> None:
        """Every limit is a known one, given once."""
        names = [name for name, _ in self.data]
        if unknown := set(names) - set(LIMIT_NAMES):
            raise VerifyException(f"there is no limit `{min(unknown)}`")
        if len(set(names)) != len(names):
            raise VerifyException("a limit is given twice")


@irdl_attr_definition
class ParameterAttr(ParametrizedAttribute):
    """The name of a parameter, its default where it has one, and the labels that bound its arguments."""

    name = "flow.parameter"
    parameter: StringAttr
    default: Attribute
    labels: ArrayAttr[StringAttr]

    def verify(self) -> None:
        """The name is an identifier."""
        if not self.parameter.data.isidentifier():
            raise VerifyException(f"{self.parameter.data!r} is no name of a parameter")
