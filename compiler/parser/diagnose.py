"""From a token that does not fit to a sentence that helps: the most specific rule comes first."""

from collections.abc import Callable

from flowc.compiler.parser.bodies import BODY_RULES
from flowc.compiler.parser.clue import Clue, clue, found, wanted
from flowc.compiler.parser.habits import HABIT_RULES
from flowc.compiler.parser.lexer import Lexer
from flowc.compiler.parser.limits import MAX_EXPRESSION_DEEP
from flowc.compiler.parser.operands import OPERAND_RULES
from flowc.compiler.parser.problem import SyntaxProblem, problem, span_of
from flowc.compiler.syntax import Span
from flowc.grammar.lalr import Unexpected
from flowc.grammar.tokens import Token

RULES: tuple[Callable[[Clue], SyntaxProblem | None], ...] = (*HABIT_RULES, *BODY_RULES, *OPERAND_RULES)


def diagnose(error: Unexpected, lexer: Lexer) -> SyntaxProblem:
    """The most specific thing that can be said about an unexpected token."""
    known = clue(error, lexer)
    for rule in RULES:
        if (said := rule(known)) is not None:
            return said
    return problem("E0001", f"expected {wanted(known.expected)}, found {found(known.token)}", known.span)


def too_deep(first: Token, last: Token) -> SyntaxProblem:
    """An expression with more levels than the compiler will walk."""
    whole = span_of(first, last)
    shown = (
        whole
        if whole.line == whole.end_line
        else Span(first.line, first.column, first.line, first.end_column)
    )
    return problem(
        "E0046",
        f"this expression is more than {MAX_EXPRESSION_DEEP:,} levels deep",
        shown,
        help="name parts of it on lines of their own; a long sum is `sum([...])`",
    )
