"""Prompts as paragraphs: which of them may change places, and which say themselves that they may not.

An llm declared `@reorder` says that its paragraphs, the pieces between blank lines, mean the same in any
order. A paragraph that speaks of its place contradicts that, and then none moves.
"""

import re
from collections.abc import Sequence
from typing import TypeVar

BLANK = re.compile(r"\n(?:[ \t]*\n)+")
"""What separates two paragraphs; how far the second is indented is part of that."""

_PLACE = re.compile(
    r"\b(above|below|beneath|underneath|following|follows|preceding|precedes|previous|previously|aforementioned"
    r"|next|first|firstly|second|secondly|last|lastly|finally|then|former|latter|earlier|later|beginning|top"
    r"|bottom)\b",
    re.IGNORECASE,
)
_STEP = re.compile(r"\s*(?:\d+[.)]|[a-z]\))\s")

Hole = TypeVar("Hole")
Paragraph = list[str | Hole]


def paragraphs(parts: Sequence[str | Hole]) -> list[list[str | Hole]]:
    """The parts of a prompt, texts and holes, by paragraph.

    >>> paragraphs(["Be brief.\\n\\nRead ", 0, "."])
    [['Be brief.'], ['Read ', 0, '.']]
    """
    found: list[list[str | Hole]] = [[]]
    for part in parts:
        if not isinstance(part, str):
            found[-1].append(part)
            continue
        head, *rest = BLANK.split(part)
        if head:
            found[-1].append(head)
        found.extend([piece] if piece else [] for piece in rest)
    return [paragraph for paragraph in found if not all(map(_is_blank, paragraph))]


def _is_blank(part: object) -> bool:
    return isinstance(part, str) and not part.strip()


def joined(chosen: Sequence[Sequence[str | Hole]]) -> list[str | Hole]:
    """The parts of a prompt with these paragraphs, a blank line between them."""
    parts: list[str | Hole] = []
    for number, paragraph in enumerate(chosen):
        for part in (*(["\n\n"] if number else []), *paragraph):
            if isinstance(part, str) and parts and isinstance(last := parts[-1], str):
                parts[-1] = last + part
            else:
                parts.append(part)
    return parts


def place_word(chosen: Sequence[Sequence[str | object]]) -> str:
    """What a paragraph says of its place; nothing where all may move.

    >>> place_word([["Answer the question below."], ["What?"]])
    'below'
    """
    for paragraph in chosen:
        texts = [part for part in paragraph if isinstance(part, str)]
        for text in texts:
            if found := _PLACE.search(text):
                return found[0]
        if isinstance(paragraph[0], str) and (step := _STEP.match(paragraph[0])):
            return step[0].strip()
    for paragraph in chosen[:-1]:
        last = paragraph[-1]
        if isinstance(last, str) and last.rstrip().endswith(":"):
            return last.split()[-1]
    return ""
