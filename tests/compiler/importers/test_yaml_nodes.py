"""YAML of strangers is read as PyYAML reads it, with places, or ends in a diagnostic soon."""

import math
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from flowc.compiler.diagnostics.model import CompileError
from flowc.compiler.importers.yaml_nodes import MOST_CHARACTERS, Node, read_yaml


def plain(node: Node) -> Any:
    if isinstance(node.value, tuple):
        return [plain(each) for each in node.value]
    if isinstance(node.value, dict):
        return {name: plain(each) for name, each in node.value.items()}
    return node.value


def problem(text: str) -> str:
    with pytest.raises(CompileError) as caught:
        read_yaml(text, "graph.yaml")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E0665"
    return diagnostic.title


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
trees = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@given(trees)
def test_plain_values_are_read_as_pyyaml_reads_them(tree: object) -> None:
    text = yaml.safe_dump(tree, allow_unicode=True)
    expected = yaml.safe_load(text)
    if isinstance(expected, float) and math.isnan(expected):
        return
    try:
        found = plain(read_yaml(text, "graph.yaml"))
    except CompileError:
        assert "<<" in text or "\\" in text or "=" in text  # what YAML 1.1 gives a meaning of its own
        return
    assert found == expected or "<<" in text


def test_dates_and_numbers_without_end_stay_texts() -> None:
    found = plain(read_yaml("[1995-03-15, .inf, 1e400, 2020-01-01 10:00:00]", "graph.yaml"))
    assert found == ["1995-03-15", ".inf", "1e400", "2020-01-01 10:00:00"]


def test_values_know_where_they_stand() -> None:
    node = read_yaml("a:\n  - b: 12\n", "graph.yaml")
    inner = node.value["a"].value[0].value["b"]  # type: ignore[union-attr, index, call-overload]
    assert (inner.span.line, inner.span.column, inner.span.end_column) == (2, 8, 10)


def test_aliases_and_merges_stand_for_what_they_name() -> None:
    text = "base: &b {x: 1, y: 2}\nother: {<<: *b, y: 3}\nlist: [*b]\n"
    assert plain(read_yaml(text, "graph.yaml")) == {
        "base": {"x": 1, "y": 2},
        "other": {"x": 1, "y": 3},
        "list": [{"x": 1, "y": 2}],
    }


def laughs(levels: int) -> str:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines)


HOSTILE = {
    "billion laughs": (laughs(9), "the file has more than 100,000 values"),
    "an unknown alias": ("a: &a {x: 1}\nb: *e", "nothing before this is called `&e`"),
    "deep": ("[" * 5_000, "this is nested deeper than 50 levels"),
    "deep mappings": ("\n".join(" " * n + "a:" for n in range(400)), "this is nested deeper than 50 levels"),
    "large": ("a" * (MOST_CHARACTERS + 1), "the file has more than 1,048,576 characters"),
    "itself": ("a: &a [*a]", "nothing before this is called `&a`"),
    "a tag that calls": (
        "a: !!python/object/apply:os.system [ls]",
        "the tag `python/object/apply:os.system` is not read",
    ),
    "a tag of its own": ("a: !x 1", "the tag `!x` is not read"),
    "a key twice": ("a: 1\na: 2", "the key `a` stands twice"),
    "a key that is a list": ("? [1]\n: 2", "a key must be a text"),
    "two documents": ("a: 1\n---\nb: 2\n", "a second document begins here"),
    "nothing": ("", "the file is empty"),
    "a comment alone": ("# nothing\n", "the file is empty"),
    "no end": ("a: [1", "this is no YAML"),
    "a tab": ("a:\n\t- 1", "this is no YAML"),
    "a control character": ("a: \x01", "this character cannot stand in YAML"),
}


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.parametrize("pure", [False, True])
@pytest.mark.timeout(10)
def test_hostile_files_end_in_a_diagnostic(case: str, pure: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if pure:
        monkeypatch.setattr("flowc.compiler.importers.yaml_nodes._LOADER", yaml.SafeLoader)
    text, title = HOSTILE[case]
    assert problem(text) == title


@given(st.text(alphabet="ab:-?[]{}&*!|>'\"%@#, \n\t0", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    told = ["E0665"]
    try:
        read_yaml(text, "graph.yaml")
    except CompileError as error:
        told = [each.code for each in error.diagnostics]
    assert told == ["E0665"]


@pytest.mark.parametrize("text", ["!!bool maybe", "!!float", "!!float x", "!!int", "!!int 0b", "!!int 1:x"])
def test_what_is_not_what_its_tag_says_is_a_text(text: str) -> None:
    assert plain(read_yaml(text, "graph.yaml")) == text.partition(" ")[2]
