"""What is counted, held and spent of a budget."""

import pytest

from flowc.runtime.errors import FlowError
from flowc.runtime.limits import Budget, Price, Reservation, charge_memory, reserve, settle
from flowc.runtime.plan import Limits

DOLLAR = Price(prompt=0.0, answer=0.01)
"""A hundred tokens of an answer cost a dollar."""


def budget(money: float | None = None, memory: int | None = None) -> Budget:
    return Budget("f", Limits(money=money, memory=memory))


def held(of: Budget, tokens: int) -> Reservation | str:
    return reserve((of,), 10, tokens, DOLLAR, "ask")


def test_results_count_together_against_a_limit_of_memory() -> None:
    own, outer = budget(memory=100), budget(memory=1000)
    charge_memory((outer, own), 60, "first")
    charge_memory((outer, own), 40, "second")
    with pytest.raises(FlowError) as found:
        charge_memory((outer, own), 1, "third")
    assert found.value.problem.code == "E0724"
    assert "101 bytes" in str(found.value.problem.why)
    assert outer.memory == 101


def test_calls_at_the_same_time_hold_money_of_their_own() -> None:
    own = budget(money=3.0)
    first, second = held(own, 100), held(own, 100)
    assert isinstance(first, Reservation)
    assert isinstance(second, Reservation)
    assert (first.money, second.money) == (pytest.approx(1.0), pytest.approx(1.0))
    third = held(own, 200)  # a dollar is left
    assert isinstance(third, Reservation)
    assert third.lowered
    assert third.money <= 1.0 + 1e-9
    assert held(own, 100) == "wait"


def test_what_was_not_spent_can_be_held_again() -> None:
    own = budget(money=1.0)
    first = held(own, 100)
    assert isinstance(first, Reservation)
    assert held(own, 100) == "wait"
    settle(first, 60, 0.5)
    again = held(own, 50)
    assert isinstance(again, Reservation)
    assert not again.lowered
    settle(again, 60, 0.5)
    with pytest.raises(FlowError) as found:
        held(own, 50)
    assert found.value.problem.code == "E0723"


def test_the_end_of_one_call_gives_back_what_it_held_and_no_more() -> None:
    own = Budget("f", Limits(tokens=1000))
    first, second = held(own, 400), held(own, 400)
    assert isinstance(first, Reservation)
    assert isinstance(second, Reservation)
    settle(first, 100, 0.0)
    assert (own.tokens, own.held_tokens) == (100, second.tokens)
    third = held(own, 2000)
    assert isinstance(third, Reservation)
    assert third.tokens <= 1000 - 100 - second.tokens
