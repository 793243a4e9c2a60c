"""Actions that build statements."""

from typing import Any

from flowc.compiler.parser.problem import problem, span_of
from flowc.compiler.syntax import (
    Assign,
    Break,
    Call,
    Continue,
    Expression,
    ExpressionStatement,
    For,
    If,
    Name,
    Pass,
    Return,
    Statement,
    Try,
    While,
    With,
)
from flowc.grammar.lalr import Action
from flowc.grammar.tokens import Token


def _suite(children: list[Any], first: Token, last: Token) -> tuple[Statement, ...]:
    return tuple(child for child in children if not isinstance(child, Token))


def _assign(children: list[Any], first: Token, last: Token) -> Assign:
    return Assign(children[0], children[1], span=span_of(first, last))


def _annotated(children: list[Any], first: Token, last: Token) -> Assign:
    name, annotation, value = children
    return Assign((name.text,), value, annotation, span=span_of(first, last))


def _augmented(children: list[Any], first: Token, last: Token) -> Assign:
    name, operator, value = children
    return Assign((name.text,), value, operator=operator.text[:-1], span=span_of(first, last))


def _targets(children: list[Any], first: Token, last: Token) -> tuple[str, ...]:
    return tuple(token.text for token in children)


def _return(children: list[Any], first: Token, last: Token) -> Return:
    return Return(children[0], span=span_of(first, last))


def _break(children: list[Any], first: Token, last: Token) -> Break:
    return Break(span=span_of(first, last))


def _continue(children: list[Any], first: Token, last: Token) -> Continue:
    return Continue(span=span_of(first, last))


def _pass(children: list[Any], first: Token, last: Token) -> Pass:
    return Pass(span=span_of(first, last))


def _expression_statement(children: list[Any], first: Token, last: Token) -> ExpressionStatement:
    return ExpressionStatement(children[0], span=span_of(first, last))


def _if(children: list[Any], first: Token, last: Token) -> If:
    test, body, *others, otherwise = children
    return If(((test, body), *others), otherwise or (), span=span_of(first, last))


def _elif(children: list[Any], first: Token, last: Token) -> tuple[Any, Any]:
    return children[0], children[1]


def _for(children: list[Any], first: Token, last: Token) -> For:
    targets, iterable, body = children
    return For(targets, iterable, body, span=span_of(first, last))


def _while(children: list[Any], first: Token, last: Token) -> While:
    test, bound, body = children
    return While(test, bound, body, span=span_of(first, last))


def _with(children: list[Any], first: Token, last: Token) -> With:
    *limits, body = children
    if len(limits) == 1 and isinstance(limits[0], Name) and limits[0].id == "transaction":
        return With((), body, transaction=True, span=span_of(first, last))
    for limit in limits:
        if not isinstance(limit, Call) or not isinstance(limit.function, Name):
            raise problem(
                "E0021",
                "`with` takes limits, and this is none",
                limit.span,
                help=_help(limit),
            )
    return With(tuple(limits), body, span=span_of(first, last))


def _help(limit: Expression) -> str:
    if isinstance(limit, Name) and limit.id == "transaction":
        return "a transaction stands alone: put `with transaction:` into the block, or around it"
    return "write a limit such as `timeout(30s)`, `budget($1.00)`, `retry(2)` or `memory(2GB)`"


def _try(children: list[Any], first: Token, last: Token) -> Try:
    body, otherwise = children
    return Try(body, otherwise, span=span_of(first, last))


ACTIONS: dict[str, Action] = {
    "suite": _suite,
    "assign": _assign,
    "annotated": _annotated,
    "augmented": _augmented,
    "targets": _targets,
    "return_": _return,
    "break_": _break,
    "continue_": _continue,
    "pass_": _pass,
    "expression_statement": _expression_statement,
    "if_": _if,
    "elif": _elif,
    "for_": _for,
    "while_": _while,
    "with_": _with,
    "try_": _try,
}
