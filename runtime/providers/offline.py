"""The `offline` provider: an extractive baseline that needs no key, no server and no network.

It writes nothing of its own. A text is answered with the sentences of the prompt's holes that overlap most
with the question, each with the mark of the passage it comes from; an enum with the member that fits best;
a number with one that was found; records field by field. It says of each answer where it came from, and
what it is.
"""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, frozen

from flowc.runtime.plan import Json
from flowc.runtime.providers.base import (
    Embedding,
    EmbedRequest,
    Hole,
    Request,
    Response,
    Usage,
    estimate_tokens,
)
from flowc.runtime.providers.lexical import (
    Sentence,
    coverage,
    frequencies,
    overlap,
    sentences,
    terms,
    vectors,
)
from flowc.runtime.types import Array, Dict, Enum, List, Optional, PlanOf, Record, Scalar, Tuple, Type
from flowc.runtime.values import RecordValue, as_text, record_fields

BEST = 3
"""Sentences of an answer at most."""

LONG = 240
"""A text of more characters is something to read, a shorter one something to ask about."""

UNKNOWN = "I don't know."
MARKS = ("id", "key", "name", "title", "path", "source")
"""Fields that name a record, the first that it has."""

YES = (
    "yes",
    "true",
    "support",
    "supported",
    "supports",
    "confirmed",
    "pass",
    "agree",
    "relevant",
    "ok",
    "accept",
)
NO = (
    "no",
    "false",
    "refute",
    "refuted",
    "refutes",
    "contradicted",
    "fail",
    "disagree",
    "irrelevant",
    "reject",
)
NEGATIONS = frozenset(
    ["not", "no", "never", "none", "without", "cannot", "n't", "false", "wrong", "refuted", "denied"]
)
_NAME = re.compile(r"[^\W\d_]{2,}")
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?%?")
_SCALE = re.compile(r"(\d+)\s*(?:to|-|–|and|\.\.)\s*(\d+)")


@frozen
class Reading:
    """A prompt, read: the question's terms with weights, the sentences to draw from, the words of the
    task.
    """

    question: Mapping[str, float]
    sentences: tuple[Sentence, ...]
    idf: Mapping[str, float]
    task: str
    asked: str


@define(eq=False)
class Offline:
    """The embedded default."""

    async def generate(self, request: Request) -> Response:
        """Answers from the holes of the prompt."""
        reading = read(request)
        chosen = best(reading, BEST)
        if request.schema is None:
            text = _cited(chosen) or UNKNOWN
        else:
            text = json.dumps({"value": _value(request.result, request, reading, "")}, ensure_ascii=False)
        if request.stream is not None:
            request.stream(text)
        sources = ", ".join(dict.fromkeys(sentence.source for sentence in chosen if sentence.source))
        note = "extracted offline by lexical overlap" + (f" from {sources}" if sources else "")
        return Response(text, Usage(estimate_tokens(request.prompt), estimate_tokens(text)), "stop", note)

    async def embed(self, request: EmbedRequest) -> Embedding:
        """Hashed bags of words and trigrams: the same text gives the same vector everywhere."""
        import numpy

        rows = []
        for start in range(0, len(request.texts), 64):
            rows.append(vectors(request.texts[start : start + 64]))
            await asyncio.sleep(0)
        return Embedding(numpy.concatenate(rows), Usage(sum(map(estimate_tokens, request.texts)), 0))

    def prompt_bound(self, request: Request) -> int:
        """Exact: the provider counts as it is estimated."""
        return estimate_tokens(request.prompt)

    async def close(self) -> None:
        """Nothing is open."""


def read(request: Request) -> Reading:
    """Tells the question from what there is to read: lists, records and long texts are read, the rest
    asks.
    """
    holes = [segment for segment in request.segments if isinstance(segment, Hole)]
    task = " ".join(segment for segment in request.segments if isinstance(segment, str))
    material = [hole for hole in holes if _is_material(hole.value)]
    asking = [hole for hole in holes if hole not in material]
    if not material:
        material, asking = asking, []
    found = [sentence for hole in material for sentence in _sentences(hole.value, "")]
    asked = " ".join(hole.text for hole in asking) or task
    question: dict[str, float] = {}
    if asking:
        question.update(dict.fromkeys(terms(task), 0.1))
    question.update(dict.fromkeys(terms(asked), 1.0))
    return Reading(question, tuple(found), frequencies([s.terms for s in found]), task, asked)


