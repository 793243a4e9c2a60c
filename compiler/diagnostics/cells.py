"""How program text looks on a terminal: the cells of a character, and lines cut to the cells there are."""

import unicodedata

from attrs import frozen

from flowc.runtime.visible import glyph

TAB = 4


def width(text: str) -> int:
    """The number of terminal cells of printable text."""
    if text.isascii():
        return len(text)
    return sum(_cells(character) for character in text)


def _cells(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


@frozen
class Line:
    """A source line as drawn: `text` without tabs, the cells at which its characters and its end stand."""

    text: str
    cells: tuple[int, ...]

    def cell(self, column: int) -> int:
        """The cell of a column that counts from 1; columns past the end stand right behind it."""
        index = min(max(column - 1, 0), len(self.cells) - 1)
        return self.cells[index] + max(0, min(column - 1 - index, 1))


def line(text: str) -> Line:
    """Draws a line: tabs become spaces up to the next multiple of four."""
    if text.isascii() and text.isprintable():
        return Line(text, tuple(range(len(text) + 1)))
    drawn: list[str] = []
    cells = [0]
    for character in text:
        seen = " " * (TAB - cells[-1] % TAB) if character == "\t" else glyph(character)
        drawn.append(seen)
        cells.append(cells[-1] + width(seen))
    return Line("".join(drawn), tuple(cells))


def clip(drawn: Line, start: int, room: int) -> str:
    """The part of a line that lies in the cells from `start` on, with an ellipsis where something is cut."""
    kept, at = [], 0
    for character in drawn.text:
        size = _cells(character)
        if start <= at and at + size <= start + room:
            kept.append(character)
        elif at < start < at + size:
            kept.append(" " * (at + size - start))
        at += size
    text = "".join(kept)
    if start:
        text = "…" + text[1:]
    if at > start + room:
        text = text[: max(len(text) - 1, 0)] + "…"
    return text
