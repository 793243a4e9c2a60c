"""The items of a JSON list while it is still being written: each is given as soon as it is complete.

Reads `{"value": [...]}`, the form of structured answers, or a list alone, or the `steps` of a plan, in parts
that are cut anywhere, and looks at each character once. What is read early is a promise, not the answer: who
uses it compares it with the whole in the end.
"""

import json
import re

MOST_HEAD = 200
"""Characters within which the list must begin."""

MOST_DEPTH = 100
"""Brackets that an item may nest."""

MOST_TEXT = 16_000_000
"""Characters after which no more items are read."""

LIST = re.compile(r'\s*(?:\{\s*"value"\s*:\s*)?\[')
"""How an answer begins that is a list."""

PLAN = re.compile(r'\s*(?:\{\s*"value"\s*:\s*)?\{\s*"steps"\s*:\s*\[')
"""How an answer begins that is a plan."""

_OUTSIDE = re.compile(r'["\[\]{},]')
_INSIDE = re.compile(r'["\\]')


class ListReader:
    """Takes the parts of an answer, gives the items that each completes; none any more after bad JSON.

    >>> reader = ListReader()
    >>> [reader.feed(part) for part in ('{"val', 'ue": [1, {"a"', ': [2]}, "x', ', y"]}')]
    [[], [1], [{'a': [2]}], ['x, y']]
    """

    def __init__(self, beginning: re.Pattern[str] = LIST) -> None:
        self.beginning = beginning
        self.head = ""
        self.begun = False
        self.over = False
        self._pieces: list[str] = []
        self._depth = 0
        self._quoted = False
        self._escaped = False
        self._read = 0

    def feed(self, part: str) -> list[object]:
        """The items that are complete now."""
        self._read += len(part)
        self.over = self.over or self._read > MOST_TEXT
        if self.over:
            return []
        if not self.begun:
            self.head += part[: MOST_HEAD + 1]
            match = self.beginning.match(self.head)
            if match is None or match.end() > MOST_HEAD:
                self.over = len(self.head) > MOST_HEAD
                return []
            part = part[len(part) - (self._read - match.end()) :]
            self.begun = True
        return self._items(part)

    def _items(self, part: str) -> list[object]:
        items: list[object] = []
        start = at = 0
        while (found := self._next(part, at)) is not None and not self.over:
            mark, at = found
            if mark in "[{":
                self._depth += 1
                self.over = self._depth > MOST_DEPTH
            elif mark in "]}" and self._depth:
                self._depth -= 1
            elif not self._depth:
                self._pieces.append(part[start : at - 1])
                start = at
                self._complete(items, mark)
        self._pieces.append(part[start:])
        return items

    def _next(self, part: str, at: int) -> tuple[str, int] | None:
        """The next mark outside of texts, and the place behind it."""
        while at < len(part):
            if self._escaped:
                self._escaped = False
                at += 1
                continue
            match = (_INSIDE if self._quoted else _OUTSIDE).search(part, at)
            if match is None:
                return None
            mark, at = match[0], match.end()
            if mark == "\\":
                self._escaped = True
            elif mark == '"':
                self._quoted = not self._quoted
            else:
                return mark, at
        return None

    def _complete(self, items: list[object], mark: str) -> None:
        """Reads an item that ended in a comma or, the last one, in the bracket of the list."""
        text = "".join(self._pieces)
        self._pieces = []
        self.over = mark != ","
        if mark == "}" or (mark == "]" and not text.strip()):
            return
        try:
            items.append(json.loads(text))
        except (ValueError, RecursionError):
            self.over = True
