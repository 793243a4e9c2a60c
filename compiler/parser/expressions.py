"""Actions that build expressions."""

from collections.abc import Sequence
from typing import Any

from flowc.compiler.parser.literals import dedent, number, unescape
from flowc.compiler.parser.problem import problem, span_of
from flowc.compiler.syntax import (
    Argument,
    Attribute,
    Binary,
    Call,
    Compare,
    Comprehension,
    Conditional,
    Constant,
    DictDisplay,
    Generator,
    Hole,
    ListDisplay,
    Name,
    Slice,
    Subscript,
    Template,
    TryElse,
    Unary,
)
from flowc.grammar.lalr import Action
from flowc.grammar.tokens import Token


def _binary(children: list[Any], first: Token, last: Token) -> Binary:
    left, operator, right = children
    return Binary(operator.text, left, right, span=span_of(first, last))


def _unary(children: list[Any], first: Token, last: Token) -> Unary:
    operator, operand = children
    return Unary(operator.text, operand, span=span_of(first, last))


def _compare(children: list[Any], first: Token, last: Token) -> Compare:
    return Compare(tuple(children[1::2]), tuple(children[::2]), span=span_of(first, last))


def _comparator(children: list[Any], first: Token, last: Token) -> str:
    return " ".join(token.text for token in children)


def _conditional(children: list[Any], first: Token, last: Token) -> Conditional:
    then, test, otherwise = children
    return Conditional(test, then, otherwise, span=span_of(first, last))


def _try_else(children: list[Any], first: Token, last: Token) -> TryElse:
    attempt, otherwise = children
    return TryElse(attempt, otherwise, span=span_of(first, last))


def _call(children: list[Any], first: Token, last: Token) -> Call:
    function, given = children
    return Call(function, given, span=span_of(first, last))


def arguments(children: list[Any], first: Token, last: Token) -> tuple[Argument, ...]:
    """Positional arguments come before keyword arguments."""
    found: list[Argument] = [child for child in children if child is not None]
    keyword: Argument | None = None
    for argument in found:
        if argument.name is not None:
            keyword = keyword or argument
        elif keyword is not None:
            raise problem(
                "E0025",
                f"a positional argument follows `{keyword.name}=`",
                argument.span,
                help="name this argument too, or move it to the front",
            )
    return tuple(found)


def _argument(children: list[Any], first: Token, last: Token) -> Argument:
    return Argument(None, children[0], span=span_of(first, last))


def _keyword_argument(children: list[Any], first: Token, last: Token) -> Argument:
    return Argument(children[0].text, children[1], span=span_of(first, last))


def _subscript(children: list[Any], first: Token, last: Token) -> Subscript:
    return Subscript(children[0], tuple(children[1:]), span=span_of(first, last))


def _attribute(children: list[Any], first: Token, last: Token) -> Attribute:
    return Attribute(children[0], children[1].text, span=span_of(first, last))


def _slice(children: list[Any], first: Token, last: Token) -> Slice:
    start, stop, step = children
    return Slice(start, stop, step, span=span_of(first, last))


def _name(children: list[Any], first: Token, last: Token) -> Name:
    return Name(first.text, span=span_of(first, last))


def _number(children: list[Any], first: Token, last: Token) -> Constant:
    return number(first.text, span_of(first, last))


def _string(children: list[Any], first: Token, last: Token) -> Constant:
    return Constant("str", string_value(first), span=span_of(first, last))


def string_value(token: Token) -> str:
    """What a string between quotes says."""
    width = 3 if token.text[:3] in ('"""', "'''") else 1
    return unescape(token.text[width:-width], token.line, token.column + width)


def _nothing(children: list[Any], first: Token, last: Token) -> Constant:
    return Constant("none", None, span=span_of(first, last))


def _true(children: list[Any], first: Token, last: Token) -> Constant:
    return Constant("bool", True, span=span_of(first, last))


def _false(children: list[Any], first: Token, last: Token) -> Constant:
    return Constant("bool", False, span=span_of(first, last))


def _list_display(children: list[Any], first: Token, last: Token) -> ListDisplay:
    return ListDisplay(tuple(child for child in children if child is not None), span=span_of(first, last))


def _dict_display(children: list[Any], first: Token, last: Token) -> DictDisplay:
    return DictDisplay(tuple(child for child in children if child is not None), span=span_of(first, last))


def _entry(children: list[Any], first: Token, last: Token) -> tuple[Any, Any]:
    return children[0], children[1]


def _comprehension(children: list[Any], first: Token, last: Token) -> Comprehension:
    return Comprehension(children[0], tuple(children[1:]), span=span_of(first, last))


def _generator(children: list[Any], first: Token, last: Token) -> Generator:
    return Generator(children[0], children[1], tuple(children[2:]), span=span_of(first, last))


def _hole(children: list[Any], first: Token, last: Token) -> Hole:
    return Hole(children[0], span=span_of(first, last))


def _template(children: list[Any], first: Token, last: Token) -> Template:
    parts = [_text(part, part.text) if isinstance(part, Token) else part for part in children[1:-1]]
    return Template(tuple(parts), span=span_of(first, last))


def _prompt(children: list[Any], first: Token, last: Token) -> tuple[Token, list[Any], Token]:
    return first, children[1:-1], last


def prompt(begin: Token, parts: Sequence[Any], end: Token, indentation: int) -> Template:
    """A prompt's text: blank space around it is dropped, and `indentation` taken from its lines."""
    made: list[str | Hole] = []
    for index, part in enumerate(parts):
        if not isinstance(part, Token):
            made.append(part)
            continue
        raw = part.text
        if index == 0:
            kept = raw.lstrip()
            part = _moved(part, raw[: len(raw) - len(kept)])
            raw = kept
        if index == len(parts) - 1:
            raw = raw.rstrip()
        if raw:
            made.append(_text(part, dedent(raw, indentation)))
    return Template(tuple(made), span=span_of(begin, end))


def _moved(token: Token, skipped: str) -> Token:
    """The token without the blank space at its beginning."""
    lines = skipped.count("\n")
    column = len(skipped) - skipped.rfind("\n") if lines else token.column + len(skipped)
    return token._replace(line=token.line + lines, column=column)


def _text(token: Token, raw: str) -> str:
    return unescape(raw, token.line, token.column, template=True)


ACTIONS: dict[str, Action] = {
    "binary": _binary,
    "unary": _unary,
    "compare": _compare,
    "comparator": _comparator,
    "conditional": _conditional,
    "try_else": _try_else,
    "call": _call,
    "arguments": arguments,
    "argument": _argument,
    "keyword_argument": _keyword_argument,
    "subscript": _subscript,
    "attribute": _attribute,
    "slice": _slice,
    "name": _name,
    "number": _number,
    "string": _string,
    "nothing": _nothing,
    "true": _true,
    "false": _false,
    "list_display": _list_display,
    "dict_display": _dict_display,
    "entry": _entry,
    "comprehension": _comprehension,
    "generator": _generator,
    "hole": _hole,
    "template": _template,
    "prompt": _prompt,
}

WEIGHED = frozenset(
    [
        "binary",
        "unary",
        "compare",
        "conditional",
        "try_else",
        "call",
        "subscript",
        "attribute",
        "list_display",
        "dict_display",
        "comprehension",
        "template",
    ]
)
"""Actions that put a level on top of an expression."""
