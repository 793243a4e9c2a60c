"""A whole program: runs the LALR parser, and after an error goes on at the next declaration."""

import re

from attrs import evolve

from flowc.compiler.diagnostics.model import CompileError, Diagnostic, Source
from flowc.compiler.parser import declarations, expressions, limits, statements, types
from flowc.compiler.parser.diagnose import diagnose, too_deep
from flowc.compiler.parser.lexer import Lexer
from flowc.compiler.parser.problem import SyntaxProblem
from flowc.compiler.parser.reading import check_text, decode, unix_lines
from flowc.compiler.syntax import Program
from flowc.grammar import lalr
from flowc.grammar.lalr import Action, TooDeep, Unexpected
from flowc.grammar.tables import load

ACTIONS: dict[str, Action] = declarations.ACTIONS | types.ACTIONS | statements.ACTIONS | expressions.ACTIONS

_DECLARATION = re.compile(
    r"^(?:@|(?:flow|kernel|llm|tool|human|event|record|enum|labels|from)\b)", re.MULTILINE
)


def parse_bytes(data: bytes, path: str) -> Program:
    """Parses a file's bytes: UTF-8, at most 16 MB. Raises `CompileError`."""
    return parse(decode(data, path), path)


def parse(text: str, path: str) -> Program:
    """Parses a program. Raises `CompileError` with the syntax errors of all its declarations."""
    text = unix_lines(text)
    source = Source(path, text)
    try:
        check_text(text)
    except SyntaxProblem as error:
        raise CompileError(source, (evolve(error.diagnostic, path=path),)) from None
    found: list[Diagnostic] = []
    offset, line = 0, 1
    while True:
        lexer = Lexer(text, load(), offset=offset, line=line)
        try:
            program = _parse_from(lexer)
        except SyntaxProblem as error:
            found.append(evolve(error.diagnostic, path=path))
            following = (
                None
                if error.last or len(found) >= limits.MAX_ERRORS
                else lexer.next_declaration(_DECLARATION)
            )
            if following is None:
                raise CompileError(source, tuple(found)) from None
            offset, line = following
            continue
        if found:
            raise CompileError(source, tuple(found))
        return program


def _parse_from(lexer: Lexer) -> Program:
    try:
        program = lalr.parse(load(), lexer.next, ACTIONS, expressions.WEIGHED, limits.MAX_EXPRESSION_DEEP)
    except Unexpected as error:
        raise diagnose(error, lexer) from None
    except TooDeep as error:
        raise too_deep(error.first, error.last) from None
    assert isinstance(program, Program)
    return evolve(program, comments=tuple(lexer.comments))
