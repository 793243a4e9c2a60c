"""Flows that the tests of `flowc.testing` test: a shop that answers letters, some of them with a mistake."""

from dataclasses import dataclass
from enum import Enum

import flowc


class Mood(Enum):
    """How a letter sounds."""

    friendly = 1
    angry = 2


@dataclass
class Letter:
    """What somebody wrote."""

    sender: str
    text: str
    mood: Mood | None


@flowc.llm(retry=1, backoff=0.1)
def mood(text: str) -> Mood:
    """Is this friendly or angry? {text}"""


@flowc.llm
def reply(text: str) -> str:
    """Answer this letter: {text}"""


@flowc.tool(effects="reads accounts")
def balance(customer: str) -> int:
    """What a customer has."""
    raise AssertionError("no test reads the real accounts")


@flowc.tool(effects="writes mail")
def send(to: str, body: str) -> None:
    """Sends a mail."""
    raise AssertionError("no test sends mails")


@flowc.tool(effects="writes accounts")
def refund(customer: str, amount: int) -> int:
    """Pays money back."""
    raise AssertionError("no test pays")


@flowc.tool(effects="pure")
def shout(text: str) -> str:
    """The same, louder."""
    return text.upper()


@flowc.human
def approve(amount: int) -> bool:
    """May {amount} be paid back?"""


@flowc.flow
def careful(letter: Letter, amount: int = 10) -> int:
    """Refunds what somebody has approved, up to a limit."""
    paid = 0
    if mood(letter.text) == Mood.angry and 0 < amount <= 50 and approve(amount):
        paid = refund(letter.sender, amount)
    send(letter.sender, reply(letter.text))
    return paid


@flowc.flow
def careless(letter: Letter, amount: int = 10) -> int:
    """Refunds first and asks later, twice where somebody is angry, and says the balance to whoever asks."""
    paid = refund(letter.sender, amount)
    if mood(letter.text) == Mood.angry:
        paid = refund(letter.sender, amount)
    if approve(amount):
        send(letter.sender, f"{shout(letter.text)} {balance(letter.sender)}")
    return paid
