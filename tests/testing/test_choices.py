"""Choices that are kept make the example again, and fewer of them a simpler one."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from flowc.testing.strategies.choices import Choices, from_draw, from_random, replayed, shrunk


def numbers(choices: Choices) -> list[int]:
    return choices.several(range(50), 0, 12) + choices.order(4) + [choices.number(-3, 3), choices.flag()]


@given(st.integers(0, 1000))
def test_what_was_kept_makes_the_same_again(seed: int) -> None:
    kept: list[int] = []
    first = numbers(from_random(Random(seed), kept))
    assert numbers(replayed(kept)) == first


@given(st.data())
def test_hypothesis_and_a_random_source_stay_within_the_bounds(data: st.DataObject) -> None:
    for choices in (from_draw(data.draw), from_random(Random(data.draw(st.integers(0, 99))))):
        low, high = sorted((data.draw(st.integers(-9, 9)), data.draw(st.integers(-9, 9))))
        assert low <= choices.number(low, high) <= high


def test_what_fails_is_made_as_simple_as_can_be() -> None:
    kept = [7, 3, 99, 12, 5, 40, 8, 8, 31]
    assert len(shrunk(kept, lambda each: sum(each) >= 40)) == 1
    assert len(shrunk(kept, lambda each: any(number >= 31 for number in each), 500)) == 1


def test_no_more_attempts_are_made_than_allowed() -> None:
    tried: list[int] = []
    shrunk([1] * 50, lambda each: bool(tried.append(1)), 17)
    assert len(tried) == 17
