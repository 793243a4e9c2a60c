"""Formatting keeps the tree and is stable, on any tree and on any text."""

from hypothesis import given, settings

from flowc.compiler.formatter import format_program, format_text
from flowc.compiler.parser import parse
from flowc.compiler.syntax import Program
from flowc.testing.strategies.syntax_trees import programs


@settings(deadline=None, max_examples=80)
@given(programs())
def test_a_formatted_tree_parses_to_the_same_tree(program: Program) -> None:
    assert parse(format_program(program), "p.flow") == program


@settings(deadline=None, max_examples=80)
@given(programs())
def test_formatting_twice_changes_nothing(program: Program) -> None:
    once = format_program(program)
    assert format_text(once, "p.flow") == format_text(format_text(once, "p.flow"), "p.flow")
    assert parse(format_text(once, "p.flow"), "p.flow") == program
