"""The Python side of review: reads a folder of text files and puts the most promising first."""

import re
from collections import Counter
from math import log
from pathlib import Path
from typing import NamedTuple


class Document(NamedTuple):
    """A text file; `id` is its name without the ending."""

    id: str
    text: str


def documents(folder: str) -> list[Document]:
    """The .txt files of a folder beside this file, in order of name."""
    root = Path(__file__).parent / folder
    return [Document(path.stem, path.read_text(encoding="utf-8")) for path in sorted(root.glob("*.txt"))]


def rank(claim: str, documents: list[Document]) -> list[Document]:
    """Documents that share more and rarer words with the claim come first."""
    words = [set(_words(document.text)) for document in documents]
    frequency = Counter(word for found in words for word in found)
    asked = set(_words(claim))
    scores = [sum(log(1 + len(documents) / frequency[word]) for word in asked & found) for found in words]
    order = sorted(range(len(documents)), key=lambda index: (-scores[index], index))
    return [documents[index] for index in order]


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]{4,}|\d+", text.lower())
