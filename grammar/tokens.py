"""What the lexer hands to the parser."""

from typing import NamedTuple


class Token(NamedTuple):
    """A piece of the text. `kind` is a terminal of the grammar: a word or mark, or a class such as NAME.

    Lines and columns count from 1 in code points; the end is exclusive; `start` is an offset into the text.
    """

    kind: str
    text: str
    start: int
    line: int
    column: int
    end_line: int
    end_column: int
