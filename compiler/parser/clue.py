"""What is known where a token does not fit, and words for it."""

import re

from attrs import frozen

from flowc.compiler.parser.lexer import Lexer
from flowc.compiler.parser.problem import span_of
from flowc.compiler.syntax import Span
from flowc.grammar.lalr import Unexpected
from flowc.grammar.tables import RESERVED
from flowc.grammar.tokens import Token

BEGINS_EXPRESSION = frozenset(
    (
        "NAME",
        "NUMBER",
        "STRING",
        "TEMPLATE_START",
        "(",
        "[",
        "{",
        "-",
        "+",
        "~",
        "not",
        "none",
        "true",
        "false",
        "try",
    )
)
CALLABLES = frozenset(("llm", "tool", "human", "event", "kernel", "flow"))

_NAMES = {
    "_NEWLINE": "the end of the line",
    "_INDENT": "an indented block",
    "_DEDENT": "the end of the block",
    "$END": "the end of the file",
    "NAME": "a name",
    "NUMBER": "a number",
    "STRING": "a string",
    "TEMPLATE_START": "a template",
    "PROMPT_START": "a prompt",
    "TEMPLATE_END": "the end of the template",
    "TEXT": "text",
    "_HOLE_START": "`{`",
    "_HOLE_END": "`}`",
}


@frozen
class Clue:
    """The token that does not fit, what stands before it, and what would have fitted."""

    token: Token
    before: Token | None
    expected: frozenset[str]
    pending: tuple[Token, ...]
    """Tokens that wait for the rest of their rule, the latest first."""
    opened: Token | None
    """The innermost open bracket."""
    text: str

    @property
    def span(self) -> Span:
        """Where the token stands; one cell for a token without text."""
        span = span_of(self.token, self.token)
        if self.token.text:
            return span
        return Span(span.line, span.column, span.line, span.column + 1)

    @property
    def ends_line(self) -> bool:
        """Whether the line, or the block, or the file, ends here."""
        return self.token.kind in ("_NEWLINE", "_DEDENT", "$END")

    @property
    def wants_expression(self) -> bool:
        """Whether any expression would have fitted."""
        return "NUMBER" in self.expected and "(" in self.expected

    @property
    def wants_declaration(self) -> bool:
        """Whether a declaration would have fitted."""
        return "record" in self.expected

    def first_word(self) -> str:
        """The first word of the line on which the token stands, or ends."""
        found = re.match(r"[ \t]*(\w*)", self.text[self.text.rfind("\n", 0, self.token.start) + 1 :][:200])
        return found[1] if found else ""

    def begins_line(self) -> bool:
        """Whether only blank space stands before the token on its line."""
        start = self.text.rfind("\n", 0, self.token.start) + 1
        return not self.text[start : self.token.start].strip()

    def followed_by(self, pattern: str) -> bool:
        """Whether the text behind the token matches."""
        return re.compile(pattern).match(self.text, self.token.start + len(self.token.text)) is not None


def clue(error: Unexpected, lexer: Lexer) -> Clue:
    """Gathers what is known."""
    history = list(lexer.history)
    return Clue(
        error.token,
        history[-2] if len(history) > 1 else None,
        error.expected,
        tuple(value for value in reversed(error.values) if isinstance(value, Token)),
        lexer.brackets[-1].token if lexer.brackets else None,
        lexer.text,
    )


def found(token: Token) -> str:
    """A token as a message names it."""
    if token.kind in ("STRING", "TEMPLATE_START", "PROMPT_START"):
        return "a string"
    if token.kind == "TEXT" or not token.text:
        return _NAMES.get(token.kind, "text")
    shown = token.text if len(token.text) <= 40 else token.text[:37] + "..."
    return f"`{shown}`"


def wanted(expected: frozenset[str]) -> str:
    """What would have fitted, in as few words as say it."""
    if "return" in expected:
        return "a statement"
    if "NUMBER" in expected and "(" in expected:
        return "an expression"
    if "record" in expected:
        return "a declaration"
    if "NAME" in expected and "none" in expected:
        return "a type"
    if len(expected) > 6:
        closing = sorted(expected & {")", "]", "}", ":", "_NEWLINE", "_HOLE_END"})
        return " or ".join([*(_word(kind) for kind in closing), "an operator"])
    return " or ".join(_word(kind) for kind in sorted(expected, key=lambda kind: (kind in RESERVED, kind)))


def _word(kind: str) -> str:
    return _NAMES.get(kind, f"`{kind}`")
