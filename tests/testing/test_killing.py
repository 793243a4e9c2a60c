"""Runs that are killed at every step: flows that survive it, and tools that are not what they say."""

from typing import Any

import pytest

import flowc
from flowc.testing import Fault, Raw, survives_kill_at_every_step
from tests.testing import shop

ARGUMENTS = {"letter": shop.Letter("ann", "where is it?", None)}


@flowc.tool(effects="writes ledger idempotent")
def book(entry: str, amount: int) -> int:
    """Books an amount."""
    raise NotImplementedError


@flowc.tool(effects="reads ledger")
def total(until: int) -> int:
    """What is booked."""
    raise NotImplementedError


@flowc.flow
def pay(amount: int) -> int:
    """Books twice, with a night between."""
    first = book("first", amount)
    flowc.sleep(36000)
    second = book("second", total(first))
    return first + second


class Ledger:
    """Books under the key of the call: a second time changes nothing."""

    def __init__(self) -> None:
        self.booked: dict[str, int] = {}

    def book(self, entry: str, amount: int) -> int:
        self.booked[flowc.idempotency_key()] = amount
        return amount

    def total(self, until: int) -> int:
        return sum(self.booked.values())

    def state(self) -> Any:
        return sorted(self.booked.values())


class Forgetful(Ledger):
    """Says that it is idempotent, and books again."""

    def book(self, entry: str, amount: int) -> int:
        self.booked[str(len(self.booked))] = amount
        return amount


class Writing(Ledger):
    """Says that it reads, and writes."""

    def total(self, until: int) -> int:
        self.booked[f"read {len(self.booked)}"] = 0
        return sum(self.booked.values())


def test_a_flow_that_is_killed_anywhere_comes_to_the_same() -> None:
    found = survives_kill_at_every_step(pay, {"amount": 3}, world=Ledger, unattended=True)
    assert found.run.value == 6
    assert found.run.seconds >= 36000
    assert found.kills >= 12
    assert found.in_doubt == ()


@pytest.mark.parametrize("world", [Forgetful, Writing])
def test_a_tool_that_is_not_what_it_is_declared_to_be_is_found(world: Any) -> None:
    with pytest.raises(AssertionError) as error:
        survives_kill_at_every_step(pay, {"amount": 3}, world=world)
    message = str(error.value)
    assert "killed" in message
    assert "record" in message
    assert "pay/" in message
    assert "undisturbed: [" in message


def test_a_write_that_may_have_happened_is_looked_up_and_named() -> None:
    model = {"mood": lambda text: shop.Mood.angry, "reply": "sorry"}
    more: Any = {"model": model, "answers": {"approve": True}, "tools": {"refund": 1}}
    found = survives_kill_at_every_step(shop.careful, ARGUMENTS, **more)
    assert any(step.endswith("refund") for step in found.in_doubt)
    assert any(step.endswith("send") for step in found.in_doubt)
    with pytest.raises(AssertionError, match="waits for somebody who says whether"):
        survives_kill_at_every_step(shop.careful, ARGUMENTS, unattended=True, **more)


def test_an_adversary_and_faults_may_have_their_say_too() -> None:
    faults = [Fault("mood", 1, "malformed")]
    found = survives_kill_at_every_step(shop.careful, ARGUMENTS, faults=faults, most=20)
    assert found.kills <= 20
    assert found.run.ok
    failed = survives_kill_at_every_step(shop.careful, ARGUMENTS, model={"mood": Raw("?")}, most=20)
    assert failed.run.status == "failed"
