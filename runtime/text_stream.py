"""The parts of a text while it is still being written: lines, sentences, what stands between separators.

Each function of a text that gives a list has a rule here that takes complete items off the front of what has
come. Together they are the first items of what the function gives for the whole.
"""

from collections.abc import Callable, Mapping

from flowc.runtime.functions.texts import SENTENCE_END, sentences

MOST_REST = 20_000
"""Characters of an item that is not complete, after which nothing more is read."""

Cut = Callable[[str], tuple[list[str], str]]
"""Gives the items of a text that are complete, whatever follows, and the rest."""


class TextReader:
    """Takes the parts of a text, gives the items that each completes.

    >>> reader = TextReader(CUTS["sentences"]())
    >>> [reader.feed(part) for part in ("It rai", "ns. It po", "urs!", " So")]
    [[], ['It rains.'], [], ['It pours!']]
    """

    def __init__(self, cut: Cut) -> None:
        self.cut = cut
        self.rest = ""
        self.over = False

    def feed(self, part: str) -> list[str]:
        """The items that are complete now."""
        if self.over:
            return []
        items, self.rest = self.cut(self.rest + part)
        self.over = len(self.rest) > MOST_REST
        return items


def _lines() -> Cut:
    def cut(text: str) -> tuple[list[str], str]:
        pieces = text.splitlines(keepends=True)
        rest = "" if text.endswith("\n") or not pieces else pieces.pop()  # a "\n" may follow a "\r"
        return [piece.splitlines()[0] for piece in pieces], rest

    return cut


def _sentences() -> Cut:
    def cut(text: str) -> tuple[list[str], str]:
        end = max((match.end() for match in SENTENCE_END.finditer(text)), default=0)
        return sentences(text[:end]), text[end:]

    return cut


def _split(separator: str | None = None) -> Cut:
    def cut(text: str) -> tuple[list[str], str]:
        pieces = text.split(separator)
        if separator is None and (not pieces or text[-1].isspace()):
            return pieces, ""
        return pieces[:-1], pieces[-1]

    return cut


CUTS: Mapping[str, Callable[..., Cut]] = {"lines": _lines, "sentences": _sentences, "split": _split}
"""The rules by the names of the functions; `split` takes its separator, which must not be empty."""
