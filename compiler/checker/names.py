"""Names close to what was written: the "did you mean" of a diagnostic."""

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

CANDIDATES = 1000
"""Names that are looked at for one suggestion, so that a large program with many errors is told soon."""


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name nearest to `name`, or None when nothing is near.

    >>> closest("serch", ["search", "send"])
    'search'
    """
    if len(name) > 80:
        return None
    slack = max(2, len(name) // 3)
    near = (candidate for candidate in known if abs(len(candidate) - len(name)) <= slack)
    folded = {candidate.lower(): candidate for candidate in islice(near, CANDIDATES)}
    found = get_close_matches(name.lower(), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """The help line of an unknown name."""
    near = closest(name, known)
    return f"did you mean `{near}`?" if near else otherwise


def listed(names: Iterable[str], joint: str = "and") -> str:
    """Names as a sentence has them.

    >>> listed(["a", "b", "c"])
    '`a`, `b` and `c`'
    """
    quoted = [f"`{name}`" for name in names]
    if len(quoted) < 2:
        return "".join(quoted)
    return f"{', '.join(quoted[:-1])} {joint} {quoted[-1]}"
