"""From text to tokens, in one pass and linear time.

No text makes a pattern backtrack far: what repeats within a group begins with a character that ends what
stood before it, the repeats are counted, and classes are possessive. Groups are not: before 3.11.5, so in
Debian 12's, Python ends a possessive group too early (https://github.com/python/cpython/issues/106052).
Layout and string templates need a little memory: the open brackets, the indentation of the open blocks, and
the template that is being read. Words that are keywords in some places only are told apart by what the
grammar could take next.
"""

import functools
import re
from collections import deque
from collections.abc import Mapping

from attrs import frozen

from flowc.compiler.parser import limits
from flowc.compiler.parser.problem import problem
from flowc.compiler.parser.strange import (
    bad_prefix,
    mismatched,
    mixed_tabs,
    strange_character,
    too_long,
    unclosed,
    unterminated,
)
from flowc.compiler.syntax import Comment, Span
from flowc.grammar.tables import RESERVED, Tables
from flowc.grammar.tokens import Token

FOREIGN = frozenset(
    [
        "def",
        "class",
        "lambda",
        "raise",
        "async",
        "await",
        "yield",
        "global",
        "nonlocal",
        "del",
        "assert",
        "except",
        "finally",
        "True",
        "False",
        "None",
    ]
)
"""Python's words that the language lacks. They are no names either, so a program can always become Python."""

CLOSERS = {"(": ")", "[": "]", "{": "}", "_HOLE_START": "}"}
_BLANK = re.compile(r"[ \t]*+")
_TOP_LEVEL = re.compile(
    r"(?:flow|kernel|llm|tool|human|event|record|enum|labels)[ \t]++[^\W\d]|@[^\W\d]|from[ \t]++[\"']"
)
_AT_ONCE = "{1,256}"  # bounds what a match remembers of its way
_STRINGS = {quote: re.compile(rf"(?:[^{quote}\\\n]++|\\[\s\S]){_AT_ONCE}") for quote in ('"', "'")} | {
    3 * quote: re.compile(rf"(?:[^{quote}\\]++|\\[\s\S]|{quote}(?!{quote}{quote})){_AT_ONCE}")
    for quote in ('"', "'")
}
_TEXTS = {
    quote: re.compile(rf"(?:[^{quote}\\\n{{}}]++|\\[\s\S]|\{{\{{|\}}\}}){_AT_ONCE}") for quote in ('"', "'")
} | {
    3 * quote: re.compile(
        rf"(?:[^{quote}\\{{}}]++|\\[\s\S]|\{{\{{|\}}\}}|{quote}(?!{quote}{quote})){_AT_ONCE}"
    )
    for quote in ('"', "'")
}


@frozen
class _Open:
    """An open bracket. A hole's also knows the quotes of its template and where that began."""

    token: Token
    quote: str = ""
    template: Token | None = None


@functools.cache
def _pattern(tables: Tables) -> re.Pattern[str]:
    marks = "|".join(re.escape(mark) for mark in tables.operators())
    return re.compile(
        r"[ \t]*+(?:"
        r"(?P<quote>[A-Za-z]{0,2}(?:\"\"\"|'''|\"|'))"
        rf"|(?P<name>{tables.name})|(?P<number>{tables.number})"
        rf"|(?P<newline>\n)|(?P<comment>\#[^\n]*+)|(?P<mark>{marks})|(?P<end>\Z)|(?P<strange>[\s\S]))"
    )


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    """Where the pieces of a string end that `pattern` matches from `start` on."""
    while (match := pattern.match(text, start)) is not None:
        start = match.end()
    return start


