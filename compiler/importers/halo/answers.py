"""What a prompt says of its answer: "Respond ONLY with { ... }" as a type.

The result type of an llm is the schema of its answer, so the instruction leaves the prompt; what it says in
words about a field stays in it.
"""

import json
import re
from collections.abc import Iterator, Mapping

from attrs import frozen

_INSTRUCTION = re.compile(
    r"(?:(?<=[.!?]) +|(?<=\n)|^)[^\n.!?]*\b(?:only|json|exactly)\b[^\n.!?]*:?\s*$", re.IGNORECASE
)
_WORDS = {
    "string": "str",
    "str": "str",
    "text": "str",
    "number": "float",
    "numeric": "float",
    "float": "float",
    "decimal": "float",
    "int": "int",
    "integer": "int",
    "bool": "bool",
    "boolean": "bool",
    "true": "bool",
    "false": "bool",
}
_OPTIONAL = re.compile(r"\s*(?:\bor\s+null|\|\s*null|\?)\s*$")
_TRIES = 64
"""Opening braces that are tried, the last ones first: an answer's form ends a prompt."""


@frozen
class Fields:
    """An object of the answer, its fields in order."""

    fields: tuple[tuple[str, "Shape"], ...]


@frozen
class Sequence:
    """A list of the answer."""

    element: "Shape"


@frozen
class Leaf:
    """A value of a type; `words` is what the prompt says about it beyond that."""

    type: str
    words: str = ""


Shape = Fields | Sequence | Leaf


@frozen
class Answer:
    """The prompt without its instruction, and the form of the answer; None where it names none."""

    prompt: str
    shape: Fields | None


def read_answer(prompt: str) -> Answer:
    """Splits a prompt.

    >>> read_answer('Find it. Respond ONLY with: { "name": "string" }')
    Answer(prompt='Find it.', shape=Fields(fields=(('name', Leaf(type='str', words='')),)))
    """
    found = _skeleton(prompt)
    if found is None:
        return Answer(prompt.strip(), None)
    start, end, value = found
    before = _INSTRUCTION.sub("", prompt[:start][-2_000:])
    kept = prompt[: max(0, start - 2_000)] + before
    after = prompt[end:].strip()
    text = kept.rstrip() + (f"\n\n{after}" if after else "")
    shape = _shape(value)
    return Answer(text.strip(), shape if isinstance(shape, Fields) else None)


def _skeleton(prompt: str) -> tuple[int, int, Mapping[str, object]] | None:
    """The last object in a prompt that is not part of another one, and where it stands."""
    decoder = json.JSONDecoder(parse_int=float)
    best: tuple[int, int, Mapping[str, object]] | None = None
    starts = [match.start() for match in re.finditer(r"\{", prompt)][-_TRIES:]
    for start in reversed(starts):
        if best is not None and start >= best[0]:
            continue
        try:
            value, end = decoder.raw_decode(prompt, start)
        except (ValueError, RecursionError):
            continue
        if value and (best is None or end >= best[1]):
            best = (start, end, value)
    return best


def _shape(value: object, depth: int = 0) -> Shape:
    match value:
        case dict() if value and depth < 8:
            return Fields(tuple((str(key), _shape(each, depth + 1)) for key, each in value.items()))
        case list() if value and depth < 8:
            return Sequence(_shape(value[0], depth + 1))
        case list():
            return Sequence(Leaf("json"))
        case bool():
            return Leaf("bool")
        case float():
            return Leaf("float")
        case str():
            return _leaf(value)
    return Leaf("json")


def _leaf(text: str) -> Leaf:
    bare = _OPTIONAL.sub("", text.strip().strip("<>"))
    optional = "?" if bare != text.strip().strip("<>") else ""
    known = _WORDS.get(bare.strip().lower())
    if known is not None:
        return Leaf(known + optional)
    return Leaf("str" + optional, "" if set(bare) <= set(". ") else bare.strip())


def said(shape: Shape, name: str = "") -> Iterator[tuple[str, str]]:
    """Fields and what is said about them in words."""
    match shape:
        case Fields(fields):
            for key, each in fields:
                yield from said(each, key)
        case Sequence(element):
            yield from said(element, name)
        case Leaf(_, words):
            if words:
                yield name, words
