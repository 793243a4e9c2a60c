"""What to say about text that makes no token: odd characters, open strings, brackets, layout."""

import unicodedata

from flowc.compiler.diagnostics.model import Label
from flowc.compiler.parser.problem import SyntaxProblem, problem, span_of
from flowc.compiler.syntax import Span
from flowc.grammar.tokens import Token

_INSTEAD = {
    "!": "negation is `not x`, inequality `a != b`",
    "`": "strings stand in double quotes",
    "$": "money is written with digits right after the sign: `$0.02`",
    "\\": "inside brackets a line may simply go on; put the expression in parentheses",
    ";": "write each statement on a line of its own",
    "“": 'use the plain quote `"`',
    "”": 'use the plain quote `"`',
    "‘": "use the plain quote `'`",
    "’": "use the plain quote `'`",
    "–": "use the plain minus `-`",
    "−": "use the plain minus `-`",
    "×": "multiplication is `*`",
    "≤": "write `<=`",
    "≥": "write `>=`",
    "≠": "write `!=`",
    "\u00a0": "replace it with an ordinary space",
}


def strange_character(text: str, span: Span) -> SyntaxProblem:
    """A character, or a word of odd characters, that begins no token."""
    if text in (";", "\\"):
        what = "statements are not joined by `;`" if text == ";" else "lines are not joined by a backslash"
        return problem("E0035", what, span, help=_INSTEAD[text])
    first = next((character for character in text if not character.isidentifier()), text[0])
    name = unicodedata.name(first, "a control character").lower()
    shown = f"`{first}` ({name})" if first.isprintable() else f"U+{ord(first):04X} ({name})"
    return problem(
        "E0002",
        f"{shown} has no meaning here",
        span,
        help=_INSTEAD.get(first, "remove it, or put it in a string"),
    )


def bad_prefix(prefix: str, prompt: bool, span: Span) -> SyntaxProblem:
    """`r"..."`, `b"..."`, or an f before a prompt."""
    if prompt and prefix == "f":
        help = "drop the `f`: a prompt is a template already"
    elif "b" in prefix.lower():
        help = "bytes come from a tool; a text needs no prefix"
    else:
        help = 'write `"..."`, or `f"..."` for a template; a backslash is written `\\\\`'
    return problem("E0030", f"a string cannot begin with `{prefix}` here", span, help=help)


def unterminated(quote: str, begin: Token) -> SyntaxProblem:
    """A string that runs into the end of its line, or of the file."""
    triple = len(quote) == 3
    return problem(
        "E0003",
        "this string is never closed",
        span_of(begin, begin),
        f"no {quote} follows" + ("" if triple else " on this line"),
        help=f"close it with {quote}" + ("" if triple else '; a text of several lines stands in """'),
        last=triple,
    )


def unclosed(opening: Token) -> SyntaxProblem:
    """A bracket without a partner."""
    return problem(
        "E0006",
        "this bracket is never closed" if opening.kind != "_HOLE_START" else "this hole is never closed",
        span_of(opening, opening),
        help=f"add `{_closer(opening)}` where it ends",
    )


def mismatched(opening: Token, closing: Token) -> SyntaxProblem:
    """`(]`."""
    return problem(
        "E0007",
        f"`{closing.text}` does not close `{opening.text}`",
        span_of(closing, closing),
        f"`{_closer(opening)}` is due here",
        also=(Label(span_of(opening, opening), "opened here", primary=False),),
        help=f"close the brackets in the order opposite to their opening, here with `{_closer(opening)}`",
    )


def _closer(opening: Token) -> str:
    return {"(": ")", "[": "]", "{": "}"}[opening.text]


def mixed_tabs(span: Span) -> SyntaxProblem:
    """Indentation whose depth depends on how wide a tab is."""
    return problem(
        "E0009",
        "tabs and spaces are mixed in this indentation",
        span,
        why="how deep it is would depend on the editor",
        help="use four spaces a level; `flowc fmt` does so",
    )


def too_long(line: int, what: str) -> SyntaxProblem:
    """A program above a limit on size."""
    return problem(
        "E0043",
        f"the program has {what}",
        Span(line, 1, line, 1),
        why="that is far above any program that a person keeps in one file",
        help="give data as arguments (`flowc run --args FILE.json`) and split the program",
        last=True,
    )