class Lexer:
    """Reads `text` from an offset that begins a top-level line."""

    def __init__(self, text: str, tables: Tables, *, offset: int = 0, line: int = 1) -> None:
        self.text = text
        self.comments: list[Comment] = []
        self.history: deque[Token] = deque(maxlen=8)
        self.brackets: list[_Open] = []
        self._match = _pattern(tables).match
        self._contextual = tables.keywords() - RESERVED
        self._declaring = self._contextual & tables.actions[tables.start].keys()
        self._at = offset
        self._line = line
        self._line_start = offset
        self._indents = [""]
        self._pending: deque[Token] = deque()
        self._template: tuple[str, Token] | None = None
        self._count = 0
        self._fresh = True

    def next(self, accepts: Mapping[str, int]) -> Token:
        """The next token; `accepts` holds what the grammar could take."""
        if self._pending:
            token = self._pending.popleft()
        elif self._template is not None:
            token = self._template_token(*self._template)
        else:
            if self._fresh:
                self._fresh = False
                self._begin_line()
            token = self._pending.popleft() if self._pending else self._read(accepts)
        self._count += 1
        if self._count > limits.MAX_TOKENS:
            raise too_long(token.line, f"more than {limits.MAX_TOKENS:,} words and marks")
        self.history.append(token)
        return token

    def next_declaration(self, pattern: re.Pattern[str]) -> tuple[int, int] | None:
        """Offset and line of the next top-level line that `pattern` matches, from where reading stopped."""
        begin = self.text.find("\n", max(self._at - 1, 0))
        match = pattern.search(self.text, begin + 1) if begin >= 0 else None
        if match is None:
            return None
        return match.start(), self._line + self.text.count("\n", self._line_start, match.start())

    def _read(self, accepts: Mapping[str, int]) -> Token:
        while True:
            match = self._match(self.text, self._at)
            assert match is not None
            kind = match.lastgroup
            assert kind is not None
            start = match.start(kind)
            if kind == "name":
                return self._word(match.group(kind), start, accepts)
            if kind == "mark":
                return self._mark(match.group(kind), start)
            if kind == "number":
                return self._number(match.group(kind), start)
            if kind == "quote":
                return self._quote(match.group(kind), start, accepts)
            if kind == "newline":
                if (token := self._newline(start)) is not None:
                    return token
            elif kind == "comment":
                self._comment(match.group(kind), start)
            elif kind == "end":
                return self._end(start)
            else:
                raise strange_character(match.group(kind), self._span(start, start + 1))

    # Words and marks ----------------------------------------------------------------------------

    def _word(self, text: str, start: int, accepts: Mapping[str, int]) -> Token:
        if text in RESERVED or (text in self._contextual and text in accepts and not self._is_inner(text)):
            return self._token(text, text, start)
        if not text.isascii() and not text.isidentifier():
            raise strange_character(text, self._span(start, start + len(text)))
        if len(text) > limits.MAX_NAME:
            raise problem(
                "E0044",
                f"a name of more than {limits.MAX_NAME:,} characters",
                self._span(start, start + len(text)),
            )
        return self._token("FOREIGN" if text in FOREIGN else "NAME", text, start)

    def _is_inner(self, word: str) -> bool:
        """Whether a word that begins a declaration stands in a block, where it is a name: the tables would
        take it behind an inner block as they take it behind the last one.
        """
        return len(self._indents) > 1 and word in self._declaring

    def _number(self, text: str, start: int) -> Token:
        token = self._token("NUMBER", text, start)
        after = self.text[self._at : self._at + 1]
        if after == "." and (text.isdigit() or text[:1] == "$"):
            raise problem(
                "E0005",
                "a number does not end in a point",
                self._span(start, self._at + 1),
                help=f"write `{text}.0`",
            )
        return token

    def _mark(self, text: str, start: int) -> Token:
        token = self._token(text, text, start)
        if text in "([{":
            self._open(_Open(token))
        elif text in ")]}":
            self._close(token)
            if text == "}" and self._template is not None:
                return token._replace(kind="_HOLE_END")
        return token

    def _open(self, opened: _Open) -> None:
        if len(self.brackets) >= limits.MAX_BRACKETS_DEEP:
            token = opened.token
            raise problem(
                "E0041",
                f"brackets are nested deeper than {limits.MAX_BRACKETS_DEEP:,}",
                self._span(token.start, token.start + 1),
                why="no program that a person writes is that deep, and every later step would walk it",
                help="name the inner parts on lines of their own",
                last=True,
            )
        self.brackets.append(opened)

    def _close(self, token: Token) -> None:
        span = self._span(token.start, token.start + 1)
        if not self.brackets:
            raise problem(
                "E0007", f"this `{token.text}` closes nothing", span, help="remove it, or open its partner"
            )
        opened = self.brackets.pop()
        if CLOSERS[opened.token.kind] != token.text:
            raise mismatched(opened.token, token)
        if opened.template is not None:
            self._template = (opened.quote, opened.template)

    # Strings ------------------------------------------------------------------------------------

    def _quote(self, text: str, start: int, accepts: Mapping[str, int]) -> Token:
        quote = text.lstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
        prefix = text[: len(text) - len(quote)]
        prompt = "PROMPT_START" in accepts
        if prefix not in ("", "f") or (prefix and prompt):
            raise bad_prefix(prefix, prompt, self._span(start, start + len(text)))
        if prompt or prefix:
            token = self._token("PROMPT_START" if prompt else "TEMPLATE_START", text, start)
            self._template = (quote, token)
            return token
        end = _end(_STRINGS[quote], self.text, start + len(quote))
        if not self.text.startswith(quote, end):
            raise unterminated(quote, self._token("STRING", text, start))
        return self._token("STRING", self.text[start : end + len(quote)], start)

    def _template_token(self, quote: str, begin: Token) -> Token:
        start = self._at
        end = _end(_TEXTS[quote], self.text, start)
        if end > start:
            return self._token("TEXT", self.text[start:end], start)
        if self.text.startswith(quote, start):
            self._template = None
            return self._token("TEMPLATE_END", quote, start)
        if self.text.startswith("{", start):
            self._template = None
            token = self._token("_HOLE_START", "{", start)
            self._open(_Open(token, quote, begin))
            return token
        if self.text.startswith("}", start):
            raise problem(
                "E0029",
                "this `}` closes no hole",
                self._span(start, start + 1),
                help="a brace that is meant as text is written twice: `}}`",
            )
        raise unterminated(quote, begin)

    # Lines --------------------------------------------------------------------------------------

    def _newline(self, start: int) -> Token | None:
        self._at = start + 1
        if self.brackets:
            self._check_open_brackets(start)
            self._next_line(start + 1)
            return None
        last = self.history[-1] if self.history else None
        self._next_line(start + 1)
        self._fresh = True
        assert last is not None
        return _after(last, "_NEWLINE")

    def _check_open_brackets(self, start: int) -> None:
        """A declaration on the next line tells that a bracket was forgotten; a hole ends with its line."""
        self._check_open_holes()
        if _TOP_LEVEL.match(self.text, start + 1):
            raise unclosed(self.brackets[-1].token)

    def _check_open_holes(self) -> None:
        for opened in self.brackets:
            if len(opened.quote) == 1 and opened.template is not None:
                raise unterminated(opened.quote, opened.template)

    def _begin_line(self) -> None:
        """Skips lines without code, then compares the indentation with the open blocks."""
        while True:
            blank = _BLANK.match(self.text, self._line_start)
            assert blank is not None
            self._at = blank.end()
            after = self.text[self._at : self._at + 1]
            if after == "#":
                end = self.text.find("\n", self._at)
                self._comment(self.text[self._at : end if end >= 0 else len(self.text)], self._at)
                after = self.text[self._at : self._at + 1]
            if after == "\n":
                self._next_line(self._at + 1)
            elif after:
                self._indent(blank.group())
                return
            else:
                return

    def _next_line(self, start: int) -> None:
        self._at = self._line_start = start
        self._line += 1

    def _indent(self, indent: str) -> None:
        current = self._indents[-1]
        if indent == current:
            return
        here = self._span(self._line_start, self._at)
        if indent.startswith(current):
            if len(self._indents) > limits.MAX_BLOCKS_DEEP:
                raise problem(
                    "E0042",
                    f"blocks are nested deeper than {limits.MAX_BLOCKS_DEEP}",
                    self._span(self._at, self._at + 1),
                    help="move the inner blocks to a flow of their own",
                    last=True,
                )
            if not self._indents[1:] and "\t" in indent and " " in indent:
                raise mixed_tabs(here)
            self._indents.append(indent)
            self._pending.append(self._token_here("_INDENT"))
            return
        if not current.startswith(indent):
            raise mixed_tabs(here)
        while len(self._indents[-1]) > len(indent):
            self._indents.pop()
            assert self.history
            self._pending.append(_after(self.history[-1], "_DEDENT"))
        if self._indents[-1] != indent:
            widths = ", ".join(str(len(known)) for known in self._indents)
            raise problem(
                "E0008",
                "this line matches no block around it",
                here,
                f"indented by {len(indent)}; the blocks around it begin at {widths} and {len(current)}",
                help="indent it like the block that it belongs to",
            )

    def _comment(self, text: str, start: int) -> None:
        trailing = bool(self.text[self._line_start : start].strip())
        self._at = start + len(text)
        self.comments.append(Comment(text.rstrip(), trailing, span=self._span(start, self._at)))

    def _end(self, start: int) -> Token:
        if self.brackets:
            self._check_open_holes()
            raise unclosed(self.brackets[-1].token)
        last = (
            self.history[-1] if self.history else Token("_NEWLINE", "", start, self._line, 1, self._line, 1)
        )
        self._at = len(self.text)
        if last.kind not in ("_NEWLINE", "_DEDENT"):
            return _after(last, "_NEWLINE")
        if len(self._indents) > 1:
            self._indents.pop()
            return _after(last, "_DEDENT")
        column = start - self._line_start + 1
        return Token("$END", "", start, self._line, column, self._line, column)

    # Positions ----------------------------------------------------------------------------------

    def _token(self, kind: str, text: str, start: int) -> Token:
        """A token that begins on the current line; moves on behind it."""
        line, column = self._line, start - self._line_start + 1
        self._at = end = start + len(text)
        if len(text) > 1 and "\n" in text:
            self._line += text.count("\n")
            self._line_start = start + text.rindex("\n") + 1
        return Token(kind, text, start, line, column, self._line, end - self._line_start + 1)

    def _token_here(self, kind: str) -> Token:
        column = self._at - self._line_start + 1
        return Token(kind, "", self._at, self._line, column, self._line, column)

    def _span(self, start: int, end: int) -> Span:
        """A piece of the current line."""
        begin = self._line_start
        return Span(self._line, start - begin + 1, self._line, end - begin + 1)


def _after(token: Token, kind: str) -> Token:
    end = token.start + len(token.text)
    return Token(kind, "", end, token.end_line, token.end_column, token.end_line, token.end_column)
