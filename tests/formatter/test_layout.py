"""What formatted programs look like, and that comments survive."""

import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from flowc.compiler.formatter import format_program, format_text
from flowc.compiler.parser import parse
from flowc.compiler.syntax import Program
from flowc.testing.strategies.syntax_trees import programs


def formatted(text: str) -> str:
    """The formatted text, which formats to itself and has the same tree."""
    once = format_text(text, "p.flow")
    assert format_text(once, "p.flow") == once
    assert parse(once, "p.flow") == parse(text, "p.flow")
    return once


def in_flow(statement: str) -> str:
    """A statement, formatted as the only one of a flow."""
    text = formatted(f"flow f() -> int:\n    {statement}\n")
    return "\n".join(line[4:] for line in text.split("\n")[1:-1])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("return  ( a+b )*c", "return (a + b) * c"),
        ("return a or b and c", "return a or (b and c)"),
        ("return -x**-y", "return -x ** -y"),
        ("return not (a==b)", "return not a == b"),
        ("x=[1,2 ,]", "x = [1, 2]"),
        ("x=f(a = 1)[ 1 : n+1 ]", "x = f(a=1)[1 : n + 1]"),
        ("return x[:-1,::2]", "return x[:-1, ::2]"),
        ("return 'a'", 'return "a"'),
        ("return 'say \"a\"'", "return 'say \"a\"'"),
        ("return 1_000+0xFF+1e3+2.50", "return 1_000 + 0xFF + 1e3 + 2.50"),
        ("with timeout(60s):\n        pass", "with timeout(60s):\n    pass"),
        ("with  transaction :\n        pass", "with transaction:\n    pass"),
        ("sleep( 3600s )", "sleep(3600s)"),
        ('return "\\u00e9"', 'return "\\u00e9"'),
        ("return f'{a}{{' ", 'return f"{a}{{"'),
        ("return try  f() else 1", "return try f() else 1"),
        (
            "if a: return 1\n    elif b: return 2\n    else: return 3",
            "if a:\n    return 1\nelif b:\n    return 2\nelse:\n    return 3",
        ),
    ],
)
def test_a_statement_has_one_layout(before: str, after: str) -> None:
    assert in_flow(before) == after


def test_line_ends_become_plain_ones() -> None:
    assert formatted("enum A: x\r\n\r\nenum B: y  # c\r\n") == "enum A: x\n\nenum B: y  # c\n"


def test_a_long_call_has_an_argument_a_line() -> None:
    names = ", ".join(f"argument_{i}" for i in range(10))
    lines = in_flow(f"return call(first)({names})").split("\n")
    assert lines[0] == "return call(first)("
    assert lines[1:-1] == [f"    argument_{i}," for i in range(10)]
    assert lines[-1] == ")"


def test_a_long_import_has_a_name_a_line() -> None:
    names = [f"a_long_name_{number}" for number in range(9)]
    text = f'from "tools.py" import {", ".join(names)}\n'
    lines = "".join(f"    {name},\n" for name in names)
    found = format_text(text, "p")
    assert found == f'from "tools.py" import (\n{lines})\n'
    assert parse(found, "p") == parse(text, "p")


def test_a_long_sum_gets_parentheses_and_a_line_a_term() -> None:
    lines = in_flow("return " + " + ".join(f"long_operand_{i}" for i in range(8))).split("\n")
    assert lines[:3] == ["return (", "    long_operand_0", "    + long_operand_1"]


def test_blank_lines_are_kept_one_at_a_time() -> None:
    text = (
        "enum A: x\nenum B: y\n\n\n\nrecord C:\n\n    x: int\n    y: int\n"
        "flow f() -> int:\n\n    a = 1\n\n\n    b = 2\n    return a\n"
    )
    assert formatted(text) == (
        "enum A: x\nenum B: y\n\nrecord C:\n    x: int\n    y: int\n\n"
        "flow f() -> int:\n    a = 1\n\n    b = 2\n    return a\n"
    )


def test_comments_stay_where_they_belong() -> None:
    text = (
        "#top\n\nlanguage 1   #v\n"
        "flow f() -> int:  # header\n"
        "    # before\n"
        "    if a:   # test\n"
        "        x = g(1,  # inner\n"
        "              2)  # end\n"
        "        # last of the branch\n"
        "    # before else\n"
        "    else:  # otherwise\n"
        "        # in else\n"
        "        pass\n"
        "    # last of the flow\n"
        "# between\n"
        "enum A: x  # side\n"
        "# end\n"
    )
    assert formatted(text.replace("language 1   #v\n", "")) == (
        "# top\n\n"
        "flow f() -> int:  # header\n"
        "    # before\n"
        "    if a:  # test\n"
        "        # inner\n"
        "        x = g(1, 2)  # end\n"
        "        # last of the branch\n"
        "    # before else\n"
        "    else:  # otherwise\n"
        "        # in else\n"
        "        pass\n"
        "    # last of the flow\n\n"
        "# between\n"
        "enum A: x  # side\n"
        "# end\n"
    )


def test_the_line_of_the_version_is_kept() -> None:
    assert formatted("# first\nlanguage 1  # v\nenum A: x\n") == "# first\nlanguage 1  # v\n\nenum A: x\n"


def test_prompts_are_moved_but_not_changed() -> None:
    text = 'llm f(x: str) -> str:\n        """One {x}\n          two\\n {{three}}\n\n        four"""\n'
    assert formatted(text) == (
        'llm f(x: str) -> str:\n    """One {x}\n      two\\n {{three}}\n\n    four\n    """\n'
    )


@settings(deadline=None, max_examples=50)
@given(programs(), st.data())
def test_no_comment_is_lost_wherever_it_stands(program: Program, data: st.DataObject) -> None:
    lines = format_program(program).split("\n")
    places = [index for index, line in enumerate(lines) if _may_hold_a_comment(lines, index)]
    assume(places)
    for number, index in enumerate(
        sorted(data.draw(st.sets(st.sampled_from(places), max_size=4)), reverse=True)
    ):
        if data.draw(st.booleans()) and lines[index]:
            lines[index] += f" # c{number}"
        else:
            indent = len(lines[index]) - len(lines[index].lstrip())
            lines.insert(index, " " * indent + f"#c{number}")
    text = "\n".join(lines)
    before = parse(text, "p.flow")
    after = format_text(text, "p.flow")
    assert sorted(_comments(before)) == sorted(_comments(parse(after, "p.flow")))
    assert parse(after, "p.flow") == before
    assert format_text(after, "p.flow") == after


def _comments(program: Program) -> list[str]:
    return [re.sub(r"^#\s*", "", comment.text) for comment in program.comments]


def _may_hold_a_comment(lines: list[str], index: int) -> bool:
    """Whether a comment at a line's end, or before it, is outside of every text of several lines."""
    return "\n".join(lines[: index + 1]).count('"""') % 2 == 0 and '"""' not in lines[index]
