"""The rule processor of Halo: parameters out of a text by patterns."""

import re
from collections.abc import Mapping
from typing import Any

from flowc.compiler.importers.yaml_nodes import Node

LONGEST = 4_000
"""Characters of a text that are looked at: patterns of a stranger may take long on more."""


def extract(config: Mapping[str, Node], text: str) -> dict[str, object]:
    """The first pattern of a field that matches, else its default; then normalised.

    The value of a match is its first group, else all of it.
    """
    plain = {name: plain_value(node) for name, node in config.items()}
    patterns, defaults, normalise = (plain.get(name) or {} for name in ("regex", "defaults", "normalize"))
    found: dict[str, object] = {name: defaults.get(name) for name in {**patterns, **defaults}}
    for name, choices in patterns.items():
        matches = (re.search(pattern, text[:LONGEST]) for pattern in choices)
        match = next((each for each in matches if each is not None), None)
        if match is not None:
            found[name] = match[1] if match.re.groups and match[1] is not None else match[0]
    return {name: _normalised(name, value, normalise) for name, value in found.items()}


def _normalised(name: str, value: object, how: Mapping[str, Any]) -> object:
    if isinstance(value, str) and how.get("strip_quotes"):
        value = value.strip().strip("'\"")
    if isinstance(value, str) and name in how.get("uppercase_fields", ()):
        value = re.sub(r"\s+", " ", value).upper()
    if isinstance(value, str) and name in how.get("date_fields", ()):
        value = value.replace("/", "-")
    if isinstance(value, str) and name in how.get("numeric_fields", ()):
        value = float(value) if "." in value else int(value)
    return value


def plain_value(node: Node) -> Any:
    """A node as plain Python data."""
    if isinstance(node.value, Mapping):
        return {name: plain_value(each) for name, each in node.value.items()}
    if isinstance(node.value, tuple):
        return [plain_value(each) for each in node.value]
    return node.value
