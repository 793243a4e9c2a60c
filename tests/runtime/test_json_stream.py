"""Items of a JSON list, read while it comes: what they are, wherever it is cut, whatever it is."""

import json
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowc.runtime.json_stream import LIST, MOST_DEPTH, MOST_HEAD, PLAN, ListReader

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def read(text: str, cuts: list[int], beginning: re.Pattern[str] = LIST) -> list[object]:
    reader = ListReader(beginning)
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    parts = [text[a:b] for a, b in pairwise(places)]
    return [item for part in parts for item in reader.feed(part)]


@given(
    st.lists(VALUES, max_size=5),
    st.lists(st.integers(0, 500), max_size=8),
    st.booleans(),
    st.sampled_from([None, 2]),
)
def test_the_items_are_those_of_the_whole_wherever_it_is_cut(
    items: list[object], cuts: list[int], wrapped: bool, indent: int | None
) -> None:
    text = json.dumps({"value": items} if wrapped else items, indent=indent)
    assert read(text, cuts) == items


@given(
    st.lists(VALUES, max_size=5),
    st.lists(st.integers(0, 500), max_size=8),
    st.booleans(),
    st.sampled_from([None, 2]),
)
def test_the_steps_of_a_plan_are_read_wherever_it_is_cut(
    steps: list[object], cuts: list[int], wrapped: bool, indent: int | None
) -> None:
    plan = {"steps": steps, "why": [0]}
    text = json.dumps({"value": plan} if wrapped else plan, indent=indent)
    assert read(text, cuts, PLAN) == steps
    assert read(json.dumps(steps), cuts, PLAN) == []


@given(
    st.lists(VALUES, max_size=4),
    st.integers(0, 200),
    st.text(max_size=5),
    st.lists(st.integers(0, 300), max_size=3),
)
def test_text_of_any_kind_gives_items_and_no_error(
    items: list[object], place: int, junk: str, cuts: list[int]
) -> None:
    text = json.dumps({"value": items})
    place %= len(text) + 1
    read(text[:place] + junk + text[place:], cuts)
    read(junk, cuts)


@given(st.text(alphabet='[]{},"\\ a1:', max_size=30))
def test_what_is_a_list_of_json_gives_its_items_and_nothing_is_made_up(text: str) -> None:
    try:
        whole = json.loads(text)
    except ValueError:
        return
    if isinstance(whole, list):
        assert read(text, [3, 7]) == whole


def test_an_item_is_there_with_the_comma_behind_it_and_not_before() -> None:
    reader = ListReader()
    assert reader.feed('{"value": ["a, ]", 12') == ["a, ]"]
    assert reader.feed("3") == []
    assert reader.feed("]") == [123]
    assert reader.over


@pytest.mark.parametrize(
    "text", ['{"value": [1, }, 2]', '{"value": [1, 2 3, 4]', '{"value": [1, nothing, 4]']
)
def test_nothing_is_read_behind_what_is_no_json(text: str) -> None:
    assert read(text, []) == [1]


def test_a_list_that_does_not_begin_or_nests_too_deep_is_not_read() -> None:
    assert read(" " * (MOST_HEAD + 1) + "[1, 2]", [MOST_HEAD // 2]) == []
    assert read("[1, " + "[" * (MOST_DEPTH + 1) + "]" * (MOST_DEPTH + 1) + ", 2]", []) == [1]
