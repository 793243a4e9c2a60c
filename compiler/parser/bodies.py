"""Rules for headers, blocks and what a callable consists of."""

from flowc.compiler.diagnostics.model import Label
from flowc.compiler.parser.clue import CALLABLES, Clue
from flowc.compiler.parser.problem import SyntaxProblem, problem, span_of

_HEADERS = frozenset(("if", "elif", "else", "for", "while", "with", "try", "record", "enum")) | CALLABLES
_DECLARED = frozenset(("record", "enum")) | CALLABLES
_STATEMENTS = frozenset(
    ("return", "break", "continue", "pass", "if", "for", "while", "with", "elif", "else", "try")
)


def _unclosed(clue: Clue) -> SyntaxProblem | None:
    """A statement begins while a bracket is open: the bracket was forgotten, not the comma."""
    opened = clue.opened
    if opened is None or not clue.begins_line() or clue.token.line == opened.line:
        return None
    begin = clue.text.rfind("\n", 0, opened.start) + 1
    line = clue.text[begin : opened.start]
    indentation = len(line) - len(line.lstrip())
    if clue.token.column - 1 > indentation:
        return None
    if clue.token.kind not in _STATEMENTS and not clue.followed_by(r"[ \t]*(?:=(?!=)|:|\(|,|\+=)"):
        return None
    closer = {"(": ")", "[": "]", "{": "}"}[opened.text]
    return problem(
        "E0006",
        "this bracket is never closed",
        span_of(opened, opened),
        also=(Label(clue.span, "a new statement begins here", primary=False),),
        help=f"add `{closer}` before this line",
    )


def _indentation(clue: Clue) -> SyntaxProblem | None:
    if clue.token.kind != "_INDENT":
        return None
    span = span_of(clue.token, clue.token)
    return problem(
        "E0010",
        "this line is indented more than the one before it",
        span,
        why="a deeper block begins only after a line that ends with `:`",
        help="indent it like its neighbours, or end the line before it with `:`",
    )


def _empty_block(clue: Clue) -> SyntaxProblem | None:
    if clue.expected != {"_INDENT"}:
        return None
    header = next((token for token in clue.pending if token.kind in _HEADERS), None)
    what = f"`{header.text}`" if header is not None else "the line above"
    help = (
        "a record has at least one field: `name: str`"
        if what == "`record`"
        else "indent the block by four spaces"
    )
    if what in ("`llm`", "`human`", "`event`"):
        help = 'write the prompt on the next line, indented: `"""Say {x}."""`'
    return problem(
        "E0011",
        f"expected an indented block after {what}",
        clue.span,
        also=(Label(span_of(header, header), "this needs a block", primary=False),)
        if header is not None
        else (),
        help=help
        if what != "the line above"
        else "indent the block by four spaces; an empty one says `pass`",
    )


def _bound(clue: Clue) -> SyntaxProblem | None:
    if "up" not in clue.expected or clue.first_word() != "while" or clue.opened is not None:
        return None
    return problem(
        "E0017",
        "this `while` has no bound",
        clue.span,
        "`up to N` is due here",
        why="every loop ends: that is what makes a budget and a schedule possible",
        help="say how often it may run at most: `while test up to 100:`",
    )


def _parameter_type(clue: Clue) -> SyntaxProblem | None:
    before = clue.before
    if (
        clue.expected != {":"}
        or before is None
        or before.kind != "NAME"
        or clue.token.kind not in (",", ")", "=", "_NEWLINE")
    ):
        return None
    if any(token.kind == "(" for token in clue.pending):
        what = "parameter"
    elif clue.first_word() not in _HEADERS:
        what = "field"
    else:
        return None
    return problem(
        "E0023",
        f"{what} `{before.text}` has no type",
        span_of(before, before),
        help=f"write `{before.text}: str`",
    )


def _result(clue: Clue) -> SyntaxProblem | None:
    if "->" not in clue.expected or clue.before is None:
        return None
    word = clue.first_word()
    what = f"this {word}" if word in CALLABLES else "this callable"
    return problem(
        "E0022",
        f"{what} has no result type",
        clue.span,
        "`-> type` is due here",
        help="say what it gives: `-> str`, or `-> none`",
    )


