"""Parts of a JSON text, read while it comes: what they are, wherever it is cut, whatever it is."""

import json
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flowc.runtime.json_stream import MOST_DEPTH, MOST_FENCE, JsonReader, Path

TEXTS = st.text() | st.sampled_from(('{"a": [}', '\\", "b": 1', "\U0001f600\ud83d", "```"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
CUTS = st.lists(st.integers(0, 500), max_size=8)
INDENT = st.sampled_from([None, 2])
WRAPPED: frozenset[Path] = frozenset({("value",)})


def read(text: str, cuts: list[int], watched: frozenset[Path] = WRAPPED) -> list[tuple[Path, object]]:
    reader = JsonReader(watched)
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [found for a, b in pairwise(places) for found in reader.feed(text[a:b])]


def items(found: list[tuple[Path, object]], inside: Path = ()) -> list[object]:
    """The items of one list."""
    return [value for path, value in found if path and path[:-1] == inside and isinstance(path[-1], int)]


@given(st.lists(VALUES, max_size=5), CUTS, st.booleans(), INDENT, st.booleans())
def test_the_items_are_those_of_the_whole_wherever_it_is_cut(
    values: list[object], cuts: list[int], wrapped: bool, indent: int | None, escaped: bool
) -> None:
    text = json.dumps({"value": values} if wrapped else values, indent=indent, ensure_ascii=escaped)
    found = items(read(text, cuts), ("value",) if wrapped else ())
    assert repr(found) == repr(json.loads(json.dumps(values)))  # NaN is no equal of itself


@given(st.dictionaries(TEXTS, VALUES, max_size=4), CUTS, INDENT, st.sampled_from(("", "json", "JSON5 ")))
def test_the_members_are_those_of_the_whole_in_a_fence_too(
    members: dict[str, object], cuts: list[int], indent: int | None, language: str
) -> None:
    wanted = json.loads(json.dumps(members))
    text = json.dumps(members, indent=indent)
    for written in (text, f"```{language}\n{text}\n```", f"\n  ```{language}\n{text}```\n"):
        found = [(path[0], value) for path, value in read(written, cuts, frozenset()) if len(path) == 1]
        assert repr(found) == repr([*wanted.items()])


@given(st.lists(VALUES, max_size=4), VALUES, CUTS, INDENT)
def test_a_list_inside_is_given_by_its_items_and_as_a_whole(
    values: list[object], other: object, cuts: list[int], indent: int | None
) -> None:
    text = json.dumps({"n": other, "steps": values, "m": other}, indent=indent)
    found = read(text, cuts, frozenset({("steps",)}))
    whole = json.loads(text)
    assert repr(items(found, ("steps",))) == repr(whole["steps"])
    assert repr([value for path, value in found if path == ("steps",)]) == repr([whole["steps"]])
    assert repr(found[-1]) == repr(((), whole))


@given(st.lists(VALUES, max_size=4), st.integers(0, 200), st.text(max_size=5), CUTS)
def test_text_of_any_kind_gives_values_and_no_error(
    values: list[object], place: int, junk: str, cuts: list[int]
) -> None:
    text = json.dumps({"value": values})
    place %= len(text) + 1
    read(text[:place] + junk + text[place:], cuts)
    read(junk, cuts)


@given(st.text(alphabet='[]{},"\\: a1`\n', max_size=30), CUTS)
@example('{"a":1,"a":2}', [])
@example("[1,,2]", [])
@example('{"a" 1}', [])
def test_what_is_given_of_a_whole_text_is_what_it_says_and_nothing_is_made_up(
    text: str, cuts: list[int]
) -> None:
    try:
        whole = json.loads(text)
    except ValueError:
        return
    found = read(text, cuts, frozenset())
    if isinstance(whole, list | dict):
        assert found[-1] == ((), whole)
        direct = [(path[0], value) for path, value in found if len(path) == 1]
        assert direct == ([*enumerate(whole)] if isinstance(whole, list) else direct)
        assert isinstance(whole, list) or dict(direct) == whole


@given(st.text(alphabet='[]{},"\\: a1', max_size=30), CUTS)
def test_where_a_text_is_cut_does_not_matter(text: str, cuts: list[int]) -> None:
    assert read(text, cuts, frozenset({("a",)})) == read(text, [], frozenset({("a",)}))


def test_an_item_is_there_with_the_comma_behind_it_and_not_before() -> None:
    reader = JsonReader(WRAPPED)
    assert reader.feed('{"value": ["a, ]", 12') == [(("value", 0), "a, ]")]
    assert reader.feed("3") == []
    assert reader.feed("]") == [(("value", 1), 123), (("value",), ["a, ]", 123])]
    assert reader.feed("}") == [((), {"value": ["a, ]", 123]})]
    assert reader.over


def test_a_member_that_comes_twice_is_given_twice() -> None:
    assert read('{"a": 1, "a": [2]}', [])[:2] == [(("a",), 1), (("a",), [2])]


@pytest.mark.parametrize(
    "text",
    [
        '{"value": [1, }, 2]',
        '{"value": [1, 2 3, 4]',
        '{"value": [1, nothing, 4]',
        '{"value": [1, , 4]',
        '{"value": [1, [2] 3, 4]',
        '{"value": [1, "a": 3, 4]',
    ],
)
def test_nothing_is_read_behind_what_is_no_json(text: str) -> None:
    assert items(read(text, []), ("value",))[:1] == [1]
    assert 4 not in items(read(text, []), ("value",))


def test_what_does_not_begin_or_nests_too_deep_is_not_read() -> None:
    assert read("```" + "x" * MOST_FENCE + "\n[1, 2]", [7]) == []
    assert read("the list: [1, 2]", []) == []
    deep = "[" * (MOST_DEPTH + 1) + "]" * (MOST_DEPTH + 1)
    assert items(read(f"[1, {deep}, 2]", [])) == [1]
