"""The Python side of ask_docs: cuts the language reference into passages, ranks them by words and titles."""

import math
import re
from collections import Counter
from typing import NamedTuple

PASSAGE_LENGTH = 900
COMMON = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "by",
        "can",
        "do",
        "does",
        "for",
        "from",
        "how",
        "i",
        "if",
        "in",
        "is",
        "it",
        "its",
        "of",
        "on",
        "or",
        "that",
        "the",
        "this",
        "to",
        "what",
        "when",
        "where",
        "which",
        "who",
        "why",
        "will",
        "with",
        "you",
    ]
)


class Passage(NamedTuple):
    """A piece of one section. `id` is the section's name and a number: with.2."""

    id: str
    title: str
    text: str


def sections() -> list[Passage]:
    """Every section of the reference in pieces of about PASSAGE_LENGTH characters, cut between paragraphs."""
    from pydoc_data.topics import topics

    return [
        Passage(f"{name}.{number}", _title(text), piece)
        for name, text in sorted(topics.items())
        for number, piece in enumerate(_pieces(text), start=1)
    ]


def _title(text: str) -> str:
    return text.lstrip().splitlines()[0].strip() if text.strip() else ""


def _pieces(text: str) -> list[str]:
    pieces, current = [], ""
    for paragraph in re.split(r"\n\s*\n", text):
        paragraph = paragraph.strip("\n")
        if set(paragraph.strip()) <= set("*=-^~") or not paragraph.strip():
            continue
        if current and len(current) + len(paragraph) > PASSAGE_LENGTH:
            pieces.append(current)
            current = ""
        current = f"{current}\n\n{paragraph}" if current else paragraph
    return [*pieces, current] if current else pieces


def by_words(question: str, passages: list[Passage], limit: int) -> list[int]:
    """Okapi BM25: passages that hold the question's rarer words rank higher, long passages a little lower."""
    counts = [Counter(_words(f"{p.title} {p.text}")) for p in passages]
    lengths = [sum(count.values()) for count in counts]
    average = sum(lengths) / max(1, len(lengths))
    scores = [0.0] * len(passages)
    for word in set(_words(question)):
        holders = [i for i, count in enumerate(counts) if word in count]
        rarity = math.log(1 + (len(passages) - len(holders) + 0.5) / (len(holders) + 0.5))
        for i in holders:
            often = counts[i][word]
            scores[i] += rarity * often * 2.2 / (often + 1.2 * (0.25 + 0.75 * lengths[i] / average))
    return _best(scores, limit)


def by_titles(question: str, passages: list[Passage], limit: int) -> list[int]:
    """Passages of sections whose titles or names share words with the question; the first pieces first."""
    asked = set(_words(question))
    scores = []
    for passage in passages:
        name, number = passage.id.rsplit(".", 1)
        words = set(_words(f"{passage.title} {name}"))
        scores.append(len(asked & words) / (1 + len(words - asked)) / (1 + int(number) / 10))
    return _best(scores, limit)


def fuse(rankings: list[list[int]], limit: int) -> list[int]:
    """Reciprocal rank fusion (Cormack et al., 2009): high in several rankings beats first in one."""
    scores: Counter[int] = Counter()
    for ranking in rankings:
        for rank, index in enumerate(ranking):
            scores[index] += 1 / (60 + rank)
    return [index for index, _ in sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:limit]]


def citations(text: str) -> list[str]:
    """The ids in square brackets, each once, in order of appearance."""
    return list(dict.fromkeys(re.findall(r"\[([A-Za-z_-]+\.\d+)\]", text)))


def _words(text: str) -> list[str]:
    return [_stem(word) for word in re.findall(r"[a-z_]{2,}", text.lower()) if word not in COMMON]


def _stem(word: str) -> str:
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word


def _best(scores: list[float], limit: int) -> list[int]:
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    return [i for i in order[:limit] if scores[i] > 0]
