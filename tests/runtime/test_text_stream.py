"""Lines, sentences and parts of a text, read while it comes, are those of the whole."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowc.runtime.functions import FUNCTIONS
from flowc.runtime.functions.texts import sentences
from flowc.runtime.text_stream import CUTS, MOST_REST, TextReader

TEXTS = st.lists(st.sampled_from([*"ab.!? \n\r\t\v\x1c\x85\u2028-", "--", "\r\n"])).map("".join)
SPLITS = st.sampled_from(
    [("lines",), ("sentences",), ("split",), ("split", "-"), ("split", "--"), ("split", ". ")]
)


@given(TEXTS | st.text(), SPLITS, st.lists(st.integers(0, 60), max_size=8))
def test_what_is_complete_is_what_the_whole_begins_with(
    text: str, split: tuple[str, ...], cuts: list[int]
) -> None:
    name, *more = split
    reader = TextReader(CUTS[name](*more))
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    found = [item for a, b in pairwise(places) for item in reader.feed(text[a:b])]
    whole = FUNCTIONS[name](text, *more)
    assert found == whole[: len(found)]
    assert len(whole) - len(found) <= 1


@given(TEXTS)
def test_sentences_lose_nothing_but_white_space(text: str) -> None:
    found = sentences(text)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(each and each == each.strip() for each in found)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        (" \n ", []),
        ("One. Two!  Three?Four", ["One.", "Two!", "Three?Four"]),
        (
            "A heading\nDr. No said: 3.5 is more... Yes.",
            ["A heading", "Dr.", "No said: 3.5 is more...", "Yes."],
        ),
    ],
)
def test_a_sentence_ends_behind_its_mark_and_white_space_or_with_its_line(
    text: str, found: list[str]
) -> None:
    assert sentences(text) == found


def test_an_item_without_an_end_is_not_kept_for_ever() -> None:
    reader = TextReader(CUTS["lines"]())
    assert reader.feed("x" * (MOST_REST + 1)) == []
    assert reader.feed("\nnext\n") == []
