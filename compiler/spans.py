"""Places in a source file."""

from typing import Any

from attrs import field, frozen


@frozen
class Span:
    """A piece of a source file. Lines and columns count from 1 in code points; the end is exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


def span_field() -> Any:
    """A keyword-only field that takes no part in equality, so that trees compare by what they say."""
    return field(eq=False, repr=False, kw_only=True)
