"""The programs whose steps are kept, and the tools that they call; every step gives 200 bytes or a number."""

from collections.abc import Callable
from typing import Any

TOGETHER = 32
"""Writes that are in flight at once."""

LOOP = """
tool text(i: int, before: str) -> str pure

flow main(n: int) -> str:
    t = ""
    for i in range(n):
        t = text(i, t)
    return t
"""
MAP = """
tool text(i: int, before: str) -> str pure

flow main(n: int) -> str:
    texts = [text(i, "") for i in range(n)]
    return texts[n - 1]
"""
WRITES = """
tool put0(i: int) -> int writes db

flow main(n: int) -> int:
    t = 0
    for i in range(n):
        t = put0(t)
    return t
"""


def writes_at_once() -> str:
    """A loop of so many writes at once, each of something else."""
    every = range(TOGETHER)
    tools = "".join(f"tool put{k}(i: int) -> int writes db{k}\n" for k in every)
    calls = "".join(f"        a{k} = put{k}(t)\n" for k in every)
    last = f"        t = max([{', '.join(f'a{k}' for k in every)}])\n"
    return (
        f"{tools}\nflow main(n: int) -> int:\n    t = 0\n    for i in range(n):\n{calls}{last}    return t\n"
    )


def chain(nodes: int) -> str:
    """So many nodes one after the other, each with its own line."""
    lines = "".join(f"    t = next(t, {number})\n" for number in range(nodes))
    tool = "tool next(before: int, i: int) -> int pure"
    return f"{tool}\n\nflow main(n: int) -> int:\n    t = n\n{lines}    return t\n"


def _put(i: int) -> int:
    return i + 1


TOOLS: dict[str, Callable[..., Any]] = {
    "text": lambda i, before: "x" * 200,
    "next": lambda before, i: before + 1,
    **{f"put{k}": _put for k in range(TOGETHER)},
}
