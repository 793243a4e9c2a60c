"""Faults on a schedule: which call of which operation goes wrong, and how."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from attrs import evolve, field, frozen

from flowc.runtime.errors import Problem
from flowc.runtime.providers.base import ProviderError, Response

OfModel = Literal[
    "fails",
    "rate limited",
    "breaks",
    "slow",
    "hangs",
    "mistyped",
    "malformed",
    "truncated",
    "empty",
    "refuses",
]
"""What can go wrong with an answer of a model: a server error, a status of 429, a connection that breaks
off, an answer that comes late or never, and one that cannot be used.
"""
OfTool = Literal["fails", "fails late", "slow", "hangs", "mistyped"]
"""What can go wrong with a call of a tool: an exception before it has done anything or after it has done
all, time, a wrong result.
"""
How = OfModel | OfTool
FAULTS: Mapping[str, tuple[How, ...]] = {"llm": get_args(OfModel), "tool": get_args(OfTool)}
"""What can go wrong with operations, by their kind."""

SLOW = 90.0
"""Seconds that a slow call takes longer."""


@frozen
class Fault:
    """The call number `number` (from 1 on; 0: each one) of an operation goes wrong. `seconds` is for
    "slow".
    """

    operation: str
    number: int = 1
    how: How = "fails"
    seconds: float = field(default=SLOW)

    def __str__(self) -> str:
        which = f"call {self.number}" if self.number else "each call"
        return f"{which} of {self.operation}: {self.how}"


class Broken(Exception):
    """What a tool raises that is to fail."""


class Mistyped:
    """A value of no type of the language."""

    def __repr__(self) -> str:
        return "<a value of a wrong type>"


def fault_of(faults: Sequence[Fault], operation: str, number: int) -> Fault | None:
    """The fault that the schedule has for a call."""
    for fault in faults:
        if fault.operation == operation and fault.number in (0, number):
            return fault
    return None


def refuse_unknown(faults: Sequence[Fault], kinds: Mapping[str, str]) -> None:
    """Raises ValueError for a fault that no call of these operations can have: it would test nothing."""
    for fault in faults:
        kind = kinds.get(fault.operation)
        if kind is None:
            known = ", ".join(sorted(kinds)) or "none"
            raise ValueError(f"no call of `{fault.operation}` can fail: it is none of {known}")
        can = FAULTS.get(kind, ())
        if fault.how not in can:
            raise ValueError(
                f"`{fault.operation}` is a {kind}, which cannot be {fault.how!r}; it can: {', '.join(can)}"
            )


async def delay(fault: Fault | None) -> None:
    """Takes the time of a fault."""
    if fault is not None and fault.how == "slow":
        await asyncio.sleep(fault.seconds)
    elif fault is not None and fault.how == "hangs":
        await asyncio.get_running_loop().create_future()  # nobody ever answers


def provider_error(fault: Fault | None) -> ProviderError | None:
    """What a model's endpoint fails with, where it does."""
    match None if fault is None else fault.how:
        case "rate limited":
            return _error("E0820", "the endpoint takes no more requests now", after=2.0)
        case "fails":
            return _error("E0821", "the endpoint failed")
        case "breaks":
            return _error("E0822", "the connection to the endpoint broke")
    return None


def _error(code: str, message: str, after: float | None = None) -> ProviderError:
    problem = Problem(code, message, "a fault of the test", "`@retry` bridges short failures")
    return ProviderError(problem, after=after)


def spoilt(response: Response, fault: Fault | None, *, structured: bool) -> Response:
    """An answer as a fault leaves it."""
    match None if fault is None else fault.how:
        case "mistyped" if structured:
            return evolve(response, text='{"value": {"unexpected": [true]}}')
        case "malformed" if structured:
            return evolve(response, text="Sure! Here is what you asked for: " + response.text[1:])
        case "truncated":
            return evolve(response, text=response.text[: len(response.text) // 2], finish="length")
        case "empty":
            return evolve(response, text="")
        case "refuses":
            return evolve(response, text="I cannot help with that.", finish="refusal")
    return response
