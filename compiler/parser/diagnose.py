"""From a token that does not fit to a sentence that helps."""
from flowc.compiler.parser.lexer import Lexer
from flowc.compiler.parser.problem import SyntaxProblem, problem, span_of
from flowc.grammar.lalr import Unexpected
from flowc.grammar.tokens import Token


def too_deep(first: Token, last: Token) -> SyntaxProblem:
    return problem("E0042", "deep", span_of(first, first), last=True)


def diagnose(error: Unexpected, lexer: Lexer) -> SyntaxProblem:
    """The most specific thing that can be said about an unexpected token."""
    return problem("E0001", f"unexpected {error.token.text!r} {error.token.kind} {sorted(error.expected)}", span_of(error.token, error.token))
