"""The editors' grammar knows every word of the language, and the samples are programs in canonical layout."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

import flowc.grammar
from flowc.compiler.formatter import format_text
from flowc.compiler.parser import parse
from flowc.grammar.tables import load

FOLDER = Path(flowc.grammar.__file__).parent
SAMPLES = sorted((FOLDER / "samples").glob("*.flow"))


def _patterns(rule: Any) -> list[str]:
    """All regular expressions of a TextMate rule."""
    if isinstance(rule, list):
        return [pattern for each in rule for pattern in _patterns(each)]
    if not isinstance(rule, dict):
        return []
    own = [rule[key] for key in ("match", "begin", "end") if key in rule]
    return own + [pattern for value in rule.values() for pattern in _patterns(value)]


def test_the_editors_grammar_knows_every_keyword() -> None:
    patterns = _patterns(json.loads((FOLDER / "flow.tmLanguage.json").read_text(encoding="utf-8")))
    words = {word for pattern in patterns for word in re.findall(r"[a-z]+", pattern.replace("\\b", " "))}
    assert load().keywords() <= words


def test_the_editors_patterns_are_regular_expressions() -> None:
    for pattern in _patterns(json.loads((FOLDER / "flow.tmLanguage.json").read_text(encoding="utf-8"))):
        re.compile(pattern)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_a_sample_is_a_program_in_canonical_layout(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert parse(text, path.name).declarations
    assert format_text(text, path.name) == text


def test_the_samples_use_every_keyword() -> None:
    used = {word for path in SAMPLES for word in re.findall(r"\w+", path.read_text(encoding="utf-8"))}
    assert load().keywords() <= used | {"false"}
