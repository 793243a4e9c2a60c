"""What looks almost like something simpler is computed as it is written."""

from itertools import product

import pytest

from flowc.compiler import driver
from flowc.runtime.execute import run
from tests.passes.running import RecordingWorld

CONDITIONS = {"true": (True, True), "false": (False, False), "x": (False, True)}
"""What is written, and its values where `x` does not hold and where it does."""


def _results(text: str, arguments: dict[str, object]) -> list[object]:
    """What a program gives as it is written, and optimised."""
    plans = (driver.compile_text(text, "simple.flow", level=level).plan for level in (0, 3))
    return [run(plan, "main", arguments, environment=RecordingWorld().environment()).result for plan in plans]


@pytest.mark.parametrize(("first", "second"), [*product(CONDITIONS, repeat=2)])
def test_a_choice_of_conditions_is_no_other_condition(first: str, second: str) -> None:
    text = f"flow main(c: bool, x: bool) -> bool:\n    return {first} if c else {second}\n"
    for c, x in product((False, True), repeat=2):
        assert _results(text, {"c": c, "x": x}) == [CONDITIONS[first if c else second][x]] * 2


@pytest.mark.parametrize("rounds", [0, 1, 2, 3])
def test_values_that_change_places_in_each_round_are_carried(rounds: int) -> None:
    text = """flow main(a: str, b: str, n: int) -> str:
    left = a
    right = b
    for i in range(n):
        before = left
        left = right
        right = before
    return left + right
"""
    assert _results(text, {"a": "a", "b": "b", "n": rounds}) == ["ba" if rounds % 2 else "ab"] * 2


def test_a_filtered_list_may_be_shorter_than_the_one_it_is_made_of() -> None:
    text = "flow main(xs: list[int]) -> int:\n    return len([x for x in xs if x > 1])\n"
    assert _results(text, {"xs": [0, 1, 2, 3, 4]}) == [3, 3]


@pytest.mark.parametrize("position", [-3, -2, -1, 0, 1, 2])
def test_a_list_that_was_just_made_is_read_from_either_end(position: int) -> None:
    text = f"flow main(a: str, b: str, c: str) -> str:\n    return [a, b, c][{position}]\n"
    assert _results(text, {"a": "a", "b": "b", "c": "c"}) == ["abc"[position]] * 2


def test_texts_are_joined_in_the_order_in_which_they_are_written() -> None:
    text = "flow main(a: str, b: str) -> list[str]:\n    return [a + b, b + a, a + b]\n"
    assert _results(text, {"a": "x", "b": "y"}) == [["xy", "yx", "xy"]] * 2