def _is_material(value: object) -> bool:
    return isinstance(value, list | tuple | Mapping | RecordValue) or (
        isinstance(value, str) and len(value) > LONG
    )


def _sentences(value: object, source: str) -> list[Sentence]:
    """The sentences of a value; those of a record carry its mark."""
    if isinstance(value, str):
        return sentences(value, source)
    if isinstance(value, list | tuple):
        return [found for item in value for found in _sentences(item, source)]
    members = record_fields(value) if isinstance(value, RecordValue) else value
    if isinstance(members, Mapping):
        mark = next((name for name in MARKS if isinstance(members.get(name), str | int)), None)
        own = str(members[mark]) if mark is not None else source
        texts = [item for name, item in members.items() if name != mark]
        return [
            found
            for item in texts
            if not isinstance(item, bool | int | float)
            for found in _sentences(item, own)
        ]
    return sentences(as_text(value), source) if value is not None else []


def best(reading: Reading, count: int, extra: Sequence[str] = ()) -> list[Sentence]:
    """The sentences that overlap most with the question, in the order of the text; none where nothing
    overlaps.

    What has been chosen lowers the worth of what repeats it, so that the answer says more than one thing.
    """
    wanted = {**reading.question, **dict.fromkeys(extra, 1.5)}
    strong = {term for term, weight in wanted.items() if weight >= 1}
    fitting = _passages(reading, strong)
    asked = set(_NAME.findall(reading.asked.lower()))
    left = {
        index: overlap(wanted, sentence.terms, reading.idf)
        * (0.3 + fitting[sentence.source] + _named(sentence.source, asked))
        for index, sentence in enumerate(reading.sentences)
        if strong.intersection(sentence.terms) and not sentence.text.endswith("?")
    }
    top = max(left.values(), default=0.0)
    chosen: list[int] = []
    while left and len(chosen) < count:
        index = max(left, key=lambda at: (left[at], -at))
        if left.pop(index) < 0.4 * top:
            break
        chosen.append(index)
        taken = reading.sentences[index].terms
        for other in left:
            left[other] *= 1 - 0.6 * coverage(reading.sentences[other].terms, taken)
    return [reading.sentences[index] for index in sorted(chosen)]


def _passages(reading: Reading, strong: set[str]) -> dict[str, float]:
    """How much of the question each passage speaks of as a whole, from 0 to 1."""
    found: dict[str, set[str]] = {}
    for sentence in reading.sentences:
        found.setdefault(sentence.source, set()).update(strong.intersection(sentence.terms))
    return {source: len(there) / max(1, len(strong)) for source, there in found.items()}


def _named(source: str, asked: set[str]) -> float:
    """Worth added where the question says the name of the passage, even in a word as common as "with"."""
    return 0.5 if asked.intersection(_NAME.findall(source.lower())) else 0.0


def _cited(chosen: Sequence[Sentence]) -> str:
    """The sentences as one text; a passage's mark stands after its last sentence in a row."""
    parts: list[str] = []
    for index, sentence in enumerate(chosen):
        parts.append(sentence.text)
        last = index + 1 == len(chosen) or chosen[index + 1].source != sentence.source
        if sentence.source and last:
            parts.append(f"[{sentence.source}]")
    return " ".join(parts)


def _value(type_: Type, request: Request, reading: Reading, name: str) -> Json:
    """An answer of this type; `name` is the field that it is for."""
    extra = terms(name.replace("_", " "))
    match type_:
        case Scalar(kind):
            return _scalar(kind, reading, extra)
        case Enum(of):
            return _member(request.tables.enums[of], reading)
        case Optional(inner):
            return _value(inner, request, reading, name) if best(reading, 1, extra) else None
        case List(element):
            return _list(element, request, reading, name, extra)
        case Record(of):
            return {field: _value(t, request, reading, field) for field, t in request.tables.records[of]}
        case Dict():
            return {}
        case Tuple(items):
            return [_value(item, request, reading, name) for item in items]
        case PlanOf():
            return {"steps": []}
        case Array(dtype, dims):
            value: Json = _scalar(dtype, reading, extra)
            for dim in reversed(dims):
                value = [value] * (dim if isinstance(dim, int) else 1)
            return value


