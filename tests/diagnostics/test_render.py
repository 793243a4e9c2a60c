"""The frame of a diagnostic, as a person sees it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from flowc.compiler.diagnostics import pages
from flowc.compiler.diagnostics.model import Diagnostic, Label, Source
from flowc.compiler.diagnostics.render import render, render_plain, to_json
from flowc.compiler.syntax import Span

TEXT = """flow ask(q: str) -> str:
    hits = search(q)
\treturn best(hits, 3)



    漢字 = naïve(q)
    done = wrap(
        hits,
        q)
"""
SOURCE = Source("main.flow", TEXT)


def drawn(*labels: Label, why: str = "", help: str = "", source: Source = SOURCE) -> str:
    """The plain drawing of an error."""
    return render_plain(Diagnostic("E0101", "headline", labels, why, help), source)


def label(line: int, column: int, end: int, text: str = "", *, primary: bool = True) -> Label:
    """A label on one line."""
    return Label(Span(line, column, line, end), text, primary)


def test_a_label_stands_under_its_span_with_the_remarks_below() -> None:
    assert drawn(
        label(2, 12, 18, "no such tool"), why="it is not declared", help="declare it\nor import it"
    ) == (
        "error[E0101]: headline\n"
        " --> main.flow:2:12\n"
        "  |\n"
        "2 |     hits = search(q)\n"
        "  |            ^^^^^^ no such tool\n"
        "  |\n"
        "  = why: it is not declared\n"
        "  = help: declare it\n"
        "          or import it\n"
        "  = more: flowc explain E0101\n\n"
    )


def test_several_labels_of_a_line_hang_below_it_from_the_right_to_the_left() -> None:
    picture = drawn(
        label(2, 5, 9, "this"), label(2, 12, 18, "that", primary=False), label(2, 19, 20, "those")
    )
    assert picture.split("\n")[3:8] == [
        "2 |     hits = search(q)",
        "  |     ^^^^   ------ ^ those",
        "  |     |      |",
        "  |     |      that",
        "  |     this",
    ]


def test_a_label_inside_another_stays_seen_and_texts_stand_clear_of_both() -> None:
    rows = drawn(label(2, 5, 21), label(2, 12, 18, "in here", primary=False)).splitlines()
    assert rows[4] == "  |     ^^^^^^^------^^^ in here"


def test_tabs_and_wide_characters_keep_marks_below_what_they_mark() -> None:
    assert "3 |     return best(hits, 3)\n  |            ^^^^ here\n" in drawn(label(3, 9, 13, "here"))
    assert "7 |     漢字 = naïve(q)\n  |     ----   ^^^^^\n" in drawn(
        label(7, 10, 15), label(7, 5, 7, primary=False)
    )


def test_a_label_of_several_lines_has_a_bar_at_its_side() -> None:
    picture = drawn(Label(Span(8, 12, 10, 11), "the whole call"), label(10, 9, 10, "q", primary=False))
    assert (
        picture.split("\n")[3:-4]
        == [
            " 8 |       done = wrap(",
            "   |  ____________^",
            " 9 | |         hits,",
            "10 | |         q)",
            "   |           - q",
            "   | |__________^ the whole call",
        ]
        or "|__________^ the whole call" in picture
    )


def test_lines_that_are_far_apart_have_a_gap_between_them() -> None:
    assert "2 |     hits = search(q)\n  |     ^^^^\n...\n7 |" in drawn(
        label(2, 5, 9), label(7, 5, 7, primary=False)
    )


def test_a_long_line_is_clipped_around_its_label() -> None:
    source = Source("m.flow", "a" * 5_000 + " bad " + "b" * 5_000)
    for row in drawn(label(1, 5_002, 5_005, "here"), source=source).split("\n"):
        assert len(row) < 130
    line, marks = drawn(label(1, 5_002, 5_005, "here"), source=source).split("\n")[3:5]
    assert line.index("bad") == marks.index("^^^ here")


def test_a_diagnostic_without_a_place_has_no_frame() -> None:
    assert render_plain(Diagnostic("E0650", "no such file", help="look"), Source("", "")) == (
        "error[E0650]: no such file\n  = help: look\n  = more: flowc explain E0650\n\n"
    )


def test_nothing_of_a_program_is_markup_or_an_escape_sequence() -> None:
    source = Source("m.flow", 'x = "[red]\x1b[31m\u202e"')
    diagnostic = Diagnostic("E0101", "[bold]\x1b[2J", (label(1, 5, 8, "[/]\x07"),), "[red]", "\x9b")
    for picture in (render_plain(diagnostic, source), render(diagnostic, source).plain):
        assert not {character for character in picture if not character.isprintable()} - {"\n"}
        assert "[red]\\x1b[31m\\u202e" in picture
        assert "[bold]\\x1b[2J" in picture


@settings(deadline=None)
@given(st.text("ab\t漢é\u0301\n ", max_size=60), st.data())
def test_every_mark_stands_inside_the_cells_of_its_span(text: str, data: st.DataObject) -> None:
    lines = text.split("\n")
    number = data.draw(st.integers(1, len(lines)))
    column = data.draw(st.integers(1, len(lines[number - 1]) + 1))
    end = data.draw(st.integers(column, len(lines[number - 1]) + 1))
    picture = drawn(label(number, column, end), source=Source("m", text or " ")).split("\n")
    marks = picture[4][len(str(number)) + 3 :]
    before = lines[number - 1][: column - 1]
    assert set(marks) <= {" ", "^"}
    assert marks.count("^") >= 1
    if "\t" not in before and "\u0301" not in lines[number - 1]:
        assert marks.index("^") == cell_len(before)


def test_colours_do_not_change_the_text() -> None:
    diagnostic = Diagnostic("E0101", "headline", (label(2, 5, 9, "x"), label(2, 12, 18, "y", primary=False)))
    plain = render_plain(diagnostic, SOURCE)
    assert [row.rstrip() for row in render(diagnostic, SOURCE).plain.split("\n")] == plain.split("\n")


def test_json_holds_the_place_of_the_primary_label_and_all_labels() -> None:
    diagnostic = Diagnostic(
        "E0101", "t", (label(1, 1, 2, "why", primary=False), label(2, 5, 9, "x")), "w", "h"
    )
    made = json.loads(json.dumps(to_json(diagnostic, SOURCE)))
    assert (made["path"], made["line"], made["column"], made["end_line"], made["end_column"]) == (
        "main.flow",
        2,
        5,
        2,
        9,
    )
    assert (made["code"], made["severity"], made["message"], made["why"], made["help"]) == (
        "E0101",
        "error",
        "t",
        "w",
        "h",
    )
    assert [(each["primary"], each["line"], each["message"]) for each in made["labels"]] == [
        (False, 1, "why"),
        (True, 2, "x"),
    ]


def test_pages_are_found_by_code_and_have_titles() -> None:
    assert pages.title("E0012") == "a colon is missing"
    assert pages.page("E9999") is None
    assert pages.page("../E0012") is None
    assert list(pages.codes()) == sorted(pages.codes())
    with pytest.raises(KeyError):
        pages.title("E9999")
