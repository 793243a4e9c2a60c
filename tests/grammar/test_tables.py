"""The committed tables are those of the grammar, and the parser over them reads nothing else."""

import logging

import pytest
from lark import Lark, logger

from flowc.compiler.parser.program import ACTIONS
from flowc.grammar.generate import GRAMMAR_FILE, generate, to_text
from flowc.grammar.tables import RESERVED, TABLES_FILE, load


def test_the_committed_tables_are_what_the_grammar_gives() -> None:
    assert TABLES_FILE.read_text(encoding="utf-8") == to_text(generate())


def test_no_state_of_the_parser_has_two_ways_to_go_on(caplog: pytest.LogCaptureFixture) -> None:
    """Lark takes the one that reads on, and says so to those alone who ask: the other can then never be."""
    before = logger.level
    try:
        with caplog.at_level(logging.DEBUG, logger.name):
            Lark(
                GRAMMAR_FILE.read_text(encoding="utf-8"),
                parser="lalr",
                lexer="basic",
                start="program",
                debug=True,
            )
    finally:
        logger.setLevel(before)
    assert not caplog.messages


def test_every_action_of_the_grammar_is_built_and_no_other() -> None:
    wanted = {production.action.lstrip("?") for production in load().productions} - {""}
    passed_on = {
        production.action[1:]
        for production in load().productions
        if production.action[:1] == "?" and len(production.kept) == 1
    }
    built = set(ACTIONS)
    assert built <= wanted
    assert wanted - built <= passed_on


def test_every_reserved_word_is_a_keyword_of_the_grammar() -> None:
    assert load().keywords() >= RESERVED


def test_no_mark_hides_a_longer_one() -> None:
    marks = load().operators()
    assert all(not later.startswith(earlier) for i, earlier in enumerate(marks) for later in marks[i + 1 :])
