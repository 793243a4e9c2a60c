"""Texts as bags of words: sentences, terms, inverse document frequency, hashed vectors.

The weighting is BM25's idf (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009); the
vectors are feature hashing with signs (Weinberger et al., 2009) over words and character trigrams.
"""

import math
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    import numpy

DIMENSION = 256
"""Length of a hashed vector."""

COMMON = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "but",
        "by",
        "can",
        "could",
        "did",
        "do",
        "does",
        "for",
        "from",
        "had",
        "has",
        "have",
        "how",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "may",
        "more",
        "most",
        "must",
        "no",
        "not",
        "of",
        "on",
        "only",
        "or",
        "our",
        "should",
        "so",
        "some",
        "such",
        "than",
        "that",
        "the",
        "their",
        "them",
        "then",
        "there",
        "these",
        "they",
        "this",
        "those",
        "to",
        "was",
        "we",
        "were",
        "what",
        "when",
        "where",
        "which",
        "who",
        "why",
        "will",
        "with",
        "would",
        "you",
        "your",
    ]
)
"""Words that say nothing about a subject."""

_WORD = re.compile(r"[^\W_]+(?:'[a-z]+)?")
_SENTENCE_END = re.compile(
    r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[A-Z0-9])|\n\s*\n|\n(?=\s*(?:[-*•]|\d+[.)])\s)"
)
_ENDINGS = ("ations", "ation", "ings", "ing", "ies", "edly", "ed", "es", "s", "ly")


@frozen
class Sentence:
    """A sentence, where it stands in its text, and the mark of the text it comes from."""

    text: str
    source: str
    position: int
    terms: tuple[str, ...]


def stem(word: str) -> str:
    """A word without its commonest English endings; at least three letters stay."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)] + ("y" if ending == "ies" else "")
            break
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


def terms(text: str) -> list[str]:
    """The stems of the words that say something, in order."""
    return [stem(word) for word in _WORD.findall(text.lower()) if word not in COMMON]


def sentences(text: str, source: str = "") -> list[Sentence]:
    """The sentences of a text; line breaks inside a paragraph do not end one."""
    parts = (" ".join(part.split()) for part in _SENTENCE_END.split(text))
    return [
        Sentence(part, source, position, tuple(terms(part))) for position, part in enumerate(parts) if part
    ]


def frequencies(documents: Sequence[Iterable[str]]) -> dict[str, float]:
    """The idf of each term among these documents; rare terms weigh more."""
    count = len(documents)
    found = Counter(term for document in documents for term in set(document))
    return {term: math.log(1 + (count - n + 0.5) / (n + 0.5)) for term, n in found.items()}


def overlap(wanted: Mapping[str, float], given: Sequence[str], idf: Mapping[str, float]) -> float:
    """How much of `wanted` (terms with weights) occurs in `given`, rare terms first, long texts a little
    damped.
    """
    present = set(given)
    score = sum(weight * idf.get(term, 0.0) for term, weight in wanted.items() if term in present)
    return score / (1 + math.log1p(len(given) / 12)) if score else 0.0


def coverage(wanted: Iterable[str], given: Iterable[str]) -> float:
    """The share of the wanted terms that are there."""
    needed = set(wanted)
    return len(needed & set(given)) / len(needed) if needed else 0.0


def vectors(texts: Sequence[str]) -> "numpy.ndarray":
    """One L2-normalised f32 row of length `DIMENSION` a text; a text without words gives a row of zeros."""
    import numpy

    rows = numpy.zeros((len(texts), DIMENSION), dtype="float32")
    for row, text in zip(rows, texts, strict=True):
        _add_words(row, text)
        _add_trigrams(row, text)
        length = float(numpy.sqrt(row @ row))
        if length:
            row /= length
    return rows


def _add_words(row: "numpy.ndarray", text: str) -> None:
    for term, count in Counter(terms(text)).items():
        code = zlib.crc32(term.encode())
        row[code % DIMENSION] += (1.0 if code & 0x10000 else -1.0) * (1.0 + math.log(count))


def _add_trigrams(row: "numpy.ndarray", text: str) -> None:
    import numpy

    letters = numpy.frombuffer(" ".join(_WORD.findall(text.lower())).encode(), dtype="uint8").astype("uint32")
    if len(letters) < 3:
        return
    codes = (letters[:-2] << 16 | letters[1:-1] << 8 | letters[2:]) * numpy.uint32(2654435761)
    signs = numpy.where(codes & 0x80, 1.0, -1.0)
    counts = numpy.bincount(codes >> 24, weights=signs, minlength=DIMENSION)[:DIMENSION]
    row += 0.1 * numpy.sign(counts) * numpy.sqrt(numpy.abs(counts))
