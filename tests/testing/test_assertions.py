"""Each assertion passes a flow that keeps it and catches one that does not, and says which call it was."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

import flowc
from flowc import testing
from flowc.testing import check, inputs
from tests.testing import shop

ARGUMENTS = {"letter": shop.Letter("ann", "where is it?", None)}
ANGRY = {"mood": shop.Mood.angry}


def run_of(flow: Any, approve: bool = True, **more: Any) -> testing.Tested:
    return check(flow, ARGUMENTS, model=ANGRY, answers={"approve": approve}, tools={"refund": 1}, **more)


GOOD, BAD = run_of(shop.careful), run_of(shop.careless)


@settings(max_examples=15)
@given(inputs(shop.careful))
def test_a_careful_flow_is_careful_whatever_is_asked_of_it(arguments: Any) -> None:
    run = check(shop.careful, arguments)
    testing.never_calls(run, "refund", when=lambda call: call.arguments["amount"] > 50)
    testing.calls_before(run, "approve", "refund", when=lambda call: call.result is True)
    testing.calls_at_most(run, "refund", 1)
    testing.spends_at_most(run, calls=4)


def test_never_calls() -> None:
    declined = run_of(shop.careful, approve=False)
    testing.never_calls(declined, "refund")
    testing.never_calls(GOOD, "refund", when=lambda call: call.arguments["amount"] > 50)
    with pytest.raises(AssertionError) as error:
        testing.never_calls(GOOD, "refund", when=lambda call: call.arguments["amount"] > 5)
    message = str(error.value)
    assert "`refund` was called, and was not to be called like this" in message
    assert "refund(customer='ann', amount=10)" in message
    assert "seed=0" in message
    with pytest.raises(ValueError, match="did you mean `refund`"):
        testing.never_calls(GOOD, "refunds")


def test_calls_once() -> None:
    testing.calls_once(GOOD, "refund")
    with pytest.raises(AssertionError, match="`refund` happened 2 times, not 1 at most"):
        testing.calls_once(BAD, "refund")
    with pytest.raises(AssertionError, match="was not called"):
        testing.calls_once(run_of(shop.careful, approve=False), "refund")


def test_calls_before() -> None:
    testing.calls_before(GOOD, "approve", "refund", when=lambda call: call.result is True)
    declined = run_of(shop.careless, approve=False)
    with pytest.raises(
        AssertionError, match="`refund` was called, and `approve` had not been as it was to be"
    ):
        testing.calls_before(declined, "approve", "refund", when=lambda call: call.result is True)


def test_ends() -> None:
    testing.ends(GOOD, within=5)
    broken = run_of(shop.careful, faults=[testing.Fault("mood", 0, "fails")])
    testing.ends(broken, "ok", "E0821")
    with pytest.raises(AssertionError, match="the flow did not end with ok"):
        testing.ends(broken)
    late = run_of(shop.careful, faults=[testing.Fault("mood", 1, "slow")])
    with pytest.raises(AssertionError, match=r"the flow took 9\d.\d s, more than 60 s"):
        testing.ends(late, within=60)


def test_spends_at_most(tmp_path: Path) -> None:
    testing.spends_at_most(GOOD, tokens=20_000, calls=4)
    with pytest.raises(AssertionError, match="the flow made 4 calls, more than 3"):
        testing.spends_at_most(GOOD, calls=3)
    with pytest.raises(AssertionError, match=r"tokens, more than 5"):
        testing.spends_at_most(GOOD, tokens=5)
    with pytest.raises(ValueError, match="no model has a price"):
        testing.spends_at_most(GOOD, money=1.0)
    with pytest.raises(ValueError, match="say what"):
        testing.spends_at_most(GOOD)
    (tmp_path / "flowc.toml").write_text(
        '[models.default]\nprovider = "offline"\nprice_in = 10.0\nprice_out = 10.0\n'
    )
    program = 'llm say(x: str) -> str:\n    """Say {x}."""\n\nflow main(x: str) -> str:\n    return say(x)\n'
    (tmp_path / "main.flow").write_text(program)
    run = check(testing.load(tmp_path / "main.flow"), {"x": "hello"}, model={"say": "hello " * 100})
    testing.spends_at_most(run, money=0.01)
    with pytest.raises(AssertionError, match=r"the flow spent \$0.00\d+, more than \$0.0001"):
        testing.spends_at_most(run, money=0.0001)


def test_no_leak() -> None:
    canary = "CANARY-7"
    arguments = {"letter": shop.Letter("ann", canary, None)}
    polite = check(shop.careful, arguments, model=ANGRY)
    testing.no_leak(polite, canary, to=["send", "refund"])
    with pytest.raises(AssertionError, match="'CANARY-7' reached `mood`"):
        testing.no_leak(polite, canary)
    careless = check(shop.careless, arguments, model=ANGRY, answers={"approve": True})
    with pytest.raises(AssertionError, match="'CANARY-7' reached `send`"):
        testing.no_leak(careless, canary, to=["send"])
    with pytest.raises(ValueError, match="empty"):
        testing.no_leak(polite, "")


NUMBERS = iter(range(1000))


@flowc.tool(effects="pure")
def number(x: int) -> int:
    """Not pure at all."""
    return next(NUMBERS)


@flowc.flow
def wrong(x: int) -> int:
    """Equal pure calls are made once."""
    return 10 * number(x) + number(x)


def test_same_at_every_level() -> None:
    run = testing.same_at_every_level(shop.careful, ARGUMENTS)
    assert run.ok
    with pytest.raises(AssertionError, match="at -O1 the flow has another end than at -O0"):
        testing.same_at_every_level(wrong, {"x": 1})
