"""What people write by mistake, and the code that names the mistake."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.compiler.diagnostics.model import CompileError, Diagnostic
from flowc.compiler.parser import parse
from flowc.grammar.tables import load

IN_FLOW = "flow f(x: int) -> int:\n    "


def first_error(text: str) -> Diagnostic:
    """The first diagnostic of a wrong program."""
    with pytest.raises(CompileError) as caught:
        parse(text, "m.flow")
    return caught.value.diagnostics[0]


@pytest.mark.parametrize(
    ("statement", "code", "help"),
    [
        ("return 1 if x", "E0036", "a if test else b"),
        ("return try f(x)", "E0032", "else"),
        ("try:\n        pass\n    return 1", "E0032", "else: pass"),
        ("while x:\n        pass", "E0017", "up to 100"),
        ("if x = 1:\n        pass", "E0018", "=="),
        ("x.y = 3", "E0020", "new value"),
        ("x[0] += 3", "E0020", "name"),
        ("return sum(a for a in x)", "E0034", "square brackets"),
        ("return {a: b for a in x}", "E0034", "for"),
        ("return x, x", "E0033", "record"),
        ("return (x, x)", "E0033", "record"),
        ("return ()", "E0033", "record"),
        ("return {1, 2}", "E0033", "list"),
        ("return x && x", "E0014", "and"),
        ("return x || x", "E0014", "or"),
        ("x++", "E0014", "+= 1"),
        ("return x ? 1 : 2", "E0014", "if test else"),
        ("if x:\n        pass\n    else if x:\n        pass", "E0014", "elif"),
        ("return lambda a: a", "E0014", "flow"),
        ("return True", "E0014", "`true`"),
        ("raise x", "E0014", "optional"),
        ("let y = 3", "E0014", "assigned directly"),
        ("return f(*x)", "E0014", "list"),
        ("in = 3", "E0013", "in_"),
        ("print x", "E0001", "print(...)"),
        ("for a in x: if a: pass", "E0001", "next line"),
        ("with x:\n        pass", "E0021", "timeout(30s)"),
        ("with timeout(3s) pass", "E0012", ":"),
        ("return 12abc", "E0005", "no unit"),
        ("return 1.", "E0005", "1.0"),
        (f"return {'1' * 330}min", "E0005", "at most 1e308 s"),
        ("return 1.5B", "E0005", "whole number of bytes"),
        ("return 012", "E0005", "0o12"),
        ("return 0x", "E0005", "0xff"),
        ("return $x", "E0002", "$0.02"),
        ("return x; x", "E0035", "own"),
        ("return x + \\\n        1", "E0035", "parentheses"),
        ("return “x”", "E0002", '"'),
        ('return f"{}"', "E0029", "{{}}"),
        ('return f"a}"', "E0029", "}}"),
        ('return f"{x:3}"', "E0029", "round"),
        ('return f"{x=}"', "E0029", "before"),
        ('return f"{x', "E0003", '"'),
        ('return "\\{"', "E0004", "{{"),
        ('return "\\ud800"', "E0004", "number"),
    ],
)
def test_a_mistake_in_a_flow_gets_its_code_and_a_help_that_shows_the_cure(
    statement: str, code: str, help: str
) -> None:
    said = first_error(IN_FLOW + statement)
    assert said.code == code
    assert help in said.help


@pytest.mark.parametrize(
    ("text", "code", "help"),
    [
        ("flw f() -> int: return 1", "E0001", "`flow`"),
        ("import os", "E0014", 'from "tools.py"'),
        ("from os import path", "E0014", 'from "tools.py"'),
        ("@model", "E0016", "before"),
        ("enum A", "E0012", ":"),
        ("record A:\nenum B: x", "E0011", "field"),
        ("record A:\n    x: int = 3", "E0020", "where the record is built"),
        ("flow f() -> int:\n    flow g() -> int:\n        return 1\n    return g()", "E0001", "margin"),
        ("flow f() -> int:\n    record R:\n        x: int\n    return 1", "E0001", "margin"),
        ("llm f() -> int:\n    return 1", "E0026", '"""'),
        ('llm f() -> str:\n    "a"\n    "b"', "E0026", "flow"),
        ('llm f() -> str: f"a"', "E0030", "template already"),
        ("tool f() -> int:\n    return 1", "E0026", "import"),
        ("tool f() -> int reads", "E0027", "reads web"),
        ("tool f() -> int pure idempotent", "E0027", "writes R"),
        ("flow f(x: f32[str?]) -> int: return 1", "E0028", "f32[n, 384]"),
        ("flow if() -> int: pass", "E0013", "if_"),
        ("enum A: x\nlanguage 1", "E0031", "top"),
        ("class A:\n    x: int", "E0014", "record"),
        ("flow f() -> int:\n  x = '\\u202e'\n  return '\u202e'", "E0038", "\\u202e"),
    ],
)
def test_a_mistake_at_the_top_level_gets_its_code_and_a_help_that_shows_the_cure(
    text: str, code: str, help: str
) -> None:
    said = first_error(text)
    assert said.code == code
    assert help in said.help


_pieces = st.sampled_from(
    sorted(
        {
            *load().keywords(),
            *load().operators(),
            "x",
            "1",
            "30s",
            '"a"',
            "'",
            '"""',
            'f"',
            "{x}",
            "\n",
            "\n    ",
            "#",
            "def",
            "!",
        }
    )
)


@settings(deadline=None, max_examples=200)
@given(st.lists(_pieces, max_size=25).map(" ".join))
def test_any_text_is_a_program_or_gets_diagnostics_inside_the_text(text: str) -> None:
    for program in (text, IN_FLOW + text):
        try:
            parse(program, "m.flow")
        except CompileError as error:
            lines = program.split("\n")
            for diagnostic in error.diagnostics:
                for label in diagnostic.labels:
                    assert 1 <= label.span.line <= len(lines)
                    assert 1 <= label.span.column <= len(lines[label.span.line - 1]) + 1
