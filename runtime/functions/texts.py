"""Texts: search, change, split and join, and values as text."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from flowc.runtime.values import as_text

SENTENCE_END = re.compile(r"(?<=[.!?])\s|\n")
"""What ends a sentence: white space behind a full stop, an exclamation or a question mark; a line's end."""


def sentences(text: str) -> list[str]:
    """The sentences of a text, without white space around them; empty ones are left out."""
    return [piece for each in SENTENCE_END.split(text) if (piece := each.strip())]


def _split(text: str, separator: str | None = None) -> list[str]:
    if separator == "":
        raise ValueError("a text cannot be split at an empty separator")
    return text.split(separator)


def _format(*parts: object) -> str:
    return "".join(map(as_text, parts))


def _python_text(value: object) -> str:
    """A value as Python's own `str` gives it; a record as it reads in a program."""
    if value is None or isinstance(value, str | bool | int | float | list | dict | tuple):
        return str(value)
    return as_text(value)


def _python_format(*parts: object) -> str:
    return "".join(map(_python_text, parts))


TEXTS: Mapping[str, Callable[..., Any]] = {
    "str": as_text,
    "format": _format,
    "python_str": _python_text,
    "python_format": _python_format,
    "lower": str.lower,
    "upper": str.upper,
    "strip": lambda text, characters=None: text.strip(characters),
    "split": _split,
    "lines": str.splitlines,
    "sentences": sentences,
    "replace": lambda text, old, new: text.replace(old, new),
    "startswith": lambda text, part: text.startswith(part),
    "endswith": lambda text, part: text.endswith(part),
    "find": lambda text, part: text.find(part),
    "join": lambda separator, parts: separator.join(parts),
}
"""Functions of texts."""
