"""What models and people are asked: one question or, where calls were fused, several, each about the last.

A model knows of a fused call what it reads: a prompt with a question for each field of its answer, in which
`(the field ...)` stands for the answer to one before. So it is answered here, question by question, and what
was asked can be compared with what the program asks: no rule of the pass is repeated, only its words.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from flowc.compiler.reference import Event
from flowc.runtime.values import as_text
from flowc.testing.strategies.answers import answer, cached

_STEP = re.compile(r"^The field `(\w+)`:\n", re.MULTILINE)
_QUESTION = re.compile(r"(\w+) (-?\d+): (.*)\.", re.DOTALL)

Question = tuple[str, str]
"""The name of an operation, and what it was asked."""


def answered(prompt: str) -> dict[str, Any]:
    """The answers of a model that reads a prompt with several questions, by field.

    Raises ValueError for a prompt that asks nothing of what generated programs ask.
    """
    questions = _questions(prompt)
    if not questions:
        raise ValueError(f"nobody understands {prompt!r}")
    return {field: _answer(question) for field, question in questions}


def _questions(prompt: str) -> list[tuple[str, str]]:
    """The fields and questions of a fused prompt, an answer in place of what names its field."""
    _, *parts = _STEP.split(prompt)
    found: list[tuple[str, str]] = []
    for field, text in zip(parts[::2], parts[1::2], strict=True):
        question = text.strip("\n")
        for before, asked in found:
            question = question.replace(f"(the field `{before}`)", as_text(_answer(asked)))
        found.append((field, question))
    return found


def _answer(question: str) -> Any:
    """What a model says that knows the question alone; it begins with the name of who asks it."""
    read = _QUESTION.fullmatch(question)
    if read is None:
        raise ValueError(f"nobody understands {question!r}")
    return answer(read[1], {"tag": int(read[2]), "text": read[3]})


def asked(event: Event) -> list[Question]:
    """What a call asks: each of its texts where it embeds, since calls that embed may be joined, and each of
    its questions where calls were fused.
    """
    if event.kind == "embed":
        return [(event.name, str(text)) for text in json.loads(event.arguments)[0]]
    if event.kind != "generate":
        return [(event.name, event.arguments)]
    prompt: str = json.loads(event.arguments)[0]
    several = [(_QUESTION.fullmatch(text), text) for _, text in _questions(prompt)]
    return [(read[1], text) for read, text in several if read] or [(event.name, _in_order(prompt))]


def _in_order(prompt: str) -> str:
    """A prompt, whose paragraphs may stand in any order where that is allowed."""
    return "\n\n".join(sorted(prompt.split("\n\n")))


def others(trace: Sequence[Event]) -> set[tuple[str, str, int]]:
    """What was asked beside the writes and, for what reads, how often time had gone by before. Neither how
    often it was asked nor the order makes a difference.
    """
    slept, found = 0, set()
    for event in trace:
        slept += event.kind == "sleep"
        kinds = {kind for kind, _ in event.effects}
        if kinds and "writes" not in kinds:
            reads = "reads" in kinds and event.name not in cached()
            found |= {(*question, slept if reads else 0) for question in asked(event)}
    return found


def counted(trace: Sequence[Event]) -> Counter[Question]:
    """The questions that are asked anew each time: to people, and to models that may answer otherwise."""
    anew = [event for event in trace if event.kind in ("generate", "human")]
    return Counter(each for event in anew for each in asked(event) if each[0] not in cached())


def operations_called(trace: Sequence[Event]) -> Counter[str]:
    """How often each operation was called, a fused call as all that it asks."""
    return Counter(
        name
        for event in trace
        for name in ([each for each, _ in asked(event)] if event.kind == "generate" else [event.name])
    )
