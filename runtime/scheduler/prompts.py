"""Prompts and answers: segments and holes to text, and the text that came back to a value of its type."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from flowc.runtime.coerce import Coercer, Mismatch
from flowc.runtime.errors import FlowError, fail
from flowc.runtime.plan import Node
from flowc.runtime.providers.base import Hole, Response, Segment
from flowc.runtime.types import STR, Type, text
from flowc.runtime.values import as_text


@frozen
class Template:
    """A prompt with holes: texts, and pairs of an index into the inputs and the name the hole has.

    The first `shared` parts are the same in other calls.
    """

    parts: tuple[str | tuple[int, str], ...]
    shared: int = 0

    @classmethod
    def of(cls, node: Node) -> "Template":
        """The template in the settings of a `generate` or `human` node."""
        segments = node.settings.get("segments", [])
        if not isinstance(segments, list):
            raise ValueError("`segments` must be a list")
        shared = node.settings.get("prefix", 0)
        if not isinstance(shared, int) or not 0 <= shared <= len(segments):
            raise ValueError("`prefix` must be a number of segments")
        return cls(tuple(map(_part, segments)), shared)

    def fill(self, values: Sequence[Any]) -> tuple[Segment, ...]:
        """The segments with these values in the holes."""
        filled: list[Segment] = []
        for part in self.parts:
            if isinstance(part, str):
                filled.append(part)
            else:
                value = values[part[0]]
                filled.append(Hole(part[1], value, as_text(value)))
        return tuple(filled)


def _part(segment: object) -> str | tuple[int, str]:
    match segment:
        case str():
            return segment
        case {"input": int(index), "name": str(name)}:
            return index, name
    raise ValueError(f"not a segment of a prompt: {segment!r}")


def length_of(segments: tuple[Segment, ...]) -> int:
    """How many characters segments have as text."""
    return sum(len(part if isinstance(part, str) else part.text) for part in segments)


def rendered(segments: tuple[Segment, ...]) -> str:
    """The prompt as one text."""
    return "".join(part if isinstance(part, str) else part.text for part in segments)


def without(names: Sequence[str], convert: Coercer) -> Coercer:
    """A conversion that passes over members that are not asked for: a prompt may still name them."""

    def converted(value: object) -> object:
        if isinstance(value, Mapping):
            value = {name: member for name, member in value.items() if name not in names}
        return convert(value)

    return converted


def parse_answer(operation: str, result: Type, convert: Coercer, response: Response) -> Any:
    """The value that an answer stands for; raises E0810 to E0814 where it is none of the type."""
    if response.finish == "length":
        raise fail(
            "E0812",
            f"the answer of `{operation}` was cut off",
            why=f"it ran into its limit of tokens after {response.usage.answer} of them",
            help="raise max_tokens, or ask for less",
        )
    if response.finish in ("content_filter", "refusal"):
        raise fail(
            "E0814",
            f"the model declined to answer `{operation}`",
            why=response.text[:200],
            help="change the prompt, or give a value in its place with `try ... else`",
        )
    if not response.text.strip():
        raise fail(
            "E0813",
            f"the answer of `{operation}` is empty",
            why="the provider answered without any text",
            help="`@retry(2)` asks again",
        )
    if result == STR:
        return response.text
    return _structured(operation, result, convert, response.text)


def _structured(operation: str, result: Type, convert: Coercer, answer: str) -> Any:
    try:
        value: object = json.loads(_unfenced(answer))
    except (ValueError, RecursionError) as error:
        raise fail(
            "E0810",
            f"the answer of `{operation}` is not JSON",
            why=f"{error}; it begins with {answer.strip()[:60]!r}",
            help="`@retry(2)` asks again; a model with structured output answers in form",
        ) from None
    if isinstance(value, Mapping) and value.keys() == {"value"}:
        value = value["value"]
    try:
        return convert(value)
    except Mismatch as mismatch:
        raise _not_of_type(operation, result, str(mismatch)) from None


def _not_of_type(operation: str, result: Type, why: str) -> FlowError:
    return fail(
        "E0811",
        f"the answer of `{operation}` is not a {text(result)}",
        why=why,
        help="`@retry(2)` asks again; say in the prompt what form is wanted",
    )


def _unfenced(answer: str) -> str:
    """Without the fence that some models put around their JSON."""
    stripped = answer.strip()
    if stripped.startswith("```") and stripped.endswith("```") and "\n" in stripped:
        return stripped[stripped.index("\n") + 1 : -3]
    return stripped