def _effect(clue: Clue) -> SyntaxProblem | None:
    before, token = clue.before, clue.token
    if before is not None and before.kind in ("reads", "writes"):
        return problem(
            "E0027",
            f"`{before.text}` names no resource",
            span_of(before, before),
            help=f"say what: `{before.text} web`; the name is yours, calls on the same name keep their order",
        )
    if "reads" in clue.expected and token.kind == "NAME":
        if token.text in ("idempotent", "undo"):
            help = "only `writes R` can be idempotent or undone"
        else:
            help = (
                "effects are `pure`, `llm`, `human`, `sleep`, `reads R` and `writes R`, separated by commas"
            )
        return problem("E0027", f"`{token.text}` is no effect", clue.span, help=help)
    return None


def _prompt(clue: Clue) -> SyntaxProblem | None:
    if "PROMPT_START" in clue.expected:
        return problem(
            "E0026",
            "the body of an llm or a human is its prompt",
            clue.span,
            help='write one string: `"""Say {x}."""`; what needs statements is a `flow`',
        )
    if (
        clue.expected in ({"_DEDENT"}, {"_NEWLINE"})
        and clue.before is not None
        and clue.before.kind == "_NEWLINE"
    ):
        return problem(
            "E0026",
            "nothing follows this text",
            clue.span,
            why="an llm and a human consist of one prompt, and a tool of its documentation",
            help="what needs statements is a `flow`",
        )
    return None


def _tool(clue: Clue) -> SyntaxProblem | None:
    if (
        "STRING" not in clue.expected
        or clue.wants_expression
        or clue.before is None
        or clue.before.kind == "from"
    ):
        return None
    return problem(
        "E0026",
        "a tool has no body here: it is a Python function",
        clue.span,
        help='import the function (`from "tools.py" import search`) and end the line without `:`',
    )


def _nested(clue: Clue) -> SyntaxProblem | None:
    """`flow g() -> int:` inside a flow."""
    before = clue.before
    if before is None or before.text not in _DECLARED or clue.token.kind != "NAME":
        return None
    if clue.first_word() != before.text or before.column == 1 or clue.opened is not None:
        return None
    return problem(
        "E0001",
        f"a `{before.text}` cannot be declared inside another declaration",
        span_of(before, clue.token),
        help="declare it beside the others, at the left margin",
    )


def _colon(clue: Clue) -> SyntaxProblem | None:
    if ":" not in clue.expected or clue.opened is not None:
        return None
    if not (clue.ends_line or clue.begins_line() or clue.token.kind in _STATEMENTS | {"NAME"}):
        return None
    word = clue.first_word()
    if word not in _HEADERS:
        return None
    after = (
        "its result type"
        if word in CALLABLES
        else "its name"
        if word in ("record", "enum")
        else "its condition"
    )
    if word in ("for", "with", "try", "else"):
        after = {"for": "what it iterates over", "with": "its limits"}.get(word, f"`{word}`")
    return problem(
        "E0012", f"expected `:` after {after}", clue.span, help=f"end the line of `{word}` with `:`"
    )


def _one_line(clue: Clue) -> SyntaxProblem | None:
    """`flow f() -> int: for x in xs: ...`."""
    if (
        "return" not in clue.expected
        or "for" in clue.expected
        or clue.token.kind not in ("if", "for", "while", "with")
    ):
        return None
    return problem(
        "E0001",
        f"`{clue.token.kind}` does not stand behind a `:`",
        clue.span,
        help="put the block on the next line, indented",
    )


def _try_without_else(clue: Clue) -> SyntaxProblem | None:
    if clue.expected != {"else"}:
        return None
    return problem(
        "E0032",
        "this `try` has no `else`",
        clue.span,
        "`else:` is due here",
        why="what happens when the block fails must be said",
        help="add an `else:` block; `else: pass` ignores the failure",
    )


BODY_RULES = (
    _unclosed,
    _indentation,
    _empty_block,
    _bound,
    _parameter_type,
    _result,
    _effect,
    _prompt,
    _tool,
    _try_without_else,
    _nested,
    _colon,
    _one_line,
)
