"""Text of programs and models as a terminal may show it.

None of it reaches the terminal as an escape sequence: control characters and characters that change the
direction of writing are shown by their numbers.
"""

import unicodedata

_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


def visible(text: str) -> str:
    """The text with everything unseen escaped; line ends and tabs are kept."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(character if character in "\n\t" else glyph(character) for character in text)


def glyph(character: str) -> str:
    """What stands for a character: itself, or its escape where nothing would be seen of it."""
    if character.isprintable() or unicodedata.category(character) not in _UNSEEN:
        return character
    return ascii(character)[1:-1]
