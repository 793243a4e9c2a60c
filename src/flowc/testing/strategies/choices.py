"""Where the decisions of a generator come from: Hypothesis, which shrinks them, or a quick random source.

A generator that asks a `Choices` for whole numbers, and for nothing else, is a strategy, and a source of a
million examples at once. Whichever it was, the numbers that it got make the example again, and fewer of
them a simpler one.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from random import Random
from typing import Any, TypeVar

from attrs import define
from hypothesis import strategies as st

T = TypeVar("T")


@define
class Choices:
    """What a generator asks; `number` gives a whole number between two, both of them included."""

    number: Callable[[int, int], int]

    def one(self, options: Sequence[T]) -> T:
        """One of the options; the first is the simplest."""
        return options[self.number(0, len(options) - 1)]

    def flag(self) -> bool:
        """True half of the time."""
        return self.number(0, 1) == 1

    def seldom(self, times: int) -> bool:
        """True once in so many times."""
        return self.number(0, times - 1) == times - 1

    def several(self, options: Sequence[T], least: int, most: int) -> list[T]:
        """So many of the options, perhaps one of them twice."""
        return [self.one(options) for _ in range(self.number(least, most))]

    def order(self, count: int) -> list[int]:
        """The numbers below `count` in any order."""
        left = list(range(count))
        return [left.pop(self.number(0, len(left) - 1)) for _ in range(count)]


@cache
def _between(low: int, high: int) -> st.SearchStrategy[int]:
    return st.integers(low, high)


def from_draw(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Choices:
    """Choices that Hypothesis makes, and shrinks."""
    return Choices(lambda low, high: int(draw(_between(low, high))))


def from_random(chance: Random, kept: list[int] | None = None) -> Choices:
    """Choices of a random source; `kept` receives what makes them again."""

    def number(low: int, high: int) -> int:
        found = int(chance.random() * (high - low + 1))
        if kept is not None:
            kept.append(found)
        return low + found

    return Choices(number)


def replayed(kept: Sequence[int]) -> Choices:
    """The choices that were kept; the simplest ones where there are no more, or others are asked for."""
    left = iter(kept)
    return Choices(lambda low, high: low + next(left, 0) % (high - low + 1))


def shrunk(kept: Sequence[int], fails: Callable[[Sequence[int]], bool], attempts: int = 200) -> list[int]:
    """Fewer and lesser numbers that still fail, found within so many attempts."""
    best = list(kept)
    left = attempts
    improved = True
    while improved and left > 0:
        improved = False
        for shorter in _simpler(best):
            left -= 1
            if fails(shorter):
                best, improved = shorter, True
                break
            if left <= 0:
                break
    return best


def _simpler(numbers: list[int]) -> Iterator[list[int]]:
    """Without a run of the numbers, or with one of them less; the boldest first."""
    size = len(numbers)
    while size:
        for start in range(len(numbers) - size, -1, -size):
            yield numbers[:start] + numbers[start + size :]
        size //= 2
    for place, number in enumerate(numbers):
        if number:
            yield [*numbers[:place], 0, *numbers[place + 1 :]]
            yield [*numbers[:place], number // 2, *numbers[place + 1 :]]