def _list(element: Type, request: Request, reading: Reading, name: str, extra: list[str]) -> Json:
    chosen = best(reading, BEST, extra)
    if isinstance(element, Scalar) and element.name == "str":
        if any(word in name for word in ("source", "citation", "reference", "evidence_id")) or name == "ids":
            return list(dict.fromkeys(sentence.source for sentence in chosen if sentence.source))
        return [_cited([sentence]) for sentence in chosen]
    return [
        _value(
            element,
            request,
            Reading(reading.question, (sentence,), reading.idf, reading.task, reading.asked),
            "",
        )
        for sentence in chosen
    ]


def _scalar(kind: str, reading: Reading, extra: list[str]) -> Json:
    match kind:
        case "str":
            return _cited(best(reading, 1 if extra else BEST, extra)) or UNKNOWN
        case "bool":
            return _agrees(reading) >= 0.5
        case "none":
            return None
        case "json":
            chosen = best(reading, BEST, extra)
            return {"text": " ".join(s.text for s in chosen), "sources": [s.source for s in chosen]}
        case "bytes":
            return {"$bytes": ""}
    return _number(kind, reading, extra)


def _number(kind: str, reading: Reading, extra: list[str]) -> Json:
    """A number of the best sentence that has one; where there is none, how well the material fits, on
    its scale.
    """
    whole = kind in ("int", "i64", "i32", "i16", "i8", "u8")
    asked = set(_NUMBER.findall(reading.asked))
    for sentence in sorted(
        best(reading, 8, extra), key=lambda s: -overlap(reading.question, s.terms, reading.idf)
    ):
        for found in _NUMBER.findall(sentence.text):
            if found not in asked:
                number = float(found.strip("%").replace(",", ""))
                return round(number) if whole else number
    low, high = 0.0, 1.0
    if scale := _SCALE.search(reading.task):
        low, high = sorted((float(scale[1]), float(scale[2])))
    value = low + (high - low) * _covered(reading)
    return round(value) if whole else round(value, 4)


def _covered(reading: Reading) -> float:
    """How much of the question the best sentences speak of, from 0 to 1."""
    asked = [term for term, weight in reading.question.items() if weight >= 1]
    return coverage(asked, [term for sentence in best(reading, BEST) for term in sentence.terms])


def _agrees(reading: Reading) -> float:
    """As `_covered`; where material and question differ in negation, turned round."""
    share = _covered(reading)
    nearest = best(reading, 1)
    if nearest and _negated(nearest[0].text) != _negated(reading.asked):
        return 1 - share if share >= 0.5 else share
    return share


def _negated(text: str) -> bool:
    words = text.lower().replace("n't", " n't").split()
    return any(word.strip(".,;:!?") in NEGATIONS for word in words)


def _member(members: tuple[str, ...], reading: Reading) -> str:
    """The member of an enum whose words occur most; verdicts by how far the material agrees."""
    affirmative = next((member for member in members if member.lower() in YES), None)
    negative = next((member for member in members if member.lower() in NO), None)
    if affirmative is not None and negative is not None:
        agreement, spoken_of = _agrees(reading), _covered(reading)
        neither = [member for member in members if member not in (affirmative, negative)]
        if spoken_of < 0.5 and neither:
            return neither[0]
        return affirmative if agreement >= 0.5 else negative
    there = [term for sentence in reading.sentences for term in sentence.terms] + list(reading.question)
    counts = {member: _occurrences(member, there) for member in members}
    return max(members, key=lambda member: counts[member])


def _occurrences(member: str, there: Sequence[Any]) -> float:
    words = terms(member.replace("_", " ")) or [member.lower()]
    return sum(there.count(word) for word in words) / len(words)
