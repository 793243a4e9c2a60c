"""Scripted answers of models: values, texts as they stand, and functions."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, evolve, field, frozen

from flowc.runtime.coerce import Mismatch, coercer
from flowc.runtime.providers.base import Hole, Request, Response
from flowc.runtime.values import is_array, to_json
from flowc.testing.flows.adversary import Adversary
from flowc.testing.flows.faults import Fault


@frozen
class Raw:
    """An answer as it stands, whatever its type: for what no schema allows."""

    text: str
    finish: str = "stop"


Answer = object
"""A value of the llm's type, a `Raw`, or a function of the llm's arguments by name that gives one."""


@define(eq=False)
class Scripted:
    """Answers by the name of the llm: a value, a list of values one after the other, or a function. An llm
    that is not there is answered by the adversary. `problems` are mistakes of the script itself.
    """

    script: Mapping[str, Answer]
    other: Adversary
    asked: Counter[str] = field(factory=Counter)
    problems: list[BaseException] = field(factory=list)

    def answer(self, request: Request) -> Response:
        """The scripted answer."""
        if request.operation not in self.script:
            return self.other.answer(request)
        try:
            return self._scripted(request, self.script[request.operation])
        except Exception as error:
            self.problems.append(error)
            return Response("")

    def _scripted(self, request: Request, said: Any) -> Response:
        if _is_sequence(said, request):
            self.asked[request.operation] += 1
            number = self.asked[request.operation]
            if number > len(said):
                raise LookupError(
                    f"the script has {len(said)} answers of `{request.operation}`, not {number}"
                )
            said = said[number - 1]
        if callable(said):
            said = said(**holes(request))
        if isinstance(said, Raw):
            return Response(said.text, finish=said.finish)
        if request.schema is None and isinstance(said, str):
            return Response(said)
        try:
            value = coercer(request.result, request.tables)(said)
        except Mismatch as mismatch:
            raise TypeError(
                f"the scripted answer of `{request.operation}` does not fit: {mismatch}; "
                "flowc.testing.Raw(text) says what no type allows"
            ) from None
        plain = value.tolist() if is_array(value) else to_json(value, limit=None)
        return Response(str(plain) if request.schema is None else json.dumps({"value": plain}))

    def mishap(self, request: Request) -> Fault | None:
        """A script goes as it is written."""
        return self.other.mishap(request) if request.operation not in self.script else None


def _is_sequence(said: object, request: Request) -> bool:
    """Whether a list is one answer after the other, and not one answer that is a list."""
    if not isinstance(said, list):
        return False
    try:
        coercer(request.result, request.tables)(said)
    except Mismatch:
        return True
    return False


def holes(request: Request) -> dict[str, object]:
    """The values in the holes of a prompt, by the names that they have in the program."""
    return {each.name: each.value for each in request.segments if isinstance(each, Hole)}


@frozen
class Function:
    """A function of the request answers: a value, or a `Raw`."""

    script: Scripted
    function: Callable[[Request], object]

    def answer(self, request: Request) -> Response:
        """What the function says."""
        one = evolve(self.script, script={request.operation: lambda **_: self.function(request)})
        return one.answer(request)

    def mishap(self, request: Request) -> Fault | None:
        """None: a function goes as it is written."""
        return None
