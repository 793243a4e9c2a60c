"""Rules for what people write out of habit from other languages."""

import difflib

from flowc.compiler.parser.clue import CALLABLES, Clue
from flowc.compiler.parser.problem import SyntaxProblem, problem, span_of
from flowc.grammar.tables import RESERVED
from flowc.grammar.tokens import Token

_INSTEAD = {
    "def": "a function is a `flow` (or a `kernel`, for arrays): `flow f(x: int) -> int:`",
    "fn": "a function is a `flow`: `flow f(x: int) -> int:`",
    "func": "a function is a `flow`: `flow f(x: int) -> int:`",
    "function": "a function is a `flow`: `flow f(x: int) -> int:`",
    "class": "data is a `record` with typed fields: `record Point:`",
    "struct": "data is a `record` with typed fields: `record Point:`",
    "type": "a new type is a `record` or an `enum`",
    "lambda": "there are no functions as values; write the expression where it is needed, or a `flow`",
    "raise": "a flow cannot raise; return an optional value, or let the call that fails fail",
    "throw": "a flow cannot raise; return an optional value, or let the call that fails fail",
    "except": "`try:` is followed by `else:`, which runs when the first block fails",
    "catch": "`try:` is followed by `else:`, which runs when the first block fails",
    "finally": "`try:` is followed by `else:`, which runs when the first block fails",
    "async": "drop it: whatever does not depend on each other runs at the same time by itself",
    "await": "drop it: whatever does not depend on each other runs at the same time by itself",
    "yield": "collect the values in a list and return it",
    "global": "a flow has no globals; pass the value as a parameter and return it",
    "nonlocal": "a flow has no globals; pass the value as a parameter and return it",
    "del": "a name needs no deleting; memory is freed after its last use",
    "assert": "check with `if`, and return or call something else where it fails",
    "True": "write `true`",
    "False": "write `false`",
    "None": "write `none`",
    "null": "write `none`",
    "let": "a name is assigned directly: `x = 1`",
    "var": "a name is assigned directly: `x = 1`",
    "const": "a name is assigned directly: `x = 1`",
    "match": "write `if` and `elif`",
    "switch": "write `if` and `elif`",
}
_DECLARATIONS = ("from", "labels", "record", "enum", "llm", "tool", "human", "event", "kernel", "flow")


def _foreign(clue: Clue) -> SyntaxProblem | None:
    """`def f():`, `lambda x: x`, `True`, `let x = 1`."""
    for token in (clue.token, clue.before):
        if token is None or (token.kind != "FOREIGN" and token.text not in _INSTEAD):
            continue
        if token.kind == "FOREIGN" or clue.token.kind in ("NAME", "FOREIGN", "[", "{"):
            return problem(
                "E0014",
                f"`{token.text}` is not part of the language",
                span_of(token, token),
                help=_INSTEAD[token.text],
            )
    return None


def _else_if(clue: Clue) -> SyntaxProblem | None:
    before = clue.before
    if before is not None and before.kind == "else" and clue.token.kind == "if" and ":" in clue.expected:
        return problem("E0014", "`else if` is one word", span_of(before, clue.token), help="write `elif`")
    return None


def _doubled(clue: Clue) -> SyntaxProblem | None:
    """`a && b`, `a || b`, `x++`."""
    before, token = clue.before, clue.token
    if before is None or before.end_column != token.column or before.line != token.line:
        return None
    both = before.text + token.text
    instead = {
        "&&": "write `and`",
        "||": "write `or`",
        "===": "write `==`",
        "<>": "write `!=`",
        "=>": "write `->`",
    }
    if both not in instead:
        return None
    return problem(
        "E0014", f"`{both}` is not part of the language", span_of(before, token), help=instead[both]
    )


def _increment(clue: Clue) -> SyntaxProblem | None:
    before = clue.before
    if (
        clue.ends_line
        and before is not None
        and before.text in ("+", "-")
        and clue.text[before.start - 1 : before.start] == before.text
    ):
        sign = before.text
        return problem(
            "E0014",
            f"`{2 * sign}` is not part of the language",
            span_of(before, before),
            help=f"write `{sign}= 1`",
        )
    return None


def _ternary(clue: Clue) -> SyntaxProblem | None:
    """`test ? a : b`."""
    if clue.token.kind != "?" or "NAME" in clue.expected or clue.wants_declaration:
        return None
    return problem(
        "E0014", "`?` belongs to types only", clue.span, help="a choice of two values is `a if test else b`"
    )


def _import(clue: Clue) -> SyntaxProblem | None:
    """`import os`, `from os import path`."""
    before = clue.before
    if (clue.token.kind == "import" and clue.wants_declaration) or (
        before is not None and before.kind == "from" and clue.token.kind == "NAME"
    ):
        token = clue.token
    else:
        return None
    return problem(
        "E0014",
        "a program imports functions by name from a Python file",
        span_of(token, token),
        help='write `from "tools.py" import search`, and declare each as a `tool`',
    )


def _stars(clue: Clue) -> SyntaxProblem | None:
    """`*args`, `**options`."""
    if clue.token.kind not in ("*", "**") or clue.before is None or clue.before.kind not in ("(", ",", "["):
        return None
    return problem(
        "E0014",
        f"`{clue.token.text}` cannot begin an argument or a parameter",
        clue.span,
        help="name each one; several values of one type travel in a list",
    )


def _top_level(clue: Clue) -> SyntaxProblem | None:
    """A statement, or a misspelt word, where declarations stand."""
    token = clue.token
    if not clue.wants_declaration or token.kind in ("_INDENT", "$END"):
        return None
    if token.text == "language":
        return problem(
            "E0031", "`language` is not on the first line", clue.span, help="move it to the top of the file"
        )
    close = difflib.get_close_matches(token.text, _DECLARATIONS, n=1) if token.kind == "NAME" else []
    if close and clue.followed_by(r"[ \t]+\w"):
        return problem(
            "E0001", f"`{token.text}` begins no declaration", clue.span, help=f"did you mean `{close[0]}`?"
        )
    return problem(
        "E0015",
        "a statement stands outside of any flow",
        clue.span,
        why="a file holds declarations; what runs is a flow",
        help="put it into a `flow`, as in `flow main() -> none:`",
    )


def _decorated_nothing(clue: Clue) -> SyntaxProblem | None:
    if not clue.expected >= CALLABLES or clue.wants_declaration:
        return None
    decorator = next((token for token in clue.pending if token.kind == "@"), clue.before or clue.token)
    place: Token = decorator if clue.ends_line else clue.token
    return problem(
        "E0016",
        "a decorator belongs to an llm, tool, human, event, kernel or flow",
        span_of(place, place) if place.text else clue.span,
        help="remove it, or move it right before the declaration that it is meant for",
    )


def _reserved(clue: Clue) -> SyntaxProblem | None:
    """A keyword where a name must stand."""
    token = clue.token
    if token.kind not in RESERVED:
        return None
    assigned = clue.begins_line() and clue.followed_by(r"[ \t]*(=(?!=)|\+=|-=)")
    if assigned or ("NAME" in clue.expected and "NUMBER" not in clue.expected):
        return problem(
            "E0013",
            f"`{token.text}` is a reserved word, not a name",
            clue.span,
            help=f"choose another name, such as `{token.text}_`",
        )
    return None


HABIT_RULES = (
    _foreign,
    _else_if,
    _doubled,
    _increment,
    _ternary,
    _import,
    _stars,
    _top_level,
    _decorated_nothing,
    _reserved,
)
