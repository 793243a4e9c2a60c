"""What a tested run did: its calls of models, tools and people, in the order in which they were made."""

import re
from collections.abc import Callable, Mapping

from attrs import define, field, frozen

from flowc.runtime.coerce import describe

LONGEST = 70
"""Characters of an argument that a message shows."""
_BREAK = re.compile(r"\s*\n\s*")


@frozen
class Call:
    """One call, as the world outside the flow saw it; an attempt that is made again is a call again.

    `kind` is "llm", "tool", "human", "event" or "embed". A model's `arguments` are the holes of its prompt,
    and its `result` is the value that it answered, the text where that is none of its type; of an enum the
    name of the member. `seconds` is when it was made, in the time of the run.
    `failure` says how it failed, `ended` is False of one that was given up before it had. `key` is what a
    tool's call is called by: the same for all attempts of one call. `writes` says that it is declared to
    change the world.
    """

    number: int
    kind: str
    operation: str
    arguments: Mapping[str, object]
    seconds: float = 0.0
    prompt: str = ""
    key: str = ""
    writes: bool = False
    idempotent: bool = False
    result: object = None
    failure: str = ""
    ended: bool = False

    def __str__(self) -> str:
        given = ", ".join(f"{name}={shown(value)}" for name, value in self.arguments.items())
        if self.kind in ("human", "event"):
            given = shown(self.prompt)
        return f"{self.operation}({given})"


def shown(value: object) -> str:
    """A value in a message: on one line, and whole where it is short."""
    try:
        text = _BREAK.sub(" ", repr(value))
    except (RecursionError, ValueError):
        return describe(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 20]}...{text[-10:]}"


When = Callable[[Call], bool]
"""Which calls are meant."""


@define(eq=False)
class Log:
    """The calls of a run, or of all processes of one. An entry is replaced when its call has ended."""

    calls: list[Call] = field(factory=list)

    def begin(self, call: Call) -> int:
        """Notes a call that is made now; gives its place."""
        self.calls.append(call)
        return len(self.calls) - 1
