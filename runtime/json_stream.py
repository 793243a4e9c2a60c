"""The parts of a JSON text while it is still being written: each is given as soon as it is complete.

A reader is told which containers to open. It gives their members one by one, and reads all others as a whole.
The text may stand in a fence and may be cut anywhere; each character is looked at once. What is read early is
a promise, not the answer: a later member of the same name may take its place, and who uses it compares it
with the whole in the end.
"""

import json
import re

MOST_FENCE = 200
"""Characters within which a fence must end its first line."""

MOST_DEPTH = 100
"""Brackets that a value may nest which is read as a whole."""

MOST_TEXT = 16_000_000
"""Characters after which nothing more is read."""

Path = tuple[str | int, ...]
"""Where in a text a value stands: the names and places of the members that it is inside, outermost first."""

_OUTSIDE = re.compile(r'["\[\]{},]')
_INSIDE = re.compile(r'["\\]')


class _Container:
    """A container that is read member by member; `filled` says that the member being read is there."""

    def __init__(self, path: Path, value: "dict[str, object] | list[object]") -> None:
        self.path = path
        self.value = value
        self.filled = False

    def place(self, head: str) -> Path:
        """The path of the member whose text begins so; raises ValueError where it is none."""
        if isinstance(self.value, list):
            if head.strip():
                raise ValueError(head)
            return (*self.path, len(self.value))
        (name,) = json.loads("{" + head + "0}")
        return (*self.path, name)

    def put(self, path: Path, value: object) -> None:
        """Takes a member."""
        self.filled = True
        if isinstance(self.value, list):
            self.value.append(value)
        else:
            self.value[str(path[-1])] = value

    def take(self, text: str) -> tuple[Path, object]:
        """Takes the member with this text; raises ValueError where it is none."""
        if isinstance(self.value, list):
            path, value = (*self.path, len(self.value)), json.loads(text)
        else:
            ((name, value),) = json.loads("{" + text + "}").items()
            path = (*self.path, name)
        self.put(path, value)
        return path, value


class JsonReader:
    """Takes the parts of a text, gives the values that each completes; none any more after bad JSON.

    `watched` are the paths of the containers to open, the outermost `()` always among them.

    >>> reader = JsonReader(frozenset({("value",)}))
    >>> [reader.feed(part) for part in ('{"val', 'ue": [1, {"a"', ': [2]}, "x', ', y"]')]
    [[], [(('value', 0), 1)], [(('value', 1), {'a': [2]})], [(('value', 2), 'x, y'), (('value',), [1, {'a': [2]}, 'x, y'])]]
    """  # noqa: E501

    def __init__(self, watched: frozenset[Path]) -> None:
        self.watched = watched | {()}
        self.over = False
        self._head: str | None = ""
        self._open: list[_Container] = []
        self._pieces: list[str] = []
        self._depth = 0
        self._quoted = False
        self._escaped = False
        self._read = 0

    def feed(self, part: str) -> list[tuple[Path, object]]:
        """The values that are complete now, and where they stand."""
        found: list[tuple[Path, object]] = []
        self._read += len(part)
        self.over = self.over or self._read > MOST_TEXT
        if self.over:
            return found
        if self._head is not None:
            part = self._unfenced(self._head + part)
        try:
            self._values(part, found)
        except (ValueError, RecursionError):
            self.over = True
        return found

    def _unfenced(self, text: str) -> str:
        """What comes behind a fence if there is one; nothing as long as that is not known."""
        self._head = text.lstrip()
        if not self._head.startswith("```"[: len(self._head)]):
            self._head = None
            return text
        fence, line, rest = self._head.partition("\n")
        self.over = len(fence) > MOST_FENCE
        if len(fence) < 3 or not line:
            return ""
        self._head = None
        return rest

    def _values(self, part: str, found: list[tuple[Path, object]]) -> None:
        start = at = 0
        while not self.over and (mark := self._next(part, at)) is not None:
            sign, at = mark
            if sign not in "[{" and self._depth:
                self._depth -= sign != ","
                continue
            if self._depth:
                self._deeper()
                continue
            text = "".join((*self._pieces, part[start : at - 1]))
            self._pieces, start = [], at
            if sign not in "[{":
                self._leave(sign, text, found)
            elif not self._enter(sign, text):
                self._pieces, start = [text], at - 1
                self._deeper()
        self._pieces.append(part[start:])

    def _deeper(self) -> None:
        self._depth += 1
        self.over = self._depth > MOST_DEPTH

    def _enter(self, sign: str, head: str) -> bool:
        """Opens a container whose members are wanted; false where it is read as a whole."""
        if not self._open:
            if head.strip():
                raise ValueError(head)
            path: Path = ()
        else:
            path = self._open[-1].place(head)
        if path not in self.watched:
            return False
        self._open.append(_Container(path, [] if sign == "[" else {}))
        return True

    def _leave(self, sign: str, text: str, found: list[tuple[Path, object]]) -> None:
        """Ends a member, and with a bracket the container as well."""
        if not self._open:
            raise ValueError(text)
        container = self._open[-1]
        ends = sign != ","
        if ends and isinstance(container.value, list) != (sign == "]"):
            raise ValueError(sign)
        blank = not text.strip()
        if container.filled != blank and not (ends and blank and not container.value):
            raise ValueError(text)
        if not blank:
            found.append(container.take(text))
        container.filled = False
        if ends:
            self._open.pop()
            found.append((container.path, container.value))
            self.over = not self._open
            if self._open:
                self._open[-1].put(container.path, container.value)

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
