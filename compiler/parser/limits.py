"""How large a program may be. Every limit is checked before the work that it bounds is done."""

import contextlib
import sys
from collections.abc import Iterator

MAX_BYTES = 16 * 2**20
MAX_BRACKETS_DEEP = 1_000
MAX_BLOCKS_DEEP = 200
MAX_EXPRESSION_DEEP = 1_000
MAX_BRACKETS = 150_000
MAX_LINES = 250_000
MAX_TOKENS = 300_000
MAX_DIGITS = 4_000
MAX_NAME = 1_000
MAX_ERRORS = 20
"""After this many syntax errors the rest is more likely noise than news."""

_FRAMES = 20_000


@contextlib.contextmanager
def recursion_room() -> Iterator[None]:
    """Lets a recursive walk reach the bottom of any tree that the limits above let through."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _FRAMES))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
