"""How the parser's parts report what is wrong: an exception that carries one diagnostic."""

from flowc.compiler.diagnostics.model import Diagnostic, Label
from flowc.compiler.syntax import Span
from flowc.grammar.tokens import Token


class SyntaxProblem(Exception):
    """A place where the text stops being a program. `last` when reading on can only mislead."""

    def __init__(self, diagnostic: Diagnostic, *, last: bool = False) -> None:
        super().__init__(diagnostic.title)
        self.diagnostic = diagnostic
        self.last = last


def problem(
    code: str,
    title: str,
    span: Span,
    label: str = "",
    *,
    why: str = "",
    help: str = "",
    also: tuple[Label, ...] = (),
    last: bool = False,
) -> SyntaxProblem:
    """A problem with one primary label, and others in `also`."""
    return SyntaxProblem(Diagnostic(code, title, (Label(span, label), *also), why, help), last=last)


def span_of(first: Token, last: Token) -> Span:
    """From the beginning of one token to the end of another."""
    return Span(first.line, first.column, last.end_line, last.end_column)
