"""Asking people: through a callback, or at the terminal."""

import sys
from collections.abc import Awaitable, Callable, Mapping

from attrs import frozen

from flowc.runtime.coerce import Mismatch, Tables
from flowc.runtime.reading import parse_text
from flowc.runtime.types import Enum, Scalar, Type, text
from flowc.runtime.visible import visible

EVENT = "event"
"""The kind of operation that nobody is asked for."""


@frozen
class Question:
    """What a person is asked: the text, the type of the answer, and where in the run it is asked.

    Of an `event` nobody is asked: it waits until somebody tells of it.
    """

    operation: str
    prompt: str
    result: Type
    tables: Tables
    step: str = ""
    kind: str = "human"

    def choices(self) -> tuple[str, ...]:
        """What can be answered, where that is a short list."""
        match self.result:
            case Enum(name):
                return self.tables.enums[name]
            case Scalar("bool"):
                return ("yes", "no")
        return ()


Ask = Callable[[Question], object | Awaitable[object]]
"""Gives the answer, or a coroutine that does. It may be any value that fits the type of the answer."""


def answers(given: Mapping[str, object]) -> Ask:
    """Prepared answers by the name of what asks: for tests and unattended runs. Texts are read by type."""

    def ask(question: Question) -> object:
        if question.operation not in given:
            raise LookupError(question.operation)
        answer = given[question.operation]
        if isinstance(answer, str):
            return parse_text(question.result, answer, question.tables)
        return answer

    return ask


def has_terminal() -> bool:
    """Whether somebody can be asked here."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def ask_terminal(question: Question) -> object:
    """Asks on standard error and reads the answer from standard input, again until it fits.

    A model wrote parts of the prompt, and none may move the cursor. Nobody is asked for an event.
    """
    if question.kind == EVENT:
        raise LookupError(question.operation)
    choices = question.choices()
    hint = "/".join(choices) or text(question.result)
    sys.stderr.write(f"\n{visible(question.prompt)}\n")
    while True:
        sys.stderr.write(f"{question.operation} ({hint}): ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            raise LookupError(question.operation)
        answer = line.strip()
        if (
            choices
            and (match := [choice for choice in choices if choice.startswith(answer.lower())])
            and answer
        ):
            answer = match[0] if len(match) == 1 else answer
        try:
            return parse_text(question.result, answer, question.tables)
        except Mismatch as mismatch:
            sys.stderr.write(f"{mismatch}\n")
