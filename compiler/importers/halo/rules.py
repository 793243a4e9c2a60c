"""Processors: nodes that compute by rule. One is known by name, the others are pure tools that give json."""

from collections.abc import Mapping

from flowc.compiler.importers.halo.model import Step
from flowc.compiler.importers.yaml_nodes import Node

EXTRACTOR = "regex_param_extractor"


def fields(step: Step) -> dict[str, str]:
    """The fields that a rule gives, with their types; none where the rule is not known."""
    if step.processor != EXTRACTOR:
        return {}
    defaults = _mapping(step.config.get("defaults"))
    patterns = _mapping(step.config.get("regex"))
    numeric = _normalised(step, "numeric_fields")
    return {name: _type(name, defaults.get(name), numeric) for name in {**patterns, **defaults}}


def _type(name: str, default: Node | None, numeric: frozenset[str]) -> str:
    """What is found in a text is a text, unless it is made a number; without a default it may be missing."""
    value = default.value if default is not None else None
    if name not in numeric:
        type_ = "str"
    elif isinstance(value, int) and not isinstance(value, bool):
        type_ = "int"
    else:
        type_ = "float"
    return type_ if value is not None else f"{type_}?"


def described(step: Step) -> str:
    """What a rule does, in a line for each thing that a reader should know."""
    if step.processor != EXTRACTOR:
        return f"The processor `{step.processor}`."
    lines = ["For each field the first pattern that matches, else its default, then normalised."]
    defaults = _mapping(step.config.get("defaults"))
    lowered = [
        f"`{name}` ({node.value})"
        for name, node in defaults.items()
        if name in _normalised(step, "uppercase_fields") and str(node.value) != str(node.value).upper()
    ]
    if lowered:
        lines.append(f"Put in capitals, and then unlike the default as written: {', '.join(lowered)}.")
    return "\n".join(lines)


def _normalised(step: Step, name: str) -> frozenset[str]:
    """The fields that a kind of normalisation is for."""
    node = _mapping(step.config.get("normalize")).get(name)
    items = node.value if node is not None and isinstance(node.value, tuple) else ()
    return frozenset(str(item.value) for item in items)


def _mapping(node: Node | None) -> Mapping[str, Node]:
    return node.value if node is not None and isinstance(node.value, Mapping) else {}
