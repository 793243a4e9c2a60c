"""Actions that build declarations and the program."""

import itertools
from typing import Any

from attrs import frozen

from flowc.compiler.parser.expressions import prompt, string_value
from flowc.compiler.parser.literals import dedent
from flowc.compiler.parser.problem import problem, span_of
from flowc.compiler.syntax import (
    Argument,
    Block,
    Callable,
    Constant,
    Decorator,
    Effect,
    Enum,
    ExpressionStatement,
    Field,
    Import,
    LabelOrder,
    Parameter,
    Program,
    Record,
    Span,
    Template,
    TypeRef,
)
from flowc.grammar.lalr import Action
from flowc.grammar.tokens import Token

LANGUAGE = 1
"""The version of the language that this compiler reads."""


@frozen
class _Signature:
    parameters: tuple[Parameter, ...]
    result: TypeRef
    effects: tuple[Effect, ...] | None


@frozen
class _Header:
    kind: Any
    name: str
    signature: _Signature
    span: Span


def _program(children: list[Any], first: Token, last: Token) -> Program:
    language, *declarations = children
    return Program(tuple(declarations), language or LANGUAGE, span=span_of(first, last))


def _language(children: list[Any], first: Token, last: Token) -> int:
    version = children[0]
    if version.text != str(LANGUAGE):
        raise problem(
            "E0031",
            f"language {version.text} is not known to this compiler",
            span_of(version, version),
            f"it reads language {LANGUAGE}",
            help="install the flowc that the program was written for, or write `language 1`",
        )
    return LANGUAGE


def _import(children: list[Any], first: Token, last: Token) -> Import:
    path, *names = children
    return Import(string_value(path), tuple(name.text for name in _tokens(names)), span=span_of(first, last))


def _tokens(children: list[Any]) -> list[Token]:
    """The names among the children: an absent optional comma is None."""
    return [child for child in children if child is not None]


def _labels(children: list[Any], first: Token, last: Token) -> LabelOrder:
    return LabelOrder(tuple(name.text for name in children), span=span_of(first, last))


def _record(children: list[Any], first: Token, last: Token) -> Record:
    name, *fields = children
    return Record(name.text, tuple(fields), span=span_of(first, last))


def _field(children: list[Any], first: Token, last: Token) -> Field:
    return Field(children[0].text, children[1], span=span_of(first, last))


def _enum(children: list[Any], first: Token, last: Token) -> Enum:
    name, *members = children
    return Enum(name.text, tuple(member.text for member in _tokens(members)), span=span_of(first, last))


def _decorators(children: list[Any], first: Token, last: Token) -> tuple[Decorator, ...]:
    return tuple(children)


def _decorator(children: list[Any], first: Token, last: Token) -> Decorator:
    arguments: tuple[Argument, ...] = children[1] if len(children) > 1 else ()
    return Decorator(children[0].text, arguments, span=span_of(first, last))


def _parameters(children: list[Any], first: Token, last: Token) -> tuple[Parameter, ...]:
    parameters: list[Parameter] = [child for child in children if child is not None]
    for before, parameter in itertools.pairwise(parameters):
        if before.default is not None and parameter.default is None:
            raise problem(
                "E0024",
                f"`{parameter.name}` has no default, but `{before.name}` before it has one",
                parameter.span,
                help="parameters with a default come last",
            )
    return tuple(parameters)


def _parameter(children: list[Any], first: Token, last: Token) -> Parameter:
    name, declared, default = children
    return Parameter(name.text, declared, default, span=span_of(first, last))


def _signature(children: list[Any], first: Token, last: Token) -> _Signature:
    return _Signature(*children)


def _header(children: list[Any], first: Token, last: Token) -> _Header:
    kind, name, signature = children[:3]
    return _Header(kind.text, name.text, signature, span_of(first, last))


def _tool_header(children: list[Any], first: Token, last: Token) -> _Header:
    name, signature = children
    return _Header("tool", name.text, signature, span_of(first, last))


def _tool(children: list[Any], first: Token, last: Token) -> Callable:
    decorators, header, *rest = children
    text = Constant("str", string_value(rest[0]), span=span_of(rest[0], rest[0])) if rest else None
    return _callable(
        header, decorators, span_of(first, last), documentation=_documentation(text, header) if text else None
    )


def _prompted(children: list[Any], first: Token, last: Token) -> Callable:
    decorators, header, (begin, parts, end) = children
    indentation = _indentation(begin.line, begin.column, header)
    made = prompt(begin, parts, end, indentation)
    return _callable(header, decorators, span_of(first, last), prompt=made)


def _function(children: list[Any], first: Token, last: Token) -> Callable:
    decorators, header, body = children
    span = span_of(first, last)
    match body:
        case (ExpressionStatement(value=Constant(kind="str") as text, span=whole), *rest) if (
            whole == text.span
        ):
            documentation = _documentation(text, header)
            return _callable(header, decorators, span, documentation=documentation, body=tuple(rest))
    return _callable(header, decorators, span, body=body)


def _callable(
    header: _Header,
    decorators: tuple[Decorator, ...],
    span: Span,
    *,
    prompt: Template | None = None,
    body: Block | None = None,
    documentation: str | None = None,
) -> Callable:
    signature = header.signature
    return Callable(
        header.kind,
        header.name,
        signature.parameters,
        signature.result,
        signature.effects,
        decorators,
        prompt,
        body,
        documentation,
        span=span,
        header=header.span,
    )


def _documentation(text: Constant, header: _Header) -> str:
    """A documentation string without the blank space around it and the indentation of its lines."""
    return dedent(str(text.value), _indentation(text.span.line, text.span.column, header)).strip()


def _indentation(line: int, column: int, header: _Header) -> int:
    """How far a text below a header is indented; one behind the colon is not."""
    return column - 1 if line > header.span.end_line else 0


ACTIONS: dict[str, Action] = {
    "program": _program,
    "language": _language,
    "import_": _import,
    "labels": _labels,
    "record": _record,
    "field": _field,
    "enum": _enum,
    "decorators": _decorators,
    "decorator": _decorator,
    "bare_decorator": _decorator,
    "parameters": _parameters,
    "parameter": _parameter,
    "signature": _signature,
    "prompt_header": _header,
    "function_header": _header,
    "tool_header": _tool_header,
    "tool": _tool,
    "prompted": _prompted,
    "function": _function,
}
