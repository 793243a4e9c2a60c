"""Names for what is imported: the given ones where the language leaves them free."""

import re
from collections.abc import Set

from flowc.compiler.builtins import BUILTINS
from flowc.grammar.tables import load

_OWN = frozenset({"main", "question"})
_STEP = re.compile(r"step\d+")


def free_name(name: str, taken: Set[str]) -> str:
    """`name`, or it with a number where that is a word of the language, a built-in, or taken."""
    reserved = load().keywords() | set(BUILTINS) | taken | _OWN
    found, number = name, 1
    while found in reserved or _STEP.fullmatch(found):
        number += 1
        found = f"{name}_{number}"
    return found
