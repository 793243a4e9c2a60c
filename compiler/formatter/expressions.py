"""Expressions and types as documents."""

from collections.abc import Callable
from typing import assert_never

from flowc.compiler.formatter import literals
from flowc.compiler.formatter.documents import Bracket, Document, flat
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
    Dimension,
    Expression,
    Generator,
    ListDisplay,
    Name,
    Slice,
    Span,
    Subscript,
    Template,
    TryElse,
    TypeRef,
    Unary,
)

_LEVELS = {"or": 1, "and": 2, "|": 5, "^": 6, "&": 7, "+": 8, "-": 8, "**": 11}
_NOT, _COMPARE, _PRODUCT, _UNARY, _POWER, _POSTFIX, _ATOM = 3, 4, 9, 10, 11, 12, 13

Spelling = Callable[[Span], str | None]
"""How the author wrote what stands at a span; None where no text is known."""


class Expressions:
    """Writes expressions; constants keep the author's spelling where it is known."""

    def __init__(self, spelling: Spelling) -> None:
        self._spelling = spelling

    def statement(self, node: Expression) -> Document:
        """An expression outside of brackets: a long operation gets parentheses to break in."""
        if isinstance(node, Binary | Compare | Conditional | TryElse) or _is_not(node):
            return (Bracket("(", self._pieces(node), ")", comma=False, silent=True),)
        return self.document(node)

    def text(self, node: Expression) -> str:
        """An expression inside a template."""
        return flat(self.document(node, quote="'"))

    def prompt_text(self, node: Expression) -> str:
        """An expression inside a prompt."""
        return flat(self.document(node))

    def document(self, node: Expression, level: int = 0, quote: str = '"') -> Document:
        """The expression, in parentheses where it binds less tightly than `level`."""
        written = self._written(node, quote)
        return ("(", *written, ")") if _level(node) < level else written

    def _pieces(self, node: Expression) -> tuple[Document, ...]:
        """The operands of a long operation, each with the word before it."""
        match node:
            case Binary(operator=operator) if operator != "**":
                level = _LEVELS.get(operator, _PRODUCT)
                operands: list[Document] = []
                left: Expression = node
                while isinstance(left, Binary) and left.operator != "**" and _level(left) == level:
                    operands.append((f"{left.operator} ", *self._operand(left, left.right, level + 1, '"')))
                    left = left.left
                return (self._operand(node, left, level, '"'), *reversed(operands))
            case Conditional():
                return (
                    self.document(node.then, 1),
                    ("if ", *self.document(node.test, 1)),
                    ("else ", *self.document(node.otherwise)),
                )
            case TryElse():
                return (("try ", *self.document(node.attempt, 1)), ("else ", *self.document(node.otherwise)))
        return (self.document(node),)

    def _operand(self, node: Binary, operand: Expression, level: int, quote: str) -> Document:
        """An operand; `and` inside `or` gets parentheses for the reader's sake."""
        mixed = isinstance(operand, Binary) and node.operator == "or" and operand.operator == "and"
        return self.document(operand, _ATOM if mixed else level, quote)

    def _written(self, node: Expression, quote: str) -> Document:
        match node:
            case Name():
                return (node.id,)
            case Constant():
                return (self._constant(node, quote),)
            case Template():
                return (self._template(node, quote),)
            case ListDisplay():
                return (Bracket("[", tuple(self.document(item, 0, quote) for item in node.items), "]"),)
            case DictDisplay():
                entries = tuple(
                    (*self.document(key, 0, quote), ": ", *self.document(value, 0, quote))
                    for key, value in node.items
                )
                return (Bracket("{", entries, "}"),)
            case Unary():
                space = " " if node.operator == "not" else ""
                return (node.operator + space, *self.document(node.operand, _level(node), quote))
            case Binary():
                return self._binary(node, quote)
            case Compare():
                parts = [*self.document(node.operands[0], _COMPARE + 1, quote)]
                for operator, operand in zip(node.operators, node.operands[1:], strict=True):
                    parts += [f" {operator} ", *self.document(operand, _COMPARE + 1, quote)]
                return tuple(parts)
            case Conditional():
                then, test = self.document(node.then, 1, quote), self.document(node.test, 1, quote)
                return (*then, " if ", *test, " else ", *self.document(node.otherwise, 0, quote))
            case TryElse():
                attempt = self.document(node.attempt, 1, quote)
                return ("try ", *attempt, " else ", *self.document(node.otherwise, 0, quote))
            case Call():
                return (*self._owner(node.function, quote), self.arguments(node.arguments, quote))
            case Subscript():
                indices = tuple(self._index(index, quote) for index in node.indices)
                return (*self._owner(node.value, quote), Bracket("[", indices, "]"))
            case Attribute():
                return (*self._owner(node.value, quote), f".{node.name}")
            case Comprehension():
                pieces = [self.document(node.element, 0, quote)]
                for generator in node.generators:
                    pieces += self._generator(generator, quote)
                return (Bracket("[", tuple(pieces), "]", comma=False),)
        assert_never(node)

    def _owner(self, node: Expression, quote: str) -> Document:
        """What a call, subscript or attribute belongs to; `(1).x`, for `1.` is no number."""
        numeric = isinstance(node, Constant) and node.kind not in ("str", "bool", "none")
        return self.document(node, _ATOM + 1 if numeric else _POSTFIX, quote)

    def _binary(self, node: Binary, quote: str) -> Document:
        if node.operator == "**":
            left, right = self.document(node.left, _POSTFIX, quote), self.document(node.right, _UNARY, quote)
            return (*left, " ** ", *right)
        level = _level(node)
        left, right = (
            self._operand(node, node.left, level, quote),
            self._operand(node, node.right, level + 1, quote),
        )
        return (*left, f" {node.operator} ", *right)

    def arguments(self, arguments: tuple[Argument, ...], quote: str = '"') -> Bracket:
        """`(a, b=c)`."""
        items = (
            (f"{argument.name}=" if argument.name else "", *self.document(argument.value, 0, quote))
            for argument in arguments
        )
        return Bracket("(", tuple(items), ")")

    def _index(self, node: Expression | Slice, quote: str) -> Document:
        if not isinstance(node, Slice):
            return self.document(node, 0, quote)
        bounds = (node.start, node.stop, node.step)
        space = "" if all(bound is None or _is_simple(bound) for bound in bounds) else " "
        start, stop, step = (self.document(bound, 0, quote) if bound is not None else () for bound in bounds)
        colon = (space if start else "") + ":" + (space if stop else "")
        return (*start, colon, *stop, *((f"{space}:{space}", *step) if step else ()))

    def _generator(self, node: Generator, quote: str) -> list[Document]:
        loop = (f"for {', '.join(node.targets)} in ", *self.document(node.iterable, 1, quote))
        return [loop, *(("if ", *self.document(condition, 1, quote)) for condition in node.conditions)]

    def _constant(self, node: Constant, quote: str) -> str:
        written = self._spelling(node.span)
        if written is None or node.kind in ("bool", "none"):
            return literals.constant(node, quote)
        if node.kind == "str" and (quote == "'" or not written.startswith(('"', "'''"))):
            return literals.constant(node, quote)
        return written

    def _template(self, node: Template, quote: str) -> str:
        written = self._spelling(node.span)
        if written is not None and quote == '"' and ("\\" in written or written[1:4] in ('"""', "'''")):
            return written
        return literals.template(node, self.text)


def _is_simple(node: Expression) -> bool:
    """Whether a slice's bound needs no blanks around its colon."""
    return isinstance(node, Name | Constant) or (
        isinstance(node, Unary) and isinstance(node.operand, Name | Constant)
    )


def _is_not(node: Expression) -> bool:
    return isinstance(node, Unary) and node.operator == "not"


def _level(node: Expression) -> int:
    match node:
        case Conditional() | TryElse():
            return 0
        case Binary():
            return _LEVELS.get(node.operator, _PRODUCT)
        case Unary():
            return _NOT if node.operator == "not" else _UNARY
        case Compare():
            return _COMPARE
        case Call() | Subscript() | Attribute():
            return _POSTFIX
    return _ATOM


def type_text(node: TypeRef) -> str:
    """`untrusted list[Passage]?`."""
    words = " ".join((*node.labels, node.name))
    arguments = ", ".join(
        str(argument.extent) if isinstance(argument, Dimension) else type_text(argument)
        for argument in node.arguments
    )
    return words + (f"[{arguments}]" if node.arguments else "") + ("?" if node.optional else "")
