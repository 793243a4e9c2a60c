"""How program text looks on a terminal: the cells of a character, and what stands for those that have none.

Nothing of a program reaches the terminal as an escape sequence: control characters and characters that
change the direction of writing are shown by their numbers.
"""

import unicodedata

from attrs import frozen

TAB = 4

_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


def shown(text: str) -> str:
    """The text with everything unprintable escaped; line ends and tabs are kept."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(character if character in "\n\t" else _glyph(character) for character in text)


def _glyph(character: str) -> str:
    if character.isprintable() or unicodedata.category(character) not in _UNSEEN:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


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
        glyph = " " * (TAB - cells[-1] % TAB) if character == "\t" else _glyph(character)
        drawn.append(glyph)
        cells.append(cells[-1] + width(glyph))
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
