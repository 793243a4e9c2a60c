"""Values that nobody knows before a run, and what they answer: nothing.

A run on stand-ins has such a value wherever a model, a tool, a person or a kernel would have given one. It
can be carried, packed and taken apart; whoever asks what it is, is told that it is not known, and then does
not know its own result either. So what depends on constants and arguments alone is computed as in a run, the
length of a list whose items are unknown among it, and everything else is unknown instead of made up.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from flowc.runtime.values import RecordValue, record_fields

_numbers = itertools.count(1)


class Unsure(Exception):
    """Somebody asked what an unknown value is."""


class Unknown:
    """A value of which nothing is known but, once it was `settled`, how many items it has."""

    __slots__ = ("items", "members", "number")

    __hash__ = None  # type: ignore[assignment]  # nothing that is unknown is a key

    def __init__(self) -> None:
        self.number = next(_numbers)
        self.items: list[Any] | None = None
        self.members: dict[object, Unknown] = {}

    def member(self, name: object) -> "Unknown":
        """Its field or its part of a tuple: the same one each time."""
        return self.members.setdefault(name, Unknown())

    def settled(self, length: int) -> list[Any]:
        """Its items, now that it is taken to be a list of so many."""
        if self.items is None:
            self.items = [Unknown() for _ in range(length)]
        return self.items

    def _refuse(self, *_: object) -> NoReturn:
        raise Unsure

    __bool__ = __str__ = __format__ = __contains__ = __array__ = _refuse
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse

    def __len__(self) -> int:
        return len(self._known())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._known())

    def __getitem__(self, place: Any) -> Any:
        return self._known()[place]

    def __copy__(self) -> "Unknown":
        return self

    def __deepcopy__(self, _: object) -> "Unknown":
        return self

    def _known(self) -> list[Any]:
        if self.items is None:
            raise Unsure
        return self.items


class UnknownArray(Unknown):
    """An array of which the shape and the dtype are known, and no element."""

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: Sequence[int], dtype: str) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.dtype = dtype

    def _known(self) -> list[Any]:
        if not self.shape:
            raise Unsure
        if self.items is None:
            inner = self.shape[1:]
            self.items = [
                UnknownArray(inner, self.dtype) if inner else Unknown() for _ in range(self.shape[0])
            ]
        return self.items

    def settled(self, length: int) -> list[Any]:
        """Its rows, as many as it has."""
        return self._known() if self.shape else super().settled(length)


def is_unknown(value: object) -> bool:
    """Whether a value is, or holds, one that is unknown."""
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, Unknown):
            return True
        if isinstance(each, list | tuple):
            left.extend(each)
        elif isinstance(each, dict):
            left.extend(each.values())
        elif isinstance(each, RecordValue):
            left.extend(record_fields(each).values())
    return False


def described(value: object) -> str:
    """A text that two values share where both hold the same unknown ones in the same places.

    >>> one, other = Unknown(), Unknown()
    >>> described([one, "a"]) == described([one, "a"]), described([one]) == described([other])
    (True, False)
    """
    match value:
        case Unknown():
            return f"?{value.number}"
        case list() | tuple():
            return f"[{','.join(map(described, value))}]"
        case dict():
            return "{" + ",".join(f"{name}:{described(each)}" for name, each in value.items()) + "}"
        case RecordValue():
            return described(record_fields(value))
    return repr(value)
