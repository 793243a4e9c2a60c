"""Rules for expressions: assignments in odd places, commas, displays, holes."""

from flowc.compiler.parser.clue import BEGINS_EXPRESSION, Clue
from flowc.compiler.parser.problem import SyntaxProblem, problem, span_of


def _equals(clue: Clue) -> SyntaxProblem | None:
    if clue.token.kind != "=":
        return None
    if clue.opened is not None and clue.opened.kind == "_HOLE_START":
        return problem(
            "E0029", "a hole holds an expression only", clue.span, help="write the name before the hole"
        )
    if clue.first_word() in ("if", "elif", "while", "return") or clue.opened is not None:
        return problem(
            "E0018",
            "`=` assigns; it does not compare",
            clue.span,
            help="compare with `==`; only a plain name takes a keyword argument",
        )
    if "_NEWLINE" in clue.expected and "+" not in clue.expected:  # a type stands before it
        return problem(
            "E0020",
            "a field of a record has no default",
            clue.span,
            help="give the value where the record is built: `Passage(text=t, score=1.0)`",
        )
    return problem(
        "E0020",
        "only names can be assigned to",
        clue.span,
        "what stands before it is no name",
        why="values never change: a list or a record with another part is a new value",
        help="build a new value and assign that: `xs = xs + [x]`",
    )


def _augmented(clue: Clue) -> SyntaxProblem | None:
    if clue.token.text[-1:] != "=" or clue.token.text in ("==", "!=", "<=", ">=", "="):
        return None
    return problem(
        "E0020",
        f"only names can be assigned to with `{clue.token.text}`",
        clue.span,
        help="assign to a name first",
    )


def _hole(clue: Clue) -> SyntaxProblem | None:
    before = clue.before
    if before is not None and before.kind == "_HOLE_START" and clue.token.text == "}":
        return problem(
            "E0029",
            "this hole is empty",
            span_of(before, clue.token),
            help="put an expression between the braces; braces that are meant as text are doubled: `{{}}`",
        )
    if clue.opened is not None and clue.opened.kind == "_HOLE_START" and clue.token.kind == ":":
        return problem(
            "E0029",
            "a hole has no format",
            clue.span,
            help="format the value in the expression: `{round(x, 2)}`",
        )
    return None


def _generator(clue: Clue) -> SyntaxProblem | None:
    if clue.token.kind != "for" or clue.opened is None:
        return None
    if clue.opened.kind == "{":
        help = "build the dictionary in a `for` loop, or make a list: `[x for x in xs]`"
    else:
        help = "put square brackets around it: `[x for x in xs]`"
    return problem("E0034", "only lists have comprehensions", clue.span, help=help)


def _tuple(clue: Clue) -> SyntaxProblem | None:
    before = clue.before
    empty = clue.token.kind == ")" and before is not None and before.kind == "(" and clue.wants_expression
    several = clue.token.kind == "," and "," not in clue.expected and clue.expected & {")", "_NEWLINE"}
    a_set = (
        clue.token.kind in (",", "}")
        and clue.opened is not None
        and clue.opened.kind == "{"
        and ":" in clue.expected
    )
    if not (empty or several or a_set):
        return None
    return problem(
        "E0033",
        f"there are no {'sets' if a_set else 'tuples'} to write",
        clue.span,
        help="return a `record`, whose parts have names, or a list, whose parts have one type",
    )


def _subscript(clue: Clue) -> SyntaxProblem | None:
    before = clue.before
    if clue.token.kind != "]" or before is None or before.kind != "[":
        return None
    return problem(
        "E0037",
        "nothing stands between these brackets",
        span_of(before, clue.token),
        help="name a type or an index",
    )


def _missing_else(clue: Clue) -> SyntaxProblem | None:
    if "else" not in clue.expected:
        return None
    word = next((token for token in clue.pending if token.kind in ("if", "try")), None)
    if word is None:
        return None
    if word.kind == "try":
        return problem(
            "E0032", "this `try` has no `else`", span_of(word, word), help="write `try attempt else value`"
        )
    return problem("E0036", "this `if` has no `else`", span_of(word, word), help="write `a if test else b`")


def _comma(clue: Clue) -> SyntaxProblem | None:
    if clue.opened is None or "," not in clue.expected or clue.token.kind not in BEGINS_EXPRESSION:
        return None
    before = clue.before
    if before is None:
        return None
    return problem("E0019", "a comma is missing", clue.span, "before this", help="put `,` between the two")


def _juxtaposed(clue: Clue) -> SyntaxProblem | None:
    """`print x`, `f x`."""
    before = clue.before
    if before is None or before.kind != "NAME" or clue.token.kind not in ("NAME", "STRING", "NUMBER"):
        return None
    if clue.opened is not None or "(" not in clue.expected:
        return None
    return problem(
        "E0001",
        f"expected an operator or the end of the line after `{before.text}`",
        clue.span,
        help=f"a call has parentheses: `{before.text}(...)`",
    )


OPERAND_RULES = (
    _equals,
    _augmented,
    _hole,
    _generator,
    _tuple,
    _subscript,
    _missing_else,
    _comma,
    _juxtaposed,
)
