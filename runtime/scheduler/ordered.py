"""Sets that are gone through in the order in which things were put in: a simulated run is the same again."""

from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Ordered(Generic[T]):
    """A set in order. Tasks and scopes have hashes that differ between two runs."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: dict[T, None] = {}

    def add(self, thing: T) -> None:
        """Puts it in, behind the others."""
        self._held[thing] = None

    def discard(self, thing: T) -> None:
        """Takes it out, if it is there."""
        self._held.pop(thing, None)

    def __iter__(self) -> Iterator[T]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)
