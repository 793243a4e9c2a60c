"""Transactions, sleeps and events as Python programs write them."""

import pytest

import flowc

DONE: list[str] = []


@flowc.tool(effects="writes hotel undo cancel")
def book(room: str) -> str:
    DONE.append(f"book {room}")
    return f"number {room}"


@flowc.tool(effects="writes hotel")
def cancel(room: str, result: str) -> None:
    DONE.append(f"cancel {room}, {result}")


@flowc.tool(effects="pure")
def check(room: str) -> str:
    if room == "13":
        raise ValueError("there is no such room")
    return room


@flowc.event
def paid(room: str) -> bool:
    """Has {room} been paid?"""


@flowc.flow
def stay(room: str) -> str:
    with flowc.transaction():
        number = book(room)
        flowc.sleep(0.001)
        checked = check(room)
    return f"{number}, {checked}"


@flowc.flow
def told(room: str) -> bool:
    return paid(room)


@flowc.flow
def mixed(room: str) -> str:
    with flowc.transaction(), flowc.limit(timeout=3):
        return book(room)


@flowc.flow
def lasting(room: str) -> str:
    with flowc.transaction():
        return cancel(room, room) or ""


def test_a_failure_takes_back_what_was_written() -> None:
    DONE.clear()
    assert stay("12") == "number 12, 12"
    assert DONE == ["book 12"]
    with pytest.raises(flowc.FlowError, match="check"):
        stay("13")
    assert DONE == ["book 12", "book 13", "cancel 13, number 13"]


def test_the_plain_function_does_the_same_but_takes_nothing_back() -> None:
    DONE.clear()
    assert stay.function("12") == "number 12, 12"
    with pytest.raises(ValueError, match="no such room"):
        stay.function("13")
    assert DONE == ["book 12", "book 13"]


def test_an_event_is_told() -> None:
    assert told.using(answers={"paid": True})("12") is True


def test_a_transaction_stands_alone_and_its_writes_name_their_undo() -> None:
    assert [each.code for each in mixed.check()] == ["E0081"]
    assert "E0416" in [each.code for each in lasting.check()]
